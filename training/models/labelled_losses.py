"""What the labelled partner is trained with, as closed forms: Kingma's M2 (2014) by enumeration, and divergences."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from training.labels import NONE


def divergence(mu: Tensor, logvar: Tensor, free: float = 0.0) -> Tensor:
    """KL(N(mu, exp(logvar)) || N(0, 1)) in nats, summed over the last axis. free: nats of a number that cost nothing
    more to use than not to (free bits, Kingma 2016).
    """
    return (-0.5 * (1.0 + logvar - mu.square() - logvar.exp())).clamp(min=free).sum(dim=-1)


def combinations(sizes: Sequence[int]) -> Tensor:
    """All labels that a window may have at once, (C, sets): one of each set. Without sets there is one, of nothing."""
    if not sizes:
        return torch.empty(1, 0, dtype=torch.long)
    return torch.cartesian_prod(*(torch.arange(size) for size in sizes)).view(-1, len(sizes))


def shares(labels: Tensor, log_q: Sequence[Tensor], choices: Tensor) -> Tensor:
    """How probable each of choices (C, sets) is (B, C): what is labelled is certain, of the rest q says it.

    labels (B, sets), NONE where nobody has labelled; log_q: of every set (B, its labels).
    """
    made = torch.ones(len(labels), len(choices), device=labels.device)
    for column, said in enumerate(log_q):
        known = labels[:, column]
        certain = (known[:, None] == choices[:, column]).float()
        made = made * torch.where((known == NONE)[:, None], said[:, choices[:, column]].exp(), certain)
    return made


def marginal(each: Tensor, share: Tensor, labels: Tensor, log_q: Sequence[Tensor]) -> Tensor:
    """M2's loss of windows (B,). each (B, C): L(x, y) of every choice of labels; share: of `shares`.

    With every label known it is L(x, y); with none it is U(x), the expectation of L under q less q's entropy.
    """
    total = (share * each).sum(dim=1)
    for column, said in enumerate(log_q):
        entropy = -(said.exp() * said).sum(dim=1)
        total = total - torch.where(labels[:, column] == NONE, entropy, torch.zeros_like(entropy))
    return total


def classification(
    labels: Tensor, log_q: Sequence[Tensor], balance: Sequence[Tensor], smoothing: float = 0.0
) -> Tensor:
    """The mean cross-entropy of what is labelled, over sets; balance: a weight for every label of a set."""
    losses = [
        F.nll_loss(
            (1.0 - smoothing) * said + smoothing * said.mean(dim=1, keepdim=True),
            labels[:, column],
            weight,
            ignore_index=NONE,
        )
        for column, (said, weight) in enumerate(zip(log_q, balance, strict=True))
        if bool((labels[:, column] != NONE).any())
    ]
    return torch.stack(losses).mean() if losses else labels.new_zeros((), dtype=torch.float32)


def unlike(made: Tensor, labels: Tensor, mean: Tensor, spread: Tensor, weights: Tensor | float = 1.0) -> Tensor:
    """How far what is made is from what was recorded under the same label, in mean and spread of its qualities.

    made (N, F), labels (N,); mean, spread (K, F): of what was recorded. weights (F,): of qualities. Labels with fewer
    than four are left out.
    """
    losses = []
    for label in range(len(mean)):
        own = made[labels == label]
        if len(own) >= 4:
            off = ((own - mean[label]) / spread[label]).clamp(-8.0, 8.0)
            losses.append(((off.mean(dim=0).square() + (off.std(dim=0) - 1.0).square()) * weights).mean())
    return torch.stack(losses).mean() if losses else made.new_zeros(())


def uneven(world: Tensor) -> Tensor:
    """How much more is accelerated at some times than at others, in joints (N, T, J, 3) of dances of which no time is
    special: the variance over frames of every joint's mean acceleration, over that of all frames squared.
    """
    bends = (world.diff(n=2, dim=1).square().sum(-1) + 1e-12).sqrt()  # (N, T - 2, J)
    usual = bends.mean(dim=0)
    return (usual / usual.mean(dim=0)).var(dim=0).mean()
