"""How a sender's clock runs against ours: told by the quickest packets, since only those waited for nobody."""

from __future__ import annotations

from collections import deque

import numpy as np

BUCKET_SECONDS = 1.0
KEPT = 120  # buckets
FEWEST = 10  # before that a figure would be guesswork


class ClockSkew:
    """Notes both times of every frame; the figures are for people, nothing is steered by them."""

    def __init__(self) -> None:
        self._least: deque[tuple[float, float]] = deque(maxlen=KEPT)  # of every second: the sender's time, the delay
        self._ends = -np.inf

    def note(self, sender_time: float, receive_time: float) -> None:
        """One frame's times, seconds, each on its own clock."""
        delay = receive_time - sender_time
        if receive_time >= self._ends or not self._least:
            self._ends = receive_time + BUCKET_SECONDS
            self._least.append((sender_time, delay))
        elif delay < self._least[-1][1]:
            self._least[-1] = (sender_time, delay)

    def ppm(self) -> float | None:
        """Microseconds a second by which the sender's clock is slow (negative: fast); None before it is known."""
        least = list(self._least)[:-1]  # the last second is not over
        if len(least) < FEWEST:
            return None
        times, delays = np.array(least).T
        if not np.ptp(times) > 0.0:  # a sender whose clock stands still
            return None
        return float(1e6 * np.polyfit(times - times[0], delays - delays[0], 1)[0])
