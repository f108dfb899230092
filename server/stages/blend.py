"""Between two moving poses of one body: every joint on one way round from the one to the other, however they move."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from motion import kinematics
from motion import rotations as rot
from motion.skeleton import HUMANOID, Array
from server.protocols.frames import PoseFrame
from server.stages.turns import turned


class Blend:
    """Remembers the way round from frame to frame: two poses may pass through opposite ones, and nothing jumps."""

    def __init__(self) -> None:
        self._way: Array | None = None  # from each joint of the first pose to the second's, as of the last frame

    def forget(self) -> None:
        """The next blend takes the short way."""
        self._way = None

    def between(self, frame: PoseFrame, root: Array, rotations: Array, share: float) -> PoseFrame:
        """The frame with `share` of its way to another pose, root (3,) and local rotations (J, 4), on HUMANOID."""
        way = rot.multiply(rot.inverse(frame.rotations), rotations)
        before = self._way if self._way is not None else rot.IDENTITY
        self._way = way = np.where(np.sum(way * before, axis=-1, keepdims=True) < 0.0, -way, way)
        q = rot.multiply(frame.rotations, turned(way, share))
        middle = frame.root_position + share * (root - frame.root_position)
        # Half-way the legs may be longer or shorter than either pose's: the lowest joint goes from floor to floor.
        roots, poses = np.stack([frame.root_position, root, middle]), np.stack([frame.rotations, rotations, q])
        lowest = kinematics.global_positions(HUMANOID, roots, poses)[..., 1].min(axis=-1)
        middle = middle + np.array([0.0, (1.0 - share) * lowest[0] + share * lowest[1] - lowest[2], 0.0])
        return replace(frame, root_position=middle, rotations=q)
