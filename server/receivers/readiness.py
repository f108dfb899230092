"""Being awake and warm when a sender's next frame is due.

A core that has slept, or done anything else, for 8 ms takes three to six times as long for the next frame (measured: a
step of 190 µs takes 550 after other work, 1,100 after sleep, and is down to 300 at the fourth repetition). So some
milliseconds before one is due the receiver's thread stops sleeping and rehearses the last frame over and over: its
datagrams through a decoder of the same kind, and what comes out through the show's own rehearsal. Whoever would rather
keep the core asleep sets the preset's `clock.ready_ms` to 0.
"""

from __future__ import annotations

import contextlib
import copy
import math
import time
from collections.abc import Callable

from server.protocols.frames import Decoder, PacketError, PoseFrame
from server.receivers.cadence import Cadence

Rehearse = Callable[[PoseFrame], bool]

WATCH_SECONDS = 0.0005  # the socket is watched without sleeping so long past the moment a frame is due
LOOSE_SECONDS = 0.002  # the jitter of a sender not worth being ready for
RETRY_SECONDS = 0.0005
MOST_DATAGRAMS = 8
LONG_AGO = 1.0  # seconds: a frame that came so long ago is whole


class Readiness:
    """When to rehearse, and on what.

    decoder: of the kind that reads this sender, unused. rehearse: does a frame's work for nothing and says whether that
    was any use. seconds: how long before a frame is due to begin; a share of one core that is kept busy.
    begins: the next rehearsal's moment. ends: until then the socket is watched without sleeping.
    """

    def __init__(
        self,
        decoder: Decoder,
        rehearse: Rehearse,
        seconds: float,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.begins, self.ends = math.inf, 0.0
        self._decoder, self._rehearse, self._seconds = copy.deepcopy(decoder), rehearse, seconds
        self._now = now
        self._cadence = Cadence()
        self._coming: list[bytes] = []  # the datagrams of the frame that comes in
        self._last: list[bytes] = []  # of the one before
        self._took = 0.0

    def heard(self, datagram: bytes | memoryview) -> None:
        """A datagram came."""
        if len(self._coming) < MOST_DATAGRAMS:
            self._coming.append(bytes(datagram))

    def came(self, arrival: float) -> None:
        """A frame is whole, its first datagram came at `arrival`, and the show has danced it."""
        self._last, self._coming = self._coming, []
        self._cadence.learn(arrival)
        self.begins, self.ends = math.inf, 0.0
        self._took *= 0.5  # one slow rehearsal must not rule out the next
        if self._cadence.jitter < LOOSE_SECONDS:
            self.begins = self._cadence.due - self._cadence.jitter - self._seconds

    def rehearse(self) -> None:
        """One rehearsal, if it will be over before the frame is due."""
        started = self._now()
        if started + self._took > self._cadence.due - self._cadence.jitter:
            self.begins = math.inf
            return
        frames: list[PoseFrame] = []
        for datagram in self._last:
            with contextlib.suppress(PacketError):  # counted when it came
                frames += self._decoder.feed(datagram, started - LONG_AGO)
        frames += self._decoder.flush(started)
        if not frames or not self._rehearse(frames[-1]):
            self.begins = started + RETRY_SECONDS
            return
        self._took = self._now() - started
        self.ends = self._cadence.due + self._cadence.jitter + WATCH_SECONDS
