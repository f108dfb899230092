"""What a training run was like: history.csv with a line an epoch and every loss part, and the same as a picture."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

Line = dict[str, float]


def sentence(line: Line) -> str:
    """One epoch for people."""
    numbers = "  ".join(f"{name} {value:.4f}" for name, value in line.items() if name not in ("epoch", "seconds"))
    return f"epoch {line['epoch']:.0f}  {numbers}  {line['seconds']:.1f} s"


def write(lines: Sequence[Line], out: Path) -> Path:
    """history.csv in `out`."""
    with open(out / "history.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(lines[-1]), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(lines)
    return out / "history.csv"


def read(out: Path) -> list[Line]:
    """The lines of history.csv. Raises OSError when there is none."""
    with open(out / "history.csv", newline="", encoding="utf-8") as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


def plot(out: Path) -> Path:
    """history.png beside history.csv: every loss part over the epochs, the held-out ones dashed."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines = read(out)
    names = [name for name in lines[-1] if name not in ("epoch", "seconds") and not name.startswith("held_out_")]
    columns = min(len(names), 4)
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(4 * columns, 3.2 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    places = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes, name in zip(places, names, strict=False):
        for key, label, color, style in (
            (name, "training", "#0072b2", "-"),
            (f"held_out_{name}", "held out", "#d55e00", "--"),
        ):
            points = [(line["epoch"], line[key]) for line in lines if key in line]
            if points:
                axes.plot(*zip(*points, strict=True), color=color, linestyle=style, label=label)
        axes.set(title=name, xlabel="epoch")
        axes.legend()
    for axes in places[len(names) :]:
        axes.remove()
    figure.savefig(out / "history.png", dpi=80)
    return out / "history.png"
