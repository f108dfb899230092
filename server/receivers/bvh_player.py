"""A recording as the dancer: the same frames with a thread that keeps time, or without one for an offline render.

Frames carry their exact time (number / fps) as sender_time, so what follows does not depend on when the thread woke.
A loop dissolves its last half second into its first, so nobody is thrown back to the start in one frame.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count

import numpy as np

from motion import rotations as rot
from motion.clean import resample
from motion.clip import Clip
from server.protocols.frames import PoseFrame
from server.receivers import OnFrame

DISSOLVE_SECONDS = 0.5
SPIN_SECONDS = 0.0002  # a sleeper is woken late, so the last part of a wait is spun
CATCH_UP_SECONDS = 0.5  # a thread later than this (a suspended machine) skips frames instead of sending a burst


class BvhPlayer:
    """Plays a clip at `fps`, resampled if it has another rate.

    on_frame: called by the thread after `start`. clock: seconds, for receive_time and the deadlines.
    Raises ValueError for a clip without frames.
    """

    def __init__(
        self,
        clip: Clip,
        fps: float,
        loop: bool = True,
        on_frame: OnFrame | None = None,
        clock: Callable[[], float] = time.perf_counter,
        actor: str = "",
    ) -> None:
        if len(clip) == 0:
            raise ValueError("the recording has no frames")
        self.clip = resample(clip, fps)
        self.finished = threading.Event()
        self.last_error: Exception | None = None
        self._fps = fps
        self._loop = loop
        self._on_frame = on_frame
        self._clock = clock
        self._actor = actor
        self._dissolve = min(round(DISSOLVE_SECONDS * fps), len(self.clip) // 2) if loop else 0
        self._seam = _dissolved(self.clip, self._dissolve)
        self._counts: Counter[str] = Counter()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="player", daemon=True)

    def frames(self) -> Iterator[PoseFrame]:
        """Every frame in order, endless when looping; receive_time is the sender_time."""
        return (self._frame(number) for number in (count() if self._loop else range(len(self.clip))))

    @property
    def counts(self) -> Counter[str]:
        return Counter(self._counts)

    @property
    def others(self) -> list[str]:
        return []

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()

    def describe(self) -> str:
        loop = ", looped" if self._loop else ""
        return f"a recording of {self.clip.seconds:.1f} s at {self._fps:g} fps{loop}"

    def _frame(self, number: int) -> PoseFrame:
        clip, place = self.clip, number
        last = len(clip) - self._dissolve
        if number >= last and self._loop:
            # After the first pass a round is: the seam, then the frames between the two dissolved ends.
            place = (number - last) % last
            if place < self._dissolve:
                clip = self._seam
        time = number / self._fps
        return PoseFrame(
            clip.skeleton, clip.root_positions[place], clip.rotations[place], time, time, number, self._actor
        )

    def _run(self) -> None:
        start = caught_up = self._clock()
        for frame in self.frames():
            assert frame.sender_time is not None
            deadline = start + frame.sender_time
            if deadline < caught_up:
                self._counts["skipped"] += 1
                continue
            now = self._clock()
            if now - deadline > CATCH_UP_SECONDS:
                caught_up = now
            if not self._wait_until(deadline):
                return
            self._counts["frames"] += 1
            # Nothing may end this thread while the show runs: a fault of ours is counted, the first one is kept.
            try:
                if self._on_frame is not None:
                    self._on_frame(replace(frame, receive_time=self._clock()))
            except Exception as error:
                self._counts["internal_error"] += 1
                self.last_error = self.last_error or error
        self.finished.set()

    def _wait_until(self, deadline: float) -> bool:
        """Sleeps, then spins; False when the player is closed meanwhile."""
        remaining = deadline - self._clock()
        if self._closing.wait(max(remaining - SPIN_SECONDS, 0.0)):
            return False
        while self._clock() < deadline:
            pass
        return True


def _dissolved(clip: Clip, frames: int) -> Clip:
    """The clip's last frames turning into its first ones, (frames) long; the weight eases in and out."""
    t = (np.arange(frames) + 1.0) / (frames + 1.0)
    weight = t * t * (3.0 - 2.0 * t)
    end = slice(len(clip) - frames, len(clip))
    root_positions = clip.root_positions[end] * (1.0 - weight[:, None]) + clip.root_positions[:frames] * weight[:, None]
    rotations = rot.slerp(clip.rotations[end], clip.rotations[:frames], weight[:, None])
    return Clip(clip.skeleton, clip.fps, root_positions, rotations)
