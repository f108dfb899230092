"""Recordings of anybody -> takes of positions for the upsampler: as they were recorded, and as they should have been.

A take holds everybody who was recorded at once, so that a fold never holds out one half of a couple. `raw` is what a
suit sent, `clean` its zero-phase low-pass: what is to be said of every moment.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from motion import clean, kinematics
from motion import rotations as rot
from motion.clip import Clip
from motion.load import READERS, LoadedClip, on_skeleton
from motion.skeleton import HUMANOID, Skeleton
from training import amass_data, reading
from training import cache as caching

Positions = NDArray[np.float32]
Read = TypeVar("Read")
TRACKS = ("raw", "clean", "raw_turns", "clean_turns")


@dataclass(frozen=True)
class Config:
    """folders: where recordings lie in the data folder, "." is itself; what lies deeper is not read. files: name
    patterns. together: pairs of name patterns with a star each; files whose stars stand for the same are one take.
    """

    folders: tuple[str, ...] = (".",)
    files: tuple[str, ...] = ("*.bvh", "*.fbx", "*.npz")
    together: tuple[tuple[str, str], ...] = (("60_*.bvh", "61_*.bvh"),)
    drop_first: int = 10  # frames; cgspeed's conversions blend in over their first frames
    scale: float | str = "auto"  # metres per file unit
    fps: float = 120.0
    mirror: bool = True
    test_share: float = 0.0  # of the frames is held out, whole takes, when no fold is asked for
    licence: str = "not stated"  # goes into the model's manifest
    source: str = ""

    def __post_init__(self) -> None:
        if self.drop_first < 0 or not self.fps > 0:
            raise ValueError(f"drop_first {self.drop_first} must be 0 or more and fps {self.fps} above 0")
        if wrong := [pattern for pair in self.together for pattern in pair if pattern.count("*") != 1]:
            raise ValueError(f"together: a pattern needs exactly one star: {', '.join(wrong)}")


@dataclass(frozen=True)
class Dancer:
    """One file. raw and clean (T, J, 3) metres in the world; their turns (T, J, 6), local."""

    file: str
    sha256: str
    raw: Positions
    clean: Positions
    raw_turns: Positions
    clean_turns: Positions


@dataclass(frozen=True)
class Take:
    """Everybody in one take, at `fps`. Cut and counted like the pairs of training.dataset."""

    name: str
    fps: float
    dancers: tuple[Dancer, ...]
    skeleton: Skeleton = HUMANOID

    def __len__(self) -> int:
        return max(len(dancer.raw) for dancer in self.dancers)

    def __getitem__(self, frames: slice) -> Take:
        cut = [replace(each, **{name: getattr(each, name)[frames] for name in TRACKS}) for each in self.dancers]
        return replace(self, dancers=tuple(cut))

    def files(self) -> list[dict[str, str]]:
        """Names and hashes, for the manifest."""
        return [{"take": dancer.file, "sha256": dancer.sha256} for dancer in self.dancers]


def load_takes(
    config: Config, folder: str | Path, cache: str | Path | None = None, report: str | Path | None = None
) -> list[Take]:
    """Every recording that `config` asks for, on HUMANOID, ordered by name.

    folder may also be a file of `training.prepare_amass`, of whose part for training every clip is a take. cache: a
    folder for what has been read. report is not written here. Raises ValueError when nothing is found, and with a line
    for every file that cannot be read.
    """
    if Path(folder).suffix == ".h5":
        return _of_amass(config, Path(folder))
    kept = caching.Cache(cache)
    takes, faults = by_take(config, find(config, Path(folder)), lambda path: _dancer(config, path, kept))
    if faults:
        raise ValueError("\n".join(faults))
    return [Take(name, config.fps, tuple(dancers)) for name, dancers in takes]


def by_take(
    config: Config, paths: Sequence[Path], read: Callable[[Path], Read]
) -> tuple[list[tuple[str, list[Read]]], list[str]]:
    """Names of takes with what `read` made of their files, ordered, and a line for every file that it refuses."""
    takes: dict[str, list[Read]] = {}
    faults = []
    for path in paths:
        try:
            takes.setdefault(take_of(config, path), []).append(read(path))
        except (ValueError, OSError) as error:
            said = " ".join(str(error).split())
            faults.append(said if said.startswith(path.name) else f"{path.name}: {said}")
    return sorted(takes.items()), faults


def find(config: Config, folder: Path) -> list[Path]:
    """The files, by name. Raises ValueError when a folder is none or nothing in them matches."""
    found = []
    for name in config.folders:
        if not (inside := folder / name).is_dir():
            raise ValueError(f"{inside} is no folder; `data: folders` names them within --data")
        found += [path for path in inside.iterdir() if path.suffix.lower() in READERS and path.is_file()]
    chosen = [path for path in found if any(fnmatch.fnmatch(path.name, pattern) for pattern in config.files)]
    if not chosen:
        here = ", ".join(str(folder / name) for name in config.folders)
        raise ValueError(f"no recordings {', '.join(config.files)} in {here}; formats: {', '.join(sorted(READERS))}")
    return sorted(chosen, key=lambda path: path.name)


def take_of(config: Config, path: Path) -> str:
    """The name of the take that a file is a part of."""
    for pair in config.together:
        for pattern in pair:
            before, after = pattern.split("*")
            if fnmatch.fnmatch(path.name, pattern) and len(path.name) >= len(before) + len(after):
                star = path.name[len(before) : len(path.name) - len(after)]
                return pair[0].replace("*", star)
    return path.name


def _dancer(config: Config, path: Path, cache: caching.Cache) -> Dancer:
    content = caching.digest(path)
    settings: dict[str, Any] = {"upsampler": [2, config.scale, config.drop_first, config.fps]}
    key = caching.key(content, settings)
    stored = cache.get(key)
    if stored is None:
        clip = reading.read(path, content, config.scale, "", HUMANOID).clip[config.drop_first :]
        if len(clip) < 2:
            raise ValueError(f"{path.name}: {len(clip)} frames are left after the first {config.drop_first}")
        made = _treated(config, clip)
        cache.put(key, dict(made), {})
    else:
        made = stored[0]
    return Dancer(path.name, content, **made)


def _of_amass(config: Config, path: Path) -> list[Take]:
    takes = []
    for clip in amass_data.read_clips(path):
        made = _treated(config, on_skeleton(LoadedClip(clip.clip, clip.name), HUMANOID).clip)
        takes.append(Take(clip.name, config.fps, (Dancer(clip.name, clip.sha256, **made),)))
    if not takes:
        raise ValueError(f"{path}: nothing to train on; `python -m training.prepare_amass` says what it wrote")
    return takes


def _treated(config: Config, clip: Clip) -> dict[str, Positions]:
    """At the rate that is asked for, as it is and without what no body does."""
    if abs(clip.fps - config.fps) > reading.SAME_RATE * config.fps:
        clip = clean.resample(clip, config.fps)
    tracks = {}
    for name, each in (("raw", clip), ("clean", clean.smooth_truth(clip))):
        positions = kinematics.global_positions(each.skeleton, each.root_positions, each.rotations)
        tracks |= {name: positions, f"{name}_turns": rot.to_6d(each.rotations)}
    return {name: values.astype(np.float32) for name, values in tracks.items()}
