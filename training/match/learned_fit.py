"""Trains the networks that stand for a database. The first codes are principal components, so there is little to learn.

Decompressor: every row, its code a little off. Stepper: unrolled over pieces of takes, first short ones, then half a
second, never across a take's end. Projector: clusters of the rows that a search may find, and their codes stepped on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from training.match.database import CLIP
from training.match.learned import UNLEARNED, Learned
from training.match.pace import Pace
from training.match.regressors import kmeans

if TYPE_CHECKING:
    from training.models.duet_match import DuetMatch

_IMPORTANCE = {"quats": 3.0, "height": 10.0, "contacts": 0.7, "speed": 0.5, "toes": 0.1, "turning": 0.1, "moving": 0.3}
_SLOPE, _BEND = 2.0, 10.0
_FASTEST = 12.0  # rad/s and m/s; faster is a glitch of the recording
_FEWEST = 3  # rows that a place's code is a mean of
# Which part of a fit's time they take, as it was measured; the rest is placement.
DECOMPRESSING, UNROLLS = 0.2, {3: 0.15, 15: 0.5}  # by rows that are gone on
_NEAR = 4  # rows either side from which slope and bend are had


def learn(model: DuetMatch, steps: int, seed: int, pace: Pace | None = None) -> None:
    """Fits model.learned to the model's database in `steps` gradient steps a network. Leaves the database alone."""
    pace = pace or Pace(quiet=True)
    torch.manual_seed(seed)
    learned, table = model.learned, model.table
    inside = torch.cat([model.doors, model.doors + 1]).long()
    rows, weights = _rows(model)
    code = _principal(learned, rows * weights, weights)
    paced = pace.steps(steps, DECOMPRESSING, "decompressor")
    _run(learned.decompressor, steps, paced, lambda: _decompressing(learned, code, rows * weights))
    for unroll, share in UNROLLS.items():
        paced = pace.steps(steps, share, f"stepper, {unroll} rows")
        _run(learned.stepper, steps, paced, lambda rows=unroll: _stepping(learned, code, model.ends, rows))
    _place(learned, table[inside], code[inside], seed)
    learned.longest.copy_(code.norm(dim=-1).quantile(0.99))
    learned.eval()


@torch.no_grad()
def _rows(model: DuetMatch) -> tuple[Tensor, Tensor]:
    """What a code is to hold of every row (N, D), and how much each column counts (D,)."""
    poses, table, axes = model.poses, model.table, model.config.axes
    parts, weights = [], []
    for part, (name, size) in zip(poses.split(list(CLIP.values()), dim=-1), CLIP.items(), strict=True):
        if name not in UNLEARNED:
            parts.append(_one_sign(part) if name == "quats" else part.clamp(-_FASTEST, _FASTEST))
            weights.append(torch.full((size,), _IMPORTANCE[name]))
    last = model.ends
    ends = last.unique()
    first = torch.cat([torch.zeros(1), ends[:-1] + 1])[torch.searchsorted(ends, last)]
    frames = torch.arange(len(table))
    steps = torch.arange(-_NEAR, _NEAR + 1)
    slope, bend = torch.zeros(len(table), axes), torch.zeros(len(table), axes)
    square = steps**2 - (steps**2).float().mean()
    for step, more in zip(steps, square, strict=True):
        there = table[(frames + step).clamp(min=first, max=last).long(), :axes]
        slope += there * (step / (steps**2).sum())
        bend += there * (more / (square**2).sum())
    parts += [table, slope, bend]
    weights += [torch.ones(table.shape[1]), torch.full((axes,), _SLOPE), torch.full((axes,), _BEND)]
    return torch.cat(parts, dim=1), torch.cat(weights)


def _one_sign(rows: Tensor) -> Tensor:
    """Quaternions (N, 4 J) on each joint's usual side: of two takes one may have q where the other has -q."""
    quats = rows.view(len(rows), -1, 4).transpose(0, 1)  # (J, N, 4)
    usual = torch.linalg.eigh(quats.transpose(1, 2) @ quats)[1][..., -1:]
    return torch.where(quats @ usual < 0.0, -quats, quats).transpose(0, 1).flatten(1)


@torch.no_grad()
def _principal(learned: Learned, rows: Tensor, weights: Tensor) -> Tensor:
    """Codes (N, C), of mean square 1 a number; the decompressor begins as the way back."""
    mean, net = rows.mean(0), learned.decompressor
    values, vectors = torch.linalg.eigh(torch.cov(rows.T))
    turn = vectors[:, -learned.code :].flip(1)
    scale = (values[-learned.code :].sum() / learned.code).sqrt()
    net.weights.copy_(weights)
    net.linear.weight.copy_(turn * scale)
    net.linear.bias.copy_(mean)
    for last, share in ((net.rest[-1], 0.1), (learned.stepper.layers[-1], 0.3)):
        last.weight.mul_(share)
        last.bias.zero_()
    return (rows - mean) @ turn / scale


@torch.no_grad()
def _place(learned: Learned, found: Tensor, code: Tensor, seed: int) -> None:
    """Places are k-means centres of what is searched, their codes the means of their rows', three at the least."""
    projector = learned.projector
    count = projector.nearness.out_features
    centres = kmeans(found, count, torch.Generator().manual_seed(seed))
    distances = torch.cat([torch.cdist(part, found) for part in centres.split(256)])  # (places, rows)
    owner = distances.argmin(dim=0)
    codes = torch.zeros(count, code.shape[1]).index_add_(0, owner, code)
    sizes = torch.bincount(owner, minlength=count)[:, None]
    few = code[distances.topk(min(_FEWEST, len(found)), largest=False).indices].mean(dim=1)
    projector.nearness.weight.copy_(centres)
    projector.nearness.bias.copy_(-0.5 * centres.square().sum(1))
    start = torch.where(sizes >= _FEWEST, codes / sizes.clamp(min=1), few)
    after = learned.stepper(start)
    later = learned.stepper(after)
    before = 3.0 * (start - after) + later
    projector.codes.copy_(torch.stack([before, start, after, later], dim=1))


def _run(net: nn.Module, steps: int, paced: Iterator[int], loss_of: Callable[[], Tensor], rate: float = 2e-3) -> None:
    optimizer = torch.optim.AdamW(net.parameters(), rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    for go_on in paced:
        loss = loss_of()
        if not torch.isfinite(loss):
            raise ValueError(f"the loss of the learned {type(net).__name__.lower()} is not finite")
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        for _ in range(go_on):
            schedule.step()


def _decompressing(learned: Learned, code: Tensor, rows: Tensor, batch: int = 384, noise: float = 0.05) -> Tensor:
    chosen = torch.randint(len(code), (batch,))
    given = code[chosen] + noise * torch.randn(batch, learned.code)
    return (learned.decompressor(given) - rows[chosen]).square().sum(1).mean()


def _stepping(learned: Learned, code: Tensor, ends: Tensor, unroll: int, batch: int = 128) -> Tensor:
    """Begun a little off, so that the stepper finds back."""
    chosen = torch.randint(len(code), (batch,))
    now = code[chosen] + 0.15 * torch.rand(batch, 1) * torch.randn(batch, learned.code)
    total = torch.zeros(())
    for row in range(1, unroll + 1):
        now, at = learned.stepper(now), chosen + row
        inside = (at <= ends[chosen]).float()
        total = total + ((now - code[at.clamp(max=len(code) - 1)]).square().sum(1) * inside).mean()
    return total / unroll
