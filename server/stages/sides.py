"""Mirror or counter: the partner as the model dances, or the same dance with left and right exchanged.

Mirrored is a whole dance, not a mixture: the body is reflected in an upright plane along its way ahead. The plane
follows slowly: one that turned with the body would drag standing feet along, one that stood still would lead away.
`counter` below 0.5 is the one, from 0.5 up the other, and a change crosses over within CROSSING_SECONDS, every joint on
one way round from the one pose to the other. (A lasting half-way would have no pose of its own: between an arm straight
up and one straight down lies either side.)
"""

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

CROSSING_SECONDS = 0.6
PLANE_HALF_LIFE = 1.0  # seconds in which the plane follows the body half-way
_SWAP = {"Left": "Right", "Right": "Left"}
_OTHER_SIDE = np.array(
    [
        next((HUMANOID.index(b + name.removeprefix(a)) for a, b in _SWAP.items() if name.startswith(a)), joint)
        for joint, name in enumerate(HUMANOID.names)
    ]
)
_FLIP = np.array([1.0, -1.0, -1.0, 1.0])  # a rotation reflected in x = 0: its axis is no vector, it flips the rest


class Sides:
    """`counter`: 0 as the model dances, 1 with left and right exchanged."""

    params: tuple[Param, ...] = (
        Param("counter", 0.0, 0.0, 1.0, 0.0, "0: as the model dances; 1: left and right exchanged"),
    )

    def __init__(self) -> None:
        self._crossed = 0.0  # 0 as it came .. 1 exchanged
        self._centre = np.zeros(3)
        self._ahead = np.array([0.0, 0.0, 1.0])
        self._blend = Blend()

    def reset(self) -> None:
        """Nothing of the model's is kept here."""

    def step(self, frame: PoseFrame, dt: float, params: Knobs) -> PoseFrame:
        exchanged = params["counter"] >= 0.5
        if not exchanged and self._crossed == 0.0:
            return frame
        self._follow(frame, dt)
        step = dt / CROSSING_SECONDS
        self._crossed = min(1.0, self._crossed + step) if exchanged else max(0.0, self._crossed - step)
        root, rotations = reflected(frame.root_position, frame.rotations, self._centre, self._ahead)
        if self._crossed == 1.0:
            self._blend.forget()
            return replace(frame, root_position=root, rotations=rotations)
        return self._blend.between(frame, root, rotations, float(eased(self._crossed)))

    def _follow(self, frame: PoseFrame, dt: float) -> None:
        """The plane goes after the body; it starts in it, so that no foot is moved at first."""
        ahead = rot.rotate(frame.rotations[0], np.array([0.0, 0.0, 1.0])) * np.array([1.0, 0.0, 1.0])
        if self._crossed == 0.0:
            self._blend.forget()
            self._centre, self._ahead = frame.root_position, ahead
        share = 1.0 - 0.5 ** (dt / PLANE_HALF_LIFE)
        self._centre = self._centre + share * (frame.root_position - self._centre)
        self._ahead = self._ahead + share * (ahead - self._ahead)


def reflected(root: Array, rotations: Array, centre: Array, ahead: Array) -> tuple[Array, Array]:
    """A body in the mirror: root (3,) and local rotations (J, 4), left and right exchanged.

    The mirror is the upright plane through centre (3,) along the level part of ahead (3,), any length.
    """
    turn = rot.yaw(math.atan2(ahead[0], ahead[2]))
    across = rot.rotate(turn, np.array([1.0, 0.0, 0.0]))
    result = rotations[_OTHER_SIDE] * _FLIP
    result[0] = rot.multiply(turn, rot.multiply(rot.inverse(turn), rotations[0]) * _FLIP)
    return root - 2.0 * across * (across @ (root - centre)), result
