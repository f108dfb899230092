"""The partner of a model that works on windows: a worker answers one every `hop` frames, the tick never waits.

The dancer's frames are resampled to the model's rate by time. At every hop the last `window` of them go to the worker;
its answer is taken up exactly `due` frames later, however early it was ready, and dissolves into the ones before it by
slerp over `fade` frames (overlap-add). What is shown is the dance of `latency_frames` ago, so a frame that is needed is
there: latency_frames >= hop + due + fade. An answer taken up at a moment that its arrival does not decide is why a live
show gives the poses of an offline render bit for bit. One that is late is taken up when it comes, one whose turn comes
before the last is done is left out, both are counted; the dance that is there goes on to its last pose meanwhile.
"""

from __future__ import annotations

import math
from collections import Counter
from concurrent.futures import Future
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from motion import features
from motion import rotations as rot
from motion.skeleton import HUMANOID, Array, Skeleton
from server.onnx_model import ModelError, OnnxModel, Values
from server.params import Knobs
from server.protocols.frames import PoseFrame, same_pose
from server.stages.duet_ports import HELD_SECONDS, duet_ports
from server.stages.worker import Worker, inline

NOISE_HALF_LIFE = 2.0  # seconds
_AROUND = np.arange(-1, 3)
# Weights of the four frames around a moment as polynomials of where it lies between the middle two.
_CATMULL_ROM = 0.5 * np.array([[0, -1, 2, -1], [2, 0, -5, 3], [0, 1, 4, -3], [0, 0, -1, 1]])
_EARLY = 1e-4  # of a frame: a grid moment so little in the future has come (a sum of times is not exact)


@dataclass(frozen=True)
class Dance:
    """Poses (T) of the partner at the model's rate from frame `start` of the dancer on; held before and after."""

    start: int
    roots: Array  # (T, 3)
    rotations: Array  # (T, J, 4)

    @property
    def end(self) -> int:
        """The last frame."""
        return self.start + len(self.roots) - 1

    def at(self, frames: NDArray[np.intp]) -> tuple[Array, Array]:
        """Root positions and rotations of whole frames (...)."""
        places = np.clip(frames - self.start, 0, len(self.roots) - 1)
        return self.roots[places], self.rotations[places]


@dataclass(frozen=True)
class _Job:
    """A window of the dancer that ends with frame `end`, and all else that the model takes."""

    end: int
    skeleton: Skeleton
    roots: Array  # (window, 3)
    rotations: Array  # (window, J, 4)
    inputs: dict[str, Values]
    fresh: bool  # the model starts over


class WindowPartner:
    """Dancer's frame in at any rate, partner's frame out, on HUMANOID.

    latency: seconds by which the partner is behind the dancer, what the model predicts taken off. counts:
    `late_windows`, `left_out_windows`.
    Raises ModelError when the model is no duet, is made for another skeleton, or its latency leaves no time to think.
    """

    def __init__(self, model: OnnxModel, seed: int | tuple[int, ...], worker: Worker = inline) -> None:
        manifest, ports = model.manifest, duet_ports(model)
        self.model, self.params, self.counts = model, manifest.params, Counter[str]()
        self._ports, self._window, self._hop = ports, manifest.window, manifest.hop
        for port in (ports.dancer, ports.partner):
            if len(port.shape) != 3 or port.shape[1] != manifest.window:
                raise ModelError(
                    f"{model.path}: {port.name} has shape {list(port.shape)}, not [batch, {manifest.window}, D]"
                )
        if manifest.fps_in is None or manifest.fps_out not in (None, manifest.fps_in):
            raise ModelError(f"{model.path}: {manifest.fps_in} frames a second in, {manifest.fps_out} out; must be one")
        spare = manifest.latency_frames - manifest.hop
        if spare < 2 or manifest.latency_frames > manifest.window:
            raise ModelError(
                f"{model.path} states a latency of {manifest.latency_frames} frames; with a hop of {manifest.hop} and "
                f"a window of {manifest.window} it must be {manifest.hop + 2} to {manifest.window}"
            )
        self._fps, self._latency_frames = manifest.fps_in, manifest.latency_frames
        self.latency, self.ahead = (n / manifest.fps_in for n in (manifest.latency_frames, manifest.ahead_frames))
        # The longer a fade the calmer the partner; a quarter is time enough for models that keep up with their hop.
        self._due = max(1, min(manifest.hop, spare // 4))
        self._fade = spare - self._due
        self._run = worker()
        self._seed, self._random = seed, np.random.default_rng(seed)
        self._noise: dict[str, Values] = {}
        self._greeting = self._answer_to_rest()
        self._dance: Dance | None = None
        self._pending: tuple[_Job, Future[Dance]] | None = None
        self._last: PoseFrame | None = None  # the dancer's; None: the next frame is the first of its kind
        self._time = self._still_seconds = 0.0
        self._grid = 0  # frames at the model's rate that have come, less one
        self._roots = np.zeros((self._window, 3))
        self._rotations = np.zeros((self._window, len(HUMANOID), 4))
        self._fresh = True
        self._shown: tuple[Array, Array] | None = None

    def reset(self) -> None:
        """Starts over, with the same noise as the first time; what is shown stays until there is a first answer."""
        self._random = np.random.default_rng(self._seed)
        self._noise = {}
        self._last, self._pending, self._fresh = None, None, True

    def step(self, frame: PoseFrame, dt: float, params: Knobs) -> PoseFrame:
        if self._last is None:
            self._begin(frame, params)
        else:
            self._hear(self._last, frame, dt, params)
        self._last = frame
        root, rotations = self._shown = self._look(self._time * self._fps - self._latency_frames)
        return replace(frame, skeleton=HUMANOID, root_position=root, rotations=rotations)

    def _begin(self, frame: PoseFrame, params: Knobs) -> None:
        """A first frame: the past is as if the dancer had always stood like this."""
        self._time = self._still_seconds = 0.0
        self._grid = 0
        self._roots[:], self._rotations[:] = frame.root_position, frame.rotations
        root, rotations = self._shown or _beside(frame, self._greeting)
        self._dance = Dance(0, root[None], rotations[None])
        self._ask(frame.skeleton, params)

    def _hear(self, last: PoseFrame, frame: PoseFrame, dt: float, params: Knobs) -> None:
        """Puts the time since the last frame on the model's grid, and gives and takes windows where they are due."""
        self._still_seconds = self._still_seconds + dt if same_pose(frame, last) else 0.0
        before, self._time = self._time, self._time + dt
        first, newest = self._grid + 1, math.floor(self._time * self._fps + _EARLY)
        if newest < first:
            return
        shares = np.clip((np.arange(first, newest + 1) / self._fps - before) / dt, 0.0, 1.0)
        roots = last.root_position + shares[:, None] * (frame.root_position - last.root_position)
        rotations = rot.slerp(last.rotations, frame.rotations, shares[:, None])
        for place in range(len(shares)):
            self._grid += 1
            self._roots[self._grid % self._window] = roots[place]
            self._rotations[self._grid % self._window] = rotations[place]
            self._take()
            if self._grid % self._hop == 0:
                self._ask(frame.skeleton, params)

    def _ask(self, skeleton: Skeleton, params: Knobs) -> None:
        """Gives the worker the window that ends now, unless it is still busy with the last one."""
        if self._pending is not None:
            self.counts["left_out_windows"] += 1
            return
        order = (np.arange(self._window) + self._grid + 1) % self._window
        inputs = {name: np.array(params[name], dtype=np.float32) for name in self._ports.conditions}
        inputs |= {name: np.array(1.0 / self._fps, dtype=np.float32) for name in self._ports.times}
        for name in self._ports.noises:
            inputs[name] = self._wander(name) * np.float32(self._still_seconds <= HELD_SECONDS)
        job = _Job(self._grid, skeleton, self._roots[order], self._rotations[order], inputs, self._fresh)
        self._fresh = False
        self._pending = job, self._run(lambda: self._answer(job))

    def _wander(self, name: str) -> Values:
        """Standard normal noise that a window has in part from the one before (an Ornstein-Uhlenbeck process).

        Windows that share most of their frames and nothing of their noise would make the partner waver.
        """
        fresh: Values = self._random.standard_normal(self.model.inputs[name].shape, dtype=np.float32)
        keep = np.float32(0.5 ** (self._hop / self._fps / NOISE_HALF_LIFE))
        last = self._noise.get(name, fresh)
        self._noise[name] = noise = fresh if last is fresh else keep * last + np.sqrt(1.0 - keep * keep) * fresh
        return noise

    def _answer(self, job: _Job) -> Dance:
        """In the worker: one run of the model. Only here is the model touched once the show has begun."""
        if job.fresh:
            self.model.reset()
        inputs, ports = self.model.inputs, self._ports
        inputs[ports.dancer.name][0] = features.encode(ports.dancer.layout, job.skeleton, job.roots, job.rotations)
        for name, value in job.inputs.items():
            inputs[name][:] = value
        partner = self.model.step()[ports.partner.name][0]  # (window, D)
        if not np.isfinite(partner).all():
            raise ArithmeticError(f"non-finite pose in the window that ends with frame {job.end}")
        return Dance(job.end - self._window + 1, *features.decode(ports.partner.layout, len(HUMANOID), partner))

    def _take(self) -> None:
        """Lets the answer that is due dissolve into what is shown. Raises what the worker raised."""
        if self._pending is None or self._dance is None:
            return
        job, future = self._pending
        if self._grid < job.end + self._due:
            return
        if not future.done():
            self.counts["late_windows"] += self._grid == job.end + self._due
            return
        self._pending = None
        new = future.result()
        start = self._grid - self._latency_frames
        frames = np.arange(start, max(new.end, start + self._fade) + 1)
        roots, rotations = new.at(frames)
        overlap = self._fade + 1
        old_roots, old_rotations = self._dance.at(frames[:overlap])
        ramp = np.arange(overlap) / overlap
        ramp = (ramp**3 * (ramp * (6.0 * ramp - 15.0) + 10.0))[:, None]  # at rest at both ends, its slope too
        roots[:overlap] = old_roots + ramp * (roots[:overlap] - old_roots)
        rotations[:overlap] = rot.slerp(old_rotations, rotations[:overlap], ramp)
        self._dance = Dance(start, roots, rot.continuous(rotations))

    def _look(self, position: float) -> tuple[Array, Array]:
        """The pose between two frames of the dance, on a Catmull-Rom curve: straight lines jerk at every frame."""
        assert self._dance is not None
        below = math.floor(position)
        t = position - below
        roots, rotations = self._dance.at(below + _AROUND)
        weights = _CATMULL_ROM @ np.array([1.0, t, t * t, t * t * t])
        return weights @ roots, rot.normalize(np.einsum("t,tji->ji", weights, rotations))

    def _answer_to_rest(self) -> tuple[Array, Array]:
        """The partner of somebody at rest in the middle of the stage, facing +Z: how a show begins."""
        roots = np.tile(HUMANOID.offsets[0], (self._window, 1))
        rotations = np.tile(rot.IDENTITY, (self._window, len(HUMANOID), 1))
        inputs = {name: np.array(1.0 / self._fps, dtype=np.float32) for name in self._ports.times}
        inputs |= {param.name: np.array(param.default, dtype=np.float32) for param in self.params}
        try:
            dance = self._answer(_Job(0, HUMANOID, roots, rotations, inputs, fresh=True))
        except ArithmeticError as error:
            raise ModelError(f"{self.model.path}: for a dancer at rest: {error}") from None
        return dance.roots[-1], dance.rotations[-1]


def _beside(frame: PoseFrame, pose: tuple[Array, Array]) -> tuple[Array, Array]:
    """A pose that answers somebody in the middle of the stage, as the answer to this dancer."""
    root, rotations = pose[0], pose[1].copy()
    ahead = rot.rotate(frame.rotations[0], np.array([0.0, 0.0, 1.0]))
    turn = rot.yaw(math.atan2(ahead[0], ahead[2]))
    rotations[0] = rot.multiply(turn, rotations[0])
    return rot.rotate(turn, root) + frame.root_position * np.array([1.0, 0.0, 1.0]), rotations
