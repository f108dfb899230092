"""Distances that models are trained with. Norms, not squares: metres are what is scored, and glitches weigh less.

Each takes tensors with the coordinates on the last axis and returns one number, the mean over everything else.
"""

from __future__ import annotations

from torch import Tensor


def distance(prediction: Tensor, truth: Tensor) -> Tensor:
    """Mean Euclidean distance over all but the last axis."""
    return (prediction - truth).square().sum(-1).add(1e-12).sqrt().mean()


def velocity_distance(prediction: Tensor, truth: Tensor, seconds: Tensor | float) -> Tensor:
    """Mean distance of velocities between the two entries of axis 1. (B, 2, ..., D), `seconds` apart, -> m/s."""
    return distance((prediction[:, 1] - prediction[:, 0]) / seconds, (truth[:, 1] - truth[:, 0]) / seconds)
