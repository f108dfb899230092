"""A slow suit's keys in, a pose for every beat out, by a model that knows how bodies go from key to key.

At every key a worker is asked for all beats until the next key and a tenth of a second more; a beat takes the newest
answer that is there and never waits. Where there is none the plain way serves (`Keys.plain`), and where the model's own
scorecard says that a spline is nearer, it serves always. Planted feet stay (`footing`).
delay: keys that are waited for. 0 goes on from the newest one; with 1 a beat lies between the newest two keys, with 2
between the two before.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from motion import key_window
from motion import rotations as rot
from motion.skeleton import HUMANOID, Array
from server.onnx_model import ModelError, OnnxModel
from server.protocols.frames import PoseFrame
from server.stages.footing import Footing
from server.stages.keys import BEYOND_SECONDS, Keys, beats
from server.stages.worker import Worker, inline

LAG_EASE = 0.02  # share of the way to its new length that the lag goes in a beat
SETTLE_HALF_LIFE = 0.007  # seconds: of the step between two answers, taken back; shorter is nearer, longer calmer
MOST_BEATS = 64


@dataclass(frozen=True)
class _Answer:
    """Poses (Q) of moments (Q,)."""

    moments: Array
    roots: Array
    rotations: Array

    def at(self, moment: float) -> tuple[Array, Array] | None:
        """The pose at a moment, None where the answer does not reach."""
        moments = self.moments
        if not moments[0] - 0.02 <= moment <= moments[-1] + 1e-6:
            return None
        place = int(np.clip(np.searchsorted(moments, moment) - 1, 0, len(moments) - 2))
        share = (moment - moments[place]) / (moments[place + 1] - moments[place])
        root = self.roots[place] + share * (self.roots[place + 1] - self.roots[place])
        return root, rot.slerp(self.rotations[place], self.rotations[place + 1], share)


class Upsample:
    """One dancer's. fps: beats a second. Raises ModelError for a model that is no upsampler of HUMANOID."""

    def __init__(self, model: OnnxModel, delay: int, fps: float, worker: Worker = inline) -> None:
        check_upsampler(model)
        self.counts: Counter[str] = Counter()
        self._model, self._run = model, worker()
        self._delay, self._fps = delay, fps
        self._better_plain = [
            (each["from_fps"], each["to_fps"])
            for each in model.manifest.scorecard.get("spline_is_better", ())
            if each["ahead"] == delay
        ]
        self.keys = Keys()
        self._footing = Footing()
        self._lag: float | None = None
        self._beat: float | None = None
        self._asked: Future[_Answer] | None = None
        self._is_asked_for = False  # there are keys that no answer knows
        self._answer: _Answer | None = None
        self._left_root, self._left_turn = np.zeros(3), np.tile(rot.IDENTITY, (len(HUMANOID), 1))

    @property
    def latency(self) -> float:
        """Seconds by which the pose of a beat is older than the beat."""
        return self._lag or 0.0

    def key(self, frame: PoseFrame) -> None:
        """A frame of the suit has come, on HUMANOID."""
        self.keys.add(frame)
        self._is_asked_for = True
        self._ask_for_beats(frame.receive_time if self._beat is None else self._beat)

    def _ask_for_beats(self, start: float) -> None:
        """Asks the worker for the beats after one at `start`; where it has not answered yet, when it has."""
        if self._asked is not None or self._is_better_plain() or len(self.keys) < 2:
            return
        self._is_asked_for = False
        moments = beats(start, self._fps, self.keys.interval + BEYOND_SECONDS, MOST_BEATS) - self.latency
        moments = np.unique(self.keys.within_reach(np.concatenate([moments[:1] - 1.0 / self._fps, moments])))
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
        root, rotations = self._pose(moment, dt)
        rotations = self._footing.plant(root, rotations, self.keys, moment, dt)
        return replace(frame, skeleton=HUMANOID, root_position=root, rotations=rotations)

    def _pose(self, moment: float, dt: float) -> tuple[Array, Array]:
        before = self._answer
        if self._asked is not None and self._asked.done():
            asked, self._asked = self._asked, None
            try:
                self._answer = asked.result()
            except Exception:  # whatever a model raises, the plain way is there
                self.counts["model_faults"] += 1
            if self._is_asked_for and self._beat is not None:
                self._ask_for_beats(self._beat)
        pose = None if self._answer is None or self._is_better_plain() else self._answer.at(moment)
        if pose is None:
            self.counts["plain" if self._is_better_plain() else "late"] += 1
            roots, rotations = self.keys.plain(np.array([moment]))
            return roots[0], rotations[0]
        self.counts["modelled"] += 1
        old = before.at(moment) if before is not None and before is not self._answer else None
        return self._settled(pose, old, dt)

    def _settled(self, pose: tuple[Array, Array], old: tuple[Array, Array] | None, dt: float) -> tuple[Array, Array]:
        """A pose with the step between two answers, taken back within two beats or three."""
        if self._delay:
            return pose
        keep = 0.5 ** (dt / SETTLE_HALF_LIFE)
        if old is not None:  # what was shown goes on from where it was
            self._left_root = self._left_root + old[0] - pose[0]
            self._left_turn = rot.multiply(rot.multiply(self._left_turn, old[1]), rot.inverse(pose[1]))
        self._left_root = keep * self._left_root
        self._left_turn = rot.slerp(rot.IDENTITY, self._left_turn, keep)
        return pose[0] + self._left_root, rot.multiply(self._left_turn, pose[1])

    def _is_better_plain(self) -> bool:
        fps = 1.0 / max(self.keys.interval, 1e-3)
        return any(low <= fps <= high for low, high in self._better_plain)


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
