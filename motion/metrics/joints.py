"""The body that figures are taken on: 24 points at 30 fps, in windows of two seconds.

Every definition in this package was published for SMPL's 22 joints and two hand means, Y up, metres, 30 fps. HUMANOID
has the 22; a hand mean is the point 0.08 m beyond the wrist along the forearm. Truth and prediction come through the
same door, so that nothing but the motion differs.
"""

from __future__ import annotations

import numpy as np

from motion.clip import Clip
from motion.kinematics import global_positions
from motion.skeleton import Array, Skeleton

FPS = 30.0
WINDOW_SECONDS = 2.0
STRIDE_SECONDS = 1.0
HAND_BEYOND_WRIST = 0.08  # metres

_MIDDLE = ("Hips", "Spine", "Chest", "UpperChest", "Neck", "Head")
_PAIRED = {
    "hip": "UpperLeg",
    "knee": "LowerLeg",
    "ankle": "Foot",
    "toes": "Toes",
    "collar": "Shoulder",
    "shoulder": "UpperArm",
    "elbow": "LowerArm",
    "wrist": "Hand",
}
# SMPL's order, by the names of the feature papers.
POINTS = (
    *("root", "lhip", "rhip", "belly", "lknee", "rknee", "spine", "lankle", "rankle", "chest", "ltoes", "rtoes"),
    *("neck", "lcollar", "rcollar", "head", "lshoulder", "rshoulder", "lelbow", "relbow", "lwrist", "rwrist"),
    *("lhand", "rhand"),
)
_HUMANOID_OF = dict(zip(("root", "belly", "spine", "chest", "neck", "head"), _MIDDLE, strict=True)) | {
    f"{letter}{point}": f"{side}{joint}"
    for point, joint in _PAIRED.items()
    for letter, side in (("l", "Left"), ("r", "Right"))
}
POINT = {name: place for place, name in enumerate(POINTS)}


def body_points(clip: Clip) -> Array:
    """The 24 points of a clip on HUMANOID's joints, (T, 24, 3) metres in the world, in the order of `POINTS`.

    Raises KeyError naming the joint when the clip's skeleton lacks one of HUMANOID's names.
    """
    return points_of_joints(clip.skeleton, global_positions(clip.skeleton, clip.root_positions, clip.rotations))


def points_of_joints(skeleton: Skeleton, positions: Array) -> Array:
    """The 24 points (..., 24, 3) of global joint positions (..., J, 3), metres."""
    body = positions[..., [skeleton.index(_HUMANOID_OF[name]) for name in POINTS[:22]], :]
    elbows, wrists = body[..., [POINT["lelbow"], POINT["relbow"]], :], body[..., [POINT["lwrist"], POINT["rwrist"]], :]
    forearms = wrists - elbows
    lengths = np.linalg.norm(forearms, axis=-1, keepdims=True)
    hands = wrists + HAND_BEYOND_WRIST * forearms / np.maximum(lengths, 1e-9)
    return np.concatenate([body, hands], axis=-2)


def windows(points: Array, fps: float = FPS) -> Array:
    """Windows of 2 s with a stride of 1 s, (N, 2*fps, ...) from (T, ...); none when the take is shorter than one."""
    size, stride = round(WINDOW_SECONDS * fps), round(STRIDE_SECONDS * fps)
    starts = range(0, len(points) - size + 1, stride)
    if not starts:
        return np.empty((0, size, *points.shape[1:]))
    return np.stack([points[start : start + size] for start in starts])


def facing(points: Array) -> Array:
    """The horizontal direction a body faces, (..., 2) unit x and z: the normal of its hip axis."""
    across = points[..., POINT["lhip"], :] - points[..., POINT["rhip"], :]
    forward = np.stack([-across[..., 2], across[..., 0]], axis=-1)
    unit: Array = forward / np.maximum(np.linalg.norm(forward, axis=-1, keepdims=True), 1e-9)
    return unit


def to_frame(points: Array, origin: Array, forward: Array) -> Array:
    """Points (..., P, 3) seen from the ground point `origin` (..., 3) by someone facing `forward` (..., 2).

    +Z is ahead, +X to the left, heights stay.
    """
    relative = points - origin[..., None, :] * np.array([1.0, 0.0, 1.0])
    ahead_x, ahead_z = forward[..., None, 0], forward[..., None, 1]
    x, z = relative[..., 0], relative[..., 2]
    return np.stack([x * ahead_z - z * ahead_x, relative[..., 1], x * ahead_x + z * ahead_z], axis=-1)


def from_frame(points: Array, origin: Array, forward: Array) -> Array:
    """The inverse of `to_frame`: local points (..., P, 3) put into the world."""
    ahead_x, ahead_z = forward[..., None, 0], forward[..., None, 1]
    x, z = points[..., 0], points[..., 2]
    turned = np.stack([x * ahead_z + z * ahead_x, points[..., 1], z * ahead_z - x * ahead_x], axis=-1)
    placed: Array = turned + origin[..., None, :] * np.array([1.0, 0.0, 1.0])
    return placed


def own_frame(points: Array) -> Array:
    """A body (..., 24, 3) seen from its own pelvis's ground point and facing."""
    return to_frame(points, points[..., 0, :], facing(points))
