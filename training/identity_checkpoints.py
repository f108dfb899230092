"""A model that tells who moves from what is done, as training left it, and how it had read recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training import config
from training.models import read_checkpoint, rebuild


@dataclass(frozen=True)
class Trained:
    """data: the Config that takes were read by. known: hashes of the files that it was trained on."""

    kind: str
    model: Any
    data: Any
    known: frozenset[str]

    def seen(self, take: Any) -> bool:
        """Whether it was trained on all of a take, or film."""
        return all(file["sha256"] in self.known for file in take.files())


def opened(path: Path, configs: Mapping[str, type]) -> Trained:
    """A checkpoint of one of these kinds; configs: how the takes of each are read.

    Raises ValueError naming what is wrong with it, and OSError.
    """
    stored = read_checkpoint(path)
    kind = stored["kind"]
    if kind not in configs:
        raise ValueError(f"{path} is a checkpoint of {kind!r}, not of {' or '.join(map(repr, configs))}")
    about = stored.get("about", {})
    data, faults = config.section(configs[kind], about.get("data", {}), f"{path}: data")
    if faults:
        raise ValueError("\n".join(faults))
    files: Sequence[Mapping[str, str]] = about.get("takes", ())
    try:
        model = rebuild(stored)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return Trained(kind, model, data, frozenset(file["sha256"] for file in files))
