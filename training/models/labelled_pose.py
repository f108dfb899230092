"""A movement as the labelled partner knows it: every frame a pose seen from under the hips, and how it moved to there.

A move is 6 numbers for each joint's local rotation, the hips' without their heading, and four of the carriage: the
hips' height, their speed to the left and ahead in m/s as the frame before looks, and the turn of their heading in
rad/s. So a dance does not depend on where on the stage it happens, and a chain of moves is a path.
Shapes: B windows, T frames, J joints.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from motion import rotations as rot
from motion.ground_frames import GroundFrame, facing
from motion.skeleton import HUMANOID, Array, Skeleton
from training import kinematics
from training.mirror import opposite_joints

CARRIAGE = 4
JOINTS = len(HUMANOID)
WIDTH = 6 * JOINTS + CARRIAGE
ACCELERATION = 2 * JOINTS + 1  # where the whole body's is among qualities


def moves(root: Array, rotations: Array, fps: float) -> Tensor:
    """The moves (T, WIDTH) of roots (T, 3) and local rotations (T, J, 4). The first frame moved as the second does."""
    yaw = facing(rotations[:, 0])
    frame = GroundFrame.at(root, yaw)
    own = rotations.copy()
    own[:, 0] = frame.turned(rotations[:, 0])
    before = GroundFrame(frame.origin[:-1], yaw[:-1])
    step = before.points(root[1:, None])[:, 0, 0::2] * fps
    turn = np.angle(np.exp(1j * np.diff(yaw))) * fps
    carriage = np.concatenate([step, turn[:, None]], axis=1)
    carriage = np.concatenate([carriage[:1], carriage])
    whole = [rot.to_6d(own).reshape(len(root), -1), root[:, 1:2], carriage]
    return torch.from_numpy(np.concatenate(whole, axis=1).astype(np.float32))


def mirrored(given: Tensor, skeleton: Skeleton = HUMANOID) -> Tensor:
    """Moves (..., WIDTH) with left and right exchanged."""
    sixd = given[..., :-CARRIAGE].unflatten(-1, (-1, 6))[..., opposite_joints(skeleton), :]
    sixd = sixd * sixd.new_tensor([1.0, -1.0, -1.0, -1.0, 1.0, 1.0])  # S·R·S of the x and y columns, S = diag(-1, 1, 1)
    return torch.cat([sixd.flatten(-2), given[..., -CARRIAGE:] * given.new_tensor([1.0, -1.0, 1.0, -1.0])], dim=-1)


def positions(given: Tensor) -> Tensor:
    """Joints (..., J, 3) in metres, seen from under the hips and looking where they look, of moves (..., WIDTH)."""
    sixd = given[..., :-CARRIAGE].reshape(-1, JOINTS, 6).permute(2, 1, 0)  # (6, J, N): sums run along the batch
    x = F.normalize(sixd[:3], dim=0, eps=1e-8)
    y = F.normalize(sixd[3:] - (x * sixd[3:]).sum(0) * x, dim=0, eps=1e-8)
    local = torch.stack([x, y, torch.linalg.cross(x, y, dim=0)], dim=1)  # (3, 3, J, N)
    joints, parents, offsets = _tree()
    turns, places = [local[:, :, :1]], [torch.zeros_like(x[:, :1])]
    for here, above in zip(joints[1:], parents[1:], strict=True):
        turn = turns[-1][:, :, above]
        bone = (turn * offsets[here].T[None, :, :, None]).sum(1)
        places.append(places[-1][:, above] + bone)
        turns.append((turn[:, :, None] * local[None, :, :, here]).sum(1))
    order = torch.tensor([joint for level in joints for joint in level]).argsort()
    made = torch.cat(places, dim=1)[:, order].permute(2, 1, 0).reshape(*given.shape[:-1], JOINTS, 3)
    height = F.pad(given[..., -CARRIAGE, None], (1, 1))
    return made + height[..., None, :]


def path(given: Tensor, fps: float) -> tuple[Tensor, Tensor]:
    """Where moves (B, T, WIDTH) lead from the origin, looking along +Z: places (B, T, 2), x and z, and yaws (B, T)."""
    turn = given[:, 1:, -1] / fps
    yaw = F.pad(turn.cumsum(dim=1), (1, 0))
    cos, sin = yaw[:, :-1].cos(), yaw[:, :-1].sin()
    side, ahead = (given[:, 1:, -CARRIAGE + 1 : -1] / fps).unbind(-1)
    step = torch.stack([cos * side + sin * ahead, cos * ahead - sin * side], dim=-1)
    return F.pad(step.cumsum(dim=1), (0, 0, 1, 0)), yaw


def on_stage(given: Tensor, seen: Tensor, fps: float) -> Tensor:
    """Joints (B, T, J, 3) in the world of moves and of what `positions` says of them, from the origin."""
    place, yaw = path(given, fps)
    cos, sin = yaw.cos()[..., None], yaw.sin()[..., None]
    x, y, z = seen.unbind(-1)
    turned = [cos * x + sin * z + place[..., :1], y, cos * z - sin * x + place[..., 1:]]
    return torch.stack(turned, dim=-1)


def global_pose(given: Tensor, fps: float) -> tuple[Tensor, Tensor]:
    """Roots (B, T, 3) and local rotations (B, T, J, 6) of moves, from the origin."""
    place, yaw = path(given, fps)
    root = torch.stack([place[..., 0], given[..., -CARRIAGE], place[..., 1]], dim=-1)
    sixd = given[..., :-CARRIAGE].unflatten(-1, (JOINTS, 6))
    left = torch.stack([yaw.cos(), -yaw.sin()], dim=-1)
    turned = kinematics.heading_matrix(left) @ kinematics.matrices_from_6d(sixd)[:, :, 0]
    hips = kinematics.sixd_from_matrices(turned)[:, :, None]
    matrices = kinematics.matrices_from_6d(sixd[:, :, 1:])
    return root, torch.cat([hips, kinematics.sixd_from_matrices(matrices)], dim=2)


def qualities(world: Tensor, fps: float) -> Tensor:
    """How a window (B, T, J, 3) moves, (B, 3 · (J + 1)): logarithms of every joint's mean speed, acceleration and jerk,
    and of their means over the body.
    """
    parts, moved = [], world
    for power, least in enumerate((0.05, 0.5, 10.0), start=1):
        moved = moved.diff(dim=1)
        size = (moved.square().sum(-1) + 1e-12).sqrt().mean(dim=1) * fps**power  # (B, J)
        parts += [(size + least).log(), (size.mean(dim=1, keepdim=True) + least).log()]
    return torch.cat(parts, dim=1)


@lru_cache(maxsize=1)
def _tree() -> tuple[list[list[int]], list[list[int]], Tensor]:
    """Joints level by level under the root, where their parents stand in the level above, and all bones."""
    levels = [[0]]
    while following := [joint for joint, parent in enumerate(HUMANOID.parents) if parent in levels[-1]]:
        levels.append(following)
    above = [[]] + [[one.index(HUMANOID.parents[joint]) for joint in other] for one, other in pairwise(levels)]
    return levels, above, torch.tensor(HUMANOID.offsets, dtype=torch.float32)
