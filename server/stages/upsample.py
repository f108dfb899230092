"""A slow suit's keys in, a pose for every beat out, by a model that knows how bodies go from key to key.

At every key a worker is asked for all beats until the next key and a tenth of a second more; a beat takes the newest
answer that is there and never waits. Where there is none the plain way serves (`motion.upsampling.on_stage`), and where
the model's own scorecard says that a spline is nearer, it serves always. What was shown melts into what is known now
(`seamless`), and planted feet stay (`footing`).
delay: keys that are waited for. 0 goes on from the newest one; with 1 a beat lies between the newest two keys, with 2
between the two before.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from motion import key_window, spline_table
from motion import rotations as rot
from motion.skeleton import HUMANOID, Array
from server.onnx_model import ModelError, OnnxModel
from server.protocols.frames import PoseFrame
from server.stages.footing import FeetBetweenKeys
from server.stages.keys import BEYOND_SECONDS, Keys, beats
from server.stages.seamless import Known, Seamless
from server.stages.worker import Worker, inline

LAG_EASE = 0.02  # share of the way to its new length that the lag goes in a beat
MOST_BEATS = 64


@dataclass(frozen=True)
class _Answer:
    """Poses (Q) of moments (Q,)."""

    moments: Array
    roots: Array
    rotations: Array

    def reaches(self, moment: float) -> bool:
        return bool(self.moments[0] - 0.02 <= moment <= self.moments[-1] + 1e-6)

    def __call__(self, moments: Array) -> tuple[Array, Array]:
        """Roots (M, 3) and rotations (M, J, 4) at any moments (M,); past the last, that."""
        moments = np.minimum(moments, self.moments[-1])
        place = np.clip(np.searchsorted(self.moments, moments) - 1, 0, len(self.moments) - 2)
        share = (moments - self.moments[place]) / (self.moments[place + 1] - self.moments[place])
        roots = self.roots[place] + share[:, None] * (self.roots[place + 1] - self.roots[place])
        return roots, rot.slerp(self.rotations[place], self.rotations[place + 1], share[:, None])


class Upsample:
    """One dancer's. fps: beats a second. Raises ModelError for a model that is no upsampler of HUMANOID."""

    def __init__(self, model: OnnxModel, delay: int, fps: float, worker: Worker = inline) -> None:
        check_upsampler(model)
        self.counts: Counter[str] = Counter()
        self._model, self._run = model, worker()
        self._delay, self._fps = delay, fps
        self.keys = Keys()
        self._footing = FeetBetweenKeys()
        self._lag: float | None = None
        self._beat: float | None = None
        self._asked: Future[_Answer] | None = None
        self._is_asked_for = False  # there are keys that no answer knows
        self._answer: _Answer | None = None
        self._plain: Known | None = None  # for the keys there are
        self._seamless = Seamless(between=delay > 0)

    @property
    def latency(self) -> float:
        """Seconds by which the pose of a beat is older than the beat."""
        return self._lag or 0.0

    def key(self, frame: PoseFrame) -> None:
        """A frame of the suit has come, on HUMANOID."""
        if not self.keys.add(frame):
            return
        self._plain, self._is_asked_for = self.keys.plain(), True
        self._ask_for_beats(frame.receive_time if self._beat is None else self._beat)

    def _ask_for_beats(self, start: float) -> None:
        """Asks the worker for the beats after one at `start`; where it has not answered yet, when it has."""
        if self._asked is not None or self._is_better_plain() or len(self.keys) < 2:
            return
        self._is_asked_for = False
        moments = beats(start, self._fps, self.keys.interval + BEYOND_SECONDS, MOST_BEATS) - self.latency
        moments = np.unique(
            self.keys.within_reach(np.concatenate([moments[:1] - np.array([2.0, 1.0]) / self._fps, moments]))
        )
        if len(moments) < 2:
            return
        times, roots, rotations = self.keys.arrays()
        places = key_window.between(times, moments, self._delay)
        valid = np.ones(rotations.shape[:2], dtype=bool)
        shown = key_window.shown(places, times, roots, rotations, valid, moments)
        self._asked = self._run(lambda: _ask(self._model, shown, moments))

    def at(self, frame: PoseFrame) -> PoseFrame:
        """The pose of a beat at frame.receive_time. There must have been a key."""
        dt = 1.0 / self._fps if self._beat is None else min(max(frame.receive_time - self._beat, 1e-3), 0.25)
        self._beat = frame.receive_time
        wanted = self._delay * self.keys.interval + (self.keys.patience if self._delay else 0.0)
        self._lag = wanted if self._lag is None else self._lag + LAG_EASE * (wanted - self._lag)
        moment = float(self.keys.within_reach(np.array([self._beat - self._lag]))[0])
        self._hear()
        root, rotations = self._seamless.step(self._known(moment), moment, dt, self.keys.gap)
        rotations = self._footing.plant(root, rotations, self.keys, moment, dt)
        return replace(frame, skeleton=HUMANOID, root_position=root, rotations=rotations)

    def _known(self, moment: float) -> Known:
        """Who says where the dancer is at a moment."""
        answer, is_better_plain = self._answer, self._is_better_plain()
        if answer is not None and answer.reaches(moment) and not is_better_plain:
            self.counts["modelled"] += 1
            return answer
        self.counts["plain" if is_better_plain else "late"] += 1
        assert self._plain is not None  # there has been a key
        return self._plain

    def _hear(self) -> None:
        """Takes the worker's answer if it is there."""
        if self._asked is None or not self._asked.done():
            return
        asked, self._asked = self._asked, None
        try:
            self._answer = asked.result()
        except Exception:  # whatever a model raises, the plain way is there
            self.counts["model_faults"] += 1
        if self._is_asked_for and self._beat is not None:
            self._ask_for_beats(self._beat)

    def _is_better_plain(self) -> bool:
        fps = 1.0 / max(self.keys.interval, 1e-3)
        return spline_table.better_from(self._model.manifest.scorecard, fps, self._delay, "live") is not None


def check_upsampler(model: OnnxModel) -> None:
    """Raises ModelError, with what the model is, for one that is no upsampler of HUMANOID."""
    manifest = model.manifest
    if manifest.kind != "upsampler" or manifest.skeleton.topology_hash != HUMANOID.topology_hash:
        raise ModelError(f"{model.path} is a {manifest.kind} of {len(manifest.skeleton)} joints, no upsampler of ours")


def _ask(model: OnnxModel, shown: key_window.Shown, moments: Array) -> _Answer:
    made = ask(model, shown)
    roots, rotations = key_window.poses(made)
    return _Answer(moments, roots, rot.continuous(rotations))


def ask(model: OnnxModel, shown: key_window.Shown) -> Any:
    """What a model makes of what it is shown: (Q, 3 + 6J). Raises ArithmeticError for what is not finite."""
    model.inputs |= shown.inputs()
    made = shown.told(model.step()["pose"])
    if not np.isfinite(made).all():
        raise ArithmeticError(f"{model.path} made a pose that is not finite")
    return made
