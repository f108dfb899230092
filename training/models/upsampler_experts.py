"""Residual networks of the upsampler: one for each thing that can be asked, each seeing only the keys it needs.

A row goes to the expert that its keys call for: so many keys ahead, or keys at a suit's own rate and none ahead. An
expert gives polynomials of the time since the newest past key, a ridge regression's (found in closed form) and a
network's (Linear and ReLU, twice) together. They are in units of liveliness times the step between keys, so that slow
dancing is not disturbed by what quick dancing taught.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training.models import upsampler_keys
from training.models.upsampler_keys import Keys

TERMS = 4  # of the polynomials
DENSE_STEP = 0.1  # seconds that a forecast's time is counted in
_OUTLIER = 8.0  # standard deviations
_QUIET = 8.0  # times the usual correction: what is more tells a ridge nothing


@dataclass(frozen=True)
class Question:
    """What an expert answers: with so many past keys and keys ahead."""

    name: str
    past: int
    ahead: int


FORECAST = "forecast"
QUESTIONS = (Question("zero", 5, 0), Question("one", 5, 1), Question("two", 5, 2), Question(FORECAST, 11, 0))


@dataclass(frozen=True)
class Asked:
    """Keys in the body's own frame, and what is asked of them: query (B, Q) seconds; dense (B,) bool; which of
    QUESTIONS (B,); unit (B,) metres, or the points' own units: what corrections are measured in; step (B,) seconds.
    """

    keys: Keys
    query: Tensor
    dense: Tensor
    which: Tensor
    unit: Tensor
    step: Tensor
    lively: Tensor


def ask(keys: Keys, query: Tensor) -> Asked:
    """Finds out what is asked."""
    ahead = upsampler_keys.ahead(keys)
    many = keys.present[:, keys.past - 6] > 0.5 if keys.past >= 6 else torch.zeros_like(ahead, dtype=torch.bool)
    dense = many & (ahead < 0.5)
    which = torch.where(dense, 3.0, ahead.clamp(max=2.0)).long()
    step = torch.where(dense, DENSE_STEP, upsampler_keys.span(keys))
    lively = upsampler_keys.liveliness(keys, dense)
    return Asked(keys, query, dense, which, lively * step, step, lively)


class Expert(nn.Module):
    """Answers one question for `points` points of `dims` numbers. Until `fit` it answers 0, and so does its gate."""

    def __init__(self, question: Question, points: int, dims: int, width: int, dropout: float) -> None:
        super().__init__()
        self.question, self.points, self.dims = question, points, dims
        keys = question.past + question.ahead
        seen = points * dims * keys + 2 * (keys - 1) + 2
        self.register_buffer("mean", torch.zeros(seen))
        self.register_buffer("scale", torch.ones(seen))
        self.ridge = nn.Linear(seen, TERMS * points * dims)
        self.enter = nn.Linear(seen, width)
        self.inner = nn.Linear(width, width)
        self.leave = nn.Linear(width, TERMS * points * dims, bias=False)
        self.gate = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
        for layer in (self.ridge, self.leave, self.gate[2]):
            for value in layer.parameters():
                nn.init.zeros_(value)

    def see(self, asked: Asked) -> Tensor:
        """What the network is given, (B, seen), before it is brought to one scale."""
        keys, (first, last) = asked.keys, self._slots(asked.keys.past)
        newest = keys.past - 1
        here = keys.positions[:, newest]
        pose = torch.cat([here[:, :1] * _only_height(here), here[:, 1:] - here[:, :1]], dim=1)
        speeds = keys.speeds[:, first : last - 1] / asked.lively[:, None, None, None]
        steps = (keys.steps[:, first : last - 1] / asked.step[:, None]).log()
        known = keys.present[:, first : last - 1] * keys.present[:, first + 1 : last]
        size = torch.stack([asked.lively.log(), asked.step.log()], dim=-1)
        return torch.cat([pose.flatten(1), speeds.flatten(1), steps * known, known, size], dim=-1)

    def forward(self, asked: Asked, kept: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """The correction (B, Q, P, D). kept: dropout's factors (B, width) of the two layers, in training."""
        seen = ((self.see(asked) - self.mean) / self.scale).clamp(-_OUTLIER, _OUTLIER)
        hidden = torch.relu(self.enter(seen))
        hidden = hidden if kept is None else hidden * kept[0]
        hidden = torch.relu(self.inner(hidden))
        hidden = hidden if kept is None else hidden * kept[1]
        gate = self.gate(torch.stack([asked.lively.log(), asked.step.log()], dim=-1))
        terms = (self.ridge(seen) + self.leave(hidden)) * gate * asked.unit[:, None]
        made = torch.matmul(self.powers(asked), terms.unflatten(1, (TERMS, self.points * self.dims)))
        return made.unflatten(-1, (self.points, self.dims))

    def powers(self, asked: Asked) -> Tensor:
        """(B, Q, TERMS) at the queries. Between two keys all of them are 0 at both."""
        time = (asked.query / asked.step[:, None]).clamp(0.0, 2.0)
        if not self.question.ahead:
            return torch.stack([time**n for n in range(TERMS)], dim=-1)
        time = time.clamp(max=1.0)
        centred = 2.0 * time - 1.0
        return torch.stack([4.0 * time * (1.0 - time) * centred**n for n in range(TERMS)], dim=-1)

    @torch.no_grad()
    def fit(self, asked: Asked, missing: Tensor, strength: float) -> None:
        """Scales and the ridge, from what is missing (B, Q, P, D) at the queries; opens the gate."""
        seen = self.see(asked)
        self.mean.copy_(seen.mean(dim=0))
        self.scale.copy_(seen.std(dim=0) + 0.02)
        seen = ((seen - self.mean) / self.scale).clamp(-_OUTLIER, _OUTLIER).double()
        powers = self.powers(asked).double()
        square = powers.transpose(1, 2) @ powers + 1e-2 * torch.eye(TERMS)
        wanted = missing.flatten(2).double() / asked.unit[:, None, None]
        most = _QUIET * wanted.abs().mean(dim=(1, 2)).median()
        wanted = wanted.clamp(-most, most)  # who stood still a moment ago can do anything
        terms = torch.linalg.solve(square, powers.transpose(1, 2) @ wanted).flatten(1)
        middle = terms.mean(dim=0)
        gram = seen.T @ seen + strength * len(seen) * torch.eye(seen.shape[1])
        self.ridge.weight.copy_(torch.linalg.solve(gram, seen.T @ (terms - middle)).T)
        self.ridge.bias.copy_(middle)
        self.gate[2].bias.fill_(1.0)

    def _slots(self, past: int) -> tuple[int, int]:
        return past - self.question.past, past + self.question.ahead


class Experts(nn.Module):
    """All of them, each for the rows that ask its question."""

    def __init__(self, points: int, dims: int, width: int, dropout: float) -> None:
        super().__init__()
        self.all = nn.ModuleList(Expert(question, points, dims, width, dropout) for question in QUESTIONS)
        self.width, self.dropout = width, dropout

    def forward(self, asked: Asked) -> Tensor:
        """The correction of the plain way, (B, Q, P, D)."""
        keys = asked.keys
        made = 0.0 * (keys.positions[:, :1] + asked.query[..., None, None])
        kept = None
        if self.training and self.dropout:
            kept = (torch.rand(len(made), 2, self.width, device=made.device) >= self.dropout) / (1.0 - self.dropout)
        for number, expert in enumerate(self.all):
            rows = (asked.which == number).nonzero().reshape(-1)
            chosen = None if kept is None else kept[rows].unbind(1)
            made = made.index_put((rows,), expert(of_rows(asked, rows), chosen))
        return made

    @torch.no_grad()
    def fit(self, asked: Asked, missing: Tensor, strength: float = 2e-3) -> None:
        for number, expert in enumerate(self.all):
            rows = (asked.which == number).nonzero().reshape(-1)
            if len(rows) > 1:
                expert.fit(of_rows(asked, rows), missing[rows], strength)


def of_rows(asked: Asked, rows: Tensor) -> Asked:
    """The same, of some rows of the batch."""
    keys = asked.keys
    some = Keys(*(each.index_select(0, rows) for each in (keys.positions, keys.times, keys.present)), keys.past)
    return Asked(
        some,
        *(getattr(asked, name).index_select(0, rows) for name in ("query", "dense", "which", "unit", "step", "lively")),
    )


def _only_height(point: Tensor) -> Tensor:
    """1 for the height of a point in space, else 0."""
    return point.new_tensor([0.0, 1.0, 0.0] if point.shape[-1] == 3 else [0.0] * point.shape[-1])
