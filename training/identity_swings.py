"""Does a model of pendulums keep time? Its films are watched and their period compared with the simulated one's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from training.models import identity_films, identity_pendulum
from training.models.identity_protocol import Disentangled

OTHER_SEED = 1000  # films that nobody trained on: they begin elsewhere
FULL_SWING = 0.2  # radians; what swings less does not swing


def period_error_percent(model: Disentangled, data: identity_films.Config, each: int = 3) -> float:
    """Mean of |generated period - simulated period| / simulated period in percent, over films of every look and action.

    Every film is generated for as many steps as it has, from what the model reads of it: its codes and its first frame.
    A film that does not swing at all, or passes its middle less than twice, is wrong by 100 percent.
    """
    return float(np.mean(list(period_errors(model, data, each).values())))


@torch.no_grad()
def period_errors(model: Disentangled, data: identity_films.Config, each: int = 3) -> dict[tuple[str, str], float]:
    """The same for every look and action."""
    made = replace(data.pendulums, seed=data.pendulums.seed + OTHER_SEED, each=each)
    films = list(identity_pendulum.films(made, data.side))
    seen = torch.from_numpy(np.stack([pictures for _, pictures, _ in films])).float() / 255.0
    generated = torch.cat([model.generate(part, part.shape[1]) for part in seen.split(16)]).double().numpy()
    errors: dict[tuple[str, str], list[float]] = {}
    for (_, truth, cell), film in zip(films, generated, strict=True):
        wanted = identity_pendulum.period(identity_pendulum.tracked(truth / 255.0))
        errors.setdefault(cell, []).append(100.0 * _off(identity_pendulum.tracked(film), wanted))
    return {cell: float(np.mean(values)) for cell, values in errors.items()}


def _off(angle: np.ndarray, wanted: float) -> float:
    found = identity_pendulum.period(angle)
    if not np.isfinite(found) or np.ptp(angle) < FULL_SWING:
        return 1.0
    return abs(found - wanted) / wanted
