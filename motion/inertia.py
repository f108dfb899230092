"""From one movement into another without a pop: what differs at the seam melts away, place and pace alike.

Inertialisation (Bollo, "Inertialization: High-Performance Animation Transitions in Gears of War", GDC 2018) with the
critically damped springs of Holden ("Spring-It-On", 2020): the new movement is shown at once, plus an offset that
begins as the difference between what was shown and what is to be, with the difference of their velocities, and
decays. On rotations and the root's place, so bone lengths are exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from motion import rotations as rot
from motion.skeleton import Array

HALF_LIFE = 0.1  # seconds


@dataclass(frozen=True, eq=False)
class Moving:
    """A pose and how it moves: root (3,) metres and m/s, rotations (J, 4) and their turning (J, 3) rad/s, local.

    Turning is as seen from the joint's parent: after dt the rotation is exp(turning · dt) · rotation.
    """

    root: Array
    rotations: Array
    velocity: Array
    turning: Array

    @classmethod
    def of(cls, before: tuple[Array, Array], now: tuple[Array, Array], dt: float) -> Moving:
        """From two poses, each root (3,) and rotations (J, 4), dt seconds apart."""
        turn = rot.to_vector(rot.multiply(now[1], rot.inverse(before[1])))
        return cls(now[0], now[1], (now[0] - before[0]) / dt, turn / dt)


class Inertia:
    """The offset of one body. `seam` when another movement takes over; `step` each of its frames."""

    def __init__(self, half_life: float = HALF_LIFE) -> None:
        if not half_life > 0.0:
            raise ValueError(f"half_life {half_life} must be above 0 seconds")
        self._spring = 2.0 * math.log(2.0) / half_life  # 1/s
        self._offset: Array | None = None  # (J + 1, 3): rotation vectors, then the root's metres
        self._speed: Array = np.zeros(0)

    def reset(self) -> None:
        """Nothing is left to melt."""
        self._offset = None

    def seam(self, shown: Moving, coming: Moving) -> None:
        """`coming` takes over from `shown`, both of one moment. What still melted is part of what was shown."""
        turn = rot.to_vector(rot.multiply(shown.rotations, rot.inverse(coming.rotations)))
        self._offset = np.concatenate([turn, (shown.root - coming.root)[None]])
        self._speed = np.concatenate([shown.turning - coming.turning, (shown.velocity - coming.velocity)[None]])

    def step(self, root: Array, rotations: Array, dt: float) -> tuple[Array, Array]:
        """The new movement's frame dt seconds after the last one, with what is left of the offset."""
        if self._offset is None:
            return root, rotations
        # A critically damped spring, exactly: x(t) = (x + (v + y x) t) e^(-y t).
        y, decay = self._spring, math.exp(-self._spring * dt)
        rate = self._speed + y * self._offset
        self._offset = (self._offset + rate * dt) * decay
        self._speed = (self._speed - rate * (y * dt)) * decay
        offset = self._offset
        return root + offset[-1], rot.normalize(rot.multiply(rot.from_vector(offset[:-1]), rotations))
