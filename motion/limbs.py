"""Limbs of two bones: a hand or a foot is moved, elbow or knee bends as far as that takes. A frame, or whole clips."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motion import kinematics
from motion import rotations as rot
from motion.skeleton import Array, Skeleton

Places = NDArray[np.intp]


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
    body = kinematics.forward(skeleton, root_positions, rotations)
    return bent(skeleton, body, rotations, (limb,), np.asarray(shift)[..., None, :])


def bent(
    skeleton: Skeleton, body: tuple[Array, Array], rotations: Array, limbs: tuple[Limb, ...], shifts: Array
) -> Array:
    """As `reach`, several limbs at once, shifts (..., limbs, 3), where global positions and matrices are known."""
    positions, matrices = body
    joints, around, (one, other), hinges = _tables(skeleton, limbs)
    places = positions[..., joints, :]  # (..., limbs, 3, 3)
    first, middle, last = places[..., 0, :], places[..., 1, :], places[..., 2, :]
    was = last - first
    ways = np.array([was, was + shifts])
    before, after = _length(ways)
    after = np.maximum(_soft(after, before, one + other), np.abs(one - other) + 1e-4)
    # Angles before and after come from the same law of cosines, so no shift is no change.
    reaches = np.array([before, after])
    upper, lower = _corner(one, reaches, other), _corner(one, other, reaches)
    seen = matrices[..., around, :, :]  # (..., limbs, 3, 3, 3): of the upper joint's parent, the upper, the lower joint
    hinge = _hinge(middle - first, was, np.matmul(seen[..., 1, :, :], hinges[..., None])[..., 0])
    bend, straighten = _about(hinge, np.array([upper[0] - upper[1], lower[0] - lower[1]]))
    turns = np.empty((*bend.shape[:-1], 3, 4))
    turns[..., 0, :] = rot.multiply(rot.between(*ways), bend)
    turns[..., 1, :] = straighten
    turns[..., 2, :] = rot.inverse(rot.multiply(turns[..., 0, :], straighten))
    # A turn T of the world before a joint is the turn of its parent's own frame, G^-1 T G, before its local rotation.
    turns[..., :3] = np.matmul(turns[..., None, :3], seen)[..., 0, :]
    result = np.array(rotations, dtype=np.float64)
    result[..., joints, :] = rot.normalize(rot.multiply(turns, result[..., joints, :]))
    return result


@lru_cache(maxsize=64)
def _tables(skeleton: Skeleton, limbs: tuple[Limb, ...]) -> tuple[Places, Places, tuple[Array, Array], Array]:
    """(limbs, 3) where upper, lower and end joints are, and whose frames they turn in; lengths of both bones; hinges
    (limbs, 3).
    """
    joints = np.array([[skeleton.index(name) for name in limb[:3]] for limb in limbs], dtype=np.intp)
    parents = np.array(skeleton.parents, dtype=np.intp)[joints]
    one, other = np.linalg.norm(skeleton.offsets[joints[:, 1:]], axis=-1).T
    return joints, parents, (one, other), np.array([limb.hinge for limb in limbs])


def _soft(wanted: Array, before: Array, limb: Array) -> Array:
    """A distance of the ends that nears the straight limb ever slower: a knee that snaps straight is seen at once.

    Nothing changes up to 97 % of the limb, or up to what it was before.
    """
    start = np.maximum(before, 0.97 * limb)
    room = np.maximum(0.995 * limb - start, 1e-6)
    return np.where(wanted > start, start + room * (1.0 - np.exp(-np.maximum(wanted - start, 0.0) / room)), wanted)


def _corner(side_a: Array | float, side_b: Array | float, opposite: Array | float) -> Array:
    """The angle between two sides of a triangle, radians."""
    cosine = (np.square(side_a) + np.square(side_b) - np.square(opposite)) / (2.0 * np.multiply(side_a, side_b))
    return np.asarray(np.arccos(np.minimum(np.maximum(cosine, -1.0), 1.0)))


def _hinge(upper: Array, whole: Array, own: Array) -> Array:
    """The middle joint's axis in the world (..., 3): across the limb's plane, or where it is straight its own."""
    across = rot.cross(upper, whole)
    size = _length(across)[..., None]
    return np.where(size > 1e-3, across / np.maximum(size, 1e-12), own)


def _length(vectors: Array) -> Array:
    return np.asarray(np.sqrt(np.vecdot(vectors, vectors)))


def _about(axis: Array, angle: Array) -> Array:
    q = np.empty((*angle.shape, 4))
    q[..., :3] = axis * np.sin(angle / 2)[..., None]
    q[..., 3] = np.cos(angle / 2)
    return q
