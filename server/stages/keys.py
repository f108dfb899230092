"""The newest keys of one dancer, on this machine's clock: what a model between keys is shown, and its plain way."""

from __future__ import annotations

import math
from collections import deque
from statistics import median

import numpy as np

from motion import upsampling
from motion.skeleton import Array
from server.protocols.frames import PoseFrame

KEPT = 48  # 0.4 s at 120 keys a second
REMEMBERED = 60  # keys: their delays say what the network adds
USUAL_INTERVAL = 1.0 / 30.0
DECAY_SECONDS = 0.05  # of a movement that is carried on past the newest key
BEYOND_SECONDS = 0.1  # past the moment the next key was due
RESTARTED = 1.0  # seconds by which a sender's clock may jump


class Keys:
    """Frames on one skeleton, times (N,) rising. interval: seconds between keys; patience: how late they may come."""

    def __init__(self) -> None:
        self.interval = USUAL_INTERVAL
        self.patience = 0.0
        self._times: deque[float] = deque(maxlen=KEPT)
        self._frames: deque[PoseFrame] = deque(maxlen=KEPT)
        self._behind: deque[float] = deque(maxlen=REMEMBERED)  # arrival less the sender's time

    def __len__(self) -> int:
        return len(self._times)

    @property
    def newest(self) -> float:
        """Its time, seconds on this machine's clock."""
        return self._times[-1]

    def add(self, frame: PoseFrame) -> None:
        """A key has come: its time is the sender's, moved by the least delay of late; its arrival where there is none.

        One that is not later than the newest is left out.
        """
        time = frame.receive_time
        if frame.sender_time is not None:
            behind = frame.receive_time - frame.sender_time
            if self._behind and abs(behind - self._behind[-1]) > RESTARTED:
                self._behind.clear()
            self._behind.append(behind)
            time = frame.sender_time + min(self._behind)
        if self._times and not self._times[-1] < time < self._times[-1] + RESTARTED:
            if self._times[-1] - RESTARTED < time <= self._times[-1]:
                return
            self._times.clear()
            self._frames.clear()
        self._times.append(time)
        self._frames.append(frame)
        steps = np.diff(list(self._times)[-16:])
        if len(steps):
            self.interval = float(median(steps))
        if len(self._behind) > 1:
            self.patience = float(np.percentile(np.array(self._behind) - min(self._behind), 90))

    def arrays(self) -> tuple[Array, Array, Array]:
        """times (N,), root positions (N, 3), local rotations (N, J, 4)."""
        frames = list(self._frames)
        roots = np.array([frame.root_position for frame in frames])
        return np.array(self._times), roots, np.array([frame.rotations for frame in frames])

    def within_reach(self, moments: Array) -> Array:
        """Moments no further beyond the newest key than a movement is carried on."""
        return np.minimum(moments, self.newest + self.interval + BEYOND_SECONDS)

    def plain(self, moments: Array) -> tuple[Array, Array]:
        """Catmull-Rom between keys; past the newest on at its speed, dying away: roots (Q, 3), rotations (Q, J, 4)."""
        times, roots, rotations = (values[-6:] for values in self.arrays())
        past = np.minimum(moments, self.newest)
        root, q = upsampling.poses_at("catmull_rom", times, roots, rotations, past)
        beyond = moments > self.newest
        if beyond.any() and len(times) > 1:
            on = self.newest + DECAY_SECONDS * (1.0 - np.exp(-(moments[beyond] - self.newest) / DECAY_SECONDS))
            root[beyond], q[beyond] = upsampling.poses_at("extrapolate", times, roots, rotations, on)
        return root, q

    def around(self, moment: float) -> tuple[int, int]:
        """Places of the keys on both sides of a moment; past the newest the last two; one key is both."""
        times = self._times
        after = next((place for place in range(len(times)) if times[place] > moment), len(times) - 1)
        after = max(after, min(1, len(times) - 1))
        return max(after - 1, 0), after

    def key(self, place: int) -> tuple[float, PoseFrame]:
        return self._times[place], self._frames[place]


def beats(start: float, fps: float, seconds: float, most: int) -> Array:
    """The moments of the next beats after one at `start`, for so many seconds."""
    count = min(max(math.ceil(seconds * fps), 1), most)
    return start + np.arange(1, count + 1) / fps
