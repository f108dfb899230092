"""Plain mixtures of Gaussians, what every deeper mixture model has to beat: fitted by expectation maximisation.

Every component has a variance of its own, one for all variables (`spherical`) or one each (`diagonal`). One component
of the kind `full` is the linear Gaussian model. All are fitted to scaled variables and answer in the variables' units.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

LEAST = 1e-3  # a component's least deviation, in the data's
LOG_2PI = math.log(2.0 * math.pi)
Kind = Literal["spherical", "diagonal", "full"]


@dataclass(frozen=True)
class Gaussians:
    """log_weights (K,), means (K, D), covariances (K, D, D) where `full`, else variances (K, D)."""

    log_weights: Tensor
    means: Tensor
    variances: Tensor
    kind: Kind

    @property
    def parameters(self) -> int:
        """How many numbers it takes to write it down."""
        count, size = self.means.shape
        each = {"spherical": 1, "diagonal": size, "full": size * (size + 1) // 2}[self.kind]
        return count * (1 + size + each)

    def log_density(self, rows: Tensor, known: Tensor | None = None) -> Tensor:
        """log p(rows (N, D)) as (N,); known (D,), bool: of these variables alone."""
        chosen = torch.arange(rows.shape[1]) if known is None else torch.nonzero(known)[:, 0]
        return (self.log_weights + self._of_components(rows[:, chosen], chosen)).logsumexp(dim=1)

    def samples(self, count: int, generator: torch.Generator) -> Tensor:
        """Rows (count, D)."""
        place = torch.multinomial(self.log_weights.exp(), count, replacement=True, generator=generator)
        noise = torch.randn(count, self.means.shape[1], dtype=self.means.dtype, generator=generator)
        if self.kind == "full":
            roots = torch.linalg.cholesky(self.variances)[place]
            return self.means[place] + (roots @ noise[..., None])[..., 0]
        return self.means[place] + noise * self.variances[place].sqrt()

    def _of_components(self, rows: Tensor, chosen: Tensor) -> Tensor:
        means = self.means[:, chosen]
        if self.kind == "full":
            normal = torch.distributions.MultivariateNormal(means, self.variances[:, chosen][:, :, chosen])
            return normal.log_prob(rows[:, None])
        variances = self.variances[:, chosen]
        constant = 0.5 * (variances.log() + LOG_2PI).sum(dim=1)
        squares = rows.square() @ (1.0 / variances).T - 2.0 * rows @ (means / variances).T
        return -0.5 * (squares + (means.square() / variances).sum(dim=1)) - constant


def fit(rows: Tensor, components: int, kind: Kind = "spherical", sweeps: int = 60, seed: int = 0) -> Gaussians:
    """By EM in double precision, from k-means++ starts (Arthur and Vassilvitskii 2007)."""
    generator = torch.Generator().manual_seed(seed)
    rows = rows.double()
    centre = rows.mean(dim=0)
    scale = (rows - centre).square().mean(dim=0).sqrt().clamp(min=1e-9)
    if kind == "spherical":
        scale = scale.square().mean().sqrt().expand_as(scale)
    x = (rows - centre) / scale
    made = _start(x, components, kind, generator)
    for _ in range(sweeps if components > 1 else 1):
        joint = made.log_weights + made._of_components(x, torch.arange(x.shape[1]))
        share = (joint - joint.logsumexp(dim=1, keepdim=True)).exp()  # (N, K)
        made = _from_shares(x, share, kind)
    stretch = scale[:, None] * scale if kind == "full" else scale.square()
    return Gaussians(made.log_weights, made.means * scale + centre, made.variances * stretch, kind)


def _start(x: Tensor, components: int, kind: Kind, generator: torch.Generator) -> Gaussians:
    sample = x[torch.randint(len(x), (min(len(x), 20000),), generator=generator)]
    chosen = sample[:1]
    far = (sample - chosen).square().sum(dim=1)
    for _ in range(components - 1):
        new = sample[torch.multinomial(far + 1e-12, 1, generator=generator)]
        chosen = torch.cat([chosen, new])
        far = torch.minimum(far, (sample - new).square().sum(dim=1))
    nearest = torch.cdist(x, chosen).argmin(dim=1)
    return _from_shares(x, torch.nn.functional.one_hot(nearest, components).to(x.dtype), kind)


def _from_shares(x: Tensor, share: Tensor, kind: Kind) -> Gaussians:
    """The Gaussians whose components have these shares (N, K) of the rows."""
    mass = share.sum(dim=0).clamp(min=1e-6)
    means = (share.T @ x) / mass[:, None]
    if kind == "full":
        off = x[None] - means[:, None]
        spread = torch.einsum("nk,kni,knj->kij", share, off, off) / mass[:, None, None]
        variances = spread + LEAST**2 * torch.eye(x.shape[1], dtype=x.dtype)
    else:
        variances = ((share.T @ x.square()) / mass[:, None] - means.square()).clamp(min=LEAST**2)
        if kind == "spherical":
            variances = variances.mean(dim=1, keepdim=True).expand_as(variances)
    return Gaussians((mass / mass.sum()).log(), means, variances, kind)
