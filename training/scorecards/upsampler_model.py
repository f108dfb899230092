"""A model as the scorecard asks it: with the keys and the look-ahead of each task, and raw frames for the forecast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporters.upsampling import Upsampler
from motion.clip import Clip
from motion.metrics.joints import body_points
from motion.skeleton import HUMANOID, Array
from motion.spline_table import Where, better_from
from training.scorecards.upsampler_table import live_at, model_at, offline_at
from training.scorecards.upsampler_takes import FPS, Take
from training.scorecards.upsampler_tasks import HORIZONS, Question, Task


@dataclass(frozen=True)
class Learned:
    """An upsampler as a subject. scorecard: of the label that is served, whose table says where a spline answers."""

    upsampler: Upsampler
    scorecard: Mapping[str, Any] = field(default_factory=dict)

    def between(self, question: Question) -> Array:
        """What is missing or wrong in a key is for the model to see: it is told which rotations are valid, no more."""
        if spline_serves(self.scorecard, question.task):
            return _points(*(live_at if question.task.raw else offline_at)(question))
        return _points(*model_at(question, self.upsampler))

    def ahead(self, take: Take, frames: NDArray[np.intp]) -> dict[int, Array]:
        times, raw = np.arange(len(take)) / FPS, take.raw
        return {
            horizon: _points(*self.upsampler.ahead(times, raw.root_positions, raw.rotations, frames, steps / FPS))
            for horizon, steps in HORIZONS.items()
        }


def spline_serves(scorecard: Mapping[str, Any], task: Task) -> bool:
    """Whether the stage (raw keys) or the tool would take the spline for a task."""
    where: Where = "live" if task.raw else "offline"
    return better_from(scorecard, FPS / task.key_step, task.ahead, where) is not None


def _points(root: Array, rotations: Array) -> Array:
    return body_points(Clip(HUMANOID, FPS, root, rotations))
