"""Where a body's weight is: its centre of mass as a fixed weighting of HUMANOID's joint positions.

Segment masses and centres after Winter, Biomechanics and Motor Control of Human Movement (4th ed., table 4.1; from
Dempster 1955): shares of the body's mass, and of a segment's length from its near end. Because each centre lies on a
line between joints, the whole is linear in the positions: one row of weights that add up to 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from motion.skeleton import HUMANOID, Array

HAND_TO_KNUCKLES = 0.10  # metres from the wrist, of HUMANOID's height; the hand has no joint beyond its wrist


@dataclass(frozen=True)
class Segment:
    """near, far: joints between whose middles it lies; mass: share of the body; centre: share of the way to far."""

    near: tuple[str, ...]
    far: tuple[str, ...]
    mass: float
    centre: float


def _segments() -> tuple[Segment, ...]:
    both = ("Left{}", "Right{}")
    hips, shoulders = (tuple(side.format(part) for side in both) for part in ("UpperLeg", "UpperArm"))
    found = [
        Segment(hips, shoulders, 0.497, 0.50),  # trunk: greater trochanter to the shoulder's joint
        Segment(("Head",), ("Head",), 0.081, 1.0),  # head and neck: at the ear canal, HUMANOID's Head
    ]
    forearm = float(np.linalg.norm(HUMANOID.offsets[HUMANOID.index("LeftHand")]))
    for side in ("Left", "Right"):
        found += [
            Segment((f"{side}UpperArm",), (f"{side}LowerArm",), 0.028, 0.436),
            Segment((f"{side}LowerArm",), (f"{side}Hand",), 0.016, 0.430),
            # The hand goes on along the forearm.
            Segment((f"{side}LowerArm",), (f"{side}Hand",), 0.006, 1.0 + 0.506 * HAND_TO_KNUCKLES / forearm),
            Segment((f"{side}UpperLeg",), (f"{side}LowerLeg",), 0.100, 0.433),
            Segment((f"{side}LowerLeg",), (f"{side}Foot",), 0.0465, 0.433),
            Segment((f"{side}Foot",), (f"{side}Toes",), 0.0145, 0.50),
        ]
    return tuple(found)


def _weights() -> Array:
    weights = np.zeros(len(HUMANOID))
    for segment in SEGMENTS:
        for joints, share in ((segment.near, 1.0 - segment.centre), (segment.far, segment.centre)):
            for joint in joints:
                weights[HUMANOID.index(joint)] += segment.mass * share / len(joints)
    return weights


SEGMENTS = _segments()
WEIGHTS = _weights()  # (22,), they add up to 1
WEIGHTS.setflags(write=False)


def centre_of_mass(positions: ArrayLike) -> Array:
    """(..., 3) metres, of HUMANOID's global joint positions (..., 22, 3)."""
    return np.asarray(np.einsum("j,...jk->...k", WEIGHTS, np.asarray(positions, dtype=np.float64)))
