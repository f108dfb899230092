"""Films of which it is known who is seen and what is done: sequences of pictures from .npz files, or pendulums.

The layout is that of VDSM's sets: pictures in one file, (N, T, H, W, C), (N, T, C, H, W) or (N, T, H, W), whole numbers
to 255 or others to 1; in another file a row of labels for every sequence, with a column for who and one for what, or an
array of each, `identity` and `action`. Pictures are kept as bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from motion.skeleton import HUMANOID, Skeleton
from training import checkpoint, dataset
from training.identity_labels import Cell, some
from training.models import identity_pendulum
from training.models.identity_action_images import ImageFrames
from training.models.identity_takes import Names, require, without_unseen
from training.models.identity_windows import Sequences, of_takes
from training.run import Run
from training.split import hold_out_share

COLOURS = (1, 3)  # channels
STRIDE = 2  # frames between windows
READER = "frames"  # the part of the model that reads pictures


@dataclass(frozen=True)
class Config:
    """images, labels: files, within --data or anywhere; without them pendulums are simulated. identity_column,
    action_column: of the labels. every: one of so many frames is used; steps: how many of these, from the first, 0 for
    all. side: pixels that pictures are brought to, where they have others.

    test_identities: who is held out, by name; test_share: of the others' sequences is held out; unseen: cells, [who,
    what], of which nothing is trained on. mirror: films are also seen in a mirror.
    """

    images: str = ""
    labels: str = ""
    identity_column: int = 0
    action_column: int = 1
    steps: int = 0
    every: int = 1
    side: int = 64
    pendulums: identity_pendulum.Config = field(default_factory=identity_pendulum.Config)
    test_identities: tuple[str, ...] = ()
    test_share: float = 0.1
    unseen: tuple[Cell, ...] = ()
    mirror: bool = False
    licence: str = "not stated"
    source: str = ""

    def __post_init__(self) -> None:
        if bool(self.images) != bool(self.labels):
            raise ValueError(
                f"images {self.images!r} and labels {self.labels!r} go together; leave out both for pendulums"
            )
        if self.every < 1 or self.steps < 0 or self.side < 16 or self.side % 16:
            raise ValueError(
                f"every {self.every} must be 1 or more, steps {self.steps} 0 or more, side {self.side} a multiple of 16"
            )


@dataclass(frozen=True)
class Film:
    """One sequence: pictures (T, C, H, W), bytes. Counted like the pairs of training.dataset."""

    name: str
    pictures: NDArray[np.uint8]
    cell: Cell
    skeleton: Skeleton = HUMANOID  # of nobody: checkpoints have one
    fps: float = 30.0

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, frames: slice) -> Film:
        return Film(self.name, self.pictures[frames], self.cell)

    @property
    def cells(self) -> list[Cell]:
        """Who does what in it."""
        return [self.cell]

    def files(self) -> list[dict[str, str]]:
        """The name and the hash of the pictures, for the manifest."""
        return [{"take": self.name, "sha256": hashlib.sha256(self.pictures.tobytes()).hexdigest()}]

    def tracks(self, window: int) -> list[Tensor]:
        """The pictures."""
        return [torch.from_numpy(self.pictures)]

    @staticmethod
    def mirrored(pictures: Tensor) -> Tensor:
        """Left and right exchanged."""
        return pictures.flip(-1)


def load(
    config: Config, folder: str | Path | None, cache: str | Path | None = None, report: str | Path | None = None
) -> list[Film]:
    """All films. Raises ValueError naming what is wrong with the files, and OSError where there are none.

    Nothing is cached or reported: pictures are read as they are.
    """
    if not config.images:
        made = identity_pendulum.films(config.pendulums, config.side)
        films = [Film(name, pictures, cell) for name, pictures, cell in made]
    else:
        films = _read(config, *(_found(name, folder) for name in (config.images, config.labels)))
    require(films)
    return films


def split(
    config: Config, films: Sequence[Film], fold: tuple[int, int] | None, seed: int
) -> tuple[list[Film], list[Film]]:
    """(training, held out): who is held out whole, films of the fold or a share of them, and unseen cells."""
    names = Names.of(films)
    if wrong := [name for name in config.test_identities if name not in names.identities]:
        raise ValueError(f"test_identities: there is no {wrong[0]!r}; there are: {some(names.identities)}")
    kept = [film for film in films if film.cell[0] not in config.test_identities]
    others = [film for film in films if film.cell[0] in config.test_identities]
    if len(Names.of(kept).identities) < 2:
        raise ValueError(
            f"test_identities leaves {len(Names.of(kept).identities)} identities to train on; at least two"
        )
    if fold is None:
        trained, held_out = hold_out_share(kept, config.test_share, seed)
    else:
        trained, held_out = dataset.split(kept, fold)
    trained, held_out = without_unseen(config.unseen, trained, held_out)
    return trained, [*held_out, *others]


def windows(run: Run, films: Sequence[Film], augment: bool) -> Sequences:
    """Windows of films; stage 2 has what stage 1 reads of them.

    Raises ValueError when the model's frames are other pictures, or its windows longer."""
    images, window, shortest = run.model.images, run.model.window, min(map(len, films))
    shape = films[0].pictures.shape[1:]
    wanted = None if images is None else (images.channels, images.side, images.side)
    if shape != wanted:
        raise ValueError(
            f"model: images is {'not there' if images is None else wanted}, and pictures are {shape}: "
            f"images: {{channels: {shape[0]}, side: {shape[-1]}}}"
        )
    if shortest < window:
        raise ValueError(f"films have {shortest} frames, and model: window is {window}; it must be {shortest} or less")
    names = Names.of(run.trained)
    if not augment:
        return of_takes(films, names, window, False, window)
    made = of_takes(films, names, window, run.data.mirror, STRIDE, run.model.decoded)
    if stage1 := run.training.init_from.get(READER):  # what is kept still reads every picture once
        parts = nn.ModuleDict({READER: ImageFrames(images, run.model.latent, run.model.experts)})
        checkpoint.init_from(parts, {READER: stage1})
        made.tell_of(parts[READER].read)
    return made


def _found(name: str, folder: str | Path | None) -> Path:
    inside = Path(folder or ".") / name
    return inside if inside.exists() else Path(name)


def _read(config: Config, images: Path, labels: Path) -> list[Film]:
    pictures = _bytes(_array(images, ("images", "data", "frames", "x")), images)
    pictures = pictures[:, :: config.every][:, : config.steps or None]
    if pictures.shape[-2:] != (config.side, config.side):
        pictures = np.stack([_resized(film, config.side) for film in pictures])
    who, what = _columns(config, labels, len(pictures))
    if config.steps > pictures.shape[1]:
        raise ValueError(
            f"{images.name} has {pictures.shape[1]} frames a sequence (every {config.every}); steps is {config.steps}"
        )
    return [
        Film(f"{images.stem}[{place}]", pictures[place], (str(who[place]), str(what[place])))
        for place in range(len(pictures))
    ]


def _opened(path: Path) -> dict[str, NDArray]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            if isinstance(stored, np.ndarray):
                return {"data": stored}
            return {name: stored[name] for name in stored.files}
    except (ValueError, EOFError, BadZipFile) as error:
        raise ValueError(f"{path.name} is no .npz file of plain arrays: {error}") from None


def _array(path: Path, names: Sequence[str]) -> NDArray:
    arrays = _opened(path)
    chosen = next((name for name in names if name in arrays), None)
    if chosen is None and len(arrays) != 1:
        raise ValueError(f"{path.name} has the arrays {', '.join(arrays) or 'none'}; one of them must be {names[0]!r}")
    return arrays[chosen] if chosen else next(iter(arrays.values()))


def _columns(config: Config, path: Path, count: int) -> tuple[NDArray, NDArray]:
    arrays = _opened(path)
    if {"identity", "action"} <= arrays.keys():
        found = arrays["identity"], arrays["action"]
    else:
        table = _array(path, ("labels", "y"))
        if table.ndim != 2 or max(config.identity_column, config.action_column) >= table.shape[1]:
            raise ValueError(
                f"{path.name} must have a row a sequence with columns {config.identity_column} (identity) and "
                f"{config.action_column} (action), or arrays `identity` and `action`; it has {table.shape}"
            )
        found = table[:, config.identity_column], table[:, config.action_column]
    if wrong := [each.shape for each in found if each.shape != (count,)]:
        raise ValueError(f"{path.name} has labels {wrong[0]} for {count} sequences")
    return found


def _bytes(given: NDArray, path: Path) -> NDArray[np.uint8]:
    """Pictures (N, T, C, H, W) of any layout."""
    pictures = given[..., None] if given.ndim == 4 else given
    if pictures.ndim != 5 or not (pictures.shape[-1] in COLOURS or pictures.shape[2] in COLOURS):
        raise ValueError(
            f"{path.name} has an array {given.shape}; sequences of pictures are (N, T, H, W), (N, T, H, W, C) or "
            f"(N, T, C, H, W), with 1 or 3 channels"
        )
    if pictures.shape[2] not in COLOURS:
        pictures = np.moveaxis(pictures, -1, 2)
    if pictures.dtype == np.uint8:
        return np.ascontiguousarray(pictures)
    low, high = float(pictures.min()), float(pictures.max())
    if not (np.isfinite([low, high]).all() and low >= 0.0 and high <= 255.0):
        raise ValueError(f"{path.name} has pixels from {low:g} to {high:g}; they must be from 0 to 1 or 0 to 255")
    scale = 255.0 if high <= 1.0 else 1.0
    return np.ascontiguousarray(np.rint(pictures.astype(np.float32) * scale).astype(np.uint8))


def _resized(film: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Pictures (T, C, H, W) of other sides, by the mean of what a pixel covers."""
    made = F.adaptive_avg_pool2d(torch.from_numpy(film).float(), side)
    return made.round().to(torch.uint8).numpy()
