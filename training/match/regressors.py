"""From what is seen of the leader to where the follower is and what it does: kernel ridges and small networks.

A kernel's centres are k-means centres of features, never recorded rows, so what is learned holds no recording.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from training.match.pace import Pace


class KernelRidge(nn.Module):
    """Nyström kernel ridge on scaled principal components: exp(-|z - c|² / width) W + mean."""

    def __init__(self, inputs: int, dims: int, centres: int, outputs: int) -> None:
        super().__init__()
        self.register_buffer("axes", torch.zeros(inputs, dims))
        self.register_buffer("centres", torch.zeros(dims, centres))
        self.register_buffer("lengths", torch.zeros(centres))  # |c|² / width
        self.register_buffer("width", torch.ones(()))
        self.register_buffer("weights", torch.zeros(centres, outputs))
        self.register_buffer("mean", torch.zeros(outputs))

    def project(self, seen: Tensor) -> Tensor:
        return seen @ self.axes

    def forward(self, seen: Tensor) -> Tensor:
        return self.kernel(self.project(seen)) @ self.weights + self.mean

    def kernel(self, z: Tensor) -> Tensor:
        squared = (z * z).sum(-1, keepdim=True) / self.width + self.lengths - 2.0 / self.width * (z @ self.centres)
        return torch.exp(-squared.clamp(min=0.0))

    @torch.no_grad()
    def fit(self, seen: Tensor, targets: Tensor, generator: torch.Generator, strength: float = 0.5) -> KernelRidge:
        """seen (N, F) standardised, targets (N, O); N may be under the number of centres only for tests."""
        dims, count = self.centres.shape
        values, vectors = torch.linalg.eigh(torch.cov(seen.T))
        values, vectors = values.flip(0)[:dims].clamp(min=0.0), vectors.flip(1)[:, :dims]
        self.axes.copy_(vectors * (values + 0.1 * values.mean()) ** -0.25)
        z = self.project(seen)
        centres = kmeans(z, count, generator)
        sample = z[torch.randperm(len(z), generator=generator)[:1500]]
        self.width.copy_(0.5 * torch.pdist(sample).square().median())
        self.centres.copy_(centres.T)
        self.lengths.copy_((centres * centres).sum(-1) / self.width)
        self.mean.copy_(targets.mean(0))
        kernel = self.kernel(z)
        left = (kernel.T @ kernel + strength * self.kernel(centres)).double()
        left.diagonal().add_(0.02)  # centres that nearly coincide
        right = (kernel.T @ (targets - self.mean)).double()
        self.weights.copy_(torch.cholesky_solve(right, torch.linalg.cholesky(left)).float())
        return self


class Network(nn.Module):
    """A small dropout network, read together with others as a mean."""

    def __init__(self, inputs: int, outputs: int, width: int = 256) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Dropout(0.1),
            nn.Linear(inputs, width),
            nn.SiLU(),
            nn.Dropout(0.3),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Dropout(0.3),
            nn.Linear(width, outputs),
        )

    def forward(self, seen: Tensor) -> Tensor:
        return self.layers(seen)


def train_placement(
    net: Network,
    seen: Tensor,
    targets: Tensor,
    noise: float,
    epochs: int,
    generator: torch.Generator,
    pace: Pace,
    share: float,
) -> None:
    """Trains on mean distances, not squares: that is what placement is judged by. targets (N, horizons * 4)."""
    batch = min(512, len(seen))
    steps = epochs * (len(seen) // batch)
    optimizer = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    net.train()
    for go_on, rows in zip(pace.steps(steps, share, "placement"), _shuffled(len(seen), batch, generator), strict=False):
        given = seen[rows] + noise * torch.randn(batch, seen.shape[1], generator=generator)
        wrong = (net(given) - targets[rows]).unflatten(-1, (-1, 4))
        loss = wrong[..., :2].norm(dim=-1).mean() + 0.3 * wrong[..., 2:].norm(dim=-1).mean()
        if not torch.isfinite(loss):
            raise ValueError("the placement network's loss is not finite: look for rubbish in the training takes")
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        for _ in range(go_on):
            schedule.step()
    net.eval()


def _shuffled(count: int, batch: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Row numbers of whole batches, epoch after epoch."""
    while True:
        yield from torch.randperm(count, generator=generator)[: count // batch * batch].view(-1, batch)


@torch.no_grad()
def kmeans(rows: Tensor, count: int, generator: torch.Generator, rounds: int = 6) -> Tensor:
    """Centres (count, D) by Lloyd's algorithm from random rows. Every centre is a mean of several rows where it can be:
    one that stands for a single row is put between that row and the nearest other one.
    """
    if len(rows) < 2:
        raise ValueError("no centres of fewer than two rows")
    start = torch.randperm(len(rows), generator=generator)
    centres = rows[start.repeat(count // len(rows) + 1)[:count]].clone()
    for _ in range(rounds):
        nearest = torch.cat([torch.cdist(part, centres).argmin(dim=1) for part in rows.split(4096)])
        sizes = torch.bincount(nearest, minlength=count).float()
        sums = torch.zeros_like(centres).index_add_(0, nearest, rows)
        centres = torch.where(sizes[:, None] > 0, sums / sizes[:, None].clamp(min=1), centres)
    few = (sizes < 2).nonzero()[:, 0]
    for part in few.split(256):
        close = torch.cdist(centres[part], rows).topk(min(3, len(rows)), largest=False).indices
        centres[part] = rows[close].mean(dim=1)
    return centres


def standardised(rows: Tensor) -> tuple[Tensor, Tensor]:
    """(mean, scale) of features, the scale kept from vanishing."""
    return rows.mean(0), rows.std(0) + 0.02
