"""How a body is carried over the floor in a window, and what it does on the way.

A carriage is the smoothed path and heading of the hips, frame by frame. Seen from it a body has a pose, with its hips'
tilt and twist, and a sway: where the hips are over the carriage, metres, with their height. A network then need not
spend its latent on where somebody goes, and a dance does not depend on where on the stage it happens.
Smoothing is local linear regression, which keeps straight walks and even spins as they are, up to a window's ends.
Shapes: B windows, T frames, J joints. Headings are unit vectors (x, z) to the body's left.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from training import kinematics


class Carriage(NamedTuple):
    """place: on the floor, x and z in metres. left: the heading."""

    place: Tensor  # (B, T, 2)
    left: Tensor  # (B, T, 2)

    @property
    def turns(self) -> Tensor:
        """(B, T, 3, 3): a row vector times one goes from the world into the carriage."""
        return kinematics.heading_matrix(self.left)

    @property
    def origin(self) -> Tensor:
        """(B, T, 3) on the floor."""
        return torch.stack([self.place[..., 0], torch.zeros_like(self.place[..., 0]), self.place[..., 1]], dim=-1)

    def from_middle(self) -> Tensor:
        """Places and headings (B, T, 4) as seen from the carriage of the middle frame."""
        middle = self.place.shape[1] // 2
        turn = self.turns[:, middle, 0::2, 0::2]
        place = (self.place - self.place[:, middle : middle + 1]) @ turn
        return torch.cat([place, self.left @ turn], dim=-1)


def carried(root: Tensor, hips_left: Tensor, spread: float) -> Carriage:
    """The carriage of roots (B, T, 3) whose hips' x axes are (B, T, 3). spread: of the smoothing, in frames."""
    level = hips_left[..., 0::2] + hips_left.new_tensor([1e-6, 0.0])  # never zero
    smooth = smoothing(root.shape[1], spread).to(root)
    return Carriage(smooth @ root[..., 0::2], smooth_headings(F.normalize(level, dim=-1, eps=1e-8), smooth))


def smooth_headings(left: Tensor, smooth: Tensor) -> Tensor:
    """Headings (B, T, 2), smoothed as angles that do not jump: an even spin stays one."""
    x, z = left[..., 0], left[..., 1]
    first = torch.atan2(-z[:, :1], x[:, :1])
    steps = torch.atan2(z[:, :-1] * x[:, 1:] - x[:, :-1] * z[:, 1:], (left[:, :-1] * left[:, 1:]).sum(-1))
    yaw = torch.cat([first, steps], dim=1).cumsum(1) @ smooth.T
    return torch.stack([yaw.cos(), -yaw.sin()], dim=-1)


def within(root: Tensor, rotations: Tensor, carriage: Carriage) -> tuple[Tensor, Tensor]:
    """Local rotations (B, T, J, 3, 3) and sways (B, T, 3) of a body in the world, seen from a carriage."""
    turns = carriage.turns
    sway = ((root - carriage.origin)[:, :, None] @ turns)[:, :, 0]
    hips = turns.transpose(-1, -2) @ rotations[:, :, 0]
    return torch.cat([hips[:, :, None], rotations[:, :, 1:]], dim=2), sway


def on_stage(rotations: Tensor, sway: Tensor, carriage: Carriage) -> tuple[Tensor, Tensor]:
    """The way back of `within`: roots (B, T, 3) and local rotations (B, T, J, 3, 3) in the world."""
    turns = carriage.turns
    root = (sway[:, :, None] @ turns.transpose(-1, -2))[:, :, 0] + carriage.origin
    return root, torch.cat([(turns @ rotations[:, :, 0])[:, :, None], rotations[:, :, 1:]], dim=2)


@lru_cache(maxsize=8)
def smoothing(window: int, spread: float) -> Tensor:
    """(T, T): local linear regression (Cleveland 1979) with Gaussian weights of a standard deviation in frames."""
    frames = torch.arange(window, dtype=torch.float64)
    apart = frames[None] - frames[:, None]  # (T, T): of the frame read from the frame asked for
    weights = torch.exp(-0.5 * (apart / spread) ** 2)
    s0, s1, s2 = (torch.sum(weights * apart**power, dim=1, keepdim=True) for power in (0, 1, 2))
    return (weights * (s2 - s1 * apart) / (s0 * s2 - s1 * s1)).float()
