"""The effort meter: how probable each label is of what somebody has danced in the last second or so.

A frame is only kept (`see`); the work is done when the poses have left (`read`), and a reading counts from the next
frame on. Frames of any rate are put on the model's by time, on cubic curves through joints. There is no reading before
the model's window is full, and none of somebody who has fallen silent: then it begins anew.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from motion import kinematics
from motion.skeleton import HUMANOID, Array
from server.onnx_model import ModelError, OnnxModel
from server.protocols.effort import Shares
from server.protocols.frames import PoseFrame, same_pose
from server.stages.duet_ports import HELD_SECONDS

DENSEST = 1.0 / 130.0  # seconds between frames that are kept
MARGIN = 0.25  # seconds before the window's first frame, of which its curve is made
GAP = 0.25  # seconds without a frame, of which nobody knows what was danced


class EffortMeter:
    """One actor's. sets: the labels of every label set, in order. Raises ModelError for a model that is no meter."""

    def __init__(self, model: OnnxModel) -> None:
        manifest = model.manifest
        if manifest.kind != "meter":
            raise ModelError(f"{model.path} is a {manifest.kind!r} model; an effort meter needs a 'meter' model")
        if manifest.skeleton.topology_hash != HUMANOID.topology_hash:
            raise ModelError(f"{model.path} reads another skeleton than the standard body")
        port = manifest.inputs[0]
        reads = len(manifest.inputs) == 1 and tuple(port.layout) == ("global_positions",) and len(port.shape) == 3
        if not reads or manifest.fps_in is None or any(out.role != "label" for out in manifest.outputs):
            raise ModelError(f"{model.path}: a meter takes windows of global_positions at a rate, and gives labels")
        self.reading: Shares | None = None
        self.faults = 0
        self._model, self._port = model, port.name
        self._labels = {out.name: (out.name.removeprefix("label/"), out.layout) for out in manifest.outputs}
        self.sets = dict(self._labels.values())
        self._grid = np.arange(1 - manifest.window, 1) / manifest.fps_in  # seconds before the newest frame
        self._hop = manifest.hop / manifest.fps_in
        self._longest = -float(self._grid[0])
        most = round((self._longest + MARGIN) / DENSEST)
        self._kept: deque[tuple[float, Array]] = deque(maxlen=most)  # (time, joints (3J))
        self._new: deque[tuple[float, PoseFrame]] = deque(maxlen=most)
        self._last: PoseFrame | None = None
        self._time = self._due = self._still_seconds = 0.0

    def see(self, frame: PoseFrame, dt: float) -> None:
        """A pose on the standard body, `dt` seconds after the last."""
        last, self._last = self._last, frame
        self._time += dt
        self._still_seconds = self._still_seconds + dt if last is not None and same_pose(frame, last) else 0.0
        is_silent = self._still_seconds > HELD_SECONDS
        if is_silent or dt >= GAP:
            self.reset()
        newest = self._new or self._kept
        if not is_silent and (not newest or self._time - newest[-1][0] >= DENSEST):
            self._new.append((self._time, frame))

    def read(self) -> bool:
        """Whether there is a new reading: one is due every few frames, once the window is full.

        Raises ArithmeticError for one that is no probability.
        """
        if not self._new or self._time < self._due - 0.5 * DENSEST:  # a sum of times is not exact
            return False
        frames = [frame for _, frame in self._new]
        roots = np.array([frame.root_position for frame in frames])
        rotations = np.array([frame.rotations for frame in frames])
        joints = kinematics.global_positions(HUMANOID, roots, rotations).reshape(len(frames), -1)
        self._kept.extend((time, each) for (time, _), each in zip(self._new, joints, strict=True))
        self._new.clear()
        while len(self._kept) > 1 and self._kept[1][0] <= self._time - self._longest - MARGIN:
            self._kept.popleft()
        self._due = self._time + self._hop
        times = np.array([time for time, _ in self._kept])
        if times[-1] - times[0] < self._longest:
            return False
        moments = times[-1] + self._grid
        self._model.inputs[self._port][0] = _on_curves(times, np.array([each for _, each in self._kept]), moments)
        said = self._model.step()
        if not all(np.isfinite(each).all() for each in said.values()):
            raise ArithmeticError("non-finite reading")
        self.reading = {
            name: dict(zip(labels, map(float, said[port][0]), strict=True))
            for port, (name, labels) in self._labels.items()
        }
        return True

    def reset(self) -> None:
        """What was seen is no longer what is danced."""
        self.reading = None
        self._kept.clear()
        self._new.clear()


def _on_curves(times: Array, points: Array, moments: Array) -> Array:
    """Points (N, D) of rising times (N,) at moments (M,) between them: cubic curves, straight where two are alike.

    Hermite's, whose slope at a point is that of the parabola through it and its neighbours.
    """
    after = np.clip(np.searchsorted(times, moments), 1, len(times) - 1)
    ways = np.diff(times)[:, None]
    slopes = np.diff(points, axis=0) / ways
    at = np.concatenate(
        [slopes[:1], (ways[:-1] * slopes[1:] + ways[1:] * slopes[:-1]) / (ways[:-1] + ways[1:]), slopes[-1:]]
    )
    way = ways[after - 1]
    t = ((moments - times[after - 1]) / (times[after] - times[after - 1]))[:, None]
    begin, end = points[after - 1], points[after]
    straight = begin + t * (end - begin)
    bend = t * (1.0 - t) * way * ((1.0 - t) * (at[after - 1] - slopes[after - 1]) - t * (at[after] - slopes[after - 1]))
    return straight + bend
