"""A recording as the dancer: the same frames with a thread that keeps time, or without one for an offline render.

Frames carry their exact time (number / fps) as sender_time, so what follows does not depend on when the thread woke.
It can be told to stop, to go on, to jump, to play a part, another rate or another recording: what is seen dissolves
from the one into the other, and the time of the frames goes on evenly. One thread may give such orders.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count, takewhile

from motion.clip import Clip
from server.protocols.frames import PoseFrame
from server.receivers import OnFrame
from server.receivers.reel import Playing, Reel

SPIN_SECONDS = 0.0002  # a sleeper is woken late, so the last part of a wait is spun
CATCH_UP_SECONDS = 0.5  # a thread later than this (a suspended machine) skips frames instead of sending a burst


class BvhPlayer:
    """Plays a clip at `fps`, between its own frames if it has another rate.

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
        self.finished = threading.Event()
        self.first_error: Exception | None = None
        self._fps = fps
        self._loop = loop
        self._on_frame = on_frame
        self._clock = clock
        self._actor = actor
        self._counts: Counter[str] = Counter()
        self._closing = threading.Event()
        self._ordered = threading.Event()
        self._number = 0  # of the frame that leaves next
        self._film = clip
        self.first, self.last, self.film_fps = 0, len(clip) - 1, clip.fps
        self._playing = Playing(self._cut(clip, self.first, self.last, self.film_fps), fps)
        self._thread = threading.Thread(target=self._run, name="player", daemon=True)

    @property
    def frame(self) -> int:
        """Which of the recording's own frames is seen now."""
        place = self._playing.reel.place(self._playing.at(self._number))
        return self.first + min(round(place), self.last - self.first)

    @property
    def running(self) -> bool:
        return self._playing.running

    def load(self, clip: Clip) -> None:
        """Another recording, from its beginning. ValueError when it has no frames."""
        self._cut_anew(clip, 0, len(clip) - 1, clip.fps, 0)
        self._film = clip

    def run(self, on: bool) -> None:
        """Goes on, from the beginning if it had ended; or stands still."""
        playing = self._playing
        place = 0 if on and playing.over(self._number) else playing.at(self._number)
        self._order(playing.reel, place, on)

    def seek(self, frame: int) -> None:
        """Goes to a frame of the recording, within what is played of it."""
        if not self.first <= frame <= self.last:
            raise ValueError(f"frame {frame} is not in {self.first}..{self.last}, which are played")
        self._order(self._playing.reel, frame - self.first, self.running)

    def span(self, first: int, last: int) -> None:
        """Plays only these frames of the recording and those between, from the first on."""
        if not 0 <= first < last < len(self._film):
            raise ValueError(
                f"frames {first} to {last}: the recording has 0..{len(self._film) - 1}, the last comes later"
            )
        self._cut_anew(self._film, first, last, self.film_fps, first)

    def rate(self, fps: float) -> None:
        """So many of the recording's frames a second, from the one on that is seen."""
        if not 1.0 <= fps <= 1000.0:
            raise ValueError(f"{fps:g} frames a second; it takes 1 to 1000")
        self._cut_anew(self._film, self.first, self.last, fps, self.frame)

    def _cut(self, film: Clip, first: int, last: int, fps: float) -> Reel:
        if len(film) == 0:
            raise ValueError("the recording has no frames")
        part = film if (first, last) == (0, len(film) - 1) else film[first : last + 1]
        return Reel(Clip(part.skeleton, fps, part.root_positions, part.rotations), self._loop)

    def _cut_anew(self, film: Clip, first: int, last: int, fps: float, frame: int) -> None:
        reel = self._cut(film, first, last, fps)
        self.first, self.last, self.film_fps = first, last, fps
        self._order(reel, frame - first, self.running)

    def _order(self, reel: Reel, place: float, running: bool) -> None:
        before = replace(self._playing, before=None)  # or every order ever given would be kept
        self._playing = Playing(reel, self._fps, self._number + 1, place, running, before)
        self._ordered.set()

    def frames(self) -> Iterator[PoseFrame]:
        """Every frame in order, endless when looping; receive_time is the sender_time."""
        playing = Playing(self._playing.reel, self._fps)
        return (self._frame(playing, number) for number in takewhile(lambda number: not playing.over(number), count()))

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
        self._ordered.set()
        if self._thread.is_alive():
            self._thread.join()

    def describe(self) -> str:
        loop = ", looped" if self._loop else ""
        return f"a recording of {self._playing.reel.clip.seconds:.1f} s at {self._fps:g} fps{loop}"

    def _frame(self, playing: Playing, number: int) -> PoseFrame:
        time = number / self._fps
        root_position, rotations = playing.pose(number)
        return PoseFrame(playing.reel.clip.skeleton, root_position, rotations, time, time, number, self._actor)

    def _run(self) -> None:
        start = caught_up = self._clock()
        while not self._closing.is_set():
            if self._playing.over(self._number):
                self._rest(start)
                continue
            deadline = start + self._number / self._fps
            if deadline < caught_up:
                self._counts["skipped"] += 1
                self._number += 1
                continue
            now = self._clock()
            if now - deadline > CATCH_UP_SECONDS:
                caught_up = now
            frame = self._frame(self._playing, self._number)  # before its time, so that it leaves in time
            if not self._wait_until(deadline):
                return
            self._counts["frames"] += 1
            # Nothing may end this thread while the show runs: a fault of ours is counted, the first one is kept.
            try:
                if self._on_frame is not None:
                    self._on_frame(replace(frame, receive_time=self._clock()))
            except Exception as error:
                self._counts["internal_error"] += 1
                self.first_error = self.first_error or error
            self._number += 1

    def _rest(self, start: float) -> None:
        """The recording has ended: until there is an order nothing is sent."""
        self._ordered.clear()  # by orders that were followed while it played
        if self._closing.is_set() or not self._playing.over(self._number):
            return
        self.finished.set()
        self._ordered.wait()
        self._number = max(self._number, math.ceil((self._clock() - start) * self._fps))
        self._playing = replace(self._playing, since=self._number)

    def _wait_until(self, deadline: float) -> bool:
        """Sleeps, then spins; False when the player is closed meanwhile."""
        remaining = deadline - self._clock()
        if self._closing.wait(max(remaining - SPIN_SECONDS, 0.0)):
            return False
        while self._clock() < deadline:
            pass
        return True
