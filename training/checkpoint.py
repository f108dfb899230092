"""What a checkpoint is: plain values that rebuild a model without any data. Nothing in a file is ever executed.

This file does not know which models there are; training.models does.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

FORMAT = 1


def describe(kind: str, model: nn.Module) -> dict[str, Any]:
    """Everything that rebuilds `model`: its kind, config, skeleton and weights (normalisation among them)."""
    return {
        "format": FORMAT,
        "kind": kind,
        "config": asdict(model.config),
        "skeleton": model.skeleton.to_dict(),
        "weights": model.state_dict(),
    }


def read(path: str | Path, kind: str | None = None) -> dict[str, Any]:
    """The checkpoint's plain contents. Raises ValueError when the file is none of ours, is of another format, or is
    not of `kind` where one is named.
    """
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ValueError(f"there is no checkpoint {path}") from None
    except Exception as error:  # torch raises many kinds for a file that is no checkpoint
        raise ValueError(f"{path} is no checkpoint: {error}") from None
    if not isinstance(stored, dict) or not {"format", "kind", "weights"} <= stored.keys():
        raise ValueError(f"{path} is no checkpoint of this project")
    if stored["format"] != FORMAT:
        raise ValueError(f"{path} is no checkpoint of format {FORMAT} but of format {stored['format']}; train it again")
    if kind is not None and stored["kind"] != kind:
        raise ValueError(f"{path} is a checkpoint of {stored['kind']!r}, not of {kind!r}")
    return stored
