"""When a sender's next frame is due, learnt from the frames so far."""

from __future__ import annotations

import math
from collections import deque
from statistics import median

REMEMBERED = 25  # frames: their median gap is the interval, so a lost frame or a burst changes nothing
PHASE_GAIN, JITTER_GAIN = 0.2, 0.1
LONGEST_INTERVAL = 0.1  # seconds: a slower sender's next frame is nobody's guess


class Cadence:
    """`due`: when the next frame is expected (infinity: unknown); `jitter`: how far off that usually is, in seconds."""

    def __init__(self) -> None:
        self.due = math.inf
        self.jitter = LONGEST_INTERVAL
        self._last = -math.inf
        self._gaps: deque[float] = deque(maxlen=REMEMBERED)

    def learn(self, arrival: float) -> None:
        """A frame came. The prediction moves by a share of its error: one late frame does not delay the next."""
        gap, self._last = arrival - self._last, arrival
        if gap > LONGEST_INTERVAL:
            self._gaps.clear()
            self.due, self.jitter = math.inf, LONGEST_INTERVAL
            return
        self._gaps.append(gap)
        interval = median(self._gaps)
        error = arrival - self.due
        in_step = abs(error) <= 0.5 * interval
        if math.isfinite(error):
            self.jitter += JITTER_GAIN * (min(abs(error), 0.5 * interval) - self.jitter)
        # Out of step: a lost frame, a burst, or no prediction yet.
        self.due = self.due + interval + PHASE_GAIN * error if in_step else arrival + interval
