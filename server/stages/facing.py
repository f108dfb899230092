"""Turns the partner about their own upright axis: they stay where they are and look elsewhere."""

from __future__ import annotations

import math
from dataclasses import replace

from motion import rotations as rot
from motion.manifest import Param
from server.params import Knobs
from server.protocols.frames import PoseFrame


class Facing:
    """`facing`: radians to the partner's left, seen from how the model would face the dancer; pi is back to front."""

    params: tuple[Param, ...] = (
        Param("facing", 0.0, -math.pi, math.pi, 0.3, "radians the partner turns to their left"),
    )

    def reset(self) -> None:
        """Nothing is kept."""

    def step(self, frame: PoseFrame, dt: float, params: Knobs) -> PoseFrame:
        angle = params["facing"]
        if angle == 0.0:
            return frame
        rotations = frame.rotations.copy()
        rotations[0] = rot.multiply(rot.yaw(angle), rotations[0])
        return replace(frame, rotations=rotations)
