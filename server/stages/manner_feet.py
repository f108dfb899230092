"""Feet that stand where they came down: of a body that was danced again over the steps of another one.

A step may be longer or shorter than the one that carries the body. Who follows stands when the dancer does; who goes
alone when their own foot is low and slow. A foot is held by its leg, as far as it may be moved, and let go, eased.
"""

from __future__ import annotations

import numpy as np

from motion import kinematics
from motion.limbs import LEGS, bent
from motion.skeleton import HUMANOID, Array

LOW, SLOW = 0.06, 0.8  # metres over the lower foot and metres a second: toes that stand, or are about to
FARTHEST = 0.16  # metres that a foot is moved
HOLD_SECONDS, FREE_SECONDS = 0.04, 0.15  # until a foot is held, and until it is let go
_TOES = [HUMANOID.index(f"{side}Toes") for side in ("Left", "Right")]


class StandingFeet:
    """One body's. Poses are HUMANOID's."""

    def __init__(self) -> None:
        self._before: Array | None = None  # toes (2, feet, 3) of the last frame: theirs, its own
        self._stood = np.zeros(2, dtype=np.bool_)
        self._places = np.zeros((2, 3))
        self._shift = np.zeros((2, 3))  # from where a foot is danced to where it is held
        self._held = np.zeros(2)  # how firmly, 0..1

    def step(self, theirs: tuple[Array, Array], own: tuple[Array, Array], dt: float, alone: bool) -> Array:
        """The rotations (22, 4) of its own pose with standing feet held; poses are root (3,) and rotations (22, 4)."""
        roots, rotations = (np.array(pair) for pair in zip(theirs, own, strict=True))
        positions, matrices = kinematics.forward(HUMANOID, roots, rotations)
        toes = positions[:, _TOES]
        before, self._before = self._before, toes
        if before is None:
            return own[1]
        seen = 1 if alone else 0
        speed = np.linalg.norm((toes - before)[seen][:, [0, 2]], axis=-1) / dt
        high = toes[seen, :, 1] - toes[seen, :, 1].min()
        stands = (speed < SLOW) & (high < LOW)
        lands, self._stood = stands & ~self._stood, stands
        self._places = np.where(lands[:, None], toes[1] + self._firm() * self._shift, self._places)
        wanted = (self._places - toes[1]) * [1.0, 0.0, 1.0]
        far = np.linalg.norm(wanted, axis=-1, keepdims=True)
        wanted *= np.minimum(1.0, FARTHEST / np.maximum(far, FARTHEST))
        self._held = np.clip(self._held + np.where(stands, dt / HOLD_SECONDS, -dt / FREE_SECONDS), 0.0, 1.0)
        self._shift = np.where(stands[:, None], wanted, self._shift)
        if not self._held.any():
            return own[1]
        return bent(HUMANOID, (positions[1], matrices[1]), own[1], LEGS, self._firm() * self._shift)

    def _firm(self) -> Array:
        held = self._held[:, None]
        return held * held * (3.0 - 2.0 * held)
