"""A sender's frame numbers: what was lost on the way, what came late, and whether the sender has begun again.

For protocols that count their frames in 32 bits. Nothing is dropped here: the timeline does that.
"""

from __future__ import annotations

RESTART_FRAMES = 256  # a number this far behind the newest is no late datagram, but a sender that counts anew
_SPAN = 1 << 32


class Numbering:
    """lost: numbers that never came. restarts: how often the sender began again."""

    def __init__(self) -> None:
        self.lost = 0
        self.restarts = 0
        self._newest: int | None = None

    def note(self, number: int) -> None:
        """A frame with this number has come. A late one is no longer lost; one that repeats changes nothing."""
        if self._newest is None:
            self._newest = number
            return
        ahead = (number - self._newest + _SPAN // 2) % _SPAN - _SPAN // 2  # the shorter way round
        if -RESTART_FRAMES < ahead <= 0:
            self.lost = max(self.lost - (ahead < 0), 0)
            return
        if ahead < 0:
            self.restarts += 1
        else:
            self.lost += ahead - 1
        self._newest = number
