"""A whole recording on HUMANOID: clean, on the floor and at one rate, kept in a cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from motion.clip import Clip
from motion.skeleton import HUMANOID, Array
from training import cache as caching
from training import reading


@dataclass(frozen=True)
class Whole:
    """root (T, 3) metres and rotations (T, 22, 4), in single precision; `begin` seconds of the file were before them.
    sha256: of the file.
    """

    sha256: str
    root: Array
    rotations: Array
    begin: float


def read(
    path: Path,
    cache: caching.Cache,
    fps: float,
    scale: str | float,
    drop_first: int,
    lead_in: Callable[[Clip], int] | None = None,
) -> Whole:
    """A recording at `fps` without its first frames, as many as `drop_first` or as `lead_in` says of it.

    Raises ValueError that begins with the file's name, and OSError.
    """
    content = caching.digest(path)
    key = caching.key(content, {"whole": [1, scale, drop_first, fps, lead_in is not None]})
    stored = cache.get(key)
    if stored is None:
        recording = reading.read(path, content, scale, "", HUMANOID)
        clip = recording.clip
        drop = drop_first if lead_in is None else lead_in(clip)
        treatment = reading.Treatment(((0, len(clip)),), clip.fps, drop, fps, repair=True, on_floor=True)
        track = reading.treat(recording, treatment)[0][0]
        made = {"root": track.root.astype(np.float32), "rotations": track.rotations.astype(np.float32)}
        stored = made, {"begin": drop / clip.fps}
        cache.put(key, *stored)
    parts, facts = stored
    return Whole(content, parts["root"], parts["rotations"], facts["begin"])
