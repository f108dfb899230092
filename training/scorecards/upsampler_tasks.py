"""What an upsampler is asked: to say from key frames of a take at a low rate what was between them, or what comes next.

Conventions: every n-th frame of 120 fps is a key, from the first on. Scored are the frames from the fifth key to the
one two before the last, the same for everybody. Baselines interpolate the points themselves (`slerp` the rotations,
then forward kinematics), over the whole take; without look-ahead only those that need none can answer, and Catmull-Rom
needs two keys ahead. The cubic spline is the offline one, through all keys, wherever anything may be looked ahead.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from motion import upsampling
from motion.clip import Clip
from motion.corruption import corrupted
from motion.metrics.joints import body_points
from motion.skeleton import HUMANOID, Array
from training.scorecards.upsampler_takes import FPS, Take

PAST, AHEAD = 5, 2  # keys that a window may have up to and after a frame: what decides the scored frames
SEED = 5


@dataclass(frozen=True)
class Task:
    """Keys every `key_step` frames, answers every `step`, with so many keys ahead. raw: the keys and not the truth's;
    spoilt: keys made bad, and all frames count. against: the baseline its bar is a ratio to."""

    name: str
    key_step: int
    step: int
    ahead: int
    raw: bool = False
    spoilt: bool = False
    against: str = "cubic"


TASKS = (
    Task("zero_delay_30_120_raw", 4, 1, 0, raw=True, against="extrapolate"),
    Task("zero_delay_15_120_raw", 8, 1, 0, raw=True, against="extrapolate"),
    Task("one_key_30_120_raw", 4, 1, 1, raw=True, against="slerp"),
    Task("two_keys_30_120_raw", 4, 1, 2, raw=True, against="catmull_rom"),
    Task("clean_8x_2ahead", 16, 2, 2),
    Task("clean_8x_1ahead", 16, 2, 1),
    Task("clean_16x_2ahead", 32, 2, 2),
    Task("corrupted_8x", 16, 2, 2, spoilt=True),
)
NEEDS_AHEAD = {"hold": 0, "extrapolate": 0, "linear": 1, "slerp": 1, "catmull_rom": 2, "cubic": 1}  # cubic: offline
HORIZONS = {33: 4, 50: 6, 100: 12}  # ms: frames at 120 fps
FORECAST_STEP, LAG = 4, 4  # frames: how often it is asked, and over which speed is taken


@dataclass(frozen=True)
class Keys:
    """Keys of a take. times (K,) seconds, root (K, 3), rotations (K, 22, 4), valid (K, 22)."""

    times: Array
    root: Array
    rotations: Array
    valid: NDArray[np.bool_]

    @cached_property
    def filled(self) -> Array:
        """The rotations with what is missing bridged."""
        return upsampling.fill_rotations(self.times, self.rotations, self.valid)

    @cached_property
    def points(self) -> Array:
        """The bridged keys' points (K, 24, 3)."""
        return body_points(Clip(HUMANOID, FPS, self.root, self.filled))


@dataclass(frozen=True)
class Question:
    """One task on one take. left (B,): the keys that scored frames follow; offsets (Q,): seconds after them."""

    task: Task
    keys: Keys
    left: NDArray[np.intp]
    offsets: Array
    truth: Array  # (B * Q, 24, 3)

    @property
    def queries(self) -> Array:
        """Times of the scored frames (B * Q,)."""
        return (self.keys.times[self.left, None] + self.offsets).reshape(-1)

    @property
    def between(self) -> NDArray[np.bool_]:
        """Which scored frames are no keys (B * Q,)."""
        return np.asarray(np.tile(self.offsets > 0.0, len(self.left)))


class Subject(Protocol):
    """Someone who answers; None for what they cannot be asked."""

    def between(self, question: Question) -> Array | None:
        """Points (B * Q, 24, 3) at the queries of a question."""

    def ahead(self, take: Take, frames: NDArray[np.intp]) -> dict[int, Array] | None:
        """Points (F, 24, 3) by horizon in milliseconds, told at each of the frames (F,) from raw frames up to it."""


def question(take: Take, task: Task) -> Question:
    """The task on the take. What spoils its keys is the same whichever takes are beside it."""
    clip = take.raw if task.raw else take.clean
    frames = np.arange(0, len(take), task.key_step)
    times, root, rotations = frames / FPS, clip.root_positions[frames], clip.rotations[frames]
    valid = np.ones(rotations.shape[:2], dtype=np.bool_)
    if task.spoilt:
        rotations, valid = corrupted(
            root, rotations, np.random.default_rng((SEED, zlib.crc32("".join(take.hashes).encode())))
        )
    left = np.arange(PAST - 1, len(frames) - AHEAD)
    offsets = np.arange(0, task.key_step, task.step)
    truth = take.clean_points[(frames[left, None] + offsets).reshape(-1)]
    return Question(task, Keys(times, root, rotations, valid), left, offsets / FPS, truth)


def asked_frames(take: Take) -> NDArray[np.intp]:
    """The frames at which the forecast is asked: a third of a second from the start, a tenth from the end."""
    return np.arange(round(FPS / 3), len(take) - max(HORIZONS.values()), FORECAST_STEP)


@dataclass(frozen=True)
class Plain:
    """A baseline by its name in motion.upsampling."""

    method: str

    def between(self, question: Question) -> Array | None:
        keys = question.keys
        if NEEDS_AHEAD[self.method] > question.task.ahead:
            return None
        if self.method == "slerp":
            made = upsampling.poses_at("slerp", keys.times, keys.root, keys.filled, question.queries)
            return body_points(Clip(HUMANOID, FPS, *made))
        return upsampling.points_at(self.method, keys.times, keys.points, question.queries)

    def ahead(self, take: Take, frames: NDArray[np.intp]) -> dict[int, Array] | None:
        """The raw frame itself, or on with the speed of the last LAG frames."""
        if NEEDS_AHEAD[self.method]:
            return None
        now = take.raw_points[frames]
        speed = (now - take.raw_points[frames - LAG]) / LAG if self.method == "extrapolate" else np.zeros_like(now)
        return {horizon: now + speed * steps for horizon, steps in HORIZONS.items()}


BASELINES: Mapping[str, Subject] = {name: Plain(name) for name in NEEDS_AHEAD}
