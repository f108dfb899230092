"""Limbs of two bones: a hand or a foot is moved, elbow or knee bends as far as that takes. A frame, or whole clips.

One limb of one frame at a time, in plain numbers: live it is always a few limbs of one frame, and for those numpy takes
three times as long.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import cycle
from operator import mul
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motion import kinematics
from motion.skeleton import Array, Skeleton

Places = NDArray[np.intp]
Vector = Sequence[float]
Quaternion = tuple[float, float, float, float]


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
    joints, around, tables = _tables(skeleton, limbs)
    result = np.array(rotations, dtype=np.float64)
    local = result[..., joints, :]  # (..., limbs, 3, 4)
    places = positions[..., joints, :].reshape(-1, 3, 3).tolist()
    seen = matrices[..., around, :, :].reshape(-1, 3, 3, 3).tolist()
    ways = np.broadcast_to(shifts, (*local.shape[:-2], 3)).reshape(-1, 3).tolist()
    now = zip(places, seen, local.reshape(-1, 3, 4).tolist(), ways, strict=True)
    given = zip(now, cycle(tables), strict=False)
    result[..., joints, :] = np.reshape([_moved(*limb, *bones) for limb, bones in given], local.shape)
    return result


@lru_cache(maxsize=64)
def _tables(skeleton: Skeleton, limbs: tuple[Limb, ...]) -> tuple[Places, Places, list[tuple[float, float, Vector]]]:
    """(limbs, 3) where upper, lower and end joints are, and whose frames they turn in; of every limb the lengths of
    both bones and the hinge.
    """
    joints = np.array([[skeleton.index(name) for name in limb[:3]] for limb in limbs], dtype=np.intp)
    parents = np.array(skeleton.parents, dtype=np.intp)[joints]
    lengths = np.linalg.norm(skeleton.offsets[joints[:, 1:]], axis=-1).tolist()
    return joints, parents, [(one, other, limb.hinge) for (one, other), limb in zip(lengths, limbs, strict=True)]


def _moved(
    places: Sequence[Vector],
    seen: Sequence[Sequence[Vector]],
    local: Sequence[Vector],
    shift: Vector,
    one: float,
    other: float,
    own_hinge: Vector,
) -> list[Quaternion]:
    """Local rotations of a limb's three joints with its end moved by shift.

    places: of upper, lower and end joint. seen: matrices of the upper joint's parent, the upper and the lower joint.
    local: rotations as they are. one, other: lengths of the bones.
    """
    first, middle, last = places
    was = (last[0] - first[0], last[1] - first[1], last[2] - first[2])
    wanted = (was[0] + shift[0], was[1] + shift[1], was[2] + shift[2])
    before = math.hypot(*was)
    after = max(_soft(math.hypot(*wanted), before, one + other), abs(one - other) + 1e-4)
    # Angles before and after come from the same law of cosines, so no shift is no change.
    bend = _corner(one, before, other) - _corner(one, after, other)
    straighten = _corner(one, other, before) - _corner(one, other, after)
    across = _cross((middle[0] - first[0], middle[1] - first[1], middle[2] - first[2]), was)
    size = math.hypot(*across)
    if size > 1e-3:
        hinge: Vector = (across[0] / size, across[1] / size, across[2] / size)
    else:  # a limb that is straight bends about its own
        hinge = [sum(map(mul, row, own_hinge)) for row in seen[1]]
    upper = _product(_between(was, wanted), _about(hinge, bend))
    lower = _about(hinge, straighten)
    x, y, z, w = _product(upper, lower)
    turns = (upper, lower, (-x, -y, -z, w))  # the end's undoes both
    return [_unit(_product(_within(frame, turn), own)) for frame, turn, own in zip(seen, turns, local, strict=True)]


def _soft(wanted: float, before: float, limb: float) -> float:
    """A distance of the ends that nears the straight limb ever slower: a knee that snaps straight is seen at once.

    Nothing changes up to 97 % of the limb, or up to what it was before.
    """
    start = max(before, 0.97 * limb)
    if not wanted > start:
        return wanted
    room = max(0.995 * limb - start, 1e-6)
    return start + room * (1.0 - math.exp((start - wanted) / room))


def _corner(side_a: float, side_b: float, opposite: float) -> float:
    """The angle between two sides of a triangle, radians."""
    cosine = (side_a * side_a + side_b * side_b - opposite * opposite) / max(2.0 * side_a * side_b, 1e-12)
    return math.acos(min(max(cosine, -1.0), 1.0))


def _between(one: Vector, other: Vector) -> Quaternion:
    """The shortest rotation that turns a direction into another one."""
    scale = max(math.hypot(*one) * math.hypot(*other), 1e-12)
    x, y, z = _cross(one, other)
    cosine = (one[0] * other[0] + one[1] * other[1] + one[2] * other[2]) / scale
    if cosine < -1.0 + 1e-9:  # any axis across serves
        x, y, z = _cross(one, (1.0, 0.0, 0.0) if abs(one[0]) < 0.9 * math.hypot(*one) else (0.0, 1.0, 0.0))
        return _unit((x, y, z, 0.0))
    return _unit((x / scale, y / scale, z / scale, 1.0 + cosine))


def _about(axis: Vector, angle: float) -> Quaternion:
    sine = math.sin(0.5 * angle)
    return axis[0] * sine, axis[1] * sine, axis[2] * sine, math.cos(0.5 * angle)


def _within(frame: Sequence[Vector], turn: Quaternion) -> Quaternion:
    """A turn T of the world as the same turn of a frame's own, G^-1 T G, which stands before a local rotation."""
    (a, b, c), (d, e, f), (g, h, i) = frame
    x, y, z, w = turn
    return a * x + d * y + g * z, b * x + e * y + h * z, c * x + f * y + i * z, w


def _cross(a: Vector, b: Vector) -> tuple[float, float, float]:
    ax, ay, az = a
    bx, by, bz = b
    return ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx


def _product(a: Vector, b: Vector) -> Quaternion:
    ax, ay, az, aw = a
    bx, by, bz, bw = b
    return (
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    )


def _unit(q: Quaternion) -> Quaternion:
    x, y, z, w = q
    length = math.sqrt(x * x + y * y + z * z + w * w)
    return (x / length, y / length, z / length, w / length) if length > 1e-9 else (0.0, 0.0, 0.0, 1.0)
