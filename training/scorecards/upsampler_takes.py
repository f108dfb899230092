"""Takes for the upsampler's scorecard: one dancer each, raw as the suit sent it and clean as it should have been.

A model that looks ahead may be given clean keys; what lives without delay is given raw ones, because the zero-phase
filter that makes a take clean carries a few frames of its future into every key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from motion.clean import smooth_truth
from motion.clip import Clip
from motion.load import load_humanoid
from motion.metrics.joints import body_points
from motion.skeleton import Array
from training.cache import digest
from training.scorecards.takes import at_rate

FPS = 120.0
SHORTEST = 2.0  # seconds: five keys and two more at 3.75 fps take 1.9
SLOW = 0.8  # m/s, mean of all points: salsa has 1.2, slow modern dance 0.6


@dataclass(frozen=True)
class Take:
    """One dancer at 120 fps on HUMANOID. hashes: of the one file."""

    name: str
    hashes: tuple[str, ...]
    raw: Clip
    clean: Clip

    def __len__(self) -> int:
        return len(self.raw)

    @cached_property
    def raw_points(self) -> Array:
        """(T, 24, 3) metres."""
        return body_points(self.raw)

    @cached_property
    def clean_points(self) -> Array:
        return body_points(self.clean)

    @cached_property
    def speed(self) -> float:
        """The mean speed of all points, m/s."""
        return float(np.linalg.norm(np.diff(self.clean_points, axis=0), axis=-1).mean() * FPS)

    @property
    def slow(self) -> bool:
        return self.speed < SLOW


def read_takes(paths: Sequence[Path], drop_first: int, scale: str | float) -> list[Take]:
    """Reads recordings. Raises ValueError for one that is too short or twice there, and as `load_humanoid`."""
    takes = [_read(path, drop_first, scale) for path in paths]
    for place, take in enumerate(takes):
        if take.hashes in [other.hashes for other in takes[:place]]:
            raise ValueError(f"{paths[place]} is among the takes twice")
    return takes


def _read(path: Path, drop_first: int, scale: str | float) -> Take:
    clip = at_rate(load_humanoid(path, scale).clip[drop_first:], FPS)
    if clip.seconds < SHORTEST:
        raise ValueError(
            f"{path.name} is too short to judge: {clip.seconds:.1f} s without the first {drop_first} frames; "
            f"it takes {SHORTEST:g} s"
        )
    return Take(path.stem, (digest(path),), clip, smooth_truth(clip))
