"""Larger or smaller movements: every joint's way from its own running mean, scaled.

Rotations are scaled, so bone lengths stay exact. Hips are left alone, and so is a leg that stands: its foot keeps its
place to the last bit. A leg in the air is scaled the more the higher it is, and lifted should it reach below the
lowest joint of the pose as it came. Elbows and knees are never bent or stretched further than they were.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from motion import kinematics
from motion import rotations as rot
from motion.limbs import LEGS, reach
from motion.manifest import Param
from motion.skeleton import HUMANOID, Array
from server.params import Knobs
from server.protocols.frames import PoseFrame
from server.stages.turns import eased, turned

MEAN_HALF_LIFE = 1.5  # seconds
STANDING, FLYING = 0.05, 0.15  # metres: toes that are lower stand, toes that are higher are free
WIDE = 1.5  # radians: a joint that is further from its mean is scaled less, and not at all half a turn away
_HINGES = np.array([name.endswith(("LowerArm", "LowerLeg")) for name in HUMANOID.names])
_LEGS = [
    [HUMANOID.index(side + bone) for bone in ("UpperLeg", "LowerLeg", "Foot", "Toes")] for side in ("Left", "Right")
]
_TOES = [leg[-1] for leg in _LEGS]


class Energy:
    """`energy`: 1 as the model dances, less is calmer, more is wilder."""

    params: tuple[Param, ...] = (
        Param("energy", 1.0, 0.5, 1.5, 0.3, "how large the movements are; 1 as the model dances"),
    )

    def __init__(self) -> None:
        self._mean: Array | None = None

    def reset(self) -> None:
        """Nothing of the model's is kept here."""

    def step(self, frame: PoseFrame, dt: float, params: Knobs) -> PoseFrame:
        energy = params["energy"]
        if energy == 1.0:
            self._mean = None
            return frame
        q = frame.rotations
        mean = q if self._mean is None else self._mean
        self._mean = mean = rot.slerp(mean, q, 1.0 - 0.5 ** (dt / MEAN_HALF_LIFE))
        places = kinematics.global_positions(HUMANOID, frame.root_position, q)
        scaled = livelier(q, mean, _factors(energy, places[_TOES, 1]))
        return replace(frame, rotations=_lifted(frame.root_position, scaled, float(places[:, 1].min())))


def livelier(q: Array, mean: Array, factors: Array) -> Array:
    """Rotations (J, 4), their angle from `mean` (J, 4) times factors (J,); continuous in q everywhere."""
    way = rot.multiply(rot.inverse(mean), q)
    way = np.where(way[:, 3:] < 0.0, -way, way)
    angle = 2.0 * np.arccos(np.clip(way[:, 3], -1.0, 1.0))
    # Half a turn away both ways round are equally long: only unscaled do they end in one rotation.
    near = 1.0 - eased((angle - WIDE) / (math.pi - WIDE))
    result = rot.normalize(rot.multiply(mean, turned(way, 1.0 + (factors - 1.0) * near)))
    return np.where((factors == 1.0)[:, None], q, result)


def _factors(energy: float, toes: Array) -> Array:
    """(J,): how much each joint is scaled, for the heights of the left and the right toes."""
    factors = np.full(len(HUMANOID), energy)
    for leg, height in zip(_LEGS, toes, strict=True):
        factors[leg] = 1.0 + (energy - 1.0) * eased((height - STANDING) / (FLYING - STANDING))
    factors[0] = 1.0
    factors[_HINGES] = np.minimum(factors[_HINGES], 1.0)
    return factors


def _lifted(root: Array, q: Array, floor: float) -> Array:
    """The pose with any leg that reaches below `floor` bent until it does not."""
    heights = kinematics.global_positions(HUMANOID, root, q)[:, 1]
    for limb, leg in zip(LEGS, _LEGS, strict=True):
        lack = floor - float(heights[leg].min())
        if lack > 0.0:
            q = reach(HUMANOID, root, q, limb, np.array([0.0, lack, 0.0]))
    return q
