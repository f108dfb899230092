"""What bodies leave behind: trails of hands and feet, and marks where feet stand. Numbers in, numbers out.

No viser here. One of each for a whole cast; joints are world metres, (A, J, 3) for A bodies of HUMANOID. Arrays keep
their sizes while the cast does, so a frame of the page is an update and nothing is made anew.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motion import rotations as rot
from motion.skeleton import HUMANOID, Array
from server.stage_view.bodies import Floats

TRAILED = [HUMANOID.index(name) for name in ("LeftHand", "RightHand", "LeftFoot", "RightFoot")]
TRAIL_SECONDS, TRAIL_STEPS = 0.8, 12
TRAIL_THICKNESS = 0.016  # metres, where it is newest
_THIN = 0.5 * TRAIL_THICKNESS * (1.0 - 0.7 * np.arange(TRAIL_STEPS) / TRAIL_STEPS)
_STEP = 1e-4  # metres: a shorter way has no direction
_WXYZ = [3, 0, 1, 2]
LEAP = 0.6  # metres between two looks: nobody danced that, it is another body, or a cut
_FEET, _TOES = ([HUMANOID.index(f"{side}{part}") for side in ("Left", "Right")] for part in ("Foot", "Toes"))
MARKS = 5  # of one foot
MARK_SECONDS = 2.5  # after a foot has left
MARK_SIZE = (0.055, 1.0, 0.125)  # half axes
_MARK_HEIGHT = 0.006  # over the shadows
_STANDS, _STILL = 0.035, 0.5  # metres over where it rests, metres a second: a foot below both stands


class Trails:
    """The way of hands and feet in the last TRAIL_SECONDS, as needles that grow thinner from the newest to the oldest.

    positions (A, N, 3), wxyzs (A, N, 4), scales (A, N, 3), N = 4 * TRAIL_STEPS: what `move` changes. A needle is as
    long as its scale along y.
    """

    def __init__(self, joints: Array) -> None:
        self._points: Array = np.repeat(joints[:, TRAILED, None], TRAIL_STEPS + 1, axis=2)  # (A, 4, STEPS + 1, 3)
        self._since = 0.0
        self._place()

    def move(self, joints: Array, seconds: float) -> None:
        """Sees where hands and feet are `seconds` later."""
        points, now = self._points, joints[:, TRAILED]
        leapt = np.linalg.norm(now - points[:, :, 0], axis=-1) > LEAP  # (A, 4)
        points[leapt] = now[leapt][:, None]
        self._since += seconds
        if self._since >= TRAIL_SECONDS / TRAIL_STEPS:
            self._since = 0.0
            points[:, :, 1:] = points[:, :, :-1].copy()
        points[:, :, 0] = now
        self._place()

    def _place(self) -> None:
        along = (self._points[:, :, 1:] - self._points[:, :, :-1]).reshape(len(self._points), -1, 3)
        length = np.linalg.norm(along, axis=-1)
        way = np.where(length[..., None] > _STEP, along, (0.0, _STEP, 0.0))
        self.positions: Floats = self._points[:, :, :-1].reshape(along.shape).astype(np.float32)
        self.wxyzs: Floats = rot.between(np.broadcast_to([0.0, 1.0, 0.0], way.shape), way)[..., _WXYZ].astype(
            np.float32
        )
        thin = np.broadcast_to(np.tile(_THIN, len(TRAILED)), length.shape)
        self.scales: Floats = np.stack([thin, np.maximum(length, _STEP), thin], axis=-1).astype(np.float32)


def needle_mesh(around: int = 3) -> tuple[Array, NDArray[np.intp]]:
    """A prism about y, from 0 to 1, of radius 1: vertices (V, 3) and faces (F, 3)."""
    angles = np.linspace(0.0, 2.0 * np.pi, around, endpoint=False)
    rim = np.stack([np.sin(angles), np.zeros(around), np.cos(angles)], axis=1)
    low = np.arange(around)
    low_next = np.roll(low, -1)
    faces = np.concatenate([[low, low_next, low_next + around], [low, low_next + around, low + around]], axis=1).T
    return np.concatenate([rim, rim + np.array([0.0, 1.0, 0.0])]), faces


class Marks:
    """Where feet stand, and for MARK_SECONDS where they stood: MARKS of each foot, taken in turn.

    positions (A, N, 3), wxyzs (A, N, 4), scales (A, N, 3), N = 2 * MARKS: what `move` changes. They shrink with time.
    """

    def __init__(self, joints: Array) -> None:
        count = len(joints)
        self._spots: Array = np.zeros((count, 2, MARKS, 3))
        self._turns: Array = np.tile(rot.IDENTITY, (count, 2, MARKS, 1))
        self._left: Array = np.zeros((count, 2, MARKS))  # of a mark's time, 1 to 0
        self._newest = np.zeros((count, 2), dtype=np.intp)
        self._stood = np.zeros((count, 2), dtype=bool)
        self._before = joints[:, _TOES]
        self._place()

    def move(self, joints: Array, seconds: float) -> None:
        """Sees where the feet are `seconds` later."""
        feet, toes = joints[:, _FEET], joints[:, _TOES]  # (A, 2, 3)
        way = np.linalg.norm(toes - self._before, axis=-1)
        low = toes[..., 1] - HUMANOID.rest_positions[_TOES, 1] < _STANDS
        stands = low & (way < _STILL * max(seconds, 1e-3))
        self._before = toes
        self._left = np.maximum(self._left - seconds / MARK_SECONDS, 0.0)
        self._newest = (self._newest + (stands & ~self._stood)) % MARKS
        self._stood = stands
        along = toes - feet
        body, foot = np.nonzero(stands)
        place = self._newest[stands]
        self._spots[body, foot, place] = (0.45 * feet + 0.55 * toes)[stands]
        self._spots[body, foot, place, 1] = _MARK_HEIGHT + 0.0004 * foot
        self._turns[body, foot, place] = rot.yaw(np.arctan2(along[..., 0], along[..., 2]))[stands]
        self._left[body, foot, place] = 1.0
        self._place()

    def _place(self) -> None:
        count = len(self._spots)
        self.positions: Floats = self._spots.reshape(count, -1, 3).astype(np.float32)
        self.wxyzs: Floats = self._turns[..., _WXYZ].reshape(count, -1, 4).astype(np.float32)
        left = np.sqrt(self._left).reshape(count, -1, 1)
        self.scales: Floats = np.maximum(left * MARK_SIZE, _STEP).astype(np.float32)
