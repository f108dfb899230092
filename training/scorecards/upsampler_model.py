"""A model as the scorecard asks it: with the keys and the look-ahead of each task, and raw frames for the forecast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporters.upsampling import Upsampler
from motion.clip import Clip
from motion.metrics.joints import body_points
from motion.skeleton import HUMANOID, Array
from training.scorecards.upsampler_takes import FPS, Take
from training.scorecards.upsampler_tasks import HORIZONS, Question


@dataclass(frozen=True)
class Learned:
    """An upsampler as a subject."""

    upsampler: Upsampler

    def between(self, question: Question) -> Array:
        """What is missing or wrong in a key is for the model to see: it is told which rotations are valid, no more."""
        keys = question.keys
        made = self.upsampler.between(
            keys.times, keys.root, keys.rotations, keys.valid, question.queries, question.task.ahead
        )
        return _points(*made)

    def ahead(self, take: Take, frames: NDArray[np.intp]) -> dict[int, Array]:
        times, raw = np.arange(len(take)) / FPS, take.raw
        return {
            horizon: _points(*self.upsampler.ahead(times, raw.root_positions, raw.rotations, frames, steps / FPS))
            for horizon, steps in HORIZONS.items()
        }


def _points(root: Array, rotations: Array) -> Array:
    return body_points(Clip(HUMANOID, FPS, root, rotations))
