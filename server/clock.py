"""Time for the show: absolute deadlines on the monotonic clock, and a fake one for tests.

Relative sleeps drift (21 ms a second, measured), so every wait is for a moment, never for a length. The last part of
a wait is spun, because the system wakes a sleeper late.
"""

from __future__ import annotations

import time
from typing import Protocol

SPIN_SECONDS = 0.0003  # a sleep of this machine class ends up to 0.12 ms late at p99


class Clock(Protocol):
    """now() in seconds on an arbitrary origin; sleep_until(deadline) returns at or after it, punctually or cheaply."""

    def now(self) -> float: ...

    def sleep_until(self, deadline: float, punctual: bool = True) -> None: ...


class MonotonicClock:
    """The machine's own clock, `time.perf_counter`."""

    def now(self) -> float:
        return time.perf_counter()

    def sleep_until(self, deadline: float, punctual: bool = True) -> None:
        remaining = deadline - time.perf_counter() - (SPIN_SECONDS if punctual else 0.0)
        if remaining > 0.0:
            time.sleep(remaining)
        while time.perf_counter() < deadline:
            pass


class FakeClock:
    """Time that moves only when told to: `sleep_until` jumps to its deadline."""

    def __init__(self, start: float = 0.0) -> None:
        self._now = start

    def now(self) -> float:
        return self._now

    def sleep_until(self, deadline: float, punctual: bool = True) -> None:
        self._now = max(self._now, deadline)

    def advance(self, seconds: float) -> None:
        self._now += seconds


class Pacer:
    """Deadlines at a fixed rate. A deadline missed by more than a period is skipped, never caught up in a burst.

    punctual: spin the last part of each wait.
    """

    def __init__(self, clock: Clock, fps: float, punctual: bool = True) -> None:
        self._clock, self._punctual = clock, punctual
        self._period = 1.0 / fps
        self._next = clock.now()
        self.skipped = 0

    def wait(self) -> float:
        """Sleeps until the next deadline and returns it."""
        deadline = self._next
        behind = self._clock.now() - deadline
        if behind > self._period:
            missed = int(behind / self._period)
            self.skipped += missed
            deadline += missed * self._period
        self._clock.sleep_until(deadline, self._punctual)
        self._next = deadline + self._period
        return deadline
