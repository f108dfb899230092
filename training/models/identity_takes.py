"""Recordings of anybody who does anything: takes with who moves (identity, style) and what is done (action).

Split by take, never by window: files can be held out by name, and whole cells, somebody doing something, so that it can
be seen whether a model brings together what it never saw together. Windows: training.models.identity_windows.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from motion.skeleton import HUMANOID, Array, Skeleton
from training import cache as caching
from training import dataset, identity_labels, whole
from training import split as splitting
from training.identity_labels import CHOICES, Cell, some, told
from training.models import identity_pose as pose
from training.models import upsampler_takes


@dataclass(frozen=True)
class Config(upsampler_takes.Config):
    """As of the upsampler's takes. labels: a CSV file (training.identity_labels), within --data or anywhere. cast:
    [identity, action] of name patterns. names: patterns of file names with {identity}, {action} and stars.

    shortest: frames at fps that a take needs. test_files: name patterns of takes that are held out where no fold is
    asked for. unseen: [identity, action] of cells of which nothing is trained on.
    """

    fps: float = 30.0
    together: tuple[tuple[str, str], ...] = ()
    mirror: bool = False  # raising the right hand is another action than raising the left
    labels: str = ""
    cast: dict[str, Cell] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    shortest: int = 30
    test_files: tuple[str, ...] = ()
    unseen: tuple[Cell, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        identity_labels.check_names(self.names)
        if self.shortest < 2:
            raise ValueError(f"shortest {self.shortest} must be 2 or more frames")


@dataclass(frozen=True)
class Dancer:
    """One file on HUMANOID at the takes' rate: root (T, 3) metres, rotations (T, 22, 4); who does what."""

    file: str
    sha256: str
    root: Array
    rotations: Array
    cell: Cell

    def __len__(self) -> int:
        return len(self.root)

    def __getitem__(self, frames: slice) -> Dancer:
        return replace(self, root=self.root[frames], rotations=self.rotations[frames])


@dataclass(frozen=True)
class Take:
    """Everybody in one take. Cut and counted like the pairs of training.dataset."""

    name: str
    dancers: tuple[Dancer, ...]
    fps: float
    skeleton: Skeleton = HUMANOID

    def __len__(self) -> int:
        return max(map(len, self.dancers))

    def __getitem__(self, frames: slice) -> Take:
        return replace(self, dancers=tuple(dancer[frames] for dancer in self.dancers))

    @property
    def cells(self) -> list[Cell]:
        """Who does what in it."""
        return [dancer.cell for dancer in self.dancers]

    def files(self) -> list[dict[str, str]]:
        """Names and hashes, for the manifest."""
        return [{"take": dancer.file, "sha256": dancer.sha256} for dancer in self.dancers]

    def tracks(self, window: int) -> list[Tensor]:
        """Everybody's moves (T, WIDTH). Who has fewer frames than a window holds the last pose."""
        return [held(pose.moves(dancer.root, dancer.rotations, self.fps), window) for dancer in self.dancers]

    @staticmethod
    def mirrored(moves: Tensor) -> Tensor:
        """Left and right exchanged."""
        return pose.mirrored(moves)


@dataclass(frozen=True)
class Names:
    """Of identities and actions, in order: their numbers are their places."""

    identities: tuple[str, ...]
    actions: tuple[str, ...]

    @classmethod
    def of(cls, takes: Sequence[Any]) -> Names:
        """Those of takes, or of anything else that has `cells`."""
        return cls(*(tuple(sorted(each)) for each in _sides(takes)))


def load_takes(
    config: Config, folder: str | Path, cache: str | Path | None = None, report: str | Path | None = None
) -> list[Take]:
    """Every recording that `config` asks for, with who and what, ordered by name. report is not written here.

    Raises ValueError when nothing is found, with a line for every file that cannot be read or is too short, when
    nothing says who is in a file, and when there is too little to tell anything apart.
    """
    paths = upsampler_takes.find(config, Path(folder))
    takes = read(config, paths, Path(folder), cache)
    require(takes)
    return takes


def read(config: Config, paths: Sequence[Path], folder: Path, cache: str | Path | None = None) -> list[Take]:
    """The takes of recordings, however few."""
    inside = folder / config.labels
    table = (inside if inside.exists() else Path(config.labels)) if config.labels else None
    cells = identity_labels.who_and_what(table, config.cast, config.names, [path.name for path in paths])
    kept = caching.Cache(cache)
    takes, faults = upsampler_takes.by_take(config, paths, lambda path: _dancer(config, path, kept, cells[path.name]))
    if faults:
        raise ValueError("\n".join(faults))
    return [Take(name, tuple(dancers), config.fps) for name, dancers in takes]


def require(takes: Sequence[Any]) -> None:
    """Raises ValueError when there is one identity only, one action only, or an action with one clip."""
    faults = []
    counts: list[dict[str, list[str]]] = [{}, {}]
    for take in takes:
        for file, cell in zip(take.files(), take.cells, strict=True):
            for count, name in zip(counts, cell, strict=True):
                count.setdefault(name, []).append(file["take"])
    for kind, count in zip(("identity", "action"), counts, strict=True):
        if len(count) == 1:
            faults.append(
                f"all {len(takes)} takes have one {kind}, {next(iter(count))!r}, and it takes two to tell them apart: "
                f"add recordings, or say who and what by {CHOICES}"
            )
    clips = counts[1]
    others = ", ".join(f"{name} {len(files)}" for name, files in sorted(clips.items()) if len(files) > 1) or "none"
    faults += [
        f"action {name!r} has one clip, {files[0]}, and needs two, to learn from one and be judged by the other; clips "
        f"of other actions: {others}; leave the file out by `files`, or let it count as another action"
        for name, files in clips.items()
        if len(files) == 1
    ]
    if faults:
        raise ValueError("\n".join(faults))


def split(
    config: Config, takes: Sequence[Take], fold: tuple[int, int] | None, seed: int
) -> tuple[list[Take], list[Take]]:
    """(training, held out). Held out are the takes of the fold, or those of `test_files`, or `test_share` of the
    frames, and all takes of unseen cells.

    Raises ValueError when a pattern or a cell fits nothing, or nothing is left to train on of an identity or action.
    """
    for pattern in config.test_files:
        if not any(fnmatch.fnmatch(file["take"], pattern) for take in takes for file in take.files()):
            raise ValueError(f"test_files: no file fits {pattern!r}; there are: {some([take.name for take in takes])}")
    if fold is not None:
        trained, held_out = dataset.split(takes, fold)
    elif config.test_files:
        trained = [take for take in takes if not is_test(config, take)]
        held_out = [take for take in takes if is_test(config, take)]
    else:
        trained, held_out = splitting.hold_out_share(takes, config.test_share, seed)
    return without_unseen(config.unseen, trained, held_out)


def is_test(config: Config, take: Take) -> bool:
    """Whether a take is held out by its name."""
    return any(fnmatch.fnmatch(dancer.file, pattern) for dancer in take.dancers for pattern in config.test_files)


def without_unseen(unseen: Sequence[Cell], trained: Sequence[Any], held_out: Sequence[Any]) -> tuple[list, list]:
    """(training, held out) with all takes of unseen cells held out. Raises ValueError as `split` says."""
    takes = [*trained, *held_out]
    there = {cell for take in takes for cell in take.cells}
    if wrong := [cell for cell in unseen if cell not in there]:
        raise ValueError(f"unseen: there is no {told(wrong)}; there are: {told(sorted(there))}")
    kept = [take for take in trained if not set(unseen) & set(take.cells)]
    if lost := [
        f"{kind} {name!r}"
        for kind, whole, left in zip(("identity", "action"), _sides(trained), _sides(kept), strict=True)
        for name in sorted(whole - left)
    ]:
        raise ValueError(f"nothing is left to train on of {', '.join(lost)}; hold out less by `unseen`")
    return kept, [take for take in takes if take not in kept]


def held(moves: Tensor, window: int) -> Tensor:
    """Moves (T, WIDTH) with the last pose held until there are as many as a window has."""
    if len(moves) >= window:
        return moves
    last = moves[-1:].repeat(window - len(moves), 1)
    last[:, 1 - pose.CARRIAGE :] = 0.0  # its speeds; the height stays
    return torch.cat([moves, last])


def _sides(takes: Sequence[Any]) -> tuple[set[str], set[str]]:
    """All identities and all actions."""
    cells = [cell for take in takes for cell in take.cells]
    return {who for who, _ in cells}, {what for _, what in cells}


def _dancer(config: Config, path: Path, cache: caching.Cache, cell: Cell) -> Dancer:
    read = whole.read(path, cache, config.fps, config.scale, config.drop_first)
    if len(read.root) < config.shortest:
        raise ValueError(
            f"{path.name}: {len(read.root)} frames at {config.fps:g} fps are left of it and `shortest` is "
            f"{config.shortest}; leave it out by `files`, or lower `shortest`"
        )
    root, rotations = (part.astype(np.float64) for part in (read.root, read.rotations))
    return Dancer(path.name, read.sha256, root, rotations, cell)
