"""Looks after a tick from a thread of its own: where a model is stuck, somebody else's pose leaves in time."""

from __future__ import annotations

import threading

from server.tick import Tick

LONGEST = 0.1  # seconds of sleep: how long `close` may have to wait


class Watchdog:
    """Sleeps until the tick would be late. onnxruntime lets go of the interpreter while it computes, so it wakes."""

    def __init__(self, tick: Tick) -> None:
        self._tick = tick
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        clock = self._tick.clock
        while not self._closing.is_set():
            now = clock.now()
            try:
                again = self._tick.stand_in(now)
            except Exception as error:  # it is there for the worst case, and must not be one
                self._tick.stats.fault("watchdog_faults", "watchdog", error)
                again = now + LONGEST
            clock.sleep_until(min(again, now + LONGEST), punctual=False)
