"""The Swiss roll that mixture models are judged on: its points, how far others are from it, what conditions must give.

The roll is (angle / 2) (sin, cos) for angles from 0 to 4 pi, as dense everywhere along its length.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from motion import sampling
from motion.conditions import Conditions, Space

Points = NDArray[np.float64]
VARIABLES = ("x", "y")
NEAR = 0.25  # of the roll
GIVEN_X = 2.5
SHARES = 64  # of the roll's length, which samples shall all hit
BAND = ({"x": 1.0, "y": 0.2}, 2.0)  # |x + 0.2 y| <= 2
BOX = {"x": (-5.0, 3.0), "y": (-4.0, 4.0)}
PRIOR = {"x": (0.0, 3.0), "y": (0.0, 1.0)}  # means and deviations

_ANGLES = np.linspace(0.0, 4.0 * np.pi, 8193)
_PATH = 0.5 * _ANGLES[:, None] * np.stack([np.sin(_ANGLES), np.cos(_ANGLES)], axis=-1)
_LENGTH = np.concatenate([[0.0], np.linalg.norm(np.diff(_PATH, axis=0), axis=1).cumsum()])


def rows(count: int, random: np.random.Generator) -> Points:
    """Points of the roll (count, 2)."""
    angle = np.interp(random.uniform(0.0, _LENGTH[-1], count), _LENGTH, _ANGLES)
    points: Points = 0.5 * angle[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=-1)
    return points


def nearest(points: Points) -> tuple[Points, Points]:
    """How far (N,) points (N, 2) are from the roll, and where along its length, 0 to 1, they are nearest to it."""
    path = _PATH[::4]
    far, place = np.empty(len(points)), np.empty(len(points))
    for part in np.array_split(np.arange(len(points)), max(len(points) // 512, 1)):
        squared = ((points[part, None] - path) ** 2).sum(axis=2)
        best = squared.argmin(axis=1)
        far[part], place[part] = np.sqrt(squared.min(axis=1)), _LENGTH[::4][best] / _LENGTH[-1]
    return far, place


def branches(x: float) -> tuple[Points, Points]:
    """Where (B,) the roll crosses a given x, and how much of its mass there lies at each crossing."""
    before, after = _PATH[:-1, 0] - x, _PATH[1:, 0] - x
    crossing = np.flatnonzero(before * after < 0.0)
    steep = np.abs(after - before)[crossing] / np.diff(_LENGTH)[crossing]
    return _PATH[crossing, 1], (1.0 / steep) / (1.0 / steep).sum()


class Oracle:
    """A model that can be asked. run, space: as motion.sampling has them; shape: of its gumbel for one question."""

    def __init__(self, run: sampling.Run, space: Space, shape: Sequence[int]) -> None:
        self.run, self.space, self.shape = run, space, tuple(shape)[-3:]

    def samples(
        self,
        wanted: Conditions,
        count: int = 2048,
        seed: int = 0,
        how: sampling.How = "resample",
        noise: float = 0.0,
        project: bool = False,
    ) -> Points:
        """(count, D), asked as often as it needs for so many."""
        random = np.random.default_rng(seed)
        question = wanted.question().repeated(-(-count // self.shape[1]))
        gumbel = sampling.chance(random, (len(question), *self.shape))
        made = sampling.draw(self.run, self.space, question, gumbel, random, how, self.shape[1], noise, project)
        return made.samples.reshape(-1, made.samples.shape[-1])[:count]

    def known(self, mask: float = 0.4) -> Conditions:
        """x is GIVEN_X. With a mask below 1 components beside it count, too: a model of points without any noise has
        its own grain, and on a line across it branches weigh what the nearest component happens to.
        """
        return Conditions(self.space).know("x", GIVEN_X, mask, clamp=True)

    def band(self, weight: float) -> Conditions:
        """Both sides of BAND."""
        (a, bound), wanted = BAND, Conditions(self.space)
        return wanted.limit(a, bound, weight).limit({name: -factor for name, factor in a.items()}, bound, weight)

    def box(self) -> Conditions:
        """BOX."""
        wanted = Conditions(self.space)
        for name, (low, high) in BOX.items():
            wanted.box(name, low, high)
        return wanted

    def prior(self) -> Conditions:
        """PRIOR."""
        wanted = Conditions(self.space)
        for name, (mean, deviation) in PRIOR.items():
            wanted.prior(name, mean, deviation)
        return wanted


def figures(model: Oracle, seed: int = 0) -> dict[str, float]:
    """The bars' figures: shares in percent, and the total variation of where samples lie that know x."""
    far, place = nearest(model.samples(Conditions(model.space), 4096, seed))
    known = model.samples(model.known(), 4096, seed)
    strictly = model.samples(model.known(mask=1.0), 4096, seed)
    prior = model.samples(model.prior(), 4096, seed)
    truth = by_prior(200_000, np.random.default_rng(seed))
    return {
        "within_roll_percent": percent(far <= NEAR),
        "roll_hit_percent": 100.0 * len(np.unique((place * SHARES).astype(int).clip(max=SHARES - 1))) / SHARES,
        "branch_tv": branch_tv(known),
        "branch_within_percent": percent(nearest(known)[0] <= NEAR),
        "branch_tv_mask_1": branch_tv(strictly),
        "branch_within_mask_1_percent": percent(nearest(strictly)[0] <= NEAR),
        "known_exact_percent": percent(known[:, 0] == GIVEN_X),
        "inequality_w1_percent": percent(in_band(model.samples(model.band(1.0), seed=seed))),
        "inequality_w3_percent": percent(in_band(model.samples(model.band(3.0), seed=seed))),
        "projected_percent": percent(in_band(model.samples(model.band(1.0), seed=seed, project=True))),
        "box_percent": percent(in_box(model.samples(model.box(), seed=seed))),
        "box_projected_percent": percent(in_box(model.samples(model.box(), seed=seed, project=True))),
        "prior_mean_error": float(np.abs(prior.mean(axis=0) - truth.mean(axis=0)).max()),
        "prior_sd_ratio": float((prior.std(axis=0) / truth.std(axis=0)).min()),
    }


def branch_tv(points: Points) -> float:
    """Total variation between where points (N, 2) of a known x lie, by their nearest branch, and where they should."""
    places, masses = branches(GIVEN_X)
    at = np.abs(points[:, 1:] - places).argmin(axis=1)
    return float(0.5 * np.abs(np.bincount(at, minlength=len(places)) / len(points) - masses).sum())


def in_band(points: Points) -> NDArray[np.bool_]:
    """Within BAND, but for rounding."""
    (a, bound) = BAND
    inside: NDArray[np.bool_] = np.abs(points @ [a[name] for name in VARIABLES]) <= bound + 1e-9
    return inside


def in_box(points: Points) -> NDArray[np.bool_]:
    """Within BOX, but for rounding."""
    low, high = np.array([BOX[name] for name in VARIABLES]).T
    inside: NDArray[np.bool_] = ((points >= low - 1e-9) & (points <= high + 1e-9)).all(axis=1)
    return inside


def by_prior(count: int, random: np.random.Generator) -> Points:
    """Points of the roll as PRIOR wants them: drawn again by its density."""
    points = rows(count, random)
    mean, deviation = np.array([PRIOR[name] for name in VARIABLES]).T
    weight = np.exp(-0.5 * (((points - mean) / deviation) ** 2).sum(axis=1))
    return points[random.choice(count, count, p=weight / weight.sum())]


def percent(true: NDArray[np.bool_]) -> float:
    """How many of all, in percent."""
    return float(100.0 * np.mean(true))
