"""Frames of motion as identity_action knows them: what a network reads of a frame, what it makes, what errors cost.

A frame x (..., WIDTH) is a move of training.models.identity_pose. What is made are moves again, and joints stand where
forward kinematics puts them on HUMANOID, so bones have their lengths. A set of pictures brings a part of its own with
the same methods (training.models.identity_action_images).
Shapes: B sequences, T frames, E experts.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.models import identity_pose as pose
from training.models.identity_action_parts import Blended, with_identity

FPS = pose.FPS
SCALES = {"positions": 0.03, "speeds": 0.35, "rotations": 0.7, "carriage": 1.0}  # errors of about a nat
CLAMP = 8.0  # standard deviations of what is read


class MotionFrames(nn.Module):
    """See the module. width: numbers that are read of a frame; views: numbers that a judge sees of it."""

    views = 5 * pose.JOINTS

    def __init__(self, latent: int, experts: int, hidden: int) -> None:
        super().__init__()
        self.width = hidden
        self.register_buffer("mean", torch.zeros(pose.WIDTH))
        self.register_buffer("spread", torch.ones(pose.WIDTH))
        self.register_buffer("speed", torch.ones(pose.WIDTH))  # usual change a second
        self.layers = nn.Sequential(
            *(nn.Linear(2 * pose.WIDTH, hidden), nn.SiLU()),
            *(nn.Linear(hidden, hidden), nn.SiLU()),
        )
        self.blends = nn.ModuleList(
            Blended(experts, *sizes) for sizes in ((latent + experts, hidden), (hidden, hidden), (hidden, pose.WIDTH))
        )

    def encode(self, x: Tensor) -> Tensor:
        """What is read of moves (B, T, WIDTH) and how they change, (B, T, width). The first changes as the second."""
        steps = x.diff(dim=1)
        return self.read(x, torch.cat([steps[:, :1], steps], dim=1) * FPS)

    def read(self, x: Tensor, change: Tensor) -> Tensor:
        """The same of moves and their changes a second, (..., WIDTH) each."""
        given = torch.cat([(x - self.mean) / self.spread, change / self.speed], dim=-1)
        return self.layers(given.clamp(-CLAMP, CLAMP))

    def decode(self, z: Tensor, s: Tensor) -> Tensor:
        """Moves (B, T, WIDTH) of z (B, T, Z) as the experts do it that s (B, E) blends."""
        first, second, last = self.blends
        made = F.silu(first(with_identity(z, s), s))
        return last(F.silu(second(made, s)), s) * self.spread + self.mean

    def nats(self, made: Tensor, x: Tensor) -> Tensor:
        """Minus the log-likelihood of frames x, (B, T), without constants.

        Errors follow Huber's density: squares of what is less than its scale, distances beyond.
        """
        off = pose.positions(made) - pose.positions(x)
        speeds = F.pad(off.diff(dim=1) * FPS, (0, 0, 0, 0, 1, 0))
        turned, carried = (made - x)[..., : -pose.CARRIAGE], ((made - x) / self.spread)[..., 1 - pose.CARRIAGE :]
        errors = {"positions": off.flatten(2), "speeds": speeds.flatten(2), "rotations": turned, "carriage": carried}
        return sum(huber(errors[name] / scale).sum(dim=-1) for name, scale in SCALES.items())

    def view(self, x: Tensor) -> Tensor:
        """What a judge sees of moves, (B, T, views): joints, how fast they are and how sharply they turn."""
        return pose.felt(x)

    def finish(self, made: Tensor) -> Tensor:
        """Moves as made, with rotations of length one."""
        sixd = made[..., : -pose.CARRIAGE].unflatten(-1, (-1, 2, 3))
        x = F.normalize(sixd[..., 0, :], dim=-1, eps=1e-8)
        y = F.normalize(sixd[..., 1, :] - (x * sixd[..., 1, :]).sum(-1, keepdim=True) * x, dim=-1, eps=1e-8)
        return torch.cat([torch.stack([x, y], dim=-2).flatten(-3), made[..., -pose.CARRIAGE :]], dim=-1)

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """What is usual, from many windows."""
        self.mean.copy_(x.mean(dim=(0, 1)))
        self.spread.copy_(x.std(dim=(0, 1)) + 0.02)
        self.speed.copy_((x.diff(dim=1) * FPS).std(dim=(0, 1)) + 0.1)


def huber(off: Tensor) -> Tensor:
    """off² / 2 up to one, |off| - 1/2 beyond."""
    return F.smooth_l1_loss(off, torch.zeros_like(off), reduction="none")
