"""Recordings of anybody, with the labels that parts of them have, at the rate of the labelled partner.

Who was recorded together is one take, so that a fold never holds out one half of a couple. Labels are kept as they were
given until it is known which takes, and which parts of them, are trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from motion import kinematics
from motion.skeleton import HUMANOID, Array, Skeleton
from training import cache as caching
from training import labels, labels_proxy, whole
from training.labels import Label, LabelSets, Places
from training.models import upsampler_takes

FPS = 30.0


@dataclass(frozen=True)
class Config(upsampler_takes.Config):
    """As of the upsampler's takes. labels: a CSV file (training.labels), within --data or anywhere; none: only proxies
    or nothing. proxies: label sets of training.labels_proxy. orders: of a set's labels on the dial, where they are not
    to be as they come up in the file.

    share: of the labels that is used, 0 for none; the rest trains without. spread, fill: frames, as training.labels
    says.
    """

    fps: float = FPS
    labels: str = ""
    proxies: tuple[str, ...] = ()
    orders: dict[str, tuple[str, ...]] = field(default_factory=dict)
    share: float = 1.0
    spread: int = 7
    fill: int = 40

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fps != FPS:
            raise ValueError(f"fps {self.fps:g} must be {FPS:g}, the rate that labelled partners think at")
        if not 0.0 <= self.share <= 1.0 or min(self.spread, self.fill) < 0:
            raise ValueError(
                f"share {self.share} must be from 0 to 1, and spread {self.spread} and fill {self.fill} 0 or more"
            )
        labels_proxy.label_sets(self.proxies)  # refuses what is no proxy


@dataclass(frozen=True)
class Dancer:
    """One file on HUMANOID at FPS: root (T, 3), rotations (T, 22, 4); `begin` seconds of the file were before them."""

    file: str
    sha256: str
    root: Array
    rotations: Array
    begin: float = 0.0
    labels: tuple[Label, ...] = ()

    def __len__(self) -> int:
        return len(self.root)

    def __getitem__(self, frames: slice) -> Dancer:
        begin = self.begin + frames.indices(len(self))[0] / FPS
        return replace(self, root=self.root[frames], rotations=self.rotations[frames], begin=begin)

    def positions(self) -> Array:
        """(T, 22, 3) metres in the world."""
        return kinematics.global_positions(HUMANOID, self.root, self.rotations)


@dataclass(frozen=True)
class Take:
    """Everybody in one take. Cut and counted like the pairs of training.dataset. sets: of the labels in files."""

    name: str
    dancers: tuple[Dancer, ...]
    sets: LabelSets = ()
    fps: float = FPS
    skeleton: Skeleton = HUMANOID

    def __len__(self) -> int:
        return max(map(len, self.dancers))

    def __getitem__(self, frames: slice) -> Take:
        return replace(self, dancers=tuple(dancer[frames] for dancer in self.dancers))

    def files(self) -> list[dict[str, str]]:
        """Names and hashes, for the manifest."""
        return [{"take": dancer.file, "sha256": dancer.sha256} for dancer in self.dancers]


def load_takes(
    config: Config, folder: str | Path, cache: str | Path | None = None, report: str | Path | None = None
) -> list[Take]:
    """Every recording that `config` asks for, ordered by name, with its labels. report is not written here.

    Raises ValueError when nothing is found, with a line for every file that cannot be read, and with a line for every
    label that makes no sense.
    """
    paths = upsampler_takes.find(config, Path(folder))
    there = upsampler_takes.find(
        replace(config, files=Config.files), Path(folder)
    )  # labels may be of more than is asked
    given = _labels(config, Path(folder), sorted({path.name for path in (*paths, *there)}))
    sets = labels.sets_of(given, config.orders)
    if both := [name for name, _ in sets if name in config.proxies]:
        raise ValueError(f"{both[0]!r} is a label set of {config.labels} and a proxy: name it otherwise")
    kept = caching.Cache(cache)
    takes: dict[str, list[Dancer]] = {}
    faults = []
    for path in paths:
        try:
            dancer = replace(_dancer(config, path, kept), labels=labels.of_file(given, path.name))
            takes.setdefault(upsampler_takes.take_of(config, path), []).append(dancer)
        except (ValueError, OSError) as error:
            said = " ".join(str(error).split())
            faults.append(said if said.startswith(path.name) else f"{path.name}: {said}")
    if faults:
        raise ValueError("\n".join(faults))
    return [Take(name, tuple(dancers), sets) for name, dancers in sorted(takes.items())]


@dataclass(frozen=True)
class Labelling:
    """What all windows' labels are made with. thresholds: of the proxies, by their names, from takes trained on."""

    sets: LabelSets
    thresholds: dict[str, labels_proxy.Thresholds]
    window: int
    spread: int
    fill: int

    @classmethod
    def of(cls, config: Config, trained: Sequence[Take], window: int) -> Labelling:
        """Fitted to the takes that are trained on. Without any labels to be used there are no sets.

        Raises ValueError for a spread with which a window could have two labels.
        """
        if 2 * config.spread >= window:
            raise ValueError(f"spread {config.spread} must be less than half of a window, which has {window} frames")
        if config.share == 0.0:
            return cls((), {}, window, config.spread, config.fill)
        positions = [dancer.positions() for take in trained for dancer in take.dancers] if config.proxies else []
        thresholds = {
            name: labels_proxy.tertiles([labels_proxy.of_take(name, each, FPS, window) for each in positions])
            for name in config.proxies
        }
        sets = (*trained[0].sets, *labels_proxy.label_sets(config.proxies))
        return cls(tuple(sorted(sets)), thresholds, window, config.spread, config.fill)

    def windows(self, dancer: Dancer) -> Places:
        """The labels' numbers (windows, sets) of all windows of a dancer."""
        given = tuple((name, of_set) for name, of_set in self.sets if name not in self.thresholds)
        frames = labels.of_frames(dancer.labels, dancer.begin, len(dancer), FPS, given) if given else None
        if frames is not None:
            of_files = labels.of_windows(labels.filled(frames, self.fill), self.window, self.spread)
        columns, positions = [], dancer.positions()
        for name, _ in self.sets:
            if name in self.thresholds:
                figures = labels_proxy.of_take(name, positions, FPS, self.window)
                columns.append(labels_proxy.labelled(figures, self.thresholds[name]))
            else:
                columns.append(of_files[:, [each for each, _ in given].index(name)])
        count = max(len(dancer) - self.window + 1, 0)
        return np.stack(columns, axis=1) if columns else np.empty((count, 0), dtype=np.int64)


def _labels(config: Config, folder: Path, files: Sequence[str]) -> list[Label]:
    if not config.labels:
        return []
    inside = folder / config.labels
    given = labels.read(inside if inside.exists() else Path(config.labels))
    if not given:
        raise ValueError(f"{config.labels} has no labels; leave `labels` out to train without")
    if faults := labels.unknown_takes(given, files):
        raise ValueError("\n".join(faults))
    return given


def _dancer(config: Config, path: Path, cache: caching.Cache) -> Dancer:
    read = whole.read(path, cache, FPS, config.scale, config.drop_first)
    root, rotations = (part.astype(np.float64) for part in (read.root, read.rotations))
    return Dancer(path.name, read.sha256, root, rotations, read.begin)
