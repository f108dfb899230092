"""Small parts of identity_action: weights that rise and fall over a run, layers that experts blend, divergences.

Shapes: B sequences, T frames, E experts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

SMALLEST, LARGEST = 1e-3, 10.0  # standard deviations: neither end makes a number that is none
SHARP = 30.0  # the largest logit of an expert


@dataclass(frozen=True)
class Anneal:
    """A number over a run: from `start` to `end` along a raised cosine, over the first `fraction` of the epochs.

    middle: where given, it passes through it `middle_at` of the way. Between positive numbers it goes by ratios, so
    that from 3 to .02 half of the way is .24.
    """

    start: float
    end: float
    fraction: float = 1.0
    middle: float | None = None
    middle_at: float = 0.5

    def __post_init__(self) -> None:
        if not 0.0 < self.fraction <= 1.0 or not 0.0 < self.middle_at < 1.0:
            raise ValueError(
                f"fraction {self.fraction} must be above 0 and at most 1, middle_at {self.middle_at} between 0 and 1"
            )

    def at(self, progress: float) -> float:
        """The number when `progress`, from 0 to 1, of the run is over."""
        passed = min(progress / self.fraction, 1.0)
        begin, end, share = self.start, self.end, passed
        if self.middle is not None and passed < self.middle_at:
            end, share = self.middle, passed / self.middle_at
        elif self.middle is not None:
            begin, share = self.middle, (passed - self.middle_at) / (1.0 - self.middle_at)
        eased = 0.5 - 0.5 * math.cos(math.pi * share)
        if begin > 0.0 and end > 0.0:
            return begin * (end / begin) ** eased
        return begin + (end - begin) * eased


class Blended(nn.Module):
    """A linear layer whose weights are blended for every sequence: what all experts share and what each adds.

    What is shared is why somebody can be made to do what they were never seen doing; experts with nothing in common
    know only what they were shown.
    """

    def __init__(self, experts: int, inputs: int, outputs: int) -> None:
        super().__init__()
        plain = nn.Linear(inputs, outputs)
        self.weight, self.bias = plain.weight, plain.bias
        self.weights = nn.Parameter(torch.randn(experts, outputs, inputs) * 0.01 / math.sqrt(inputs))
        self.biases = nn.Parameter(torch.zeros(experts, outputs))

    def forward(self, x: Tensor, s: Tensor) -> Tensor:
        """x (B, T, inputs), s (B, E), the experts' shares -> (B, T, outputs)."""
        added = (s @ self.weights.flatten(1)).unflatten(1, tuple(self.weight.shape))
        bias = self.bias + s @ self.biases
        return torch.baddbmm(bias[:, None], x, (self.weight + added).transpose(1, 2))

    def apart(self) -> Tensor:
        """How far experts are from what they share, a sum of squares."""
        return self.weights.square().sum()


def with_identity(x: Tensor, s: Tensor) -> Tensor:
    """s (B, E) beside every frame of x (B, T, N): (B, T, N + E)."""
    return torch.cat([x, s[:, None].expand(-1, x.shape[1], -1)], dim=2)


def spread(raw: Tensor) -> Tensor:
    """A standard deviation of any number."""
    return nn.functional.softplus(raw).clamp(SMALLEST, LARGEST)


def divergence(mu: Tensor, sd: Tensor, prior_mu: Tensor | float, prior_sd: Tensor | float) -> Tensor:
    """KL(N(mu, sd²) || N(prior_mu, prior_sd²)) in nats, summed over the last axis."""
    ratio = (sd / prior_sd).square()
    return 0.5 * (ratio - 1.0 - ratio.log() + ((mu - prior_mu) / prior_sd).square()).sum(dim=-1)
