"""A figure of 16 bones in the plane, seen from behind: its poses as numbers, and least squares on its bones.

After Hämäläinen et al. 2020: 30 numbers, of which 18 make the pose (the root's place and a turn a bone) and 12 follow
from it (the centre of mass, hands, feet and head), so that any of them can be asked for. Metres, radians, y up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Place = tuple[float, float]
STEPS = 15
_DAMPING, _FIRM, _INSIDE = 1e-4, 3.0, 1e-3


class Bone(NamedTuple):
    """parent: the bone it goes on from, none for the root. rest: radians from +x to +y where nothing is turned."""

    name: str
    parent: str
    length: float
    rest: float
    low: float
    high: float


class Wall(NamedTuple):
    """A point kept where normal . place <= limit."""

    point: str
    normal: Place
    limit: float


def _side(side: str, sign: float) -> list[Bone]:
    """An arm and a leg; sign: 1 towards -x, -1 towards +x, where turns are the mirror image."""

    def bone(name: str, parent: str, length: float, rest: float, *turns: float) -> Bone:
        low, high = sorted(sign * turn for turn in turns)
        return Bone(side + name, parent, length, np.pi / 2 + sign * np.radians(rest), low, high)

    return [
        bone("Shoulder", "Chest", 0.17, 80, -0.2, 0.3),
        bone("UpperArm", f"{side}Shoulder", 0.28, 160, -2.4, 0.4),
        bone("LowerArm", f"{side}UpperArm", 0.34, 170, -2.3, 0.0),
        bone("Hip", "", 0.12, 110, -0.3, 0.3),
        bone("UpperLeg", f"{side}Hip", 0.42, 175, -1.3, 0.3),
        bone("LowerLeg", f"{side}UpperLeg", 0.45, 180, -0.1, 1.8),
    ]


BONES = (
    Bone("Spine", "", 0.22, np.pi / 2, -0.5, 0.5),
    Bone("Chest", "Spine", 0.26, np.pi / 2, -0.4, 0.4),
    Bone("Neck", "Chest", 0.10, np.pi / 2, -0.4, 0.4),
    Bone("Head", "Neck", 0.16, np.pi / 2, -0.4, 0.4),
    *_side("Right", -1.0),
    *_side("Left", 1.0),
)
ENDS = {"RightHand": "RightLowerArm", "LeftHand": "LeftLowerArm", "RightFoot": "RightLowerLeg"}
ENDS |= {"LeftFoot": "LeftLowerLeg", "Head": "Head"}
ROOT = (-0.5, 0.4), (0.5, 1.1)  # metres: the corners of where the hips may be
LOW, HIGH = (np.array([*ROOT[side], *(bone[4 + side] for bone in BONES)]) for side in (0, 1))
POSE = len(LOW)
VARIABLES = (
    *("root/x", "root/y", *(f"turn/{bone.name}" for bone in BONES), "centre_of_mass/x", "centre_of_mass/y"),
    *(f"{end}/{axis}" for end in ENDS for axis in "xy"),
)

_NAMES = [bone.name for bone in BONES]
_LENGTHS = np.array([bone.length for bone in BONES])
_REST = np.array([bone.rest for bone in BONES])
# _ABOVE[a, b]: whether bone b hangs on bone a, or is it.
_ABOVE = np.eye(len(BONES))
for _place, _bone in enumerate(BONES):
    if _bone.parent:
        _ABOVE[:, _place] += _ABOVE[:, _NAMES.index(_bone.parent)]


def ends(poses: Points) -> Points:
    """Where bones end, (N, 16, 2), of poses (N, 18)."""
    turns = poses[:, 2:] @ _ABOVE + _REST
    along = _LENGTHS[:, None] * np.stack([np.cos(turns), np.sin(turns)], axis=-1)
    return poses[:, None, :2] + np.einsum("ab,nak->nbk", _ABOVE, along)


def begins(poses: Points, there: Points) -> Points:
    """Where they begin, (N, 16, 2), of where they end."""
    parents = [_NAMES.index(bone.parent) if bone.parent else len(BONES) for bone in BONES]
    return np.concatenate([there, poses[:, None, :2]], axis=1)[:, parents]


def encode(poses: Points) -> Points:
    """The vectors (N, 30) of poses (N, 18)."""
    there = ends(poses)
    middles = 0.5 * (there + begins(poses, there))
    centre = (_LENGTHS[:, None] * middles).sum(axis=1) / _LENGTHS.sum()  # every bone weighs what it is long
    return np.concatenate([poses, centre, *(there[:, _NAMES.index(bone)] for bone in ENDS.values())], axis=1)


def random_poses(count: int, random: np.random.Generator) -> Points:
    """Vectors (count, 30) of poses anywhere within the limits."""
    return encode(random.uniform(LOW, HIGH, (count, POSE)))


def place(point: str) -> list[int]:
    """Where a point's x and y stand."""
    return [VARIABLES.index(f"{point}/{axis}") for axis in "xy"]


def missed(vectors: Points, pins: Mapping[str, Place]) -> Points:
    """How far bones end from the places that they are pinned to, (N, pins) metres, of vectors of `encode`."""
    return np.stack([np.hypot(*(vectors[:, place(point)] - wanted).T) for point, wanted in pins.items()], axis=1)


def outside(vectors: Points, walls: Sequence[Wall]) -> Points:
    """How far points are outside of walls, (N, walls) metres; negative within."""
    return np.stack([vectors[:, place(wall.point)] @ wall.normal - wall.limit for wall in walls], axis=1)


def polish(poses: Points, pins: Mapping[str, Place], walls: Sequence[Wall] = ()) -> Points:
    """Poses (N, 18) brought to pins and walls by damped least squares, within the limits; of each the best step."""
    poses = np.clip(poses, LOW, HIGH)
    best, least = poses, np.full(len(poses), np.inf)
    touching = np.zeros((len(poses), len(walls)), dtype=np.bool_)
    for step in range(STEPS + 1):
        vectors, moving = encode(poses), slopes(poses)
        rows = [np.stack([moving[:, axis] for axis in place(point)], axis=1) for point in pins]
        errors = [wanted - vectors[:, place(point)] for point, wanted in pins.items()]
        for number, wall in enumerate(walls):
            far = outside(vectors, [wall])[:, 0]
            touching[:, number] |= far > 0.0
            firm = _FIRM * touching[:, number, None]
            rows.append((firm * np.einsum("k,nkp->np", wall.normal, moving[:, place(wall.point)]))[:, None])
            errors.append(-firm * (far + _INSIDE)[:, None])
        error, jacobian = np.concatenate(errors, axis=1), np.concatenate(rows, axis=1)
        beyond = np.maximum(outside(vectors, walls), 0.0) if walls else 0.0
        cost = np.square(error[:, : 2 * len(pins)]).sum(axis=1) + np.square(_FIRM * beyond).sum(axis=-1)
        best, least = np.where((cost < least)[:, None], poses, best), np.minimum(cost, least)
        if step < STEPS:
            pull = np.einsum("nep,ne->np", jacobian, error)
            stuck = (poses <= LOW) & (pull < 0.0) | (poses >= HIGH) & (pull > 0.0)
            jacobian = jacobian * ~stuck[:, None]
            square = jacobian @ jacobian.swapaxes(1, 2)
            damping = (0.1 * cost + _DAMPING)[:, None, None] * np.eye(square.shape[1])
            forces = np.linalg.solve(square + damping, error[..., None])
            poses = np.clip(poses + np.einsum("nep,ne->np", jacobian, forces[..., 0]), LOW, HIGH)
            touching &= forces[:, 2 * len(pins) :, 0] < 0.0  # a wall that would have to pull is let go
    return best


def slopes(poses: Points) -> Points:
    """How every number of a vector moves with every number of its pose, (N, 30, 18)."""
    there = ends(poses)
    starts = begins(poses, there)

    def turned(points: Points) -> Points:  # (N, 2) -> (N, 16, 2): a point's way as each bone turns about its beginning
        apart = points[:, None] - starts
        return np.stack([-apart[..., 1], apart[..., 0]], axis=-1)

    made = np.zeros((len(poses), len(VARIABLES), POSE))
    made[:, range(POSE), range(POSE)] = 1.0
    middles = 0.5 * (there + starts)
    parts = [(place(end), there[:, _NAMES.index(bone)], _ABOVE[:, _NAMES.index(bone)]) for end, bone in ENDS.items()]
    for rows, points, carried in parts:
        made[:, rows, :2] = np.eye(2)
        made[:, rows, 2:] = (carried[:, None] * turned(points)).swapaxes(1, 2)
    rows = place("centre_of_mass")
    made[:, rows, :2] = np.eye(2)
    for number, share in enumerate(_LENGTHS / _LENGTHS.sum()):
        made[:, rows, 2:] += share * (_ABOVE[:, number, None] * turned(middles[:, number])).swapaxes(1, 2)
    return made
