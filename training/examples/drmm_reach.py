"""A figure of 16 bones told where its hands, feet and head are to be: what a mixture model proposes, and what least
squares on the bones make of it; ten models from ten seeds. Pictures of candidates: pinned, and within a box.

What is proposed is judged by its turns alone, as bones put them. Beside the model stand as many poses that are random.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
import torch
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from motion.conditions import Conditions
from training.examples import drmm_figure as body
from training.examples.drmm_figure import Place, Wall
from training.examples.drmm_studio import Figures, Points, Studio
from training.models import drmm
from training.models.drmm_draw import Drawer
from training.models.drmm_roll import Oracle

CANDIDATES, SHOWN = 64, 10
QUESTIONS, POLISHED = 100, 8
MET = 0.01  # metres
BATCH = 256
FEET: dict[str, Place] = {"LeftFoot": (-0.2, 0.0), "RightFoot": (0.2, 0.0)}
HAND: dict[str, Place] = {**FEET, "RightHand": (0.8, 1.0)}
BOX = (-0.5, 0.5), (0.0, 1.4)  # metres: x and y that hands, feet and head keep to
WALLS = [
    Wall(end, normal, limit)
    for end in body.ENDS
    for normal, limit in (
        ((-1.0, 0.0), -BOX[0][0]),
        ((1.0, 0.0), BOX[0][1]),
        ((0.0, -1.0), -BOX[1][0]),
        ((0.0, 1.0), BOX[1][1]),
    )
]
WEIGHTS = (0.0, 1.0, 3.0)


@dataclass(frozen=True)
class _Panel:
    """title, poses (N, 18), best first, and what was wished."""

    title: str
    poses: Points
    pins: Mapping[str, Place]
    walls: Sequence[Wall] = ()


def reach(studio: Studio) -> dict[str, Figures]:
    """A row a seed, their mean, their spread, and random poses."""
    rows: dict[str, Figures] = {}
    for seed in range(studio.size.figures):
        model = trained(studio, seed)
        drawer = Drawer(model)
        oracle = Oracle(drawer.run, drawer.space, (model.config.layers, CANDIDATES, model.config.components))
        rows[f"seed {seed}"] = _likelihood(model) | _pinned(oracle, seed) | _walled(oracle, seed)
        if seed == 0:
            _picture(studio.out / "reach.png", _panels(oracle))
    made = list(rows.values())
    rows["mean"] = {key: float(np.mean([row[key] for row in made])) for key in made[0]}
    rows["deviation"] = {key: float(np.std([row[key] for row in made])) for key in made[0]}
    rows["random poses"] = _pinned(None, 0)
    return rows


def trained(studio: Studio, seed: int) -> drmm.Drmm:
    """A model of the figure's poses, from one of the seeds."""
    layers, components, epochs = studio.size.figure
    config = drmm.Config(body.VARIABLES, layers, components, scaling="each", start="rows", variance="diagonal")
    count = studio.size.steps * studio.size.batch
    name = f"figure_{layers}x{components}"
    return studio.model(name, config, epochs, BATCH, lambda: _poses(count, seed), seed)


def _poses(count: int, seed: int) -> Points:
    return body.random_poses(count, np.random.default_rng(seed))


def _likelihood(model: drmm.Drmm) -> Figures:
    torch.manual_seed(0)
    held_out = torch.from_numpy(_poses(500, 10**6))
    return {"log_likelihood": float(model.log_density(held_out, passes=8).mean())}


def _pinned(oracle: Oracle | None, seed: int) -> Figures:
    """One to five pins where a random pose has them: how far they are missed before least squares, and after."""
    random = np.random.default_rng(10**6 + seed)
    errors = np.empty((QUESTIONS, 2))
    for number, there in enumerate(body.random_poses(QUESTIONS, random)):
        ends = random.permutation(list(body.ENDS))[: random.integers(1, len(body.ENDS) + 1)]
        pins = {str(end): tuple(there[body.place(end)]) for end in ends}
        if oracle is None:
            poses = body.random_poses(CANDIDATES, random)
            poses = poses[np.argsort(body.missed(poses, pins).max(axis=1))][:POLISHED, : body.POSE]
        else:
            poses = _asked(oracle, pins, seed=number)[:POLISHED]
        for place, each in enumerate((poses[:1], body.polish(poses, pins))):
            errors[number, place] = body.missed(body.encode(each), pins).max(axis=1).min()
    before, after = 1000.0 * errors.T
    return {
        "before_median_mm": float(np.median(before)),
        "after_median_mm": float(np.median(after)),
        "after_p95_mm": float(np.percentile(after, 95)),
        "met_percent": 100.0 * float((after < 1000.0 * MET).mean()),
    }


def _walled(oracle: Oracle, seed: int) -> Figures:
    """The feet are pinned, and everything is to be in a box: how many candidates are, in the model's own numbers (all
    20 limits, and of limits by themselves), and as least squares leave their bones.
    """
    figures = {}
    for weight in WEIGHTS:
        samples = _samples(oracle, FEET, weight, seed)
        inside = body.outside(samples, WALLS) <= MET
        figures[f"inside_w{weight:g}_percent"] = 100.0 * float(inside.all(axis=1).mean())
        figures[f"kept_w{weight:g}_percent"] = 100.0 * float(inside.mean())
    made = body.encode(body.polish(samples[:, : body.POSE], FEET, WALLS))
    good = (body.outside(made, WALLS) <= MET).all(axis=1) & (body.missed(made, FEET) < MET).all(axis=1)
    return figures | {"inside_after_percent": 100.0 * float(good.mean())}


def _samples(oracle: Oracle, pins: Mapping[str, Place], weight: float, seed: int, project: bool = False) -> Points:
    """Vectors (CANDIDATES, 30), the likeliest first."""
    wanted = Conditions(oracle.space)
    for point, place in pins.items():
        wanted.know([f"{point}/{axis}" for axis in "xy"], place)
    for wall in WALLS if weight else ():
        factors = dict(zip((f"{wall.point}/{axis}" for axis in "xy"), wall.normal, strict=True))
        wanted.limit(factors, wall.limit, weight)
    return oracle.samples(wanted, CANDIDATES, seed, how="best", project=project)


def _asked(oracle: Oracle, pins: Mapping[str, Place], weight: float = 0.0, seed: int = 0) -> Points:
    return _samples(oracle, pins, weight, seed)[:, : body.POSE]


def _panels(oracle: Oracle) -> list[_Panel]:
    pinned = _asked(oracle, HAND)[:SHOWN]
    panels = [
        _Panel("feet and right hand pinned: proposed", pinned, HAND),
        _Panel("after least squares", _best_first(body.polish(pinned, HAND), HAND), HAND),
    ]
    for weight in WEIGHTS:
        poses = _asked(oracle, FEET, weight)[:SHOWN]
        panels.append(_Panel(f"all within a box, weight {weight:g}: proposed", poses, FEET, WALLS))
    panels.append(_Panel("after least squares", _best_first(body.polish(poses, FEET, WALLS), FEET, WALLS), FEET, WALLS))
    return panels


def _best_first(poses: Points, pins: Mapping[str, Place], walls: Sequence[Wall] = ()) -> Points:
    vectors = body.encode(poses)
    far = body.missed(vectors, pins).max(axis=1)
    if walls:
        far = np.maximum(far, body.outside(vectors, walls).max(axis=1))
    return poses[np.argsort(far, kind="stable")]


def _picture(path: Path, panels: Sequence[_Panel]) -> None:
    figure, axes = pyplot.subplots(2, 3, figsize=(15, 10), constrained_layout=True)
    for axis, panel in zip(axes.flat, panels, strict=True):
        for pose in panel.poses[:0:-1]:
            _draw(axis, pose, color="tab:blue", alpha=0.25, linewidth=1.0)
        _draw(axis, panel.poses[0], color="black", linewidth=2.5)
        axis.plot(*np.array(list(panel.pins.values())).T, "o", color="tab:red", markersize=7)
        if panel.walls:
            (left, right), (low, high) = BOX
            axis.plot([left, right, right, left, left], [low, low, high, high, low], color="tab:red", linewidth=0.8)
        axis.set(title=panel.title, xlim=(-1.2, 1.2), ylim=(-0.3, 2.0), aspect="equal")
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


def _draw(axis: Axes, pose: Points, **how: object) -> None:
    there = body.ends(pose[None])
    lines = np.stack([body.begins(pose[None], there)[0], there[0]], axis=1)
    axis.add_collection(LineCollection(list(lines), capstyle="round", **how))
