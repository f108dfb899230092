"""Where a mixture model's components may start: each layer's are clusters of what the layers before it leave.

From there a few epochs do what takes hundreds from random means with narrow variances.
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.models.drmm import Drmm

ROUNDS = 8
NARROW = 0.05  # units; no variance starts below its square


@torch.no_grad()
def start(model: Drmm, rest: Tensor, shrink: float) -> None:
    """Set means, variances and weights from normalised rows (N, D).

    shrink: a mean is of so many more rows that lie in the middle, so that few rows are not believed.
    """
    for layer in range(model.config.layers):
        means, counts, chosen = _clusters(rest, model.config.components)
        means = means * (counts / (counts + shrink))[:, None]
        model.means[layer] = means
        model.logits[layer] = (counts + 1.0).log()
        rest = rest - means[chosen]
        variance = rest.square().mean(dim=0).clamp(min=NARROW**2)
        model.log_variance[layer] = (variance if model.config.variance == "diagonal" else variance.mean()).log()


def _clusters(rows: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Means (K, D) of clusters, how many rows each has (K,), and each row's (N,), by Lloyd's rounds from drawn rows."""
    means = rows[torch.randperm(len(rows))[torch.arange(count) % len(rows)]]
    for _ in range(ROUNDS):
        chosen = _nearest(rows, means)
        counts = torch.bincount(chosen, minlength=count).to(rows)
        sums = torch.zeros_like(means).index_add_(0, chosen, rows)
        means = torch.where(counts[:, None] > 0.0, sums / counts[:, None].clamp(min=1.0), means)
    return means, counts, chosen


def _nearest(rows: Tensor, means: Tensor) -> Tensor:
    return torch.cat([(means.square().sum(dim=1) - 2.0 * part @ means.T).argmin(dim=1) for part in rows.split(8192)])
