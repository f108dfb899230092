"""What a table cannot show of a partner: how near they dance, which takes they get wrong, and when they move.

Every subject is danced whole takes, one seed; the truth stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from motion.metrics import placement
from motion.metrics.joints import FPS
from motion.skeleton import Array
from training.scorecards.takes import Take

TRUTH = "truth"
_SHOWN_SECONDS = 20.0
_FARTHEST = 3.0  # metres in the histogram


def draw(file: Path, takes: Sequence[Take], danced: Mapping[str, Sequence[Array]]) -> None:
    """Writes the three plots as one picture; danced: for each subject the points (T, 24, 3) of each take."""
    figure = Figure(figsize=(11.0, 9.0), layout="constrained")
    top, middle, bottom = figure.subplots(3, 1)
    _distances(top, takes, danced)
    _errors(middle, takes, danced)
    _speeds(bottom, takes, danced)
    figure.savefig(file, dpi=110)


def take_errors(takes: Sequence[Take], danced: Sequence[Array]) -> list[float]:
    """The root ADE of each take, metres."""
    pairs = zip(danced, takes, strict=True)
    return [float(placement.root_errors(points, take.follower).mean()) for points, take in pairs]


def _distances(axes: Axes, takes: Sequence[Take], danced: Mapping[str, Sequence[Array]]) -> None:
    edges = np.linspace(0.0, _FARTHEST, 61)
    for name, points in {TRUTH: [take.follower for take in takes], **danced}.items():
        pairs = zip(points, takes, strict=True)
        values = np.concatenate([placement.root_errors(made, take.leader) for made, take in pairs])
        look = {"histtype": "stepfilled", "color": "0.8"} if name == TRUTH else {"histtype": "step"}
        axes.hist(np.minimum(values, _FARTHEST), edges, density=True, label=name, **look)
    axes.set(title="how far apart the two dance", xlabel="metres between the hips", ylabel="share of time per metre")
    axes.legend()


def _errors(axes: Axes, takes: Sequence[Take], danced: Mapping[str, Sequence[Array]]) -> None:
    width = 0.8 / max(len(danced), 1)
    for number, (name, points) in enumerate(danced.items()):
        places = np.arange(len(takes)) + width * (number + 0.5) - 0.4
        axes.bar(places, take_errors(takes, points), width, label=name)
    axes.set_xticks(range(len(takes)), [take.name for take in takes], rotation=20)
    axes.set(title="how far the root is from the true one", ylabel="root ADE, metres")
    axes.legend()


def _speeds(axes: Axes, takes: Sequence[Take], danced: Mapping[str, Sequence[Array]]) -> None:
    """Of the take that the first subject gets middling."""
    errors = take_errors(takes, next(iter(danced.values())))
    place = int(np.argsort(errors)[len(errors) // 2])
    for name, points in {TRUTH: takes[place].follower, **{n: motions[place] for n, motions in danced.items()}}.items():
        speed = placement.mean_speed(points)[: round(_SHOWN_SECONDS * FPS)] * FPS
        look = {"color": "0.6", "linewidth": 2.5} if name == TRUTH else {"linewidth": 1.0}
        axes.plot(np.arange(len(speed)) / FPS, speed, label=name, **look)
    axes.set(title=f"how fast they move: {takes[place].name}", xlabel="seconds", ylabel="mean speed of 24 points, m/s")
    axes.legend()
