"""The dancer as they will be: a pose some tens of milliseconds ahead, told from raw frames by the upsampler's model.

It hides the suit's and the server's latency from whoever sees the dancer, and from the partner. How far the forecasts
were off is measured against what then came: `surprise`, in metres, over about a second.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace

import numpy as np

from motion import key_window, kinematics
from motion.manifest import Param
from motion.skeleton import HUMANOID, Array
from server.onnx_model import OnnxModel
from server.params import Knobs
from server.protocols.frames import PoseFrame
from server.stages.keys import Keys
from server.stages.upsample import ask, check_upsampler

MOST_SECONDS = 0.1
SURPRISE_SECONDS = 1.0


class Forecast:
    """One dancer's. seconds: how far ahead, 0 to 0.1. Raises ModelError for a model that is no upsampler of ours."""

    params: tuple[Param, ...] = ()

    def __init__(self, model: OnnxModel, seconds: float) -> None:
        check_upsampler(model)
        self.counts: Counter[str] = Counter()
        self.surprise: float | None = None
        self._model, self._seconds = model, seconds
        self._keys = Keys()
        self._told: deque[tuple[float, Array]] = deque(maxlen=64)  # (moment, joints) that are still to come

    @property
    def ahead(self) -> float:
        """Seconds by which the pose is ahead of the frame."""
        return self._seconds

    def reset(self) -> None:
        """What was seen of the dancer outlives a reset."""

    def step(self, frame: PoseFrame, dt: float, params: Knobs) -> PoseFrame:
        self._keys.add(frame)
        moment = self._keys.newest + self._seconds
        self._compare(frame)
        if not self._seconds or len(self._keys) < 2:
            return frame
        times, roots, rotations = self._keys.arrays()
        valid = np.ones(rotations.shape[:2], dtype=bool)
        shown = key_window.shown(key_window.forecast(times), times, roots, rotations, valid, np.array([moment]))
        try:
            made_roots, made = key_window.poses(ask(self._model, shown))
        except ArithmeticError:
            self.counts["model_faults"] += 1
            made_roots, made = self._keys.plain(np.array([moment]))
        self._told.append((moment, kinematics.global_positions(HUMANOID, made_roots[0], made[0])))
        return replace(frame, root_position=made_roots[0], rotations=made[0])

    def _compare(self, frame: PoseFrame) -> None:
        """Judges the forecast of the moment that has come now."""
        now, told = self._keys.newest, None
        while self._told and self._told[0][0] <= now:
            told = self._told.popleft()
        if told is None or now - told[0] > self._keys.interval:
            return
        came = kinematics.global_positions(HUMANOID, frame.root_position, frame.rotations)
        off = float(np.linalg.norm(told[1] - came, axis=-1).mean())
        share = min(self._keys.interval / SURPRISE_SECONDS, 1.0)
        self.surprise = off if self.surprise is None else self.surprise + share * (off - self.surprise)
