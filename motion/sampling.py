"""Samples of a mixture model under conditions: chance in, the graph's answer, and what it leaves inexact made exact.

A graph proposes candidates, sums of means. Here the best of them is taken, or some drawn in proportion to their weights
(sampling, importance resampling); known values become exactly what they are known to be; priors get their due within
what the last layer leaves open; the spread of that is added, if wanted; and what is outside of a limit goes to the
nearest point that keeps within all. No torch and no onnxruntime here: whoever asks brings `run`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from motion import half_spaces
from motion.conditions import Array, ConditionError, Question, Space, Values

Run = Callable[[Values], Values]
Places = NDArray[np.intp]
How = Literal["best", "resample", "all"]
KNOWN = "the known values"
_SWEEPS = 6


@dataclass(frozen=True)
class Contradiction:
    """Of question `question`, the limit `dropped` was left out: it contradicts `other`, which goes before it."""

    question: int
    dropped: str
    other: str


@dataclass(frozen=True)
class Drawn:
    """samples (N, M, D). log_weights (N, M): of the candidates (of all equally good when they were resampled by them).
    components (N, M, L): whose means they are. infeasible: limits that were left out when samples were projected.
    """

    samples: Array
    log_weights: Array
    components: Places
    infeasible: tuple[Contradiction, ...] = ()


def draw(
    run: Run,
    space: Space,
    question: Question,
    gumbel: NDArray[np.float32],
    random: np.random.Generator,
    how: How = "resample",
    keep: int | None = None,
    noise: float = 0.0,
    project: bool = True,
) -> Drawn:
    """Ask `run` (the graph's inputs to its outputs, by name) and finish its answer.

    gumbel (N, L, C, K): see `chance`. how: `keep` of the C candidates drawn by their weights (as many as there are), or
    the `keep` best, best first (one), or all as they come. noise: how much of the last layer's spread is added.
    """
    made = run(question.inputs(space.slots) | {"gumbel": gumbel})
    chosen = choose(made["log_weights"], random, how, keep)  # (N, M)
    samples = np.take_along_axis(made["samples"].astype(np.float64), chosen[..., None], axis=1)
    samples = settle(space, question, samples, random, noise, made.get("responses"))
    infeasible: tuple[Contradiction, ...] = ()
    if project:
        samples, infeasible = keep_within(space, question, samples, made.get("responses"))
    weights = np.take_along_axis(made["log_weights"].astype(np.float64), chosen, axis=1)
    components = np.take_along_axis(made["components"], chosen[..., None], axis=1).astype(np.intp)
    return Drawn(samples, weights, components, infeasible)


def chance(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Standard Gumbel numbers: the component whose score plus its number is largest is drawn by its probability."""
    drawn: NDArray[np.float32] = -np.log(random.standard_exponential(shape, dtype=np.float32) + np.float32(1e-30))
    return drawn


def choose(log_weights: NDArray[np.floating], random: np.random.Generator, how: How, keep: int | None) -> Places:
    """Which candidates (N, M) are taken, of log_weights (N, C). Raises ConditionError for more than there are."""
    count = log_weights.shape[1]
    if keep is not None and not 1 <= keep <= (count if how == "best" else keep):
        raise ConditionError(f"keep = {keep}; of {count} candidates 1 to {count} can be the best")
    if how == "all":
        return np.broadcast_to(np.arange(count), log_weights.shape)
    if how == "best":
        return np.argsort(-log_weights, axis=1, kind="stable")[:, : keep or 1]
    keep = keep or count
    upto = np.exp(log_weights.astype(np.float64) - log_weights.max(axis=1, keepdims=True)).cumsum(axis=1)
    # Systematic resampling: one number a question, then even steps. It has the least variance of the usual ways.
    steps = (np.arange(keep) + random.random((len(upto), 1))) / keep * upto[:, -1:]
    chosen = (upto[:, None] <= steps[..., None]).sum(axis=2).clip(max=count - 1)
    return random.permuted(chosen, axis=1)


def settle(
    space: Space,
    question: Question,
    samples: Array,
    random: np.random.Generator,
    noise: float = 0.0,
    responses: NDArray[np.floating] | None = None,
) -> Array:
    """Samples (N, M, D) given their components: the last layer is a Gaussian around their mean, and conditioned as one.

    Without noise that Gaussian's mean; with it a draw (Matheron's rule: draw of all, then correct by what is given).
    responses (N, I, D): covariances of all variables with every row's function, where they are not independent.
    """
    variance = space.variances[-1]
    precision = question.precision[:, -1]
    gain = np.minimum(precision * variance, 1.0)[:, None]  # of a variable
    apart = _apart(precision, variance)[:, None]  # the given's own variance
    settled = samples + noise * np.sqrt(variance) * random.standard_normal(samples.shape) if noise else samples
    wish = question.target[:, None]
    if noise:
        wish = wish + noise * np.sqrt(apart) * random.standard_normal(samples.shape)
    settled = settled + gain * (wish - settled)
    pull = question.pulls[:, -1]  # (N, I)
    if pull.any():
        left = (1.0 - gain[:, 0]) * variance
        settled = _wished(question, settled, variance, left, noise, random, responses)
    result: Array = np.where(question.exact[:, None], question.target[:, None], settled)
    return result


def keep_within(
    space: Space, question: Question, samples: Array, responses: NDArray[np.floating] | None = None
) -> tuple[Array, tuple[Contradiction, ...]]:
    """Samples moved to the nearest points within all limits, exactly known values left where they are.

    Where limits contradict each other, those that come first hold, and the pair is told. responses: as for `settle`;
    what is moved takes along what goes with it.
    """
    moved, told = samples.copy(), []
    for number, points in enumerate(samples):
        limits = np.flatnonzero(question.weights[number] > 0.0)
        a, b = question.rows[number, limits], question.bounds[number, limits]
        if not (half_spaces.violations(points, a, b) > 0.0).any():
            continue
        room = np.where(question.exact[number], 0.0, space.variances[-1])
        kept, pairs = half_spaces.compatible(points[0], a, b, room)
        if responses is not None:
            ways = np.where(question.exact[number], 0.0, responses[number, limits])
            points = _taken_along(points, a[kept], b[kept], ways[kept])
        moved[number] = half_spaces.project(points, a[kept], b[kept], room)
        names = [question.names[limit] for limit in limits]
        told += [
            Contradiction(number, names[dropped], KNOWN if other is None else names[other]) for dropped, other in pairs
        ]
    return moved, tuple(told)


def _taken_along(points: Array, a: Array, b: Array, responses: Array) -> Array:
    """Points (M, D) moved along `responses` (I, D) into half-spaces, one after the other, over and over."""
    moved = points.copy()
    for _ in range(_SWEEPS):
        for row, bound, way in zip(a, b, responses, strict=True):
            strength = float(row @ way)
            if strength > 1e-12:
                over = np.maximum(moved @ row - bound, 0.0)
                moved -= (over / strength)[:, None] * way
    return moved


def _apart(precision: Array, variance: Array) -> Array:
    """What a given value's own variance is, when its precision was told with the layer's variance in it."""
    own: Array = np.maximum(1.0 / np.maximum(precision, 1e-12 / variance) - variance, 0.0)
    return own


def _wished(
    question: Question,
    samples: Array,
    variance: Array,
    left: Array,
    noise: float,
    random: np.random.Generator,
    responses: NDArray[np.floating] | None,
) -> Array:
    """Samples (N, M, D), conditioned on the wishes for linear functions; left (N, D): what is still open."""
    result = samples.copy()
    for number in range(len(samples)):
        wishes = np.flatnonzero(question.pulls[number, -1] > 0.0)
        a, pull = question.rows[number, wishes], question.pulls[number, -1, wishes]
        own = _apart(pull, np.maximum((a**2 * variance).sum(axis=1), 1e-300))
        moved = a * left[number] if responses is None else responses[number, wishes].astype(np.float64)
        spread = moved @ a.T + np.diag(own)
        wish = question.bounds[number, wishes] + noise * np.sqrt(own) * random.standard_normal(
            (samples.shape[1], len(wishes))
        )
        missing = wish - samples[number] @ a.T  # (M, I)
        ridge = 1e-9 * np.diag(np.diag(spread) + 1e-12)
        result[number] += np.linalg.solve(spread + ridge, missing.T).T @ moved
    return result
