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
from server.records import Flush, Frame, Packet


class Playback:
    """Plays once, in a thread of its own.

    arrive: takes a frame of a dancer that came in no packet. receivers: take the packets of the others. over: called at
    the end, also when closed.
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
        self._clock = ReplayClock(recording.about.clock, 1.0)
        self._thread = threading.Thread(target=self._run, name="playback", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._clock.close()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def figures(self) -> dict[str, Any]:
        """What the show says of it; nothing is compared."""
        seconds = round(self._clock.seconds, 1)
        return {"folder": str(self.recording.folder), "seconds": seconds, "same": None, "different": None}

    def _run(self) -> None:
        try:
            for record in self.recording:
                match record:
                    case Packet(dancer, receive_time, _, data):
                        if dancer in self._receivers and self._clock.reach(receive_time):
                            now = self._clock.here(receive_time)
                            self._receivers[dancer].take(memoryview(data), record.source, now)
                    case Flush(dancer, now):
                        if dancer in self._receivers and self._clock.reach(now):
                            self._receivers[dancer].flush(self._clock.here(now))
                    case Frame(frame):
                        if self._clock.reach(frame.receive_time):
                            self._arrive(frame.actor, replace(frame, receive_time=self._clock.here(frame.receive_time)))
                if self._clock.closed:
                    return
        finally:
            self._over()
