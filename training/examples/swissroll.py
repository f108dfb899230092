"""The tutorial: a mixture model learns a Swiss roll and is asked everything that it can be asked.

    python -m training.examples.swissroll [--out runs/swissroll] [--seed 1] [--json FILE]

Trains on points of the roll with presets/training/drmm.yaml (two minutes on one core), draws swissroll.png, a panel a
question, and prints the figures beside what they must be. With --model FILE it asks a checkpoint instead.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
import torch
from matplotlib import pyplot

from motion.conditions import Conditions
from training import config
from training.examples import drmm_fit
from training.models import drmm, drmm_roll, drmm_tables, load_checkpoint
from training.models.drmm_draw import Drawer
from training.models.drmm_roll import BOX, GIVEN_X, Oracle

PRESET = Path(__file__).resolve().parents[2] / "presets/training/drmm.yaml"
STEPS = 400  # of an epoch: points are there in plenty
BARS: dict[str, tuple[str, float]] = {
    "within_roll_percent": ("at least", 95.0),
    "roll_hit_percent": ("at least", 100.0),
    "branch_tv": ("at most", 0.10),
    "known_exact_percent": ("at least", 100.0),
    "inequality_w1_percent": ("at least", 97.0),
    "inequality_w3_percent": ("at least", 99.5),
    "projected_percent": ("at least", 100.0),
    "box_percent": ("at least", 93.0),
    "box_projected_percent": ("at least", 100.0),
}


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns 1 when a bar is missed."""
    options = _parser().parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # a step is small: more threads only wait for each other
    begun = time.perf_counter()
    path = options.model or train(options.out, options.seed, options.epochs)
    trained = time.perf_counter() - begun
    model = load_checkpoint(path)
    asked = oracle(model)
    figures = drmm_roll.figures(asked, options.seed)
    truth = torch.from_numpy(drmm_roll.rows(4096, np.random.default_rng(options.seed + 1)))
    figures["log_density"] = float(model.log_density(truth).mean())
    print(f"{path}: {trained:.0f} s; pictures in {draw(model, asked, options.out / 'swissroll.png')}")
    for name, value in figures.items():
        print(f"{name:30s}{value:9.3f}{_judged(name, value)}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0 if all(_holds(name, value) for name, value in figures.items()) else 1


def train(out: Path, seed: int, epochs: int | None = None) -> Path:
    """A checkpoint in `out`, trained as the preset says."""
    sections = config.read(PRESET, {"data": drmm_tables.Config, "model": drmm.Config, "training": drmm.Training})
    training = sections["training"]
    if epochs:
        training = replace(training, epochs=epochs)
    points = drmm_roll.rows(STEPS * training.batch_size, np.random.default_rng(seed))
    return drmm_fit.fit(points, replace(sections["model"], variables=drmm_roll.VARIABLES), training, out, seed)


def oracle(model: drmm.Drmm) -> Oracle:
    """The model, ready to be asked for so many candidates at once."""
    drawer = Drawer(model.eval())
    c = model.config
    return Oracle(drawer.run, drawer.space, (c.layers, 1024, c.components))


def draw(model: drmm.Drmm, asked: Oracle, path: Path) -> Path:
    """A panel a question: the roll behind, samples over it."""
    none = Conditions(asked.space)
    both = asked.box().prior("y", 1.0, 1.0)
    line = Conditions(asked.space).prior({"x": 1.0, "y": 1.0}, mean=2.0, deviation=0.1)
    panels: list[tuple[str, Conditions, dict[str, Any]]] = [
        ("nothing given", none, {}),
        ("nothing given, with the last layer's spread", none, {"noise": 1.0}),
        (f"x = {GIVEN_X}, exactly", asked.known(mask=1.0), {}),
        ("|x + 0.2 y| ≤ 2, weight 1", asked.band(1.0), {}),
        ("the same, projected", asked.band(1.0), {"project": True}),
        ("box, projected", asked.box(), {"project": True}),
        ("prior N(0, 3) of x, N(0, 1) of y", asked.prior(), {"noise": 1.0}),
        ("prior of a sum: x + y = 2 ± 0.1", line, {"noise": 1.0}),
        ("box and prior N(1, 1) of y", both, {"project": True}),
        (f"box and x = {GIVEN_X}", asked.box().know("x", GIVEN_X), {"project": True}),
    ]
    figure, axes = pyplot.subplots(3, 4, figsize=(18, 13), constrained_layout=True)
    roll = drmm_roll.rows(4000, np.random.default_rng(0))
    for axis, (title, wanted, how) in zip(axes.flat, panels, strict=False):
        samples = asked.samples(wanted, 1024, **how)
        axis.plot(*roll.T, ".", color="0.85", markersize=2, zorder=0)
        axis.plot(*samples.T, ".", color="tab:blue", markersize=3)
        _lines(axis, title)
        axis.set(title=title, xlim=(-7, 7), ylim=(-7, 7), aspect="equal")
    _density(model, axes.flat[len(panels)])
    _layers(model, axes.flat[len(panels) + 1], roll)
    figure.savefig(path, dpi=80)
    pyplot.close(figure)
    return path


def _density(model: drmm.Drmm, axis: Any) -> None:
    side = np.linspace(-7.0, 7.0, 140)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    log_density = model.log_density(torch.from_numpy(grid), passes=32).numpy().reshape(140, 140)
    axis.imshow(np.exp(log_density) ** 0.5, extent=(-7, 7, -7, 7), origin="lower", cmap="magma")
    axis.set(title="density, 32 walks a point (its square root)")


def _layers(model: drmm.Drmm, axis: Any, roll: np.ndarray) -> None:
    """What is left of the data after each layer's mean has been taken off."""
    rest = model.normalised(torch.from_numpy(roll).float())
    spreads = [float(rest.square().mean().sqrt())]
    with torch.no_grad():
        for means, log_variance in zip(model.means, model.log_variance, strict=True):
            rest = rest - means[drmm.closeness(rest, means, log_variance).argmax(dim=1)]
            spreads.append(float(rest.square().mean().sqrt()))
    axis.semilogy(range(len(spreads)), spreads, "o-")
    axis.set(title="what is left after each layer (root mean square)", xlabel="layers", xticks=range(len(spreads)))


def _lines(axis: Any, title: str) -> None:
    if "x =" in title and "box" not in title:
        axis.axvline(GIVEN_X, color="tab:red", linewidth=0.8)
    if "0.2 y" in title or "the same" in title:
        side = np.array([-7.0, 7.0])
        for bound in (-2.0, 2.0):
            axis.plot(bound - 0.2 * side, side, color="tab:red", linewidth=0.8)
    if "box" in title:
        (left, right), (low, high) = BOX["x"], BOX["y"]
        axis.plot([left, right, right, left, left], [low, low, high, high, low], color="tab:red", linewidth=0.8)


def _holds(name: str, value: float) -> bool:
    word, bar = BARS.get(name, ("at least", -np.inf))
    return value >= bar if word == "at least" else value <= bar


def _judged(name: str, value: float) -> str:
    if name not in BARS:
        return ""
    word, bar = BARS[name]
    return f"   {word} {bar:g}{'' if _holds(name, value) else '   MISSED'}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.examples.swissroll", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/swissroll"))
    parser.add_argument("--seed", type=int, default=1, help="where layers start decides much: see docs/drmm.md")
    parser.add_argument("--epochs", type=int, help=f"of {STEPS} steps each; the preset's if left out")
    parser.add_argument("--model", type=Path, help="a checkpoint that is asked instead of trained anew")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
