"""Distances that models are trained with. Norms, not squares: metres are what is scored, and glitches weigh less.

Each takes tensors with the coordinates on the last axis and returns one number, the mean over everything else.
"""

from __future__ import annotations

import torch
from torch import Tensor


def distance(prediction: Tensor, truth: Tensor) -> Tensor:
    """Mean Euclidean distance over all but the last axis."""
    return (prediction - truth).square().sum(-1).add(1e-12).sqrt().mean()


def velocity_distance(prediction: Tensor, truth: Tensor, seconds: Tensor | float) -> Tensor:
    """Mean distance of velocities between the two entries of axis 1. (B, 2, ..., D), `seconds` apart, -> m/s."""
    return distance((prediction[:, 1] - prediction[:, 0]) / seconds, (truth[:, 1] - truth[:, 0]) / seconds)


def gaussian_kl(mu: Tensor, logvar: Tensor, free_nats: float = 0.0) -> tuple[Tensor, Tensor]:
    """KL of N(mu, exp(logvar)) from N(0, 1): (penalty, nats), both summed over the last axis.

    The penalty leaves `free_nats` per dimension unpunished (free bits, Kingma et al. 2016), so a latent stays in use;
    `nats` is the plain KL, for the log.
    """
    nats = 0.5 * (mu.square() + logvar.exp() - 1.0 - logvar).mean(0)  # (latent,)
    return torch.clamp(nats, min=free_nats).sum(), nats.sum()
