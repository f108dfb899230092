"""One table of counters and percentiles, filled by the tick thread and read by whoever shows it.

Writing is a store into a preallocated ring; the percentiles are computed by the reader.
"""

from __future__ import annotations

from collections import Counter

import numpy as np


class Recent:
    """The last `size` numbers of something measured. count, total: of all there were."""

    def __init__(self, size: int = 2048) -> None:
        self._ring = np.zeros(size)
        self.count = 0
        self.total = 0.0

    def add(self, value: float) -> None:
        self._ring[self.count % len(self._ring)] = value
        self.count += 1
        self.total += value

    def percentile(self, share: float) -> float | None:
        """None before anything was measured."""
        filled = self._ring[: min(self.count, len(self._ring))]
        return float(np.percentile(filled, share)) if len(filled) else None


class Rate:
    """Events a second over about the last two seconds."""

    def __init__(self) -> None:
        self._times = np.full(256, -np.inf)
        self._written = 0

    def tick(self, now: float) -> None:
        self._times[self._written % len(self._times)] = now
        self._written += 1

    def value(self, now: float) -> float:
        times = self._times[self._times > now - 2.0]
        span = float(times.max() - times.min()) if len(times) > 2 else 0.0
        return (len(times) - 1) / span if span > 0.0 else 0.0  # frames of one packet share one time


class Stats:
    """What the status line, the stage page and the benchmarks read. Times in seconds."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()  # ticks, late, dropped, faults ...
        self.latency = Recent()  # from a frame's arrival to the last send of its tick
        self.pipeline = Recent()  # the stages of a tick, without its sends
        self.actors: dict[str, Recent] = {}  # an actor's stages, of a partner the model above all
        self.rate_out = Rate()
        self.rates_in: dict[str, Rate] = {}
        self.first_fault = ""  # of our own or of an output, for people

    def spent(self, actor: str, seconds: float) -> None:
        """An actor's pose has taken so long."""
        recent = self.actors.get(actor)
        if recent is None:
            recent = self.actors[actor] = Recent(512)
        recent.add(seconds)

    def fault(self, kind: str, whose: str, error: Exception) -> None:
        """Something went wrong that the show survives. kind: what it is counted as."""
        self.counts[kind] += 1
        self.first_fault = self.first_fault or f"{whose}: {type(error).__name__}: {error}"
