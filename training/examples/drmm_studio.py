"""Where the report's models lie, how large they are, and how they are made when they are not there."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.examples import drmm_fit
from training.models import drmm, load_checkpoint

Points = NDArray[np.float64]
Figures = dict[str, float]


@dataclass(frozen=True)
class Size:
    """How much is done. budgets: components of the plain mixtures whose parameters every depth gets. figure: layers,
    components and epochs of a model of the plane figure, and figures: how many of them there are, each from a seed.
    """

    budgets: tuple[int, ...]
    epochs: int
    figure: tuple[int, int, int]
    figures: int = 10
    steps: int = 100  # an epoch
    batch: int = 512


QUICK = Size((128,), 40, (4, 128, 20))
FULL = Size((32, 64, 128, 256, 512), 200, (4, 256, 120))


class Studio:
    """data: a folder of recordings, motion_model: of kind `sampler`; both for the section on motion."""

    def __init__(
        self, out: Path, size: Size, anew: bool, seed: int, data: Path | None = None, motion_model: Path | None = None
    ) -> None:
        self.out, self.size, self.anew, self.seed = out, size, anew, seed
        self.data, self.motion_model = data, motion_model
        out.mkdir(parents=True, exist_ok=True)

    def model(
        self, name: str, config: drmm.Config, epochs: int, batch: int, points: Callable[[], Points], seed: int
    ) -> drmm.Drmm:
        """A mixture model, from the folder of that name if it is there; points: what an epoch sees."""
        folder = self.out / f"{name}_{epochs}_seed{seed}"
        if self.anew or not (folder / "last.ckpt").is_file():
            begun = time.perf_counter()
            training = drmm.Training(epochs=epochs, batch_size=batch, learning_rate=1e-2, save_interval=epochs)
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "log.txt").open("w") as log, redirect_stdout(log), redirect_stderr(log):
                drmm_fit.fit(points(), config, training, folder, seed)
            print(f"trained {folder.name}: {time.perf_counter() - begun:.0f} s", file=sys.stderr)
        model = load_checkpoint(folder / "last.ckpt")
        assert isinstance(model, drmm.Drmm)
        return model
