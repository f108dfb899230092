"""The mixture model of motion: what comes next of a partner, of a dancer, and what is wanted, given what was.

A mixture of balls is a poor model of half a second: nearly all of it follows from the past along straight lines. So
the mixture is about what those lines miss. The past's numbers stay as they are; of those to come, which stand behind
them in the vector, every one is seen beside its regression on all before it, in units of how far such things miss after
such a past (a multivariate t distribution's own rule: the more unusual the past, the wider). Both are fitted before
training, by the t distribution's EM (Liu and Rubin 1995), and are a part of the model: its variables are those of
motion.motion_vectors in metres, outside.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from motion import motion_vectors
from motion.motion_layout import Layout
from motion.skeleton import Skeleton
from training.models import drmm, drmm_clusters
from training.models.drmm import Drmm, Rows
from training.models.drmm_pose import trained_on
from training.models.motion_takes import Take
from training.run import Run

FLOOR = 0.002  # metres: what is finer than this says nothing
ROUNDS = 5  # of EM


@dataclass(frozen=True)
class Model(drmm.Config):
    """As of any mixture model. freedom: degrees of freedom of the t distribution. past_scale: a metre of the past is so
    many units. shrink: means are of so many more rows that lie in the middle, so that few rows are not believed."""

    layers: int = 4
    components: int = 512
    variance: Literal["scalar", "diagonal"] = "diagonal"
    scaling: Literal["one", "group", "each"] = "one"
    candidates: int = 64
    freedom: float = 8.0
    past_scale: float = 10.0
    shrink: float = 200.0


class MotionDrmm(Drmm):
    """See the module. `normalised` is the way in; `regressed` and `spread` are what a way out needs."""

    statistics = 10**7  # all rows: regressions and clusters are of everything there is

    def __init__(self, config: Model, skeleton: Skeleton) -> None:
        super().__init__(config, skeleton)
        size = len(config.variables)
        self.past = next(place for place, name in enumerate(config.variables) if name.startswith("partner.future"))
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("factor", torch.eye(size))  # lower triangular: factor @ factor.T is the covariance

    def normalised(self, rows: Tensor) -> Tensor:
        """What the mixture is about, of rows (B, D) in metres."""
        past, coming = rows[:, : self.past] - self.mean[: self.past].to(rows), rows[:, self.past :]
        expected, spread = self.expected(past)
        factor = self.factor[self.past :, self.past :].to(rows)
        missed = torch.linalg.solve_triangular(factor, (coming - expected).T, upper=False).T
        return torch.cat([past * self.config.past_scale, missed / spread], dim=1)

    def expected(self, past: Tensor) -> tuple[Tensor, Tensor]:
        """What follows from a past (B, past) less its mean: what comes (B, D - past), and how wide of it (B, 1)."""
        whole = torch.linalg.solve_triangular(self.factor[: self.past, : self.past].to(past), past.T, upper=False).T
        unusual = (self.config.freedom + whole.square().sum(dim=1, keepdim=True)) / (self.config.freedom + self.past)
        coming = whole @ self.factor[self.past :, : self.past].to(past).T + self.mean[self.past :].to(past)
        return coming, unusual.sqrt()

    @torch.no_grad()
    def log_density(
        self, rows: Tensor, known: Tensor | None = None, passes: int = 32, truncation: float = 0.0
    ) -> Tensor:
        """As of any mixture model. known: (D,), of the past any, but of what comes the first ones only, and those only
        with the whole past: the others' meaning hangs on them. Raises ValueError for another choice.
        """
        given = torch.ones(rows.shape[1], dtype=torch.bool) if known is None else known.bool()
        coming = given[self.past :]
        if coming.any() and not (given[: self.past].all() and coming[: int(coming.sum())].all()):
            raise ValueError("what comes has a density only after the whole past and all numbers before it")
        rows = rows.double()
        density = super().log_density(rows, given, passes, truncation)
        spread = self.expected(rows[:, : self.past] - self.mean[: self.past].double())[1]
        heights = self.factor.diagonal()[self.past :].double()[coming].log().sum() + coming.sum() * spread[:, 0].log()
        return density - heights + given[: self.past].sum() * math.log(self.config.past_scale)

    @torch.no_grad()
    def fit_statistics(self, batch: dict[str, Tensor]) -> None:
        """The regressions, then components: each layer's are clusters of what the layers before it leave."""
        self._fit_regression(batch["rows"].double())
        miss = self.normalised(batch["rows"])[:, self.past :]
        # One unit is one deviation of what is missed: the mixture's variances begin near 1.
        self.factor[self.past :, self.past :] *= miss.square().mean().sqrt()
        drmm_clusters.start(self, self.normalised(batch["rows"]), self.config.shrink)

    def _fit_regression(self, rows: Tensor) -> None:
        """Mean and covariance of a multivariate t distribution, by EM."""
        weights, size = torch.ones(len(rows), dtype=rows.dtype), rows.shape[1]
        for _ in range(ROUNDS):
            mean = (weights[:, None] * rows).sum(dim=0) / weights.sum()
            apart = rows - mean
            covariance = apart.T @ (weights[:, None] * apart) / len(rows) + FLOOR**2 * torch.eye(size, dtype=rows.dtype)
            factor = torch.linalg.cholesky(covariance)
            distance = torch.linalg.solve_triangular(factor, apart.T, upper=False).square().sum(dim=0)
            weights = (self.config.freedom + size) / (self.config.freedom + distance)
        self.mean.copy_(mean)
        self.factor.copy_(factor)

    def variances(self) -> Tensor:
        """Every layer's variance of every variable (L, D) in metres, after a past as usual as most."""
        inside = self.log_variance.detach().exp().expand(-1, len(self.mean))
        factor = self.factor[self.past :, self.past :]
        coming = inside[:, self.past :] @ factor.square().T
        return torch.cat([inside[:, : self.past] / self.config.past_scale**2, coming], dim=1)


def windows(run: Run, takes: Sequence[Take], augment: bool) -> Rows:
    """A row for each moment of each partner; in takes of two, each person is one in turn if roles are swapped."""
    layout, c = layout_of(run.trained), run.data
    rows = vectors(takes, layout, c.stride, c.swap_roles)
    if augment and c.mirror:
        rows = np.concatenate([rows, motion_vectors.mirrored(layout, rows)])
    return Rows(torch.from_numpy(rows))


def layout_of(takes: Sequence[Take]) -> Layout:
    """For two where any take has two people; takes of one are left out then."""
    return Layout(dancer=any(len(take.dancers) == 2 for take in takes))


def vectors(takes: Sequence[Take], layout: Layout, stride: int, swap_roles: bool) -> np.ndarray:
    """All vectors (N, width). Raises ValueError when there is none."""
    tracks = []
    for take in takes:
        people = [dancer.track() for dancer in take.dancers]
        if len(motion_vectors.moments(len(take))) == 0 or (layout.dancer and len(people) != 2):
            continue
        if layout.dancer:
            tracks += [(people[1], people[0]), (people[0], people[1])][: 1 + swap_roles]
        else:
            tracks += [(person, None) for person in people]
    if not tracks:
        people = "two people and " if layout.dancer else ""
        raise ValueError(
            f"none of the takes {', '.join(take.name for take in takes)} has {people}40 frames at 30 a second, "
            "which a vector of motion needs"
        )
    return motion_vectors.joined(layout, tracks, stride)


def train(run: Run) -> Path:
    """By gradients, from clusters."""
    return trained_on(run, layout_of(run.trained).names)
