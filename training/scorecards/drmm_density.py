"""How likely what came is, given what was: the log-likelihood of a partner's next half second, in nats, in metres.

Beside the model stand one linear-Gaussian (a covariance of everything, on whichever floor suits the judged takes best),
a mixture of as many spherical Gaussians as have the model's number of parameters, the best one of fewer, and as many in
the coordinates that the model itself is about. All are fitted on the model's own training takes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from motion import motion_vectors
from motion.motion_layout import Layout
from motion.skeleton import HUMANOID
from training.models import drmm_clusters, gaussians
from training.models.drmm import Config, Drmm
from training.models.drmm_motion import MotionDrmm, vectors
from training.models.motion_takes import Take

FLOORS = (0.001, 0.002, 0.003, 0.005, 0.01, 0.02)  # metres
ROUNDS = 4  # of EM, after clustering
FEWER = (16, 64)  # GMMs of so many times fewer components are judged, too, of these kinds
KINDS: tuple[gaussians.Kind, ...] = ("spherical", "diagonal")
SWEEPS = 12
PASSES = 16
STRIDE = 3  # frames between judged moments


def figures(model: MotionDrmm, judged: Sequence[Take], trained: Sequence[Take], seed: int) -> dict[str, float]:
    """Means over the judged takes' moments, everybody in turn the partner; baselines only where `trained` is there."""
    torch.manual_seed(seed)
    layout = Layout(dancer="dancer.facing.x" in model.config.variables)
    asked = torch.from_numpy(vectors(judged, layout, STRIDE, swap_roles=True))
    made = {"cond_loglik": _mean(model, asked, layout)}
    if trained:
        rows = vectors(trained, layout, 1, swap_roles=True)
        known = torch.from_numpy(np.concatenate([rows, motion_vectors.mirrored(layout, rows)]))
        made["linear_gaussian_cond_loglik"] = linear_gaussian(known, asked, layout)
        components = _parameters(model) // (asked.shape[1] + 2)
        made["gmm_cond_loglik"] = _mean(spherical(known, components), asked, layout)
        others = [
            gaussians.fit(known, max(components // few, 1), kind, SWEEPS, seed) for few in FEWER for kind in KINDS
        ]
        found = [_of_gaussians(each, asked, layout) for each in others]
        made["gmm_best_cond_loglik"] = max(made["gmm_cond_loglik"], *found)
        made["gmm_inside_cond_loglik"] = _mean(_inside(model, known, components), asked, layout)
        made["gmm_components"] = float(components)
    return made


def linear_gaussian(known: Tensor, asked: Tensor, layout: Layout) -> float:
    """The mean conditional log-likelihood of one Gaussian fitted to rows `known`."""
    known, asked = known.double(), asked.double()
    future = _future(layout)
    mean, covariance = known.mean(dim=0), torch.cov(known.T)
    found = []
    for floor in FLOORS:
        factor = torch.linalg.cholesky(covariance + floor**2 * torch.eye(len(covariance), dtype=covariance.dtype))
        missed = torch.linalg.solve_triangular(factor, (asked - mean).T, upper=False)[future]
        heights = factor.diagonal()[future].log().sum() + 0.5 * len(missed) * math.log(2.0 * math.pi)
        found.append(float(-0.5 * missed.square().sum(dim=0).mean() - heights))
    return max(found)


def spherical(known: Tensor, components: int) -> Drmm:
    """A mixture of spherical Gaussians of one variance, by EM from clusters: a mixture model of one layer."""
    names = tuple(f"{place}" for place in range(known.shape[1]))
    mixture = Drmm(Config(names, 1, min(components, len(known)), scaling="one"), HUMANOID)
    drmm_clusters.start(mixture, known, 0.0)
    with torch.no_grad():
        for _ in range(ROUNDS):
            _improve(mixture, known)
    return mixture.eval()


def _improve(mixture: Drmm, known: Tensor) -> None:
    """A round of EM."""
    means, variance = mixture.means[0], mixture.log_variance[0].exp()
    sums, counts, squares = torch.zeros_like(means), torch.zeros(len(means)), 0.0
    for part in known.split(4096):
        apart = part.square().sum(dim=1, keepdim=True) - 2.0 * part @ means.T + means.square().sum(dim=1)
        share = (-0.5 * apart / variance + mixture.logits[0].log_softmax(dim=0)).softmax(dim=1)
        sums += share.T @ part
        counts += share.sum(dim=0)
        squares += float((share * apart).sum())
    mixture.means[0] = sums / counts.clamp(min=1e-6)[:, None]
    mixture.logits[0] = counts.clamp(min=1e-6).log()
    mixture.log_variance[0] = math.log(squares / known.numel())


def _inside(model: MotionDrmm, known: Tensor, components: int) -> MotionDrmm:
    """The model with one layer of so many components instead of its own."""
    config = replace(model.config, layers=1, components=min(components, len(known)))
    plain = MotionDrmm(config, model.skeleton)
    plain.mean.copy_(model.mean)
    plain.factor.copy_(model.factor)
    drmm_clusters.start(plain, plain.normalised(known), config.shrink)
    return plain.eval()


def _mean(model: Drmm, asked: Tensor, layout: Layout) -> float:
    """Mean log-likelihood of the future given the past."""
    past, until = _known(layout)
    total = 0.0
    for part in asked.split(512):
        more = model.log_density(part, until, PASSES) - model.log_density(part, past, PASSES)
        total += float(more.sum())
    return total / len(asked)


def _of_gaussians(made: gaussians.Gaussians, asked: Tensor, layout: Layout) -> float:
    past, until = _known(layout)
    rows = asked.double()
    return float((made.log_density(rows, until) - made.log_density(rows, past)).mean())


def _known(layout: Layout) -> tuple[Tensor, Tensor]:
    """What is known of the past, and with the partner's future."""
    places = torch.arange(layout.width)
    return places < layout.past, places < _future(layout).stop


def _future(layout: Layout) -> slice:
    """The partner's future: the numbers right behind the past."""
    return slice(layout.past, layout.past + len(layout.select("partner.future")))


def _parameters(model: Drmm) -> int:
    """Of the mixture: means, variances, weights, and what choices say of earlier ones."""
    return sum(parameter.numel() for parameter in model.parameters())
