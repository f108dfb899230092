"""A pose of HUMANOID as the numbers a mixture model is about: everything that may be pinned is a number of its own.

Seen from the floor between the feet, looking where the hips do: the root's place, every local rotation in its 6-D form,
the places of hands, feet and head, and the centre of mass, which therefore is how far the weight is from over the feet.
All of it in metres: rotations are multiplied by how far they move the body, so that one variance suits all numbers.
What a model says is decoded from root and rotations alone, so bone lengths are exact; the places are what it is asked.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motion import balance, kinematics
from motion import rotations as rot
from motion.ground_frames import GroundFrame, facing
from motion.skeleton import HUMANOID, Array

EFFECTORS = ("LeftHand", "RightHand", "LeftFoot", "RightFoot", "Head")
_JOINTS = len(HUMANOID)
_FEET = [HUMANOID.index("LeftFoot"), HUMANOID.index("RightFoot")]
_ENDS = [HUMANOID.index(name) for name in EFFECTORS]

SLICES: dict[str, slice] = {
    "root": slice(0, 3),
    "rotations": slice(3, 3 + 6 * _JOINTS),
    **{name: slice(start, start + 3) for name, start in zip(EFFECTORS, range(3 + 6 * _JOINTS, 10**4, 3), strict=False)},
}
SLICES["centre_of_mass"] = slice(SLICES["Head"].stop, SLICES["Head"].stop + 3)
SLICES["Hips"] = SLICES["root"]
WIDTH = SLICES["centre_of_mass"].stop
POINTS = (*EFFECTORS, "Hips", "centre_of_mass")
VARIABLES = (
    *(f"Hips/{axis}" for axis in "xyz"),
    *(f"{joint}/turn{number}" for joint in HUMANOID.names for number in range(6)),
    *(f"{point}/{axis}" for point in (*EFFECTORS, "centre_of_mass") for axis in "xyz"),
)  # every number's name


def frame_of(root: ArrayLike, rotations: ArrayLike) -> GroundFrame:
    """Where poses, root (..., 3) and local rotations (..., 22, 4), are seen from."""
    rotations = np.asarray(rotations, dtype=np.float64)
    feet = kinematics.global_positions(HUMANOID, root, rotations)[..., _FEET, :].mean(axis=-2)
    return GroundFrame.at(feet, facing(rotations[..., 0, :]))


def encode(root: ArrayLike, rotations: ArrayLike, frame: GroundFrame) -> NDArray[np.float32]:
    """The vectors (..., WIDTH) of poses of the stage, seen from `frame`."""
    root, q = np.asarray(root, dtype=np.float64), np.array(rotations, dtype=np.float64)
    q[..., 0, :] = frame.turned(q[..., 0, :])
    root = frame.points(root[..., None, :])[..., 0, :]
    positions = kinematics.global_positions(HUMANOID, root, q)
    sixd = rot.to_6d(q) * _METRES[:, None]
    parts = [
        root,
        sixd.reshape(*sixd.shape[:-2], -1),
        positions[..., _ENDS, :].reshape(*root.shape[:-1], -1),
        balance.centre_of_mass(positions),
    ]
    return np.concatenate(parts, axis=-1).astype(np.float32)


def decode(vectors: ArrayLike, frame: GroundFrame) -> tuple[Array, Array]:
    """Poses on the stage, root (..., 3) and local rotations (..., 22, 4), of vectors (..., WIDTH) seen from `frame`."""
    vectors = np.asarray(vectors, dtype=np.float64)
    sixd = vectors[..., SLICES["rotations"]].reshape(*vectors.shape[:-1], _JOINTS, 6) / _METRES[:, None]
    rotations = rot.from_6d(sixd)
    rotations[..., 0, :] = frame.turned_back(rotations[..., 0, :])
    return frame.stage(vectors[..., None, SLICES["root"]])[..., 0, :], rotations


def place(point: str) -> slice:
    """Where a point's x, y and z stand. Raises ValueError naming the choices."""
    if point not in POINTS:
        raise ValueError(f"no point {point!r} in a pose's vector; the choices: {', '.join(POINTS)}")
    return SLICES[point]


def _metres() -> Array:
    """How far, in root mean square over joints, a unit of each joint's 6-D form moves the body, (22,)."""
    rest = HUMANOID.rest_positions
    square = np.full(_JOINTS, 0.03**2)  # a leaf moves what hangs on it: a hand, the toes
    for joint in range(_JOINTS):
        above = HUMANOID.parents[joint]
        while above >= 0:
            square[above] += np.square(rest[joint] - rest[above]).sum() / _JOINTS
            above = HUMANOID.parents[above]
    return np.asarray(np.sqrt(0.5 * square))  # a turn moves two of its axes' three


_METRES = _metres()
