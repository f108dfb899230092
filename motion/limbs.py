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
    joints, parents, offsets, hinges = _tables(skeleton, limbs)
    (upper, lower, end), (one, other) = joints, offsets
    first, middle, last = (positions[..., each, :] for each in joints)
    was, wanted = last - first, last + shifts - first
    before, after = _length(was), _length(wanted)
    after = np.maximum(_soft(after, before, one + other), np.abs(one - other) + 1e-4)
    # Angles before and after come from the same law of cosines, so no shift is no change.
    own = matrices[..., upper, :, :]
    hinge = _hinge(middle - first, was, np.matmul(own, hinges[..., None])[..., 0])
    upper_bend = _corner(one, before, other) - _corner(one, after, other)
    lower_turn = _about(hinge, _corner(one, other, before) - _corner(one, other, after))
    upper_turn = rot.multiply(rot.between(was, wanted), _about(hinge, upper_bend))
    # A turn T of the world before a joint is the turn of its parent's own frame, G^-1 T G, before its local rotation.
    back = rot.inverse(rot.multiply(upper_turn, lower_turn))
    turns = np.stack([upper_turn, lower_turn, back], axis=-2)  # (..., limbs, 3, 4)
    seen = np.stack([matrices[..., parents, :, :], own, matrices[..., lower, :, :]], axis=-3)
    axes = np.matmul(turns[..., None, :3], seen)[..., 0, :]
    result = np.array(rotations, dtype=np.float64)
    places = np.stack([upper, lower, end], axis=-1)
    local = np.concatenate([axes, turns[..., 3:]], axis=-1)
    result[..., places, :] = rot.normalize(rot.multiply(local, result[..., places, :]))
    return result


@lru_cache(maxsize=64)
def _tables(
    skeleton: Skeleton, limbs: tuple[Limb, ...]
) -> tuple[tuple[Places, Places, Places], Places, tuple[Array, Array], Array]:
    """Where upper, lower and end joints are, and the uppers' parents; lengths of both bones; hinges (limbs, 3)."""
    upper, lower, end = (
        np.array([skeleton.index(getattr(limb, bone)) for limb in limbs], dtype=np.intp)
        for bone in ("upper", "lower", "end")
    )
    parents = np.array([skeleton.parents[joint] for joint in upper], dtype=np.intp)
    one, other = (np.linalg.norm(skeleton.offsets[joints], axis=-1) for joints in (lower, end))
    return (upper, lower, end), parents, (one, other), np.array([limb.hinge for limb in limbs])


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
    return np.arccos(np.clip(cosine, -1.0, 1.0))


def _hinge(upper: Array, whole: Array, own: Array) -> Array:
    """The middle joint's axis in the world (..., 3): across the limb's plane, or where it is straight its own."""
    across = rot.cross(upper, whole)
    size = _length(across)[..., None]
    return np.where(size > 1e-3, across / np.maximum(size, 1e-12), own)


def _length(vectors: Array) -> Array:
    return np.asarray(np.sqrt(np.einsum("...i,...i->...", vectors, vectors)))


def _about(axis: Array, angle: Array) -> Array:
    return np.concatenate([axis * np.sin(angle / 2)[..., None], np.cos(angle / 2)[..., None]], axis=-1)
