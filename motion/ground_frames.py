"""Seen from a spot on the floor, looking somewhere: the frame in which a model meets a body, and back to the stage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from motion import rotations as rot
from motion.skeleton import Array


@dataclass(frozen=True, eq=False)
class GroundFrame:
    """origin (..., 3) metres, on the floor; yaw (...) radians: where the frame's +Z looks, 0 along the stage's +Z."""

    origin: Array
    yaw: Array

    @classmethod
    def at(cls, place: ArrayLike, yaw: ArrayLike) -> GroundFrame:
        """Under a place (..., 3)."""
        place = np.asarray(place, dtype=np.float64)
        return cls(place * _LEVEL, np.asarray(yaw, dtype=np.float64))

    @property
    def turn(self) -> Array:
        """(..., 3, 3): columns are the frame's axes on the stage."""
        return rot.to_matrix(rot.yaw(self.yaw))

    def points(self, on_stage: ArrayLike) -> Array:
        """Points (..., N, 3) of the stage, as the frame sees them."""
        return np.asarray(np.matmul(np.asarray(on_stage, dtype=np.float64) - self.origin[..., None, :], self.turn))

    def stage(self, points: ArrayLike) -> Array:
        """Points (..., N, 3) of the frame, on the stage."""
        turned = np.matmul(np.asarray(points, dtype=np.float64), np.swapaxes(self.turn, -1, -2))
        return np.asarray(turned + self.origin[..., None, :])

    def plane(self, normal: ArrayLike, limit: float) -> tuple[Array, Array]:
        """The half-space normal · p <= limit of the stage as the frame has it: its normal (..., 3) and limit (...)."""
        normal = np.asarray(normal, dtype=np.float64)
        return np.asarray(normal @ self.turn), np.asarray(limit - self.origin @ normal)

    def turned(self, rotations: Array) -> Array:
        """Global rotations (..., 4) of the stage, as the frame sees them; `rotations` has the frame's batch axes."""
        return rot.multiply(rot.yaw(-self.yaw), rotations)

    def turned_back(self, rotations: Array) -> Array:
        """The inverse of `turned`."""
        return rot.multiply(rot.yaw(self.yaw), rotations)


def facing(hips: Array) -> Array:
    """Yaw (...) of hips with global rotation (..., 4), from their left axis, which stays level in a bow."""
    left = rot.rotate(hips, _LEFT)
    return np.asarray(np.arctan2(-left[..., 2], left[..., 0]))


_LEVEL = np.array([1.0, 0.0, 1.0])
_LEFT = np.array([1.0, 0.0, 0.0])
