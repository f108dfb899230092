"""Data that can be looked at, how well samples cover it, and the sizes at which mixtures cost the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.models import drmm_roll

Points = NDArray[np.float64]
NEIGHBOURS = 3
LEVELS, STEP = 4, 3.0  # of the carpet
BONES = (1.0, 0.8, 0.6, 0.4)  # of the arm


class Toy(NamedTuple):
    """A data set: names of its variables, and points (count, D) by a generator."""

    variables: tuple[str, ...]
    points: Callable[[int, np.random.Generator], Points]


def carpet(count: int, random: np.random.Generator) -> Points:
    """Crosses of crosses: at each of four levels one of five places, a third as far apart as on the level above. It
    looks the same however near one goes, which a layer a level can say with few components.
    """
    places = np.array([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    chosen = places[random.integers(5, size=(count, LEVELS))]
    points: Points = (chosen * STEP ** -np.arange(LEVELS)[:, None]).sum(axis=1)
    return points + 0.3 * STEP**-LEVELS * random.normal(size=points.shape)


def arm(count: int, random: np.random.Generator) -> Points:
    """An arm of four bones in the plane: its angles, and where its hand is."""
    angles = random.uniform(-1.2, 1.2, (count, len(BONES)))
    turns = angles.cumsum(axis=1)
    return np.concatenate(
        [angles, np.cos(turns) @ np.array(BONES)[:, None], np.sin(turns) @ np.array(BONES)[:, None]], axis=1
    )


TOYS = {
    "swiss roll": Toy(("x", "y"), drmm_roll.rows),
    "carpet": Toy(("x", "y"), carpet),
    "arm": Toy(("angle1", "angle2", "angle3", "angle4", "hand/x", "hand/y"), arm),
}


def covered(data: Points, samples: Points) -> dict[str, float]:
    """How many samples are among the data (precision), how many data among the samples (recall), and their harmonic
    mean: among others is who is no farther from one of them than that one's third neighbour (Kynkäänniemi et al. 2019).
    """
    a, b = torch.from_numpy(data), torch.from_numpy(samples)
    apart = torch.cdist(a, b)
    precision = float((apart <= _radius(a)[:, None]).any(dim=0).double().mean())
    recall = float((apart <= _radius(b)).any(dim=1).double().mean())
    return {
        "precision": precision,
        "recall": recall,
        "f1": 2.0 * precision * recall / max(precision + recall, 1e-9),
    }


def parameters(layers: int, components: int, size: int) -> int:
    """How many numbers a mixture model of so many layers has."""
    return sum(1 + size * components + components + layer * components**2 for layer in range(layers))


def components_for(budget: int, layers: int, size: int) -> int:
    """The most components a layer that stay within a budget of parameters."""
    count = 1
    while parameters(layers, count + 1, size) <= budget:
        count += 1
    return count


def _radius(points: Tensor) -> Tensor:
    return torch.cdist(points, points).kthvalue(NEIGHBOURS + 1, dim=1).values
