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
_MOST = 2.0  # units that a term may correct by: what is shown may be like nothing it was trained on
_FEW = 4096  # windows; fewer are believed less
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
    """Keys in the body's own frame, and what is asked of them: query (B, Q) seconds; which of QUESTIONS (B,); lively
    (B,) m/s and step (B,) seconds, whose product is what corrections are measured in.
    """

    keys: Keys
    query: Tensor
    which: Tensor
    lively: Tensor
    step: Tensor


def ask(keys: Keys, query: Tensor) -> Asked:
    """Finds out what is asked."""
    which = torch.where(keys.dense, 3.0, keys.ahead.clamp(max=2.0)).long()
    step = torch.where(keys.dense, DENSE_STEP, keys.span)
    return Asked(keys, query, which, upsampler_keys.liveliness(keys), step)


class Expert(nn.Module):
    """Answers one question for `points` points of `dims` numbers. Until `fit` it answers 0, and so does its gate."""

    def __init__(self, question: Question, slots: tuple[int, int], points: int, dims: int, width: int) -> None:
        super().__init__()
        self.register_buffer("columns", _columns(question, slots, points * dims), persistent=False)
        seen = len(self.columns)
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

    def forward(self, everything: Tensor, kept: Tensor | None = None) -> Tensor:
        """Terms (N, TERMS * points * dims) of rows that `see` saw. kept: dropout's factors (N, 2, width)."""
        seen = self._scaled(everything)
        hidden = torch.relu(self.enter(seen))
        hidden = hidden if kept is None else hidden * kept[:, 0]
        hidden = torch.relu(self.inner(hidden))
        hidden = hidden if kept is None else hidden * kept[:, 1]
        both = torch.cat([self.ridge.weight, self.leave.weight], dim=1)  # one product in a graph
        return nn.functional.linear(torch.cat([seen, hidden], dim=1), both, self.ridge.bias) * self.gate(
            everything[:, -2:]
        )

    def _scaled(self, everything: Tensor) -> Tensor:
        seen = everything.index_select(1, self.columns)
        return ((seen - self.mean) / self.scale).clamp(-_OUTLIER, _OUTLIER)

    @torch.no_grad()
    def fit(self, everything: Tensor, powers: Tensor, wanted: Tensor, strength: float) -> None:
        """Scales and the ridge, for corrections `wanted` (N, Q, points * dims) at `powers` (N, Q, TERMS) of time; opens
        the gate.
        """
        seen = everything.index_select(1, self.columns)
        self.mean.copy_(seen.mean(dim=0))
        self.scale.copy_(seen.std(dim=0) + 0.02)
        seen, powers, wanted = self._scaled(everything).double(), powers.double(), wanted.double()
        square = powers.transpose(1, 2) @ powers + 1e-2 * torch.eye(TERMS)
        most = _QUIET * wanted.abs().mean(dim=(1, 2)).median()
        wanted = wanted.clamp(-most, most)  # who stood still a moment ago can do anything
        terms = torch.linalg.solve(square, powers.transpose(1, 2) @ wanted).flatten(1)
        middle = terms.mean(dim=0)
        gram = seen.T @ seen + strength * max(len(seen), _FEW) * torch.eye(seen.shape[1])
        self.ridge.weight.copy_(torch.linalg.solve(gram, seen.T @ (terms - middle)).T)
        self.ridge.bias.copy_(middle)
        self.gate[2].bias.fill_(1.0)


class Experts(nn.Module):
    """All of them, each for the rows that ask its question, of keys in slots = (past, ahead)."""

    def __init__(self, slots: tuple[int, int], points: int, dims: int, width: int, dropout: float) -> None:
        super().__init__()
        self.all = nn.ModuleList(Expert(question, slots, points, dims, width) for question in QUESTIONS)
        self.points, self.dims, self.width, self.dropout = points, dims, width, dropout
        self.register_buffer("exponents", torch.arange(float(TERMS)), persistent=False)

    def forward(self, asked: Asked) -> Tensor:
        """The correction of the plain way, (B, Q, P, D)."""
        everything = see(asked)
        terms, kept = 0.0 * everything[:, :1] + torch.zeros(TERMS * self.points * self.dims), None
        if self.training and self.dropout:
            kept = (torch.rand(len(terms), 2, self.width, device=terms.device) >= self.dropout) / (1.0 - self.dropout)
        for number, expert in enumerate(self.all):
            rows = (asked.which == number).nonzero().reshape(-1)
            some = expert(everything.index_select(0, rows), None if kept is None else kept[rows])
            terms = terms.index_put((rows,), some)
        powers = self.powers(asked) * (asked.lively * asked.step)[:, None, None]
        made = torch.matmul(powers, terms.clamp(-_MOST, _MOST).unflatten(1, (TERMS, self.points * self.dims)))
        return made.unflatten(2, (self.points, self.dims))

    def powers(self, asked: Asked) -> Tensor:
        """(B, Q, TERMS) at the queries. Between two keys all of them are 0 at both."""
        time = (asked.query / asked.step[:, None])[..., None]
        after, time = time.clamp(0.0, 2.0), time.clamp(0.0, 1.0)
        between = 4.0 * time * (1.0 - time) * (2.0 * time - 1.0) ** self.exponents
        return torch.where((asked.keys.ahead > 0.5)[:, None, None], between, after**self.exponents)

    @torch.no_grad()
    def fit(self, asked: Asked, missing: Tensor, strength: float = 2e-3) -> None:
        """From what is missing (B, Q, P, D) at the queries."""
        everything, powers = see(asked), self.powers(asked)
        wanted = missing.flatten(2) / (asked.lively * asked.step)[:, None, None]
        for number, expert in enumerate(self.all):
            rows = (asked.which == number).nonzero()[:, 0]
            if len(rows) > 1:
                expert.fit(everything[rows], powers[rows], wanted[rows], strength)


def see(asked: Asked) -> Tensor:
    """What there is to be seen, (B, everything): the newest pose, and of every pair of neighbours its speed, its length
    and whether it is there; how lively the body is.
    """
    keys, newest = asked.keys, asked.keys.past - 1
    here = keys.positions[:, newest]
    pose = torch.cat([here[:, :1] * _only_height(here), here[:, 1:] - here[:, :1]], dim=1)
    speeds = (keys.speeds / asked.lively[:, None, None, None]).flatten(1)
    steps = (keys.steps / asked.step[:, None]).log() * keys.both
    return torch.cat(
        [pose.flatten(1), speeds, steps, keys.both, asked.lively.log()[:, None], asked.step.log()[:, None]], 1
    )


def _columns(question: Question, slots: tuple[int, int], size: int) -> Tensor:
    """Which of everything a question's expert sees, for poses of `size` numbers."""
    pairs = sum(slots) - 1
    first, last = slots[0] - question.past, slots[0] + question.ahead - 1
    columns = list(range(size * (1 + first))[:size]) + list(range(size * (1 + first), size * (1 + last)))
    for start in (size * (1 + pairs), size * (1 + pairs) + pairs):
        columns += range(start + first, start + last)
    end = size * (1 + pairs) + 2 * pairs
    return torch.tensor([*columns, end, end + 1])


def _only_height(point: Tensor) -> Tensor:
    """1 for the height of a point in space, else 0."""
    return point.new_tensor([0.0, 1.0, 0.0] if point.shape[-1] == 3 else [0.0] * point.shape[-1])
