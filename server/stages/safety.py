"""The last gate before the stage: finite numbers, unit rotations, speeds a body can have, inside the stage's bounds.

A non-finite pose raises, and the pipeline holds the last good one. A pose that is merely too far away is reached at
the highest allowed speed, so a jump upstream is seen as a quick move and never as a pop.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from motion import rotations as rot
from motion.manifest import Param
from motion.skeleton import Array
from server.params import Knobs
from server.protocols.frames import PoseFrame


class NotFinite(ArithmeticError):
    """A pose with NaN or infinite numbers reached the end of the pipeline."""


class Safety:
    """max_speed m/s of the root, max_turn rad/s of any joint, bounds metres from the centre of the stage."""

    params: tuple[Param, ...] = ()

    def __init__(self, max_speed: float = 6.0, max_turn: float = 40.0, bounds: float = 25.0) -> None:
        self._max_speed, self._max_turn, self._bounds = max_speed, max_turn, bounds
        self._last: PoseFrame | None = None

    def reset(self) -> None:
        """Keeps the last pose: what the audience saw does not change because a model starts over."""

    def step(self, frame: PoseFrame, dt: float, params: Knobs) -> PoseFrame:
        root, q = frame.root_position, frame.rotations
        lengths = np.sqrt(np.einsum("ij,ij->i", q, q))  # NaN and infinity anywhere show up here
        if not (math.isfinite(lengths.sum()) and math.isfinite(root.sum())) or lengths.min() < 1e-6:
            raise NotFinite(f"non-finite pose in frame {frame.number}")
        q = q / lengths[:, None]
        distance = math.hypot(root[0], root[2])
        if distance > self._bounds:
            root = root * np.array([self._bounds / distance, 1.0, self._bounds / distance])
        last = self._last
        if last is not None:
            root = _limit_speed(last.root_position, root, self._max_speed * dt)
            q = _limit_turn(last.rotations, q, self._max_turn * dt)
        self._last = replace(frame, root_position=root, rotations=q)
        return self._last


def _limit_speed(last: Array, root: Array, longest: float) -> Array:
    move = root - last
    length = math.sqrt(move @ move)
    return root if length <= longest else last + move * (longest / length)


def _limit_turn(last: Array, q: Array, widest: float) -> Array:
    """q, in the hemisphere of the pose before, turned away from it by at most `widest` radians a joint."""
    cosines = np.einsum("ij,ij->i", last, q)
    if cosines.min() < 0.0:
        q = np.where(cosines[:, None] < 0.0, -q, q)
        cosines = np.abs(cosines)
    if cosines.min() >= math.cos(0.5 * min(widest, math.pi)):
        return q  # the usual frame: nothing turns too fast
    angles = 2.0 * np.arccos(np.clip(cosines, 0.0, 1.0))
    return rot.slerp(last, q, np.minimum(1.0, widest / np.maximum(angles, 1e-9)))
