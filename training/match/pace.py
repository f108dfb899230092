"""How far a fit is, and how much of it there is time for.

A learning rate that falls towards the end needs to know the end. Where time runs short the schedule is gone through
faster than the steps are taken, so a fit that is cut short ends as calmly as a whole one. Without a limit nothing
differs from a plain loop.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

from tqdm import tqdm


class Pace:
    """minutes: from now on, 0 for as long as it takes; at least one step of everything is taken in any case."""

    def __init__(self, minutes: float = 0.0, clock: Callable[[], float] = time.monotonic, quiet: bool = False) -> None:
        self._clock, self._left = clock, 1.0
        self._ends = clock() + 60.0 * minutes if minutes else math.inf
        form = "{desc} {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left"
        self._bar = tqdm(total=1.0, bar_format=form, disable=True if quiet else None)

    def steps(self, total: int, share: float, name: str) -> Iterator[int]:
        """How far the schedule goes on after each step, 1 while there is time; `total` in all.

        share: about which part of all the fit's time these steps take.
        """
        self._bar.set_description(name)
        begun, done = self._clock(), 0
        allowed = max(self._ends - begun, 0.0) * min(share / max(self._left, share), 1.0)
        while done < total:
            due = total * (self._clock() - begun) / allowed if allowed else total
            go_on = min(max(int(due) - done, 1), total - done)
            yield go_on
            done += go_on
            self._bar.update(min(share * go_on / total, 1.0 - self._bar.n))
        self._left -= share

    def close(self) -> None:
        """The last line of the bar stays where it is."""
        self._bar.close()
