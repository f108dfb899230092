"""The dancer as they will be: a pose some tens of milliseconds ahead, told from raw frames by the upsampler's model.

It hides the suit's and the server's latency from whoever sees the dancer, and from the partner. How far the forecasts
were off is measured against what then came, between two frames on their line: `surprise`, metres over about a second.
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

SURPRISE_SECONDS = 1.0
MOST_BETWEEN = 2.5  # intervals between frames that a line still tells what was between


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
        self._came: tuple[float, Array] | None = None  # the same of the newest frame

    @property
    def ahead(self) -> float:
        """Seconds by which the pose is ahead of the frame."""
        return self._seconds

    def reset(self) -> None:
        """What was seen of the dancer outlives a reset."""

    def step(self, frame: PoseFrame, dt: float, params: Knobs) -> PoseFrame:
        if self._keys.add(frame):
            self._compare(frame)
        moment = self._keys.newest + self._seconds
        if not self._seconds or len(self._keys) < 2:
            return frame
        times, roots, rotations = self._keys.arrays()
        valid = np.ones(rotations.shape[:2], dtype=bool)
        shown = key_window.shown(key_window.forecast(times), times, roots, rotations, valid, np.array([moment]))
        try:
            made_roots, made = key_window.poses(ask(self._model, shown))
        except Exception:  # whatever a model raises, the plain way is there
            self.counts["model_faults"] += 1
            made_roots, made = self._keys.plain()(np.array([moment]))
        self._told.append((moment, kinematics.global_positions(HUMANOID, made_roots[0], made[0])))
        return replace(frame, root_position=made_roots[0], rotations=made[0])

    def _compare(self, frame: PoseFrame) -> None:
        """Judges the forecasts of moments between the frame before and this one; of lost frames nobody knows."""
        now = self._keys.newest
        came = kinematics.global_positions(HUMANOID, frame.root_position, frame.rotations)
        (before, there), self._came = self._came or (now, came), (now, came)
        is_known = now - before < MOST_BETWEEN * self._keys.interval
        while self._told and self._told[0][0] <= now:
            moment, told = self._told.popleft()
            if not is_known or moment < before:
                continue
            true = there + (moment - before) / max(now - before, 1e-6) * (came - there)
            off = float(np.linalg.norm(told - true, axis=-1).mean())
            share = min(self._keys.interval / SURPRISE_SECONDS, 1.0)
            self.surprise = off if self.surprise is None else self.surprise + share * (off - self.surprise)
