"""How far one set of windows is from another: the Fréchet distance, diversity, and the floor that truth itself scores.

Absolute distances do not transfer between skeletons, rates, window lengths or counts: quote the ratio to the floor.
Split by take, never by window: neighbouring windows overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import pdist

from motion.skeleton import Array

LEAST_DEVIATION = 5e-3  # a manual feature that truth hardly varies explodes the distance
SPLITS = 20


@dataclass(frozen=True)
class Floor:
    """What truth scores against truth in named splits by take: every split's value, in the order of the names."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """NaN without splits."""
        return self.percentile(50.0)

    @property
    def low(self) -> float:
        """The 10th percentile."""
        return self.percentile(10.0)

    @property
    def high(self) -> float:
        """The 90th percentile."""
        return self.percentile(90.0)

    @property
    def splits(self) -> int:
        return len(self.values)

    def percentile(self, share: float) -> float:
        return float(np.percentile(self.values, share)) if self.values else float("nan")


@dataclass(frozen=True)
class Interval:
    """A figure and the ends of the interval it is printed with."""

    value: float
    low: float
    high: float


def frechet_distance(a: Array, b: Array) -> float:
    """‖μ₁−μ₂‖² + Tr(Σ₁+Σ₂−2(Σ₁Σ₂)^½) of the Gaussians fitted to samples a (N, D) and b (M, D).

    Source: Dowson & Landau 1982; FID of Heusel et al. 2017. The trace of the root is taken through the symmetric
    Σ₁^½ Σ₂ Σ₁^½, which has the same eigenvalues and needs no correction when a covariance is singular.
    """
    cov_a, cov_b = np.atleast_2d(np.cov(a, rowvar=False)), np.atleast_2d(np.cov(b, rowvar=False))
    values, vectors = np.linalg.eigh(cov_a)
    root_a = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root_a @ cov_b @ root_a), 0.0)).sum()
    apart = a.mean(axis=0) - b.mean(axis=0)
    return float(apart @ apart + np.trace(cov_a) + np.trace(cov_b) - 2.0 * cross)


def fid(truth: Array, made: Array, reference: Array | None = None, least_deviation: float = 0.0) -> float:
    """The Fréchet distance of two feature sets (N, D), (M, D) after z-scoring both with the truth's mean and deviation.

    reference: the truth whose mean and deviation are used, where that is more than `truth` (a floor's halves).
    Features whose deviation there is under `least_deviation` are dropped. NaN when either set has under two windows.
    Source: AIST++ (Li et al. 2021), Duolando (Siyao et al. 2024).
    """
    if min(len(truth), len(made)) < 2:
        return float("nan")
    score = _standardise(truth if reference is None else reference, least_deviation)
    return frechet_distance(score(truth), score(made))


def diversity(truth: Array, made: Array, least_deviation: float = 0.0) -> float:
    """Mean distance between all pairs of made windows (M, D), z-scored with the truth. Source: AIST++ `Div`."""
    if min(len(truth), len(made)) < 2:
        return float("nan")
    return float(pdist(_standardise(truth, least_deviation)(made)).mean())


def named_splits(takes: int, each: int | None = None, count: int = SPLITS) -> dict[str, tuple[list[int], list[int]]]:
    """Splits of `takes` takes in two sides, by name: "half-00" ... or, with `each` takes a side, "4v4-00" ...

    A name always means the same split of that many takes. Empty when there are under two takes.
    """
    size = takes // 2 if each is None else min(each, takes // 2)
    if size < 1:
        return {}
    splits = {}
    for number in range(count):
        order = [int(take) for take in np.random.default_rng(number).permutation(takes)]
        name = f"half-{number:02d}" if each is None else f"{each}v{each}-{number:02d}"
        splits[name] = (order[:size], order[size:] if each is None else order[size : 2 * size])
    return splits


def floor(takes: Sequence[Array], each: int | None = None, least_deviation: float = 0.0) -> Floor:
    """The distance of truth from truth, split by take; takes: features (N, D) of each take.

    each: takes a side (four against four, say); None for halves. NaN with under two takes.
    """
    reference = np.concatenate(takes)
    values = [
        fid(_join(takes, one), _join(takes, other), reference, least_deviation)
        for one, other in named_splits(len(takes), each).values()
    ]
    return Floor(tuple(value for value in values if np.isfinite(value)))


def ratio_to_floor(distances: Sequence[float], floor: Floor) -> Interval:
    """The median of `distances` (one a seed) over the median floor.

    The interval is the 10th to 90th percentile over all seeds and named splits. NaN without a floor or a distance.
    """
    if not floor.values or not len(distances) or not min(*floor.values, floor.median) > 0.0:
        return Interval(float("nan"), float("nan"), float("nan"))
    low, high = np.percentile(np.divide.outer(np.asarray(distances), np.asarray(floor.values)), [10.0, 90.0])
    return Interval(float(np.median(distances)) / floor.median, float(low), float(high))


def _join(takes: Sequence[Array], chosen: list[int]) -> Array:
    return np.concatenate([takes[take] for take in chosen])


def _standardise(reference: Array, least_deviation: float) -> Callable[[Array], Array]:
    mean, deviation = reference.mean(axis=0), reference.std(axis=0)
    kept = deviation >= max(least_deviation, 1e-10)
    return lambda features: (features[:, kept] - mean[kept]) / deviation[kept]
