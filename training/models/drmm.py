"""A deep residual mixture model: any variables conditioned on any others, after training, without training again.

Layer after layer one of K components is chosen and its mean taken off; what is left goes to the next layer. Layer l
sees the rest and which components the layers before it chose (Hämäläinen et al. 2020, "Deep Residual Mixture Models").
Earlier choices are kept as indices. The paper keeps their log-probabilities, smoothed by 1e-8, and takes prototypes off
those, too; that changes nothing until prototypes differ by e^20, and costs K x K products where an index costs a row.

Variables come in their own units. Inside they are centred and scaled, so that one variance serves all of them.
Drawing from a trained model is in training.models.drmm_draw, its conditions in motion.conditions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from motion.skeleton import Skeleton
from training import loop, schedules

HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
DROPPED = -1e10  # the log-probability of a component that is not to be chosen
EDGES = (1 / 3, 2 / 3)  # of the stages, in shares of a run


@dataclass(frozen=True)
class Config:
    """variables: their names, `group/name` where some belong together. scaling: one scale for all, one a group, or
    one each. variance: a layer's, one for all variables or one each. start: a layer's first means are normal around
    its input, or are rows of it. truncation: a component is chosen if it is at least so probable as this share of the
    most probable one; in training, and on stage. orphan_pull: how strongly components that nothing is near are drawn
    to the data. curriculum: train in three stages, else all layers at once from the start. candidates: that the
    exported graph draws at once.
    """

    variables: tuple[str, ...] = ()
    layers: int = 4
    components: int = 512
    variance: Literal["scalar", "diagonal"] = "scalar"
    scaling: Literal["one", "group", "each"] = "each"
    start: Literal["normal", "rows"] = "normal"
    truncation: float = 0.5
    sampling_truncation: float = 0.05
    orphan_pull: float = 0.01
    curriculum: bool = True
    candidates: int = 64

    def __post_init__(self) -> None:
        for name in ("layers", "components", "candidates"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, not {getattr(self, name)}")
        for name in ("truncation", "sampling_truncation"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must be from 0 to 1, not {getattr(self, name)}")
        if len(set(self.variables)) != len(self.variables):
            repeated = sorted({name for name in self.variables if self.variables.count(name) > 1})
            raise ValueError(f"variables repeat: {', '.join(repeated)}")


@dataclass(frozen=True)
class Training(loop.Config):
    """As training.loop. The stages need `staged`: a tenth of the rate from the last third on, and then down to 0."""

    epochs: int = 48
    batch_size: int = 256
    learning_rate: float = 2e-3
    schedule: schedules.Schedule = "staged"
    weight_decay: float = 0.0
    clip_norm: float = 1e6  # Adam's steps have a size of their own


class Tables(NamedTuple):
    """What a layer's choices are made from; log-probabilities are normalised.

    links[l] (l * K, K): row j * K + k has, for each component of layer l, how probable it makes component k of layer j.
    """

    means: Tensor  # (L, K, D)
    log_variance: Tensor  # (L, 1 or D)
    log_weights: Tensor  # (L, K)
    links: Sequence[Tensor]


class Layer(NamedTuple):
    """What one layer says of a batch: its log-density (B,), and how near every component is (B, K)."""

    log_density: Tensor
    closeness: Tensor


class Drmm(nn.Module):
    """See the module."""

    statistics = 8192  # rows that the start is taken from

    def __init__(self, config: Config, skeleton: Skeleton) -> None:
        super().__init__()
        if not config.variables:
            raise ValueError("a mixture model needs the names of its variables")
        self.config, self.skeleton = config, skeleton
        size, layers, components = len(config.variables), config.layers, config.components
        self.means = nn.Parameter(torch.zeros(layers, components, size))
        self.log_variance = nn.Parameter(torch.zeros(layers, size if config.variance == "diagonal" else 1))
        self.logits = nn.Parameter(torch.zeros(layers, components))
        self.prototypes = nn.Parameter(torch.zeros(layers * (layers - 1) // 2, components, components))
        self.register_buffer("centre", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))
        self.progress, self.epochs = 1.0, 0  # how much of the run is behind us; epochs of the run, 0: not in a run

    def start_epoch(self, epoch: int) -> None:
        """Where in the curriculum the run is."""
        self.progress = epoch / self.epochs if self.epochs else 1.0

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Minus the mean log-density of batch["rows"] (B, D), weighted by batch["weights"] (B,) if there are any.

        Stage 1 trains every layer by itself, on what the layers before it leave. In stage 2 layers also learn which
        earlier choices go with theirs. In stage 3 all are trained together, first for every layer's log-density, at
        the end for the last one's.
        """
        x = self.normalised(batch["rows"])
        weights = batch.get("weights")
        share = torch.ones_like(x[:, 0]) if weights is None else weights / weights.mean()
        stage, mix = self._stage()
        chance = torch.rand(len(x), self.config.layers, device=x.device)
        made = self.walk(x, chance, self.tables(), self.config.truncation, stage)
        last = -(share * made[-1].log_density).mean()
        total = last
        if stage < 3 or mix < 1.0:
            every = sum(-(share * layer.log_density).mean() for layer in made)
            total = every if stage < 3 else mix * last + (1.0 - mix) * every
        if stage < 3:
            total = total - self.config.orphan_pull * sum(layer.closeness.amax(dim=0).mean() for layer in made)
            idle = (self.prototypes, self.logits) if stage == 1 else (self.logits,)
            total = total + 0.0 * sum(part.sum() for part in idle)  # several processes expect a gradient for every part
        return total, {"log_density": -last.detach() - self.scale.log().sum()}

    def _stage(self) -> tuple[int, float]:
        """The stage, and how much of its loss is the last layer's alone."""
        if not self.config.curriculum or not self.training:
            return 3, 1.0
        if self.progress < EDGES[1]:
            return (1, 0.0) if self.progress < EDGES[0] else (2, 0.0)
        return 3, 1.0 - min(3.0 * (1.0 - self.progress), 1.0)

    def tables(self, dtype: torch.dtype | None = None) -> Tables:
        """What `walk` and drawing need."""
        means, variance, logits, prototypes = (
            each.to(dtype) for each in (self.means, self.log_variance, self.logits, self.prototypes)
        )
        links = prototypes.log_softmax(dim=1).flatten(0, 1)
        before = [layer * (layer - 1) // 2 * self.config.components for layer in range(self.config.layers + 1)]
        rows = [links[a:b] for a, b in pairwise(before)]
        return Tables(means, variance, logits.log_softmax(dim=-1), rows)

    def walk(
        self,
        x: Tensor,
        chance: Tensor,
        tables: Tables,
        truncation: float,
        stage: int = 3,
        known: Tensor | None = None,
    ) -> list[Layer]:
        """What every layer says of normalised x (B, D), with choices by chance (B, L) from [0, 1).

        A layer's log-density is an estimate by importance, from the choices before it; `known` (B, D) or (D,), 0 or 1:
        of these variables alone. Stages 1 and 2 keep gradients within a layer.
        """
        rest, log_q, chosen, made = x, torch.zeros_like(x[:, 0]), [], []
        for layer, means in enumerate(tables.means):
            close = closeness(rest, means, tables.log_variance[layer], known)  # (B, K)
            score = close + tables.log_weights[layer] if stage == 3 else close - math.log(len(means))
            if stage > 1 and chosen:
                score = score + functional.embedding_bag(torch.stack(chosen, dim=1), tables.links[layer], mode="sum")
            whole = score.logsumexp(dim=1)
            made.append(Layer(whole - log_q, close))
            if layer + 1 == len(tables.means):
                break
            scored, total = (score, whole) if stage == 3 else (score.detach(), whole.detach())
            share = (scored - total[:, None]).exp()
            component, kept = choose(share, chance[:, layer], truncation)
            of_kept = (share * kept).sum(dim=1)
            log_q = log_q + scored.gather(1, component[:, None])[:, 0] - total - of_kept.log()
            rest = rest - means[component]
            if stage < 3:
                rest = rest.detach()
            chosen.append(component + layer * len(means))
        return made

    @torch.no_grad()
    def log_density(
        self, rows: Tensor, known: Tensor | None = None, passes: int = 32, truncation: float = 0.0
    ) -> Tensor:
        """log p(rows) (B,), in the variables' own units: the mean density over `passes` walks, in double precision.

        known (D,) or (B, D), bool: the density of these variables alone, whatever the others are. With truncation 0
        every walk's density is an unbiased estimate; one walk suffices for a model of one layer. Chance is torch's.
        """
        tables = self.tables(torch.float64)
        x, given = self.normalised(rows.double()), None if known is None else known.double()
        passes = passes if self.config.layers > 1 else 1
        walks = [
            self.walk(x, torch.rand(len(x), self.config.layers, dtype=x.dtype), tables, truncation, known=given)
            for _ in range(passes)
        ]
        volume = -(self.scale.double().log() * (1.0 if given is None else given)).sum(dim=-1)
        return torch.stack([walk[-1].log_density for walk in walks]).logsumexp(dim=0) - math.log(passes) + volume

    @torch.no_grad()
    def ancestral(self, count: int, noise: float = 1.0) -> Tensor:
        """Rows (count, D) of the model's own distribution, unconditioned: the last layer's component first, then
        what it says of the others'. noise: how much of the last layer's spread is added. Chance is torch's.
        """
        tables, size = self.tables(), self.config.components
        last = torch.multinomial(tables.log_weights[-1].exp(), count, replacement=True)
        x = tables.means[-1, last]
        for layer, link in enumerate(tables.links[-1].split(size)):
            x = x + tables.means[layer, torch.multinomial(link.exp().T[last], 1)[:, 0]]
        x = x + noise * torch.randn_like(x) * (0.5 * tables.log_variance[-1]).exp()
        return x * self.scale + self.centre

    @torch.no_grad()
    def fit_statistics(self, batch: dict[str, Tensor]) -> None:
        """Centre and scale, and where every layer's components start: around what the layers before it leave."""
        rows = batch["rows"]
        self.centre.copy_(rows.mean(dim=0))
        self.scale.copy_(_scales((rows - self.centre).square().mean(dim=0).sqrt(), self.config))
        rest = self.normalised(rows)
        for means, log_variance in zip(self.means, self.log_variance, strict=True):
            spread = rest.std(dim=0)
            if self.config.start == "rows":
                means.copy_(rest[torch.randint(len(rest), (len(means),))])
            else:
                means.copy_(rest.mean(dim=0) + spread * nn.init.trunc_normal_(torch.empty_like(means)))
            size = 0.1 * spread.square().mean().sqrt() / self.config.components ** (1.0 / rows.shape[1])
            log_variance.fill_(2.0 * math.log(max(float(size), 1e-6)))
            share = closeness(rest, means, log_variance).softmax(dim=1)
            component, _ = choose(share, torch.rand(len(rest)), self.config.truncation)
            rest = rest - means[component]

    def normalised(self, rows: Tensor) -> Tensor:
        """Centred and scaled."""
        return (rows - self.centre) / self.scale

    def variances(self) -> Tensor:
        """Every layer's variance of every variable (L, D), in the variables' own units."""
        return self.log_variance.detach().exp() * self.scale.square()


def closeness(rest: Tensor, means: Tensor, log_variance: Tensor, known: Tensor | None = None) -> Tensor:
    """log N(rest (B, D); means (K, D), log_variance (1 or D,)) as (B, K), of the known variables (0 or 1) alone."""
    given = torch.ones_like(rest[0]) if known is None else known
    precision = given * (-log_variance).exp()  # (D,) or (B, D)
    weighted = precision * rest
    constant = (given * (0.5 * log_variance + HALF_LOG_2PI)).sum(dim=-1, keepdim=True)  # (1,) or (B, 1)
    squares = -0.5 * (precision @ means.square().T) - constant  # (K,) or (B, K)
    return torch.addmm(squares, weighted, means.T) - 0.5 * (weighted * rest).sum(dim=1, keepdim=True)


@torch.no_grad()
def choose(share: Tensor, chance: Tensor, truncation: float) -> tuple[Tensor, Tensor]:
    """A component (B,) for each row of share (B, K), its probabilities, and which ones (B, K) were probable enough.

    chance (B,) from [0, 1).
    """
    kept = share >= truncation * share.amax(dim=1, keepdim=True)
    upto = (share * kept).cumsum(dim=1)
    component = torch.searchsorted(upto, chance[:, None] * upto[:, -1:], right=True)[:, 0]
    return component.clamp(max=share.shape[1] - 1), kept


def _scales(spread: Tensor, config: Config) -> Tensor:
    """One scale a variable (D,), from their spreads: root mean square over everything, a group, or by itself."""
    if config.scaling == "one":
        groups = ["" for _ in config.variables]
    elif config.scaling == "group":
        groups = [name.rpartition("/")[0] or name for name in config.variables]
    else:
        groups = list(config.variables)
    names = sorted(set(groups))
    place = torch.tensor([names.index(group) for group in groups])
    sums = torch.zeros(len(names)).index_add_(0, place, spread.square())
    return (sums / torch.bincount(place))[place].sqrt().clamp(min=1e-6)


class Rows:
    """Rows (N, D) and their weights (N,), as training.loop draws batches."""

    def __init__(self, rows: Tensor, weights: Tensor | None = None) -> None:
        self._parts = {"rows": rows} if weights is None else {"rows": rows, "weights": weights}

    def __len__(self) -> int:
        return len(self._parts["rows"])

    def gather(self, numbers: Tensor) -> dict[str, Tensor]:
        return {name: part[numbers] for name, part in self._parts.items()}
