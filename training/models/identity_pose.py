"""A movement as models of who moves know it: every frame a pose seen from under the hips, and how it moved to there.

A move is 6 numbers for each joint's local rotation, the hips' without their heading, and four of the carriage: the
hips' height, their speed to the left and ahead in m/s as the frame before looks, and the turn of their heading in
rad/s. So a dance does not depend on where on the stage it happens, and a chain of moves is a path. The labelled partner
(training.models.labelled_pose) has a carriage of the feet instead: nothing of it needs to be known of one frame alone.
Shapes: B windows, T frames, J joints.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from motion import rotations as rot
from motion.ground_frames import GroundFrame, facing
from motion.skeleton import Array
from training.models import labelled_pose
from training.models.labelled_networks import sensed
from training.models.labelled_pose import CARRIAGE, JOINTS, WIDTH, mirrored

__all__ = ["CARRIAGE", "FPS", "JOINTS", "WIDTH", "felt", "global_pose", "mirrored", "moves", "on_stage", "positions"]

FPS = 30.0


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


def positions(given: Tensor) -> Tensor:
    """Joints (..., J, 3) in metres, seen from under the hips and looking where they look, of moves (..., WIDTH)."""
    return labelled_pose.about_hips(given) + F.pad(given[..., -CARRIAGE, None, None], (1, 1))


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
    return root, labelled_pose.facing_their_way(given, yaw)


def felt(given: Tensor) -> Tensor:
    """What judges see of moves (B, T, WIDTH): joints, and logarithms of their speeds and accelerations, (B, T, 5J)."""
    seen = positions(given)
    return sensed(on_stage(given, seen, FPS), seen)
