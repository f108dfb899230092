"""One model, one file. Here: the table of them, and how a checkpoint becomes a model again without any data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from motion.skeleton import Skeleton
from training.models import duet

CHECKPOINT_FORMAT = 1
MODELS: dict[str, tuple[type, Callable[[Any, Skeleton], nn.Module]]] = {"duet": (duet.Config, duet.Duet)}


def describe(kind: str, model: nn.Module) -> dict[str, Any]:
    """Everything that rebuilds `model`: its kind, config, skeleton and weights (normalisation among them)."""
    return {
        "format": CHECKPOINT_FORMAT,
        "kind": kind,
        "config": asdict(model.config),
        "skeleton": model.skeleton.to_dict(),
        "weights": model.state_dict(),
    }


def load_checkpoint(path: str | Path) -> nn.Module:
    """The model of a checkpoint, in evaluation mode on the CPU. Raises ValueError when the file is none of ours."""
    return rebuild(read_checkpoint(path))


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The checkpoint's plain contents. Nothing in it is executed. Raises ValueError when the file is none of ours."""
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ValueError(f"there is no checkpoint {path}") from None
    except Exception as error:  # torch raises many kinds for a file that is no checkpoint
        raise ValueError(f"{path} is no checkpoint: {error}") from None
    if not isinstance(stored, dict) or stored.get("format") != CHECKPOINT_FORMAT or stored.get("kind") not in MODELS:
        raise ValueError(f"{path} is no checkpoint of format {CHECKPOINT_FORMAT} of {', '.join(MODELS)}")
    return stored


def rebuild(stored: dict[str, Any]) -> nn.Module:
    """The model described by `describe`."""
    config, build = MODELS[stored["kind"]]
    model = build(config(**stored["config"]), Skeleton.from_dict(stored["skeleton"]))
    model.load_state_dict(stored["weights"])
    return model.eval()
