"""A recording's dancers in a show that goes on: a rehearsal without suits, told to begin while the show runs.

Only what the dancers did is played, at the moment it is played: their partners answer live, the knobs stay where they
are, and nothing need come out as it did then. (`replay` is the other thing: a show that is danced again.)
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from server.protocols.frames import PoseFrame
from server.receivers import Fed
from server.receivers.replay import ReplayClock
from server.recording import Recording
from server.records import Flush, Frame, Packet, Record


class Playback:
    """Plays once, in a thread of its own; it can be told to stand and to go elsewhere in the recording meanwhile.

    arrive: takes a frame of a dancer that came in no packet. receivers: take the packets of the others. over: called at
    the end, also when closed. Raises ValueError for a recording in which nobody comes.
    """

    def __init__(
        self,
        recording: Recording,
        arrive: Callable[[str, PoseFrame], None],
        receivers: Mapping[str, Fed],
        over: Callable[[], None],
    ) -> None:
        self.recording = recording
        self.dancers = frozenset(recording.about.dancers)
        self._arrive, self._receivers, self._over = arrive, receivers, over
        self._chapters = recording.chapters()
        if not self._chapters.times:
            raise ValueError(f"{recording.folder}: nothing came for a dancer while it was recorded")
        self._begin = self._moment = self._chapters.times[0]  # of the recording; where it goes on
        self._paused = self._closing = False
        self._told = threading.Condition()  # guards what follows an order
        self._clock = ReplayClock(self._begin, 1.0)
        self._thread = threading.Thread(target=self._run, name="playback", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def length(self) -> float:
        """Seconds from the first packet or frame to the last."""
        return self._chapters.end - self._begin

    def seek(self, seconds: float) -> None:
        """Goes on from there. Raises ValueError for what is outside of the recording."""
        if not 0.0 <= seconds <= self.length:
            raise ValueError(
                f"{seconds:g} s is not in 0..{self.length:.1f}, which is how long {self.recording.folder} is"
            )
        self._order(self._begin + seconds, self._paused)

    def pause(self, on: bool) -> None:
        """Stands where it is: nobody comes until it goes on."""
        if on != self._paused:
            self._order(self._now(), on)

    def close(self) -> None:
        with self._told:
            self._closing = True
            self._clock.close()
            self._told.notify()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def figures(self) -> dict[str, Any]:
        """What the show says of it; nothing is compared."""
        return {
            "folder": str(self.recording.folder),
            "seconds": round(self._now() - self._begin, 1),
            "length": round(self.length, 1),
            "paused": self._paused,
            "same": None,
            "different": None,
        }

    def _now(self) -> float:
        """Where in the recording it is."""
        clock = self._clock
        return self._moment if self._paused or clock.began is None else min(clock.now(), self._chapters.end)

    def _order(self, moment: float, paused: bool) -> None:
        with self._told:
            self._moment, self._paused = moment, paused
            before, self._clock = self._clock, ReplayClock(moment, 1.0)
            before.close()
            self._told.notify()

    def _run(self) -> None:
        try:
            while True:
                with self._told:
                    self._told.wait_for(lambda: self._closing or not self._paused)
                    clock, moment = self._clock, self._moment
                if self._closing:
                    return
                for record in self.recording.after(self._chapters, moment):
                    self._play(record, clock, moment)
                    if clock.closed:
                        break
                else:
                    return
        finally:
            self._over()

    def _play(self, record: Record, clock: ReplayClock, since: float) -> None:
        """One record, when its time has come; none that was before `since`."""
        match record:
            case Packet(dancer, receive_time, _, data):
                if dancer in self._receivers and receive_time >= since and clock.reach(receive_time):
                    now = clock.here(receive_time)
                    self._receivers[dancer].take(memoryview(data), record.source, now)
            case Flush(dancer, now):
                if dancer in self._receivers and now >= since and clock.reach(now):
                    self._receivers[dancer].flush(clock.here(now))
            case Frame(frame):
                if frame.receive_time >= since and clock.reach(frame.receive_time):
                    self._arrive(frame.actor, replace(frame, receive_time=clock.here(frame.receive_time)))
