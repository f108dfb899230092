"""When a partner's model is too slow for the show: not for one hiccup, but for a good part of its last frames."""

from __future__ import annotations

from collections import deque

LATE_PERIODS = 2.0  # of a frame's time: a pose that takes longer is late
RECENT, TOO_MANY = 10, 5  # late ones among the last frames
STUCK_SECONDS = 0.25  # one that takes so long is enough


class Lateness:
    """One partner's. period: seconds from frame to frame."""

    def __init__(self, period: float) -> None:
        self._late = LATE_PERIODS * period
        self._recent: deque[bool] = deque(maxlen=RECENT)

    def spent(self, seconds: float) -> bool:
        """A pose took so long; whether that is too much, which is said once."""
        self._recent.append(seconds > self._late)
        too_much = seconds > STUCK_SECONDS or sum(self._recent) >= TOO_MANY
        if too_much:
            self._recent.clear()
        return too_much
