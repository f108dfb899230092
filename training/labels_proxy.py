"""Labels that nobody had to give: what a movement's own figures say, for trying out models where nobody has labelled.

`time`: how much is accelerated, as Laban's Time goes from sustained to sudden. `space`: how straight hands and body go
where they go, as his Space goes from indirect to direct. A window is low, medium or high by the tertiles of its figure,
taken over windows of takes that are trained on, and of no others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from motion.skeleton import HUMANOID
from training.labels import LabelSets, Places

LABELS = ("low", "medium", "high")
ENDS = tuple(HUMANOID.index(name) for name in ("Hips", "LeftHand", "RightHand", "LeftFoot", "RightFoot"))

Figures = NDArray[np.float64]
Thresholds = tuple[float, float]


def acceleration(positions: Figures, fps: float) -> Figures:
    """The mean acceleration (...) in m/s² of hips, hands and feet of windows (..., T, 22, 3), in the world."""
    ends = positions[..., ENDS, :]
    bends = np.diff(ends, n=2, axis=-3) * fps * fps
    return np.asarray(np.linalg.norm(bends, axis=-1).mean(axis=(-2, -1)))


def directness(positions: Figures, fps: float) -> Figures:
    """How far hips, hands and feet get over how far they go, their mean (...), 0 to 1. fps does not matter."""
    ends = positions[..., ENDS, :]
    steps = np.linalg.norm(np.diff(ends, axis=-3), axis=-1).sum(axis=-2)
    away = np.linalg.norm(ends[..., -1, :, :] - ends[..., 0, :, :], axis=-1)
    return np.asarray((away / np.maximum(steps, 1e-6)).mean(axis=-1))


FIGURES: dict[str, Callable[[Figures, float], Figures]] = {"time": acceleration, "space": directness}


def label_sets(names: Sequence[str]) -> LabelSets:
    """The sets of these proxies. Raises ValueError for one that there is not."""
    if unknown := [name for name in names if name not in FIGURES]:
        raise ValueError(f"no proxy {unknown[0]!r}; there are: {', '.join(FIGURES)}")
    return tuple((name, LABELS) for name in sorted(names))


def of_take(name: str, positions: Figures, fps: float, window: int) -> Figures:
    """The figure (T - window + 1,) of every window of a take (T, 22, 3)."""
    if len(positions) < window:
        return np.empty(0)
    views = np.moveaxis(sliding_window_view(positions, window, axis=0), -1, 1)  # (N, window, 22, 3)
    parts = [FIGURES[name](part, fps) for part in np.array_split(views, max(len(views) // 512, 1))]
    return np.concatenate(parts)


def tertiles(figures: Sequence[Figures]) -> Thresholds:
    """Where low ends and where high begins. Raises ValueError when there is nothing to take them from."""
    whole = np.concatenate(figures) if figures else np.empty(0)
    if len(whole) < len(LABELS):
        raise ValueError(f"{len(whole)} windows are too few for {len(LABELS)} proxy labels")
    low, high = np.quantile(whole, [1 / 3, 2 / 3])
    return float(low), float(high)


def labelled(figures: Figures, thresholds: Thresholds) -> Places:
    """The labels' numbers (...) of figures (...)."""
    return np.asarray(np.digitize(figures, thresholds), dtype=np.int64)
