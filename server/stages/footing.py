"""Feet that stood at both keys stand between them: whatever a model makes of a planted toe, it stays where it was."""

from __future__ import annotations

from collections import deque

import numpy as np

from motion import kinematics
from motion.limbs import LEGS, reach
from motion.skeleton import HUMANOID, Array
from server.protocols.frames import PoseFrame
from server.stages.keys import Keys

SLOW, LOW = 0.25, 0.06  # m/s and metres over the floor: a toe that stands
EASE_SECONDS = 0.08  # in which it is held, and let go
SMALLEST, LONGEST = 0.0005, 0.10  # metres that a foot is moved; one that is further off does not stand
FLOOR_KEYS, FLOOR_SHARE = 60, 10  # the floor is under all but so many percent of the lowest toes in the newest keys
_TOES = [HUMANOID.index(f"{side}Toes") for side in ("Left", "Right")]


class Footing:
    """One dancer's feet. Poses are HUMANOID's."""

    def __init__(self) -> None:
        self._held = np.zeros(2)  # how firmly, 0..1
        self._shift = np.zeros((2, 3))
        self._lowest: deque[float] = deque(maxlen=FLOOR_KEYS)
        self._floor, self._seen = 0.0, 0
        self._toes_at: dict[float, Array] = {}  # of the newest keys, by their time

    def plant(self, root: Array, rotations: Array, keys: Keys, moment: float, dt: float) -> Array:
        """The rotations (22, 4) of a pose at a moment, with the feet held that stand at the keys around it."""
        before, after = (keys.key(place) for place in keys.around(moment))
        first, last = (self._toes(*key) for key in (before, after))
        if self._seen != keys.added:
            self._lowest.append(float(self._toes(*keys.key(len(keys) - 1))[:, 1].min()))
            self._floor, self._seen = float(np.percentile(self._lowest, FLOOR_SHARE)), keys.added
        span = after[0] - before[0]
        share = min(max((moment - before[0]) / span, 0.0), 1.0) if span > 0.0 else 1.0
        speed = np.linalg.norm((last - first)[:, [0, 2]], axis=-1) / max(span, 1e-3)
        high = np.maximum(first[:, 1], last[:, 1]) - self._floor
        stands = (speed < SLOW) & (high < LOW)
        if not (stands.any() or self._held.any()):
            return rotations
        toes = kinematics.global_positions(HUMANOID, root, rotations)[_TOES]
        wanted = first + share * (last - first) - toes
        stands &= np.linalg.norm(wanted, axis=-1) < LONGEST
        step = min(dt / EASE_SECONDS, 1.0)
        self._held = np.clip(self._held + np.where(stands, step, -step), 0.0, 1.0)
        self._shift = np.where(stands[:, None], wanted, self._shift)
        for foot, leg in enumerate(LEGS):
            shift = self._held[foot] * self._shift[foot]
            if np.linalg.norm(shift) > SMALLEST:
                rotations = reach(HUMANOID, root, rotations, leg, shift)
        return rotations

    def _toes(self, time: float, frame: PoseFrame) -> Array:
        toes = self._toes_at.get(time)
        if toes is None:
            if len(self._toes_at) > 8:
                self._toes_at.clear()
            places = kinematics.global_positions(HUMANOID, frame.root_position, frame.rotations)
            toes = self._toes_at[time] = places[_TOES]
        return toes
