"""Being awake and warm when a sender's next frame is due.

A core that has slept, or done anything else, for 8 ms takes three to six times as long for the next frame (measured: a
step of 190 µs takes 550 after other work, 1,100 after sleep, and is down to 300 at the fourth repetition). So some
milliseconds before one is due the receiver's thread stops sleeping and rehearses the last frame over and over: its
datagrams through a decoder of the same kind, and what comes out through the show's own rehearsal.

It must never make things worse: nothing is begun that would not be over in time, an irregular sender is not waited
for, and where the thread does not get the core it asks for, others need it more and the rehearsals pause.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from server.protocols.frames import Decoder, PacketError, PoseFrame
from server.receivers.cadence import Cadence

Rehearse = Callable[[PoseFrame], None]

WATCH_SECONDS = 0.0005  # the socket is watched without sleeping so long past the moment a frame is due
LOOSE_SECONDS = 0.002  # the jitter of a sender not worth being ready for
MOST_DATAGRAMS = 32
LONG_AGO = 1.0  # seconds: a frame that came so long ago is whole
FIRST_REST, LONGEST_REST = 10, 2000  # frames without a rehearsal after one that took too long; doubled each time
CROWDED_SHARE, CROWDED_MEMORY = 0.3, 0.05  # of recent rehearsals that had to wait for the core
PAUSE_SECONDS = 2.0


class Times(NamedTuple):
    """What time it is, and how long this thread has had a core, both in seconds."""

    now: Callable[[], float] = time.perf_counter
    worked: Callable[[], float] = time.thread_time


class Company:
    """Dancers who get ready on the same cores: nobody rehearses while another does, or when another's frame is due."""

    def __init__(self) -> None:
        self.cadences: list[Cadence] = []
        self.stage = threading.Lock()  # held by whoever rehearses

    def latest_end(self) -> float:
        """When a rehearsal must be over: of anybody's frames one in ten may come before."""
        return min(cadence.due - 2.0 * cadence.jitter for cadence in self.cadences)


class Readiness:
    """When to rehearse, and on what.

    decoder: of the kind that reads this sender, and nobody else's. rehearse: does a frame's work for nothing.
    seconds: how long before a frame is due to begin. begins: the next rehearsal's moment. ends: until then the socket
    is watched without sleeping, which is for a dancer alone: two who watch are in each other's way. count: rehearsals
    done. faults: rehearsals that raised. company: the other dancers of the show.
    """

    def __init__(
        self,
        decoder: Decoder,
        rehearse: Rehearse,
        seconds: float,
        times: Times | None = None,
        company: Company | None = None,
    ) -> None:
        self.begins, self.ends = math.inf, 0.0
        self.count = self.faults = 0
        self._decoder, self._rehearse, self._seconds = decoder, rehearse, seconds
        self._times = times or Times()
        self._cadence = Cadence()
        self._company = company or Company()
        self._company.cadences.append(self._cadence)
        self._coming: deque[bytes] = deque(maxlen=MOST_DATAGRAMS)  # the datagrams of the frame that comes in
        self._last: deque[bytes] = deque(maxlen=MOST_DATAGRAMS)  # of the one before
        self._took = 0.0
        self._rest, self._resting = FIRST_REST, 0
        self._crowded = 0.0
        self._paused_until = 0.0

    def heard(self, datagram: bytes | memoryview) -> None:
        """A datagram came."""
        self._coming.append(bytes(datagram))

    def came(self, arrival: float) -> None:
        """A frame is whole, its first datagram came at `arrival`, and the show has danced it."""
        self._last, self._coming = self._coming, self._last
        self._coming.clear()
        self._cadence.learn(arrival)
        self.begins, self.ends = math.inf, 0.0
        if self._resting:
            self._resting -= 1
        elif self._cadence.jitter < LOOSE_SECONDS and arrival >= self._paused_until:
            self.begins = self._company.latest_end() - self._seconds

    def rehearse(self) -> None:
        """One rehearsal, if it will be over before a frame is due."""
        if not self._company.stage.acquire(blocking=False):
            self.begins = math.inf
            return
        try:
            self._rehearse_once()
        finally:
            self._company.stage.release()

    def _rehearse_once(self) -> None:
        started, worked = self._times.now(), self._times.worked()
        if started + self._took > self._company.latest_end():
            self.begins = math.inf
            return
        try:
            done = self._once(started)
        except Exception:  # of no consequence to the show, whatever it is
            self.faults += 1
            self._paused_until, self.begins = started + PAUSE_SECONDS, math.inf
            return
        took = self._times.now() - started
        if took > self._seconds:
            self._resting = self._rest = min(2 * self._rest, LONGEST_REST)
            self.begins = math.inf
            return
        self._rest = FIRST_REST
        self._took += (1.0 if took < self._took or not self._took else 0.1) * (took - self._took)  # the first are slow
        waited = took > 1.5 * (self._times.worked() - worked) + 0.0002
        self._crowded += CROWDED_MEMORY * (waited - self._crowded)
        if self._crowded > CROWDED_SHARE:
            self._crowded, self._paused_until, self.begins = 0.0, started + PAUSE_SECONDS, math.inf
        elif not done:
            self.begins = math.inf
        else:
            self.count += 1
            if len(self._company.cadences) == 1:
                self.ends = self._cadence.due + self._cadence.jitter + WATCH_SECONDS

    def _once(self, now: float) -> bool:
        """Whether there was anything to rehearse."""
        frames: list[PoseFrame] = []
        for datagram in self._last:
            with contextlib.suppress(PacketError):  # counted when it came
                frames += self._decoder.feed(datagram, now - LONG_AGO)
        frames += self._decoder.flush(now)
        if frames:
            self._rehearse(frames[-1])
        return bool(frames)
