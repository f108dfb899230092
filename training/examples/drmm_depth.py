"""What depth is good for, and what it is not: layers x components against plain mixtures of as many parameters, and
what the curriculum does. Pictures of samples beside the data, and curves by parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
import torch
from matplotlib import pyplot

from motion.conditions import Conditions
from training.examples import drmm_toys
from training.examples.drmm_studio import Figures, Points, Studio
from training.examples.drmm_toys import TOYS, Toy
from training.models import drmm, gaussians
from training.models.drmm_draw import Drawer
from training.models.drmm_roll import Oracle

JUDGED = 2000
PLAIN_POINTS = 40_000  # as many as EM needs: it goes through all of them again and again
DEPTHS = (1, 2, 3, 4)


def depth(studio: Studio) -> dict[str, Figures]:
    """Layers x components against plain mixtures, by parameters."""
    figures: dict[str, Figures] = {}
    for name, toy in TOYS.items():
        held_out = points(studio, toy)[1]
        pictures: list[tuple[str, Points]] = [("data", held_out)]
        for count in studio.size.budgets:
            plain = plain_mixture(studio, name, count)
            samples = plain.samples(JUDGED, torch.Generator().manual_seed(studio.seed)).numpy()
            score = float(plain.log_density(torch.from_numpy(held_out)).mean())
            figures[f"{name}, {count} Gaussians"] = _figures(0, plain.parameters, score, held_out, samples)
            pictures.append((f"{count} Gaussians", samples))
            for layers in DEPTHS:
                components = drmm_toys.components_for(plain.parameters, layers, len(toy.variables))
                model = deep(studio, name, layers, components)
                samples = drawn(model, JUDGED, studio.seed)
                size = drmm_toys.parameters(layers, components, len(toy.variables))
                row = _figures(layers, size, likelihood(model, held_out), held_out, samples)
                figures[f"{name}, {layers} x {components}"] = row
                pictures.append((f"{layers} x {components}", samples))
        _picture(studio.out / f"depth_{name.replace(' ', '_')}.png", name, pictures, len(DEPTHS) + 1)
    _curves(studio.out / "depth.png", figures)
    return figures


def curriculum(studio: Studio) -> dict[str, Figures]:
    """Three stages, or everything at once from the start."""
    figures: dict[str, Figures] = {}
    count = studio.size.budgets[-1]
    for name, toy in TOYS.items():
        held_out = points(studio, toy)[1]
        pictures: list[tuple[str, Points]] = [("data", held_out)]
        budget = count * (2 + len(toy.variables))
        for layers in DEPTHS[1:]:
            components = drmm_toys.components_for(budget, layers, len(toy.variables))
            for staged, told in ((True, "three stages"), (False, "at once")):
                model = deep(studio, name, layers, components, staged)
                samples = drawn(model, JUDGED, studio.seed)
                size = drmm_toys.parameters(layers, components, len(toy.variables))
                row = _figures(layers, size, likelihood(model, held_out), held_out, samples)
                figures[f"{name}, {layers} x {components}, {told}"] = row
                pictures.append((f"{layers} x {components}, {told}", samples))
        _picture(studio.out / f"curriculum_{name.replace(' ', '_')}.png", name, pictures, len(pictures))
    return figures


def points(studio: Studio, toy: Toy) -> tuple[Points, Points]:
    """Points to train on, and others to judge by."""
    random = np.random.default_rng(studio.seed)
    return toy.points(studio.size.steps * studio.size.batch, random), toy.points(JUDGED, random)


def deep(studio: Studio, name: str, layers: int, components: int, curriculum: bool = True) -> drmm.Drmm:
    """A mixture model of a toy."""
    toy = TOYS[name]
    short = f"{name.replace(' ', '_')}_{layers}x{components}{'' if curriculum else '_at_once'}"
    config = drmm.Config(toy.variables, layers, components, scaling="each", start="rows", curriculum=curriculum)
    size = studio.size
    return studio.model(short, config, size.epochs, size.batch, lambda: points(studio, toy)[0], studio.seed)


def plain_mixture(studio: Studio, name: str, components: int) -> gaussians.Gaussians:
    """It takes seconds."""
    known = torch.from_numpy(points(studio, TOYS[name])[0][:PLAIN_POINTS])
    return gaussians.fit(known, components, seed=studio.seed)


def drawn(model: drmm.Drmm, count: int, seed: int) -> Points:
    """Samples of nothing given, with the last layer's spread: without it they are a handful of points."""
    drawer = Drawer(model)
    oracle = Oracle(drawer.run, drawer.space, (model.config.layers, 500, model.config.components))
    return oracle.samples(Conditions(oracle.space), count, seed, noise=1.0)


def likelihood(model: drmm.Drmm, points: Points) -> float:
    """The mean log-density, in nats a point."""
    torch.manual_seed(0)
    return float(model.log_density(torch.from_numpy(points), passes=64).mean())


def _figures(layers: int, size: int, score: float, data: Points, samples: Points) -> Figures:
    spread = data.std(axis=0)
    return {
        "layers": float(layers),
        "parameters": float(size),
        "log_likelihood": score,
        **drmm_toys.covered(data / spread, samples / spread),
    }


def _picture(path: Path, name: str, pictures: Sequence[tuple[str, Points]], columns: int) -> None:
    """Samples beside the data; of more than two variables the last two."""
    data, others = pictures[0], pictures[1:]
    lines = -(-len(others) // columns)
    figure, axes = pyplot.subplots(
        lines, columns + 1, figsize=(2.6 * (columns + 1), 2.8 * lines), squeeze=False, constrained_layout=True
    )
    limits = np.array([data[1][:, -2:].min(axis=0), data[1][:, -2:].max(axis=0)]) * 1.15
    for axis in axes.flat:
        axis.set_axis_off()
    for line in range(lines):
        for axis, (title, points) in zip(axes[line], [data, *others[line * columns :][:columns]], strict=False):
            axis.set_axis_on()
            axis.plot(*points[:, -2:].T, ".", markersize=1)
            axis.set(title=title, xticks=[], yticks=[], xlim=limits[:, 0], ylim=limits[:, 1], aspect="equal")
    figure.suptitle(name)
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


def _curves(path: Path, figures: dict[str, Figures]) -> None:
    """Log-likelihood and F1 by parameters: a line for the plain mixtures, and one a depth."""
    figure, axes = pyplot.subplots(2, len(TOYS), figsize=(5 * len(TOYS), 8), squeeze=False, constrained_layout=True)
    for column, name in enumerate(TOYS):
        rows = [row for title, row in figures.items() if title.startswith(f"{name},")]
        for layers in (0, *DEPTHS):
            line = sorted(
                (row["parameters"], row["log_likelihood"], row["f1"]) for row in rows if row["layers"] == layers
            )
            told = "Gaussians" if layers == 0 else f"{layers} layer{'s' if layers > 1 else ''}"
            style: dict[str, Any] = {"color": "black", "linestyle": "--"} if layers == 0 else {}
            for axis, place in zip(axes[:, column], (1, 2), strict=True):
                sizes, values = ([each[number] for each in line] for number in (0, place))
                axis.semilogx(sizes, values, marker="o", label=told, **style)
        axes[0, column].set(title=name, ylabel="log-likelihood, nats a point")
        axes[1, column].set(ylabel="F1 of precision and recall", xlabel="parameters")
    axes[0, 0].legend()
    figure.savefig(path, dpi=80)
    pyplot.close(figure)
