"""Ways from key poses to poses between them: the plain ones, and a model's, over whole recordings in pieces.

Frame n stands at n / (fps * rate) seconds from the first key; the last frame is never later than the last key.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np

from motion import key_window, spline_table, upsampling
from motion.clip import Clip
from motion.key_window import OPENPOSE_19, Places, Shown
from motion.skeleton import HUMANOID, Array
from motion.upsampling import Bools
from server.onnx_model import ModelError, OnnxModel, Values

MODELS = Path(__file__).resolve().parents[1] / "presets" / "models"
SPLINE = "cubic"  # what stands in for a model that is not there
COMPARED = {"linear": "slerp", "spline": "cubic"}  # names of what --compare writes; for points slerp is linear, too
PIECE = 4096  # frames made at once: an hour takes no more memory than a minute
BATCH = 128  # moments a model is asked for at once

# (times (K,), root (K, 3), rotations (K, J, 4), queries (Q,)) -> the root and the rotations at the queries
Way = Callable[[Array, Array, Array, Array], tuple[Array, Array]]


@dataclass(frozen=True)
class Request:
    """See exporters.upsample, whose options these are. film: where a GIF of before and after goes, if anywhere."""

    source: Path
    target: Path
    rate: float
    method: str = "model"
    model: Path | None = None
    compare: bool = False
    film: Path | None = None
    scale: str | float = "auto"
    fps: float = 30.0

    def beside(self, name: str) -> Path:
        """Where a plain way's result goes: NAME.linear.bvh beside NAME.bvh, NAME.linear beside a folder."""
        return self.target.with_name(f"{self.target.stem}.{name}{self.target.suffix}")

    @property
    def results(self) -> list[Path]:
        """The files that will be written, or the folders of pictures; the film is no result."""
        return [self.target, *(self.beside(name) for name in COMPARED if self.compare)]


def plain(method: str) -> Way:
    """One of the ways of motion.upsampling."""
    return lambda times, root, rotations, queries: upsampling.poses_at(method, times, root, rotations, queries)


class _Asked:
    """A model of `names` that is asked for many moments; they are independent, so every core has its share of them.

    Raises ModelError when the model is no upsampler, or one of something else.
    """

    def __init__(self, model: OnnxModel, names: tuple[str, ...], what: str) -> None:
        self.manifest = model.manifest
        if self.manifest.kind != "upsampler" or self.manifest.skeleton.names != names:
            raise ModelError(f"{model.path}: a {self.manifest.kind} model of other joints is no upsampler of {what}")
        self._models = [model, *(OnnxModel(model.path) for _ in range(1, os.cpu_count() or 1))]  # one session for all

    def spline_is_better(self, fps: float, ahead: int = key_window.AHEAD) -> float | None:
        """From which rate on the model's own table says so of keys at this one, offline; None where the model is."""
        return spline_table.better_from(self.manifest.scorecard, fps, ahead, "offline")

    def _told(self, queries: Array, shown: Callable[[slice], Shown]) -> Values:
        """What it says at each of the queries (Q,), (Q, D). shown: what it is given for some of them."""

        def answer(model: OnnxModel, mine: range) -> list[Values]:
            answers = []
            for first in mine:
                given = shown(slice(first, first + BATCH))
                model.inputs |= given.inputs()
                answers.append(given.told(model.step()["pose"]))
            return answers

        count = len(self._models)
        shares = [range(BATCH * n, len(queries), BATCH * count) for n in range(count)]
        with ThreadPoolExecutor(count) as pool:
            answers = list(pool.map(answer, self._models, shares))
        in_order = chain.from_iterable(zip_longest(*answers))
        return np.concatenate([made for made in in_order if made is not None])


class Upsampler(_Asked):
    """A model that says what was between key poses, or what comes after them; see exporters.graphs.upsampler."""

    def __init__(self, model: OnnxModel) -> None:
        super().__init__(model, HUMANOID.names, "the standard body's poses")

    def between(
        self, times: Array, root: Array, rotations: Array, valid: Bools, queries: Array, ahead: int
    ) -> tuple[Array, Array]:
        """Root (Q, 3) and rotations (Q, 22, 4) at queries (Q,), each told from at most `ahead` keys after it.

        times (K,) seconds, root (K, 3), rotations (K, 22, 4) local, valid (K, 22).
        """
        return self._poses(key_window.between(times, queries, ahead), times, root, rotations, valid, queries)

    def ahead(self, times: Array, root: Array, rotations: Array, frames: Places, seconds: float) -> tuple[Array, Array]:
        """What is `seconds` after each of the frames (F,), told from those up to it, which come at an even rate."""
        first = int(frames.min(initial=len(times)))
        one = key_window.forecast(times[: first + 1])
        places = np.where(one < 0, -1, one + (frames - first)[:, None])
        valid = np.ones(rotations.shape[:2], dtype=np.bool_)
        return self._poses(places, times, root, rotations, valid, times[frames] + seconds)

    def way(self) -> Way:
        """As a plain one: every key is there, and two are looked ahead."""

        def made(times: Array, root: Array, rotations: Array, queries: Array) -> tuple[Array, Array]:
            first, last = np.searchsorted(times, [queries[0], queries[-1]])  # only the keys around a piece
            near = slice(max(int(first) - key_window.PAST, 0), int(last) + key_window.AHEAD + 1)
            valid = np.ones(rotations[near].shape[:2], dtype=np.bool_)
            return self.between(times[near], root[near], rotations[near], valid, queries, key_window.AHEAD)

        return made

    def _poses(
        self, places: Places, times: Array, root: Array, rotations: Array, valid: Bools, queries: Array
    ) -> tuple[Array, Array]:
        def shown(some: slice) -> Shown:
            return key_window.shown(places[some], times, root, rotations, valid, queries[some])

        return key_window.poses(self._told(queries, shown))


class PointsUpsampler(_Asked):
    """The same of a picture's 19 points (motion.key_window.OPENPOSE_19); see exporters.graphs.upsampler_points."""

    def __init__(self, model: OnnxModel) -> None:
        super().__init__(model, OPENPOSE_19, "OpenPose's points")

    def between(self, times: Array, points: Array, valid: Bools, queries: Array) -> Array:
        """Points (Q, 19, 2) at queries (Q,). times (K,) seconds, points (K, 19, 2) y up in any unit, valid (K, 19)."""
        places = key_window.between(times, queries)

        def shown(some: slice) -> Shown:
            return key_window.shown_points(places[some], times, points, valid, queries[some])

        return np.asarray(self._told(queries, shown).reshape(-1, len(OPENPOSE_19), 3)[..., :2], dtype=np.float64)


def frames(keys: int, rate: float) -> int:
    """How many frames `rate` times as many are. Raises ValueError where there is nothing between keys."""
    if keys < 2:
        raise ValueError(f"{keys} key frame{'' if keys == 1 else 's'}; it takes two to have something between them")
    return int(np.floor((keys - 1) * rate + 1e-6)) + 1


def pieces(clip: Clip, rate: float, way: Way) -> Iterator[Clip]:
    """The clip's motion at `rate` times its frames, in pieces that follow each other. Raises as `frames`."""
    count, fps = frames(len(clip), rate), clip.fps * rate
    times = np.arange(len(clip)) / clip.fps
    for first in range(0, count, PIECE):
        queries = np.arange(first, min(first + PIECE, count)) / fps
        yield Clip(clip.skeleton, fps, *way(times, clip.root_positions, clip.rotations, queries))
