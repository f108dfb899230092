"""The newest keys of one dancer, on this machine's clock: what a model between keys is shown, and its plain way."""

from __future__ import annotations

import math
from collections import deque
from functools import partial
from statistics import median

import numpy as np

from motion import upsampling
from motion.skeleton import Array
from server.protocols.frames import PoseFrame
from server.stages.key_clock import KeyClock

KEPT = 48  # 0.4 s at 120 keys a second
USUAL_INTERVAL = 1.0 / 30.0
BEYOND_SECONDS = 0.1  # past the moment the next key was due
GAP_SECONDS = 1.0  # keys from before a longer silence say nothing of now


class Keys:
    """Frames on one skeleton, times (N,) rising. interval: seconds between keys; added: how many there were."""

    def __init__(self) -> None:
        self.interval = USUAL_INTERVAL
        self.added = 0
        self._clock = KeyClock()
        self._times: deque[float] = deque(maxlen=KEPT)
        self._frames: deque[PoseFrame] = deque(maxlen=KEPT)

    def __len__(self) -> int:
        return len(self._times)

    @property
    def newest(self) -> float:
        """Its time, seconds on this machine's clock."""
        return self._times[-1]

    @property
    def patience(self) -> float:
        """Seconds by which one key in ten comes later than the quickest."""
        return self._clock.patience

    @property
    def gap(self) -> bool:
        """Whether keys were missing before the newest, or all."""
        return len(self) < 2 or self._times[-1] - self._times[-2] > 1.5 * self.interval

    def add(self, frame: PoseFrame) -> bool:
        """A key has come: its time is the sender's on our clock (`KeyClock`), its arrival where there is none.

        One that is not later than the newest is left out: False.
        """
        time = frame.receive_time
        if frame.sender_time is not None:
            time = self._clock.time(frame.sender_time, frame.receive_time)
        if self._times and time <= self._times[-1]:
            return False
        if self._times and time >= self._times[-1] + GAP_SECONDS:
            self._times.clear()
            self._frames.clear()
        self.added += 1
        self._times.append(time)
        self._frames.append(frame)
        steps = np.diff(list(self._times)[-16:])
        if len(steps):
            self.interval = float(median(steps))
        return True

    def arrays(self) -> tuple[Array, Array, Array]:
        """times (N,), root positions (N, 3), local rotations (N, J, 4)."""
        frames = list(self._frames)
        roots = np.array([frame.root_position for frame in frames])
        return np.array(self._times), roots, np.array([frame.rotations for frame in frames])

    def within_reach(self, moments: Array) -> Array:
        """Moments no further beyond the newest key than a movement is carried on."""
        return np.minimum(moments, self.newest + self.interval + BEYOND_SECONDS)

    def plain(self) -> partial[tuple[Array, Array]]:
        """The plain way through the keys there are now, whichever come later: moments (Q,) -> roots and rotations."""
        return partial(upsampling.on_stage, *(values[-upsampling.LIVE_KEYS :] for values in self.arrays()))

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
