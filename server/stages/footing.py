"""Feet that stand are held where they stand: how a foot is held, and three ways to know that it stands.

Between the keys of a slow suit both keys say where it is (`FeetBetweenKeys`). A body that is danced again over somebody
else's steps stands when they do (`FeetOverSteps`). A dance that is drawn anew in plans has nothing but itself
(`FeetOfPlans`). A foot is held by its leg and let go, eased. Every object is one body's; poses are HUMANOID's, a root
(3,) and rotations (22, 4).
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from motion import kinematics
from motion.limbs import LEGS, bent
from motion.skeleton import HUMANOID, Array
from server.protocols.frames import PoseFrame
from server.stages.keys import Keys

FEET = [HUMANOID.index(limb.end) for limb in LEGS]
TOES = HUMANOID.both_sides("Toes")
GROUND = np.array([1.0, 0.0, 1.0])
FLOOR = float(HUMANOID.rest_positions[TOES, 1].min() - HUMANOID.rest_positions[0, 1] + HUMANOID.offsets[0, 1])


class Grip:
    """How firmly each foot is held, `held` (2,) from 0 to 1. hold, free: seconds until it is held, and let go."""

    def __init__(self, hold: float, free: float) -> None:
        self.held = np.zeros(2)
        self._hold, self._free = hold, free

    def take(self, stands: NDArray[np.bool_], dt: float) -> None:
        """dt seconds later, with the feet (2,) that stand."""
        self.held = np.clip(self.held + np.where(stands, dt / self._hold, -dt / self._free), 0.0, 1.0)

    def eased(self) -> Array:
        """`held`, that sets out and arrives slowly, (2, 1)."""
        held = self.held[:, None]
        return held * held * (3.0 - 2.0 * held)


def _paces(before: Array, now: Array, seconds: float) -> Array:
    """m/s along the floor (2,) of places (2, 3)."""
    steps = now - before
    return np.hypot(steps[:, 0], steps[:, 2]) / seconds


class FeetBetweenKeys:
    """Toes that stood at both keys stand between them, whatever a model makes of the time in between."""

    SLOW, LOW = 0.25, 0.06  # m/s and metres over the floor: a toe that stands
    EASE_SECONDS = 0.08  # in which it is held, and let go
    SMALLEST, LONGEST = 0.0005, 0.10  # metres that a foot is moved; one that is further off does not stand
    FLOOR_KEYS, FLOOR_SHARE = 60, 10  # the floor is under all but so many percent of the lowest toes in the newest keys

    def __init__(self) -> None:
        self._grip = Grip(self.EASE_SECONDS, self.EASE_SECONDS)
        self._shift = np.zeros((2, 3))
        self._lowest: deque[float] = deque(maxlen=self.FLOOR_KEYS)
        self._floor, self._seen = 0.0, 0
        self._toes_at: dict[float, Array] = {}  # of the newest keys, by their time

    def plant(self, root: Array, rotations: Array, keys: Keys, moment: float, dt: float) -> Array:
        """The rotations of a pose at a moment, with the feet held that stand at the keys around it."""
        before, after = (keys.key(place) for place in keys.around(moment))
        first, last = (self._toes(*key) for key in (before, after))
        if self._seen != keys.added:
            self._lowest.append(float(self._toes(*keys.key(len(keys) - 1))[:, 1].min()))
            self._floor, self._seen = float(np.percentile(self._lowest, self.FLOOR_SHARE)), keys.added
        span = after[0] - before[0]
        share = min(max((moment - before[0]) / span, 0.0), 1.0) if span > 0.0 else 1.0
        high = np.maximum(first[:, 1], last[:, 1]) - self._floor
        stands = (_paces(first, last, max(span, 1e-3)) < self.SLOW) & (high < self.LOW)
        if not (stands.any() or self._grip.held.any()):
            return rotations
        body = kinematics.forward(HUMANOID, root, rotations)
        wanted = first + share * (last - first) - body[0][TOES]
        stands &= np.linalg.norm(wanted, axis=-1) < self.LONGEST
        self._grip.take(stands, dt)
        self._shift = np.where(stands[:, None], wanted, self._shift)
        shifts = self._grip.held[:, None] * self._shift
        moved = np.flatnonzero(np.linalg.norm(shifts, axis=-1) > self.SMALLEST)
        if not len(moved):
            return rotations
        return bent(HUMANOID, body, rotations, tuple(LEGS[foot] for foot in moved), shifts[moved])

    def _toes(self, time: float, frame: PoseFrame) -> Array:
        toes = self._toes_at.get(time)
        if toes is None:
            if len(self._toes_at) > 8:
                self._toes_at.clear()
            places = kinematics.global_positions(HUMANOID, frame.root_position, frame.rotations)
            toes = self._toes_at[time] = places[TOES]
        return toes


class FeetOverSteps:
    """Feet of a body that was danced again over the steps of another one, which were longer or shorter than its own.

    Who follows stands when the other does; who goes alone when their own foot is low and slow.
    """

    LOW, SLOW = 0.06, 0.8  # metres over the lower foot and metres a second: toes that stand, or are about to
    FARTHEST = 0.16  # metres that a foot is moved
    HOLD_SECONDS, FREE_SECONDS = 0.04, 0.15  # until a foot is held, and until it is let go

    def __init__(self) -> None:
        self._grip = Grip(self.HOLD_SECONDS, self.FREE_SECONDS)
        self._before: Array | None = None  # toes (2, feet, 3) of the last frame: theirs, its own
        self._stood = np.zeros(2, dtype=np.bool_)
        self._places = np.zeros((2, 3))
        self._shift = np.zeros((2, 3))  # from where a foot is danced to where it is held

    def step(self, theirs: tuple[Array, Array], own: tuple[Array, Array], dt: float, alone: bool) -> Array:
        """The rotations of its own pose with standing feet held; poses are root and rotations."""
        roots, rotations = (np.array(pair) for pair in zip(theirs, own, strict=True))
        positions, matrices = kinematics.forward(HUMANOID, roots, rotations)
        toes = positions[:, TOES]
        before, self._before = self._before, toes
        if before is None:
            return own[1]
        seen = 1 if alone else 0
        high = toes[seen, :, 1] - toes[seen, :, 1].min()
        stands = (_paces(before[seen], toes[seen], dt) < self.SLOW) & (high < self.LOW)
        lands, self._stood = stands & ~self._stood, stands
        self._places = np.where(lands[:, None], toes[1] + self._grip.eased() * self._shift, self._places)
        wanted = (self._places - toes[1]) * GROUND
        far = np.linalg.norm(wanted, axis=-1, keepdims=True)
        wanted *= np.minimum(1.0, self.FARTHEST / np.maximum(far, self.FARTHEST))
        self._grip.take(stands, dt)
        self._shift = np.where(stands[:, None], wanted, self._shift)
        if not self._grip.held.any():
            return own[1]
        return bent(HUMANOID, (positions[1], matrices[1]), own[1], LEGS, self._grip.eased() * self._shift)


class FeetOfPlans:
    """Feet of a dance that is drawn anew in plans: they are let go when it takes them away, and take the body along."""

    SLOW, QUICK, LOW = 0.45, 0.9, 0.05  # m/s at which a foot is held, and let go; metres over the lowest toe
    RISE_HALF_LIFE = 0.1  # seconds, of coming up from under the floor
    CARRY, CARRY_SECONDS = 0.7, 0.05  # share of a standing foot's slide that the body makes up for, and how quickly
    HOLD_SECONDS, LONGEST = 0.1, 0.15  # of taking hold of a foot; metres it is held back

    def __init__(self) -> None:
        self._grip = Grip(self.HOLD_SECONDS, self.HOLD_SECONDS)
        self._places, self._lift = np.zeros((2, 3)), 0.0
        self._carry, self._off = np.zeros(3), np.zeros((2, 3))  # of the body; of the feet from where they are held
        self._last: Array | None = None
        self._stands = np.zeros(2, dtype=np.bool_)

    def carried(self, dt: float) -> Array:
        """How far the body is taken along by the feet that stand, (3,) metres, since the plan took over."""
        held = self._grip.held
        stands = held > 0.0
        if stands.any():
            pull = (held[:, None] * self._off)[stands].mean(axis=0) * GROUND
            self._carry = self._carry + self.CARRY * min(dt / self.CARRY_SECONDS, 1.0) * pull
        return self._carry

    def put_down(self) -> None:
        """A plan begins where the body is."""
        self._carry = np.zeros(3)

    def rise(self, root: Array, rotations: Array, dt: float) -> float:
        """How far the body is lifted so that the lowest toe is not under the floor, metres, eased."""
        lowest = float(kinematics.global_positions(HUMANOID, root, rotations)[TOES, 1].min())
        wanted = max(FLOOR - lowest, 0.0)
        self._lift += (1.0 - 0.5 ** (dt / self.RISE_HALF_LIFE)) * (wanted - self._lift)
        return self._lift

    def hold(self, root: Array, rotations: Array, dt: float) -> Array:
        """The rotations with held feet at their places."""
        body = kinematics.forward(HUMANOID, root, rotations)
        feet, toes = body[0][FEET], body[0][TOES]
        last, self._last = self._last, feet
        if last is None or dt <= 0.0:
            return rotations
        pace, high = _paces(last, feet, dt), toes[:, 1] - toes[:, 1].min()
        far = _paces(self._places, feet, 1.0) > self.LONGEST
        free = self._grip.held == 0.0
        begins = ~self._stands & (pace < self.SLOW) & (high < self.LOW)
        self._places = np.where((begins & free)[:, None], feet, self._places)
        ends = self._stands & ((pace > self.QUICK) | (high > 2.0 * self.LOW) | far)
        self._stands = (self._stands | begins & (free | ~far)) & ~ends
        self._off = self._places - feet
        self._grip.take(self._stands, dt)
        if not self._grip.held.any():
            return rotations
        return bent(HUMANOID, body, rotations, LEGS, self._grip.eased() * self._off * GROUND)
