"""The partner comes to rest where they are, upright with their arms down, and eases back into the dance."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from motion import rotations as rot
from motion.manifest import Param
from motion.skeleton import HUMANOID, Array
from server.params import Knobs
from server.protocols.frames import PoseFrame
from server.stages.blend import Blend
from server.stages.turns import eased

ARMS_DOWN = math.radians(78.0)


class Stillness:
    """`stillness`: 0 dances, 1 stands. The model dances on unseen, so it is back in time with the dancer at once."""

    params: tuple[Param, ...] = (Param("stillness", 0.0, 0.0, 1.0, 0.3, "0: dances; 1: stands at rest"),)

    def __init__(self) -> None:
        self._blend = Blend()
        self._rest: tuple[Array, Array] | None = None  # where and how the partner stands, root (3,) and rotations

    def reset(self) -> None:
        """Nothing of the model's is kept here."""

    def step(self, frame: PoseFrame, dt: float, params: Knobs) -> PoseFrame:
        share = params["stillness"]
        if share == 0.0:
            self._rest = None
            self._blend.forget()
            return frame
        if self._rest is None:
            self._rest = standing(frame)
        root, rotations = self._rest
        if share == 1.0:
            return replace(frame, root_position=root, rotations=rotations)
        return self._blend.between(frame, root, rotations, float(eased(share)))


def standing(frame: PoseFrame) -> tuple[Array, Array]:
    """Standing where the frame's hips are, facing where they face: root (3,) and local rotations (J, 4)."""
    ahead = rot.rotate(frame.rotations[0], np.array([0.0, 0.0, 1.0]))
    rotations = np.tile(rot.IDENTITY, (len(HUMANOID), 1))
    rotations[0] = rot.yaw(math.atan2(ahead[0], ahead[2]))
    for side, turn in (("Left", -ARMS_DOWN), ("Right", ARMS_DOWN)):  # at rest a left arm points to +X
        rotations[HUMANOID.index(f"{side}UpperArm")] = [0.0, 0.0, math.sin(turn / 2), math.cos(turn / 2)]
    root = frame.root_position.copy()
    root[1] = HUMANOID.offsets[0, 1]
    return root, rotations
