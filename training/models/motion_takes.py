"""Recordings of anybody, alone or in twos -> takes at the rate of motion vectors, clean and on the floor.

From a folder of recordings, or from the one file that `python -m training.prepare_motion` makes of a folder. Whoever
was recorded together is one take, so that a fold never holds out one half of a couple.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from motion.clean import lead_in
from motion.motion_vectors import RATE, Track
from motion.skeleton import HUMANOID, Skeleton
from training import cache as caching
from training import whole
from training.models import upsampler_takes

FORMAT = "motion takes 1"
SUFFIX = ".npz"
AUTO = -1


@dataclass(frozen=True)
class Config(upsampler_takes.Config):
    """As of the upsampler's takes. drop_first: frames of each file; -1 finds a blend-in by its speed.

    swap_roles: in a couple each dances the partner once. stride: frames between two vectors.
    """

    drop_first: int = AUTO
    fps: float = RATE
    swap_roles: bool = True
    stride: int = 1

    def __post_init__(self) -> None:
        if self.drop_first < AUTO or self.stride < 1:
            raise ValueError(
                f"drop_first {self.drop_first} must be 0 or more, or -1, and stride {self.stride} 1 or more"
            )
        if self.fps != RATE:
            raise ValueError(f"fps {self.fps:g} must be {RATE:g}, the rate of motion vectors")
        upsampler_takes.Config(together=self.together)  # refuses patterns without a star


@dataclass(frozen=True)
class Dancer:
    """One file's frames at RATE. root (T, 3), rotations (T, 22, 4) on HUMANOID."""

    file: str
    sha256: str
    root: np.ndarray
    rotations: np.ndarray

    def __len__(self) -> int:
        return len(self.root)

    def track(self) -> Track:
        """As motion vectors are made of it."""
        return Track(self.root.astype(np.float64), self.rotations.astype(np.float64))


@dataclass(frozen=True)
class Take:
    """Everybody in one take. Cut and counted like the pairs of training.dataset."""

    name: str
    dancers: tuple[Dancer, ...]
    fps: float = RATE
    skeleton: Skeleton = HUMANOID

    def __len__(self) -> int:
        return min(map(len, self.dancers))

    def __getitem__(self, frames: slice) -> Take:
        cut = [replace(each, root=each.root[frames], rotations=each.rotations[frames]) for each in self.dancers]
        return replace(self, dancers=tuple(cut))

    def files(self) -> list[dict[str, str]]:
        """Names and hashes, for the manifest."""
        return [{"take": dancer.file, "sha256": dancer.sha256} for dancer in self.dancers]


def load_takes(
    config: Config, folder: str | Path, cache: str | Path | None = None, report: str | Path | None = None
) -> list[Take]:
    """Every take in a folder, or in a file of training.prepare_motion, ordered by name. report is not written here.

    Raises ValueError when nothing is found, and with a line for every file that cannot be read.
    """
    if Path(folder).suffix == SUFFIX:
        return read_set(Path(folder))
    takes, faults = gathered(config, upsampler_takes.find(config, Path(folder)), cache)
    if faults:
        raise ValueError("\n".join(faults))
    return takes


def gathered(config: Config, paths: Sequence[Path], cache: str | Path | None = None) -> tuple[list[Take], list[str]]:
    """The takes of recordings, and a line for every file that cannot be read."""
    kept = caching.Cache(cache)
    takes, faults = upsampler_takes.by_take(config, paths, lambda path: _dancer(config, path, kept))
    return [_trimmed(Take(name, tuple(dancers))) for name, dancers in takes if dancers], faults


def write_set(path: Path, takes: Sequence[Take]) -> None:
    """One file of all takes; whole or not at all. Raises OSError."""
    dancers = [(number, dancer) for number, take in enumerate(takes) for dancer in take.dancers]
    path.parent.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(suffix=".part", dir=path.parent)
    try:
        with os.fdopen(number, "wb") as file:
            np.savez_compressed(
                file,
                format=FORMAT,
                takes=[take.name for take in takes],
                of_take=[take for take, _ in dancers],
                files=[dancer.file for _, dancer in dancers],
                sha256=[dancer.sha256 for _, dancer in dancers],
                frames=[len(dancer) for _, dancer in dancers],
                root=np.concatenate([dancer.root for _, dancer in dancers]).astype(np.float32),
                rotations=np.concatenate([dancer.rotations for _, dancer in dancers]).astype(np.float32),
            )
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def read_set(path: Path) -> list[Take]:
    """What `write_set` wrote. Raises ValueError when the file is none of ours, and OSError."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            if str(stored["format"]) != FORMAT:
                raise ValueError(f"{path.name} has format {stored['format']}; this reads {FORMAT!r}")
            parts = {name: stored[name] for name in stored.files}
        ends = np.cumsum(parts["frames"])
        dancers: list[list[Dancer]] = [[] for _ in parts["takes"]]
        for place, (take, end, frames) in enumerate(zip(parts["of_take"], ends, parts["frames"], strict=True)):
            cut = slice(end - frames, end)
            file, sha256 = str(parts["files"][place]), str(parts["sha256"][place])
            dancers[take].append(Dancer(file, sha256, parts["root"][cut], parts["rotations"][cut]))
    except (KeyError, EOFError, IndexError) as error:
        raise ValueError(f"{path.name} is no set of takes: `python -m training.prepare_motion` makes one") from error
    return [Take(str(name), tuple(each)) for name, each in zip(parts["takes"], dancers, strict=True)]


def _dancer(config: Config, path: Path, cache: caching.Cache) -> Dancer:
    finds = lead_in if config.drop_first == AUTO else None
    read = whole.read(path, cache, RATE, config.scale, config.drop_first, finds)
    return Dancer(path.name, read.sha256, read.root, read.rotations)


def _trimmed(take: Take) -> Take:
    return take if len({len(dancer) for dancer in take.dancers}) == 1 else take[: len(take)]
