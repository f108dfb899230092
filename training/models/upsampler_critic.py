"""A critic of upsampled motion: the seed's experiment, off by default.

Least squares (Mao et al. 2017) with the seed's smoothed label: it learns to say REAL of what was recorded and 0 of what
was made, and what was made is to have it say REAL. One loss teaches both, since neither sees the other's gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call

from training.models.upsampler_experts import Asked

REAL = 0.9
_WIDTH = 128


class Critic(nn.Module):
    """Sees the moments asked for, (B, Q, P, D), as they differ from the newest key, in units of their own."""

    def __init__(self, numbers: int) -> None:
        super().__init__()
        sizes = [(numbers, _WIDTH), (_WIDTH, _WIDTH)]
        layers = [layer for size in sizes for layer in (nn.Linear(*size), nn.LeakyReLU(0.2))]
        self.layers = nn.Sequential(*layers, nn.Linear(_WIDTH, 1))

    def forward(self, asked: Asked, made: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """(the critic's loss, that of who made the motion)."""
        newest = asked.keys.past - 1
        here = asked.keys.positions[:, newest : newest + 1].detach()
        unit = (asked.lively * asked.step).detach()[:, None]
        fake, real = (((each - here).flatten(1) / unit).clamp(-8.0, 8.0) for each in (made, truth))
        own = (self.layers(real) - REAL).square().mean() + self.layers(fake.detach()).square().mean()
        fixed = {name: value.detach() for name, value in self.layers.named_parameters()}
        said = functional_call(self.layers, fixed, (fake,))
        return own, torch.square(said - REAL).mean()
