"""Drawing from a mixture model under conditions: what runs live, in torch. Exported, the same code is the graph.

A question is x (N, D) with a precision (N, L, D) for each variable in each layer (0: unknown), and I rows of linear
conditions: an upper bound b on a.x with a weight w, or, where `pull` (N, L, I) is a precision, a wish that a.x be b.
Rows with neither are left out of the work, so that slots that stand empty cost nothing. All candidates of a question
share it; their choices differ by `gumbel` (N, L, C, K): chance is an input. motion.conditions makes questions.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from motion.conditions import Space, Values
from training.models.drmm import DROPPED, Drmm, Tables

_TAIL = 3.0 / math.sqrt(2.0)  # three deviations outside a limit, and farther, by a formula for the tail,
_TAIL_SLOPE, _TAIL_ROOT = 2.66122384, 7.28975826 / 2.0  # fitted there, right to 2e-5
_TAIL_SCALE = 3.6611581 / math.sqrt(math.pi) * math.exp(-(_TAIL**2))

INPUTS = ("x", "precision", "gumbel", "A", "b", "w", "pull")
OUTPUTS = ("samples", "log_weights", "components")


class Drawer(nn.Module):
    """A trained model, ready to be asked. Everything in and out is in the variables' own units.

    forward(x, precision, gumbel, A, b, w, pull) -> samples (N, C, D), log_weights (N, C), components (N, C, L). Samples
    are sums of means. log_weights are those of importance sampling, up to a constant of the question: draw again by
    them, or take the largest, the likeliest.
    """

    def __init__(self, model: Drmm) -> None:
        super().__init__()
        self.config, self.skeleton = model.config, model.skeleton
        with torch.no_grad():
            tables = model.tables()
        self.register_buffer("means", tables.means.detach().clone())
        self.register_buffer("log_variance", tables.log_variance.detach().clone())
        self.register_buffer("log_weights", tables.log_weights)
        for layer, link in enumerate(tables.links):
            self.register_buffer(f"links_{layer}", link.clone())
        self.register_buffer("centre", model.centre.clone())
        self.register_buffer("scale", model.scale.clone())
        self.variances = model.variances()
        self.eval()

    outputs: ClassVar[tuple[str, ...]] = OUTPUTS

    def forward(
        self, x: Tensor, precision: Tensor, gumbel: Tensor, a: Tensor, b: Tensor, w: Tensor, pull: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        bound = b - a @ self.centre
        links = [getattr(self, f"links_{layer}") for layer in range(self.config.layers)]
        tables = Tables(self.means, self.log_variance, self.log_weights, links)
        samples, log_weights, components = draw(
            tables,
            self.config.sampling_truncation,
            (x - self.centre) / self.scale,
            precision * self.scale.square(),
            gumbel,
            a * self.scale,
            bound,
            w,
            pull,
        )
        return samples * self.scale + self.centre, log_weights, components

    @property
    def space(self) -> Space:
        """For motion.conditions; with as many rows as one likes, which a graph has not."""
        return Space(self.config.variables, self.variances.double().numpy())

    @torch.no_grad()
    def run(self, values: Values) -> Values:
        """As the exported graph: inputs and outputs by name, for motion.sampling."""
        made = self(*(torch.from_numpy(values[name]) for name in INPUTS))
        return {name: value.numpy() for name, value in zip(self.outputs, made, strict=True)}


def draw(
    tables: Tables,
    truncation: float,
    x: Tensor,
    precision: Tensor,
    gumbel: Tensor,
    a: Tensor,
    b: Tensor,
    w: Tensor,
    pull: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """As Drawer, of normalised values."""
    limits, wishes = (torch.nonzero(rows.amax(dim=0) > 0.0)[:, 0] for rows in (w, pull.amax(dim=1)))
    limit, wish = a.index_select(1, limits), a.index_select(1, wishes)  # (N, I, D) each
    room, weight = (each.index_select(1, limits)[:, None] for each in (b, w))  # (N, 1, I) each
    off, pull = b.index_select(1, wishes)[:, None], pull.index_select(2, wishes)  # (N, 1, I), (N, L, I)
    rest, drawn, log_q = x[:, None], 0.0, 0.0  # (N, 1, D); from the second layer on (N, C, D)
    chosen: list[Tensor] = []
    last = len(tables.means) - 1
    for layer, means in enumerate(tables.means):
        given = precision[:, layer, None]  # (N, 1, D)
        score = (given * rest) @ means.T - 0.5 * (given @ means.square().T) + tables.log_weights[layer]
        deviation = (limit.square() * (tables.log_variance[layer].exp() * 2.0)).sum(dim=2)[:, None]
        deviation = deviation.clamp(min=1e-20).sqrt()
        inside = (room / deviation)[..., None] - ((limit @ means.T)[:, None] / deviation[..., None])  # (N, C, I, K)
        score = score + (weight[:, :, None] @ _log_inside(inside))[:, :, 0]
        there, strength = wish @ means.T, pull[:, layer, None]  # (N, I, K), (N, 1, I)
        score = score + (strength * off) @ there - 0.5 * (strength @ there.square())
        for number, component in enumerate(chosen):
            score = score + tables.links[layer][component + number * means.shape[0]]
        if layer == 0:  # the same for all candidates
            score = score.expand_as(gumbel[:, 0])
        floor = score.amax(dim=2, keepdim=True) + math.log(max(truncation, 1e-30))
        kept = torch.where(score >= floor, score, DROPPED)
        component = (kept + gumbel[:, layer]).argmax(dim=2)  # (N, C)
        mean = means[component]  # (N, C, D)
        if layer == last:
            share = score.softmax(dim=2).gather(2, component[:, :, None])
            whole = score.gather(2, component[:, :, None]) - share.log()
            outside = (given * rest.square()).sum(dim=2) + (strength * off.square()).sum(dim=2)
            log_weights = whole[:, :, 0] - 0.5 * outside - log_q
        else:
            log_q = log_q + kept.softmax(dim=2).gather(2, component[:, :, None])[:, :, 0].log()
            rest = rest - mean
            room, off = room - mean @ limit.transpose(1, 2), off - mean @ wish.transpose(1, 2)
        drawn = drawn + mean
        chosen.append(component)
    return drawn, log_weights, torch.stack(chosen, dim=2).to(x.dtype)


def log_ndtr(z: Tensor) -> Tensor:
    """log of the normal distribution function, right to 5e-5 in single precision however far below."""
    return _log_inside(z * math.sqrt(0.5)) + (_TAIL**2 - math.log(2.0))


def _log_inside(v: Tensor) -> Tensor:
    """log(1 + erf v), less _TAIL^2, in as few operations as will do: they are most of what limits cost.

    Far below 0 as exp(-v^2) times Mills' ratio, in the form of Sampford's bound on it (1953), its constants fitted.
    """
    low = v.clamp(max=-_TAIL)
    square = low * low
    tail = torch.tensor(_TAIL_SCALE, dtype=v.dtype) / ((square + _TAIL_ROOT).sqrt() - _TAIL_SLOPE * low)
    return torch.maximum(torch.erf(v) + 1.0, tail).log() - square
