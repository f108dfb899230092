"""A sender's times laid on this machine's clock, for as long as they go as the keys arrive.

A sender's clock tells better than the network when a key was: it is moved by the least delay of late. One that stands
still, is coarse, runs at another pace or counts other units tells less: then arrivals do, until it has gone right for
REMEMBERED keys in a row. Where it leaps or was set back, it begins anew at the arrival.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from motion.skeleton import Array

REMEMBERED = 60  # keys
FEWEST, RECENT = 4, 8  # keys for a verdict on its pace, and on its steps
LEAPS = 3  # among those remembered: this is no clock
LEAP_SECONDS = 0.25  # further ahead of the arrivals than a network that had stuck explains
SLACK_SECONDS, SLACK = 0.05, 0.25  # by which its pace may seem off, and share of the time that has passed
SET_BACK_SECONDS = 0.1  # even the quickest of RECENT keys is that much later than before
UNEVEN_SECONDS, UNEVEN = 0.001, 1.5  # its steps may be that much less even than the arrivals


class KeyClock:
    """One sender's. patience: seconds by which one key in ten comes later than the quickest."""

    def __init__(self) -> None:
        self.patience = 0.0
        self._sent: deque[float] = deque(maxlen=REMEMBERED)
        self._arrived: deque[float] = deque(maxlen=REMEMBERED)
        self._leaps: deque[bool] = deque(maxlen=REMEMBERED)
        self._right = REMEMBERED  # keys in a row

    @property
    def believed(self) -> bool:
        return self._right >= REMEMBERED

    def time(self, sent: float, arrived: float) -> float:
        """When a key was, on this machine's clock; never after its arrival."""
        leaps = bool(self._sent) and (
            sent <= self._sent[-1] or sent - self._sent[-1] > arrived - self._arrived[-1] + LEAP_SECONDS
        )
        self._leaps.append(leaps)
        if leaps:
            self._sent.clear()
            self._arrived.clear()
        self._sent.append(sent)
        self._arrived.append(arrived)
        self._right = 0 if sum(self._leaps) >= LEAPS or self._is_wrong() else self._right + 1
        if not self.believed:
            self.patience = 0.0
            return arrived
        if self._is_set_back():
            for kept in (self._sent, self._arrived):
                for _ in range(len(kept) - RECENT):
                    kept.popleft()
        behind = np.array(self._arrived) - np.array(self._sent)
        quickest = float(behind.min())
        self.patience = float(np.percentile(behind - quickest, 90)) if len(behind) > 1 else 0.0
        return sent + quickest

    def _is_wrong(self) -> bool:
        """Whether its pace or its steps are not those of the arrivals."""
        sent, arrived = np.array(self._sent), np.array(self._arrived)
        passed = arrived[-1] - arrived[0]
        if len(sent) > FEWEST and abs(sent[-1] - sent[0] - passed) > SLACK * passed + SLACK_SECONDS:
            return True
        if len(sent) <= RECENT:
            return False
        return _unevenness(sent) > UNEVEN * _unevenness(arrived) + UNEVEN_SECONDS

    def _is_set_back(self) -> bool:
        """Whether all of late came later than before, and not in a burst of what had stuck in the network."""
        sent, arrived = np.array(self._sent), np.array(self._arrived)
        if len(sent) <= RECENT or arrived[-1] - arrived[-RECENT] < 0.5 * (sent[-1] - sent[-RECENT]):
            return False
        behind = arrived - sent
        return bool(behind[-RECENT:].min() - behind[:-RECENT].min() > SET_BACK_SECONDS)


def _unevenness(times: Array) -> float:
    """How far steps are from the usual one, seconds, those that lost keys aside."""
    steps = np.diff(times)
    usual = float(np.median(steps))
    return float(np.abs(steps[steps < 1.5 * usual] - usual).mean()) if usual > 0.0 else float("inf")
