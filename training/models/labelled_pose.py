"""A movement as the labelled partner knows it: every frame a pose seen from under the hips, and how it moved to there.

A move is 6 numbers for each joint's local rotation, the hips' without their heading, and four of the carriage: the
logarithm of how high the foot is that stands, its speed to the left and ahead as the frame before looks, in m/s to the
power of two thirds, and the turn of the hips' heading in rad/s. So a dance does not depend on where on the stage it
happens, a chain of moves is a path, and hips go where feet let them: feet are as near to the floor, and slide as
little, as these numbers say. Powers and logarithms make them spread evenly, as a model draws them. Who stands is
weighed smoothly, foot by foot and toes by toes: the lower, the more.
Shapes: B windows, T frames, J joints.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from motion import kinematics as bodies
from motion import rotations as rot
from motion.ground_frames import GroundFrame, facing
from motion.skeleton import HUMANOID, Array, Skeleton
from training import kinematics
from training.labels_proxy import ENDS
from training.mirror import opposite_joints

CARRIAGE = 4
JOINTS = len(HUMANOID)
WIDTH = 6 * JOINTS + CARRIAGE
FEET = HUMANOID.both_sides("Foot", "Toes")
LEGS = [0, *(joint for part in ("UpperLeg", "LowerLeg", "Foot") for joint in HUMANOID.both_sides(part))]
LEAST = 0.005  # metres that what stands is above the floor
MOST = 3.0  # of a speed to the power of two thirds: 5.2 m/s
LOWER = 0.03  # metres that a foot is higher which stands less, by a factor of e
QUALITIES = 6 * JOINTS + 10
ACCELERATION = 2 * JOINTS + 1  # where that of hips, hands and feet is among qualities
FEET_FROM = QUALITIES - 7  # where feet begin there
TOES, LOWEST = FEET[1::2], 0.01  # metres that toes are higher which count less as the lowest, by a factor of e


def moves(root: Array, rotations: Array, fps: float) -> Tensor:
    """The moves (T, WIDTH) of roots (T, 3) and local rotations (T, J, 4). The first frame moved as the second does."""
    yaw = facing(rotations[:, 0])
    own = rotations.copy()
    own[:, 0] = GroundFrame.at(root, yaw).turned(rotations[:, 0])
    feet = bodies.global_positions(HUMANOID, root, rotations)[:, FEET]  # (T, 4, 3) on the stage
    low = np.exp((feet[..., 1].min(axis=1, keepdims=True) - feet[..., 1]) / LOWER)
    stands = (low / low.sum(axis=1, keepdims=True))[..., None]
    moved = (stands[1:] * np.diff(feet, axis=0)).sum(axis=1, keepdims=True)
    step = GroundFrame(np.zeros(3), yaw[:-1]).points(moved)[:, 0, 0::2] * fps
    turn = np.angle(np.exp(1j * np.diff(yaw))) * fps
    carriage = np.concatenate([step, turn[:, None]], axis=1)
    carriage = np.concatenate([carriage[:1], carriage])
    carriage[:, :2] = np.sign(carriage[:, :2]) * np.abs(carriage[:, :2]) ** (2.0 / 3.0)
    height = np.log(np.maximum((stands * feet).sum(axis=1)[:, 1:2], LEAST))
    whole = [rot.to_6d(own).reshape(len(root), -1), height, carriage]
    return torch.from_numpy(np.concatenate(whole, axis=1).astype(np.float32))


def mirrored(given: Tensor, skeleton: Skeleton = HUMANOID) -> Tensor:
    """Moves (..., WIDTH) with left and right exchanged."""
    sixd = given[..., :-CARRIAGE].unflatten(-1, (-1, 6))[..., opposite_joints(skeleton), :]
    sixd = sixd * sixd.new_tensor([1.0, -1.0, -1.0, -1.0, 1.0, 1.0])  # S·R·S of the x and y columns, S = diag(-1, 1, 1)
    return torch.cat([sixd.flatten(-2), given[..., -CARRIAGE:] * given.new_tensor([1.0, -1.0, 1.0, -1.0])], dim=-1)


def positions(given: Tensor) -> Tensor:
    """Joints (..., J, 3) in metres, seen from under the hips and looking where they look, of moves (..., WIDTH)."""
    made = about_hips(given)
    feet = made[..., FEET, 1]
    height = given[..., -CARRIAGE].exp() - (standing(feet) * feet).sum(-1)
    return made + F.pad(height[..., None, None], (1, 1))


def about_hips(given: Tensor) -> Tensor:
    """The same (..., J, 3) with the hips at the origin: of the rotations alone."""
    sixd = given[..., :-CARRIAGE].reshape(-1, JOINTS, 6).permute(2, 1, 0)  # (6, J, N): sums run along the batch
    x = _unit(sixd[:3])
    y = _unit(sixd[3:] - (x * sixd[3:]).sum(0) * x)
    local = torch.stack([x, y, torch.linalg.cross(x, y, dim=0)], dim=1)  # (3, 3, J, N)
    joints, parents, offsets = _tree()
    turns, places = [local[:, :, :1]], [torch.zeros_like(x[:, :1])]
    for here, above in zip(joints[1:], parents[1:], strict=True):
        turn = turns[-1][:, :, above]
        bone = (turn * offsets[here].T[None, :, :, None]).sum(1)
        places.append(places[-1][:, above] + bone)
        turns.append((turn[:, :, None] * local[None, :, :, here]).sum(1))
    order = torch.tensor([joint for level in joints for joint in level]).argsort()
    return torch.cat(places, dim=1)[:, order].permute(2, 1, 0).reshape(*given.shape[:-1], JOINTS, 3)


def _unit(vectors: Tensor) -> Tensor:
    """Vectors (3, ...) at length one; torch's own takes thrice as long along the first axis."""
    return vectors * (vectors.square().sum(0) + 1e-16).rsqrt()


def standing(heights: Tensor) -> Tensor:
    """How much each of FEET stands (..., 4), one in all, by their heights (..., 4)."""
    return (-heights / LOWER).softmax(dim=-1)


def slides(given: Tensor) -> Tensor:
    """How fast what stands is (..., 2), to the left and ahead in m/s, of moves (..., WIDTH)."""
    root = given[..., 1 - CARRIAGE : -1].clamp(-MOST, MOST)
    return root * (root.abs() + 1e-6).sqrt()


def carried(before: Tensor, last: Tensor, fps: float) -> tuple[Tensor, Tensor]:
    """What `positions` and `path` say of two moves (N, WIDTH), one after the other, in operations that every runtime
    has: the hips' heights (N, 2), and how far they go between them (N, 2), x and z as the one before looks.
    """
    feet = _feet(torch.stack([before, last], dim=1))  # (N, 2, 3, 4): under the hips
    _, heights, _ = feet.split(1, dim=2)
    stands = standing(heights)
    high = torch.stack([before, last], dim=1)[:, :, -CARRIAGE].exp() - (stands * heights).sum((2, 3))
    then, now = feet[:, :, 0::2].unbind(1)  # (N, 2, 4)
    now = turned(now.transpose(1, 2), last[:, None, -1:] / fps)
    moved = (stands[:, 1] * (now.transpose(1, 2) - then)).sum(2)
    return high, slides(last) / fps - moved


def _feet(given: Tensor) -> Tensor:
    """Places (N, 2, 3, 4) of FEET about the hips, of moves (N, 2, WIDTH)."""
    sixd = given[:, :, [6 * joint + number for joint in LEGS for number in range(6)]].reshape(-1, 2, len(LEGS), 2, 3)
    x, y = sixd.unbind(3)
    x = x * x.square().sum(-1, keepdim=True).clamp(min=1e-12).rsqrt()
    y = y - (x * y).sum(-1, keepdim=True) * x
    y = y * y.square().sum(-1, keepdim=True).clamp(min=1e-12).rsqrt()
    z = x[..., [1, 2, 0]] * y[..., [2, 0, 1]] - x[..., [2, 0, 1]] * y[..., [1, 2, 0]]
    hips, upper, lower, foot = torch.stack([x, y, z], dim=-1).split([1, 2, 2, 2], dim=2)  # (N, 2, ., 3, 3)
    bones = torch.tensor(HUMANOID.offsets, dtype=given.dtype)[[*LEGS[1:], *FEET[1::2]]].reshape(4, 2, 3, 1)
    made = bones[2] + foot @ F.pad(bones[3], (1, 0))  # (N, 2, 2, 3, 2): of both sides, foot and toes
    made = hips @ (bones[0] + upper @ (bones[1] + lower @ made))
    return torch.cat(made.unbind(2), dim=-1)


def path(given: Tensor, seen: Tensor, fps: float) -> tuple[Tensor, Tensor]:
    """Where moves (B, T, WIDTH), and what `positions` says of them, lead from the origin, looking along +Z: the hips'
    places (B, T, 2), x and z, and yaws (B, T).
    """
    turn = given[:, 1:, -1] / fps
    yaw = F.pad(turn.cumsum(dim=1), (1, 0))
    feet = seen[:, :, FEET]
    level = turned(feet[..., 0::2], yaw[..., None, None])  # (B, T, 4, 2) about the hips
    moved = (standing(feet[:, 1:, :, 1])[..., None] * level.diff(dim=1)).sum(2)
    step = turned(slides(given[:, 1:]) / fps, yaw[:, :-1, None]) - moved
    return F.pad(step.cumsum(dim=1), (0, 0, 1, 0)), yaw


def turned(level: Tensor, yaw: Tensor) -> Tensor:
    """Places (..., 2), x and z, turned by yaws (..., 1)."""
    return level * yaw.cos() + level[..., [1, 0]] * level.new_tensor([1.0, -1.0]) * yaw.sin()


def on_stage(given: Tensor, seen: Tensor, fps: float) -> Tensor:
    """Joints (B, T, J, 3) in the world of moves and of what `positions` says of them, from the origin."""
    place, yaw = path(given, seen, fps)
    x, z = (turned(seen[..., 0::2], yaw[..., None, None]) + place[:, :, None]).unbind(-1)
    return torch.stack([x, seen[..., 1], z], dim=-1)


def global_pose(given: Tensor, fps: float) -> tuple[Tensor, Tensor]:
    """Roots (B, T, 3) and local rotations (B, T, J, 6) of moves, from the origin."""
    seen = positions(given)
    place, yaw = path(given, seen, fps)
    root = torch.stack([place[..., 0], seen[..., 0, 1], place[..., 1]], dim=-1)
    return root, facing_their_way(given, yaw)


def facing_their_way(given: Tensor, yaw: Tensor) -> Tensor:
    """Local rotations (B, T, J, 6) of moves (B, T, WIDTH) whose hips look yaw (B, T) radians from +Z."""
    sixd = given[..., :-CARRIAGE].unflatten(-1, (JOINTS, 6))
    left = torch.stack([yaw.cos(), -yaw.sin()], dim=-1)
    turned = kinematics.heading_matrix(left) @ kinematics.matrices_from_6d(sixd)[:, :, 0]
    hips = kinematics.sixd_from_matrices(turned)[:, :, None]
    matrices = kinematics.matrices_from_6d(sixd[:, :, 1:])
    return torch.cat([hips, kinematics.sixd_from_matrices(matrices)], dim=2)


def qualities(given: Tensor, world: Tensor, fps: float) -> Tensor:
    """How moves (B, T, WIDTH), joints (B, T, J, 3) in the world, are danced, (B, QUALITIES): logarithms of every
    joint's mean speed, acceleration and jerk, and of the means of hips, hands and feet; logarithms of joints' largest
    speeds and accelerations; how high joints are; logarithms of how much the height of what stands varies, of how fast
    it slides, of how fast the lowest toes do, how high they are in the middle of all frames and at most, and of how
    much the height of each foot's toes varies.
    """
    parts, moved = [], world
    for power, least in enumerate((0.05, 0.5, 10.0), start=1):
        moved = moved.diff(dim=1)
        size = _lengths(moved).mean(dim=1) * fps**power  # (B, J)
        parts += [(size + least).log(), (size[:, ENDS].mean(dim=1, keepdim=True) + least).log()]
    most = [
        (_lengths(world.diff(n=power, dim=1)).amax(dim=1) * fps**power + least).log()
        for power, least in ((1, 0.05), (2, 0.5))
    ]
    toes = world[:, :, TOES]
    lowest = (-toes[:, 1:, :, 1] / LOWEST).softmax(dim=2)  # (B, T - 1, 2)
    dragged = (lowest * _lengths(toes[..., 0::2].diff(dim=1))).sum(2).mean(dim=1) * fps
    lift = toes[..., 1].amin(dim=2).sort(dim=1).values[:, [toes.shape[1] // 2, -1]]
    feet = torch.stack([given[..., -CARRIAGE].std(dim=1), _lengths(slides(given)).mean(dim=1), dragged], dim=1)
    feet = torch.cat([feet, lift.clamp(min=0.0), toes[..., 1].std(dim=1)], dim=1)
    return torch.cat([*parts, *most, world[..., 1].mean(dim=1), (feet + 0.05).log()], dim=1)


def _lengths(vectors: Tensor) -> Tensor:
    return (vectors.square().sum(-1) + 1e-12).sqrt()


@lru_cache(maxsize=1)
def _tree() -> tuple[list[list[int]], list[list[int]], Tensor]:
    """Joints level by level under the root, where their parents stand in the level above, and all bones."""
    levels = [[0]]
    while following := [joint for joint, parent in enumerate(HUMANOID.parents) if parent in levels[-1]]:
        levels.append(following)
    above = [[]] + [[one.index(HUMANOID.parents[joint]) for joint in other] for one, other in pairwise(levels)]
    return levels, above, torch.tensor(HUMANOID.offsets, dtype=torch.float32)
