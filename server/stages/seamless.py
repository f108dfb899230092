"""One movement out of many: where something else is known of a movement, what was shown melts into it.

At a new answer, when a model steps in for the plain way or drops out, at a key after a gap: then the longer, the
further apart the two are. A movement whose keys were waited for is known at the last beat, too: place and pace go on
from what was seen then. One that is told beyond its newest key knows nothing of the last beat that the one before did
not; there what that one would have shown now goes over into it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from motion import kinematics
from motion.inertia import Inertia, Moving
from motion.skeleton import HUMANOID, Array

# What is known of a movement: moments (Q,) -> roots (Q, 3) and local rotations (Q, J, 4).
Known = Callable[[Array], tuple[Array, Array]]
HALF_LIFE = 0.0068, 0.01  # seconds of small steps, beyond the newest key and between keys; shorter is nearer
SECONDS_PER_METRE = 0.2  # of half-life after a gap, by the joint that is furthest off: it is drawn at 2.6 m/s
SMALL = 0.08  # metres that are no matter
GAP_SECONDS = 0.3  # for which the keys after a gap are as far off
HURRY_SECONDS = 0.3  # in which half of that is forgotten
LEAP_SECONDS = 0.02  # by which moments go on more or less than beats


class Seamless:
    """One dancer's. between: the moments are between keys."""

    def __init__(self, between: bool) -> None:
        self._between = between
        self._half_life = HALF_LIFE[between]
        self._melting = Inertia(self._half_life)
        self._known: Known | None = None
        self._moment = 0.0
        self._shown: list[tuple[Array, Array]] = []  # the newest two
        self._dt = 0.0
        self._since_gap = GAP_SECONDS
        self._slow = 0.0  # seconds more of half-life since a gap

    def step(self, known: Known, moment: float, dt: float, gap: bool) -> tuple[Array, Array]:
        """The pose at a moment, in the beat dt seconds after the last one. gap: keys were missing before the newest."""
        self._since_gap = 0.0 if gap else self._since_gap + dt
        self._slow *= 0.5 ** (dt / HURRY_SECONDS)
        leaps = abs(moment - self._moment - dt) > LEAP_SECONDS
        if self._known is None or len(self._shown) < 2 or (known is self._known and not leaps):
            now = _at(known, moment)
        elif self._between:
            before, last, now = zip(*known(moment - dt * np.array([2.0, 1.0, 0.0])), strict=True)
            self._melt(Moving.of(self._shown[0], self._shown[1], self._dt), Moving.of(before, last, dt))
        else:
            now = _at(known, moment)
            then = self._shown[1] if leaps else self._melting.step(*_at(self._known, moment), dt)
            self._melt(_resting(then), _resting(now))
        self._known, self._moment, self._dt = known, moment, dt
        self._shown = [*self._shown[-1:], self._melting.step(*now, dt)]
        return self._shown[-1]

    def _melt(self, shown: Moving, coming: Moving) -> None:
        if self._since_gap < GAP_SECONDS:
            places = [kinematics.global_positions(HUMANOID, each.root, each.rotations) for each in (shown, coming)]
            apart = float(np.linalg.norm(places[0] - places[1], axis=-1).max())
            self._slow = max(self._slow, SECONDS_PER_METRE * (apart - SMALL))
        self._melting = Inertia(self._half_life + self._slow)
        self._melting.seam(shown, coming)


def _at(known: Known, moment: float) -> tuple[Array, Array]:
    roots, rotations = known(np.array([moment]))
    return roots[0], rotations[0]


def _resting(pose: tuple[Array, Array]) -> Moving:
    return Moving(*pose, np.zeros(3), np.zeros((len(pose[1]), 3)))
