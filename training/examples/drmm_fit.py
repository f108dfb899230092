"""Train a mixture model on points that are already in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from lightning.fabric import Fabric
from numpy.typing import NDArray

from training import loop
from training.models import drmm
from training.models.drmm_tables import NOBODY


def fit(points: NDArray[np.float64], config: drmm.Config, training: drmm.Training, out: Path, seed: int) -> Path:
    """A checkpoint in `out`. points (N, D) of config.variables; every epoch sees them once."""
    fabric = Fabric(accelerator="cpu", devices=1)
    fabric.seed_everything(seed, verbose=False)
    rows = drmm.Rows(torch.from_numpy(points).float())
    model = drmm.Drmm(config, NOBODY)
    model.epochs = training.epochs
    model.fit_statistics(rows.gather(torch.arange(min(model.statistics, len(rows)))))
    return loop.train("drmm", model, rows, None, training, out, fabric, seed)
