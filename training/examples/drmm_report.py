"""What depth is good for, and what it is not: mixture models of one to four layers against plain mixtures of Gaussians
with as many parameters, and what the curriculum does.

    python -m training.examples.drmm_report [--quick] [--train] [--out runs/drmm_report] [--json FILE]

Models that a run before has left in --out are taken as they are; --train makes them anew. A picture and a table a
section. Log-likelihoods are of held-out points, in nats a point; of the mixture models as the mean of 64 walks, which
is never too good on average. Precision, recall and F1 are of 2,000 samples, with the last layer's spread, among as many
points.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
import torch
from matplotlib import pyplot

from motion.conditions import Conditions
from training.examples import drmm_fit, drmm_toys
from training.examples.drmm_toys import TOYS, Points, Toy
from training.models import drmm, gaussians, load_checkpoint
from training.models.drmm_draw import Drawer
from training.models.drmm_roll import Oracle

Figures = dict[str, float]
JUDGED = 2000
PLAIN_POINTS = 40_000  # as many as EM needs: it goes through all of them again and again
DEPTHS = (1, 2, 3, 4)


@dataclass(frozen=True)
class Size:
    """How much is done. budgets: components of the plain mixtures whose parameters everybody gets."""

    budgets: tuple[int, ...]
    epochs: int
    steps: int = 100  # an epoch
    batch: int = 512


QUICK = Size((128,), 40)
FULL = Size((32, 64, 128, 256, 512), 200)


class Studio:
    """Where models lie, and how they are made when they do not."""

    def __init__(self, out: Path, size: Size, anew: bool, seed: int) -> None:
        self.out, self.size, self.anew, self.seed = out, size, anew, seed
        out.mkdir(parents=True, exist_ok=True)

    def points(self, toy: Toy) -> tuple[Points, Points]:
        """Points to train on, and others to judge by."""
        random = np.random.default_rng(self.seed)
        return toy.points(self.size.steps * self.size.batch, random), toy.points(JUDGED, random)

    def deep(self, name: str, layers: int, components: int, curriculum: bool = True) -> drmm.Drmm:
        """A mixture model of a toy, from --out if it is there."""
        toy = TOYS[name]
        short = f"{name.replace(' ', '_')}_{layers}x{components}{'' if curriculum else '_at_once'}"
        folder = self.out / f"{short}_{self.size.epochs}_seed{self.seed}"
        if self.anew or not (folder / "last.ckpt").is_file():
            begun = time.perf_counter()
            config = drmm.Config(toy.variables, layers, components, scaling="each", start="rows", curriculum=curriculum)
            training = drmm.Training(
                epochs=self.size.epochs,
                batch_size=self.size.batch,
                learning_rate=1e-2,
                save_interval=self.size.epochs,
            )
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "log.txt").open("w") as log, redirect_stdout(log), redirect_stderr(log):
                drmm_fit.fit(self.points(toy)[0], config, training, folder, self.seed)
            print(f"trained {folder.name}: {time.perf_counter() - begun:.0f} s", file=sys.stderr)
        model = load_checkpoint(folder / "last.ckpt")
        assert isinstance(model, drmm.Drmm)
        return model

    def plain(self, name: str, components: int) -> gaussians.Gaussians:
        """A plain mixture; it takes seconds."""
        points = torch.from_numpy(self.points(TOYS[name])[0][:PLAIN_POINTS])
        return gaussians.fit(points, components, seed=self.seed)


def depth(studio: Studio) -> dict[str, Figures]:
    """Layers x components against plain mixtures, by parameters."""
    figures: dict[str, Figures] = {}
    for name, toy in TOYS.items():
        held_out = studio.points(toy)[1]
        pictures: list[tuple[str, Points]] = [("data", held_out)]
        for count in studio.size.budgets:
            plain = studio.plain(name, count)
            samples = plain.samples(JUDGED, torch.Generator().manual_seed(studio.seed)).numpy()
            score = float(plain.log_density(torch.from_numpy(held_out)).mean())
            figures[f"{name}, {count} Gaussians"] = _figures(0, plain.parameters, score, held_out, samples)
            pictures.append((f"{count} Gaussians", samples))
            for layers in DEPTHS:
                components = drmm_toys.components_for(plain.parameters, layers, len(toy.variables))
                model = studio.deep(name, layers, components)
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
        held_out = studio.points(toy)[1]
        pictures: list[tuple[str, Points]] = [("data", held_out)]
        budget = count * (2 + len(toy.variables))
        for layers in DEPTHS[1:]:
            components = drmm_toys.components_for(budget, layers, len(toy.variables))
            for staged, told in ((True, "three stages"), (False, "at once")):
                model = studio.deep(name, layers, components, staged)
                samples = drawn(model, JUDGED, studio.seed)
                size = drmm_toys.parameters(layers, components, len(toy.variables))
                row = _figures(layers, size, likelihood(model, held_out), held_out, samples)
                figures[f"{name}, {layers} x {components}, {told}"] = row
                pictures.append((f"{layers} x {components}, {told}", samples))
        _picture(studio.out / f"curriculum_{name.replace(' ', '_')}.png", name, pictures, len(pictures))
    return figures


SECTIONS: dict[str, Callable[[Studio], dict[str, Figures]]] = {"depth": depth, "curriculum": curriculum}


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


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(1)  # steps are small: more threads only wait for each other
    studio = Studio(options.out, QUICK if options.quick else FULL, options.train, options.seed)
    figures: dict[str, dict[str, Figures]] = {}
    for name in options.only or SECTIONS:
        begun = time.perf_counter()
        figures[name] = SECTIONS[name](studio)
        print(f"\n{name}: {time.perf_counter() - begun:.0f} s, pictures in {options.out}")
        print(_table(figures[name]))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


def _table(figures: dict[str, Figures]) -> str:
    wide = max(map(len, figures))
    keys = ("parameters", "log_likelihood", "precision", "recall", "f1")
    lines = [" " * wide + "".join(f"{key:>16s}" for key in keys)]
    for name, row in figures.items():
        cells = [f"{row[key]:16.0f}" if key == "parameters" else f"{row[key]:16.3f}" for key in keys]
        lines.append(name.ljust(wide) + "".join(cells))
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.examples.drmm_report", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--quick", action="store_true", help="fewer sizes, shorter training")
    parser.add_argument("--train", action="store_true", help="also what --out has already")
    parser.add_argument("--only", nargs="+", choices=list(SECTIONS), help="these sections")
    parser.add_argument("--out", type=Path, default=Path("runs/drmm_report"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
