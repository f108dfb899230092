"""Feet that stand where they came down: of a body that was danced again over the steps of another one.

A step may be longer or shorter than the one that carries the body. Who follows stands when the dancer does; who goes
alone when their own foot is low and slow. A foot is held by its leg, and let go, eased, when it would have to be moved
too far.
"""

from __future__ import annotations

import numpy as np

from motion import kinematics
from motion.limbs import LEGS, bent
from motion.skeleton import HUMANOID, Array

LOW, SLOW = 0.06, 0.5
SLOW_ALONE = 0.7  # the same of who goes alone: nothing holds their feet yet
FARTHEST = 0.16  # metres that a foot is moved
HOLD_SECONDS = 0.04
_TOES = [HUMANOID.index(f"{side}Toes") for side in ("Left", "Right")]


class StandingFeet:
    """One body's. Poses are HUMANOID's."""

    def __init__(self) -> None:
        self._before: Array | None = None  # toes (2, feet, 3) of the last frame: theirs, its own
        self._places = np.zeros((2, 3))
        self._shift = np.zeros((2, 3))
        self._held = np.zeros(2)  # how firmly, 0..1

    def step(self, theirs: tuple[Array, Array], own: tuple[Array, Array], dt: float, alone: bool) -> Array:
        """The rotations (22, 4) of its own pose with standing feet held; poses are root (3,) and rotations (22, 4)."""
        roots, rotations = (np.array(pair) for pair in zip(theirs, own, strict=True))
        positions, matrices = kinematics.forward(HUMANOID, roots, rotations)
        toes = positions[:, _TOES]
        before, self._before = self._before, toes
        if before is None:
            return own[1]
        seen, slow = (1, SLOW_ALONE) if alone else (0, SLOW)
        speed = np.linalg.norm((toes - before)[seen][:, [0, 2]], axis=-1) / dt
        high = toes[seen, :, 1] - toes[seen, :, 1].min()
        stands = (speed < slow) & (high < LOW)
        lands = stands & (self._held == 0.0)
        self._places = np.where(lands[:, None], toes[1], self._places)
        wanted = (self._places - toes[1]) * [1.0, 0.0, 1.0]
        stands &= np.linalg.norm(wanted, axis=-1) < FARTHEST
        self._held = np.clip(self._held + np.where(stands, dt, -dt) / HOLD_SECONDS, 0.0, 1.0)
        self._shift = np.where(stands[:, None], wanted, self._shift)
        if not self._held.any():
            return own[1]
        firm = (self._held**2 * (3.0 - 2.0 * self._held))[:, None]
        return bent(HUMANOID, (positions[1], matrices[1]), own[1], LEGS, firm * self._shift)
