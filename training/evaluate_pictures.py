"""Pictures and films of a labelled partner: where windows lie in z, which numbers of it labels pull at, what comes back
of a recording, what is made up, and one z danced under every label.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from exporters.gif import COLOURS, Sticks, write_sticks
from motion.skeleton import HUMANOID
from training import evaluate_labelled
from training.evaluate_judge import Judge
from training.evaluate_windows import Real
from training.labels import NONE
from training.models import labelled_pose as pose
from training.models.labelled import Labelled
from training.models.labelled_takes import FPS

BONES = [(joint, parent) for joint, parent in enumerate(HUMANOID.parents) if parent >= 0]
APART = 1.6  # metres between figures of a film
WINDOWS = 3  # of a film that is made up


def write(out: Path, model: Labelled, judge: Judge, real: Real, random: torch.Generator) -> None:
    """All of them, in `out`."""
    latent(out / "latent.png", model, real)
    entanglement(out / "entanglement.png", model, real)
    confusion(out / "confusion.png", model, judge, real)
    chosen = real.moves[torch.randint(len(real.moves), (1,), generator=random)]
    labels = evaluate_labelled.classified(model, chosen)
    again, _ = model.generate(model.encode(chosen, labels)[0], labels)
    film(out / "reconstruction.gif", {"recorded": chosen[0], "mu, danced": again[0]})
    z = torch.randn(WINDOWS, 1, model.config.latent, generator=random)
    for column, (name, of_set) in enumerate(model.config.label_sets):
        made = {}
        for label, said in enumerate(of_set):
            asked = model.choices[:1].clone()
            asked[:, column] = label
            moves, state = [], None
            for each in z:
                moved, state = model.generate(each, asked, state)
                moves.append(moved[0])
            made[f"{name} {said}"] = torch.cat(moves)
        film(out / f"one_z_{name}.gif", made)


def film(path: Path, moves: dict[str, Tensor]) -> None:
    """Moves (T, WIDTH) by their names, side by side."""
    figures = {}
    for number, (name, moved) in enumerate(moves.items()):
        points = pose.on_stage(moved[None], pose.positions(moved[None]), FPS)[0].double().numpy()
        figures[name] = Sticks(points + np.array([APART * number, 0.0, 0.0]), FPS, BONES)
    write_sticks(path, figures)


def latent(path: Path, model: Labelled, real: Real) -> None:
    """Windows of recordings on the two largest components of their mu, coloured by label: a panel a set."""
    figure, axes = _panels(len(model.config.label_sets))
    for column, ((name, of_set), panel) in enumerate(zip(model.config.label_sets, axes, strict=True)):
        known = (real.labels != NONE).all(dim=1)
        mu, _ = model.encode(real.moves[known], real.labels[known])
        centred = mu - mu.mean(dim=0)
        _, _, basis = torch.linalg.svd(centred, full_matrices=False)
        place = (centred @ basis[:2].T).numpy()
        for label, said in enumerate(of_set):
            own = place[(real.labels[known][:, column] == label).numpy()]
            panel.scatter(own[:, 0], own[:, 1], s=5, color=COLOURS[label % len(COLOURS)], label=said)
        panel.set_title(f"z of recordings, by {name}")
        panel.legend()
    _save(figure, path)


def entanglement(path: Path, model: Labelled, real: Real) -> None:
    """How strongly every number of z goes with a label: the share of its variance between labels, largest first.

    Where z knows nothing of labels all of them are near 0, and the label alone decides.
    """
    figure, axes = _panels(len(model.config.label_sets))
    for column, ((name, of_set), panel) in enumerate(zip(model.config.label_sets, axes, strict=True)):
        known = (real.labels != NONE).all(dim=1)
        truth = real.labels[known]
        mu, _ = model.encode(real.moves[known], truth)
        for values, said in ((mu, "values"), (mu.square(), "squares")):
            panel.plot(np.sort(between(values, truth[:, column], len(of_set)))[::-1], label=said)
        panel.set(title=f"variance between labels of {name}", xlabel="number of z, in order", ylim=(0, 1))
        panel.legend()
    _save(figure, path)


def between(values: Tensor, labels: Tensor, size: int) -> np.ndarray:
    """The share (D,) of the variance of values (N, D) that is between labels (N,), 0 to 1."""
    whole = values.var(dim=0, correction=0).clamp(min=1e-12)
    middle = values.mean(dim=0)
    parts = torch.zeros_like(middle)
    for label in range(size):
        own = values[labels == label]
        if len(own):
            parts += (own.mean(dim=0) - middle).square() * (len(own) / len(values))
    return (parts / whole).numpy()


def confusion(path: Path, model: Labelled, judge: Judge, real: Real) -> None:
    """What the model's classifier, and the judge, say of recordings: a row a true label."""
    sets = model.config.label_sets
    figure, axes = _panels(2 * len(sets))
    said = (evaluate_labelled.classified(model, real.moves), judge.judge(real.moves)[0])
    for number, panel in enumerate(axes):
        (name, of_set), who = sets[number // 2], ("classifier", "judge")[number % 2]
        predicted, truth = said[number % 2][:, number // 2], real.labels[:, number // 2]
        counts = evaluate_labelled.confusion(predicted, truth, len(of_set))
        share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
        panel.imshow(share, vmin=0.0, vmax=1.0, cmap="Blues")
        for row in range(len(of_set)):
            for place in range(len(of_set)):
                panel.text(place, row, f"{counts[row, place]:.0f}", ha="center", va="center")
        panel.set_xticks(range(len(of_set)), of_set)
        panel.set_yticks(range(len(of_set)), of_set)
        panel.set_title(f"{name}: {who}")
    _save(figure, path)


def _panels(count: int) -> tuple[Figure, list]:
    figure = Figure(figsize=(4.5 * count, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(np.atleast_1d(figure.subplots(1, count)))


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=90)
