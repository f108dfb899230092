"""Limbs of two bones: a hand or a foot is moved, elbow or knee bends as far as that takes. A frame, or whole clips."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from motion import kinematics
from motion import rotations as rot
from motion.skeleton import Array, Skeleton


class Limb(NamedTuple):
    """Its joints. hinge: the axis of the upper bone's own frame about which the lower one bends."""

    upper: str
    lower: str
    end: str
    hinge: tuple[float, float, float]


LEGS = tuple(Limb(f"{s}UpperLeg", f"{s}LowerLeg", f"{s}Foot", (1.0, 0.0, 0.0)) for s in ("Left", "Right"))
ARMS = (  # at rest a left arm points to +X, and a forearm bends forwards
    Limb("LeftUpperArm", "LeftLowerArm", "LeftHand", (0.0, -1.0, 0.0)),
    Limb("RightUpperArm", "RightLowerArm", "RightHand", (0.0, 1.0, 0.0)),
)


def reach(skeleton: Skeleton, root_positions: Array, rotations: Array, limb: Limb, shift: Array) -> Array:
    """Local rotations (..., J, 4) with a limb's end moved by shift (..., 3) metres in the world, by two-bone IK.

    Its middle joint stays in its plane, turned as a whole towards the target; the end keeps its global rotation. A
    target beyond the limb is approached as far as it goes.
    """
    upper, lower, end = (skeleton.index(bone) for bone in (limb.upper, limb.lower, limb.end))
    positions, _ = kinematics.forward(skeleton, root_positions, rotations)
    turns = kinematics.local_to_global(skeleton, rotations)
    first, middle, last = (positions[..., joint, :] for joint in (upper, lower, end))
    one, other = (float(np.linalg.norm(skeleton.offsets[joint])) for joint in (lower, end))
    target = last + shift
    before, after = np.linalg.norm(last - first, axis=-1), np.linalg.norm(target - first, axis=-1)
    after = np.maximum(_soft(after, before, one + other), abs(one - other) + 1e-4)
    # Angles before and after come from the same law of cosines, so no shift is no change.
    hinge = _hinge(first, middle, last, rot.rotate(turns[..., upper, :], np.array(limb.hinge)))
    upper_bend = _corner(one, before, other) - _corner(one, after, other)
    lower_bend = _corner(one, other, before) - _corner(one, other, after)
    swing = rot.between(last - first, target - first)
    upper_turn = rot.multiply(swing, _about(hinge, upper_bend))
    lower_turn = rot.multiply(upper_turn, _about(hinge, lower_bend))
    changed = turns.copy()
    changed[..., upper, :] = rot.multiply(upper_turn, turns[..., upper, :])
    changed[..., lower, :] = rot.multiply(lower_turn, turns[..., lower, :])
    local = kinematics.global_to_local(skeleton, changed)
    result = np.array(rotations, dtype=np.float64)
    for joint in (upper, lower, end):
        result[..., joint, :] = rot.normalize(local[..., joint, :])
    return result


def _soft(wanted: Array, before: Array, limb: float) -> Array:
    """A distance of the ends that nears the straight limb ever slower: a knee that snaps straight is seen at once.

    Nothing changes up to 97 % of the limb, or up to what it was before.
    """
    start = np.maximum(before, 0.97 * limb)
    room = np.maximum(0.995 * limb - start, 1e-6)
    return np.where(wanted > start, start + room * (1.0 - np.exp(-np.maximum(wanted - start, 0.0) / room)), wanted)


def _corner(side_a: Array | float, side_b: Array | float, opposite: Array | float) -> Array:
    """The angle between two sides of a triangle, radians."""
    cosine = (np.square(side_a) + np.square(side_b) - np.square(opposite)) / (2.0 * np.multiply(side_a, side_b))
    return np.arccos(np.clip(cosine, -1.0, 1.0))


def _hinge(first: Array, middle: Array, last: Array, own: Array) -> Array:
    """The middle joint's axis in the world (..., 3): across the limb's plane, or where it is straight its own."""
    across = np.cross(middle - first, last - first)
    size = np.linalg.norm(across, axis=-1, keepdims=True)
    return np.where(size > 1e-3, across / np.maximum(size, 1e-12), own)


def _about(axis: Array, angle: Array) -> Array:
    return np.concatenate([axis * np.sin(angle / 2)[..., None], np.cos(angle / 2)[..., None]], axis=-1)
