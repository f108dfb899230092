"""What bodies leave behind: trails of hands and feet, and marks where feet stand. Numbers in, numbers out.

No viser here. One of each for a whole cast; joints are world metres, (A, J, 3) for A bodies of HUMANOID. Arrays keep
their sizes while the cast does, so a frame of the page is an update and nothing is made anew.
"""

from __future__ import annotations

import numpy as np

from motion import rotations as rot
from motion.skeleton import HUMANOID, Array
from server.stage_view.bodies import Floats

TRAILED = [HUMANOID.index(name) for name in ("LeftHand", "RightHand", "LeftFoot", "RightFoot")]
TRAIL_SECONDS, TRAIL_STEPS = 0.8, 16
LEAP = 0.6  # metres between two looks: nobody danced that, it is another body, or a cut
_FEET, _TOES = ([HUMANOID.index(f"{side}{part}") for side in ("Left", "Right")] for part in ("Foot", "Toes"))
MARKS = 5  # of one foot
MARK_SECONDS = 2.5  # after a foot has left
MARK_SIZE = (0.055, 1.0, 0.125)  # half axes
_MARK_HEIGHT = 0.013  # over the shadows
_STANDS, _STILL = 0.035, 0.5  # metres over where it rests, metres a second: a foot below both stands


class Trails:
    """The way of hands and feet in the last TRAIL_SECONDS, as segments from the newest to the oldest."""

    def __init__(self, joints: Array) -> None:
        self._points: Array = np.repeat(joints[:, TRAILED, None], TRAIL_STEPS + 1, axis=2)  # (A, 4, STEPS + 1, 3)
        self._since = 0.0

    def move(self, joints: Array, seconds: float) -> Floats:
        """The segments `seconds` later, (A * 4 * TRAIL_STEPS, 2, 3)."""
        points, now = self._points, joints[:, TRAILED]
        leapt = np.linalg.norm(now - points[:, :, 0], axis=-1) > LEAP  # (A, 4)
        points[leapt] = now[leapt][:, None]
        self._since += seconds
        if self._since >= TRAIL_SECONDS / TRAIL_STEPS:
            self._since = 0.0
            points[:, :, 1:] = points[:, :, :-1].copy()
        points[:, :, 0] = now
        return np.stack([points[:, :, :-1], points[:, :, 1:]], axis=3).reshape(-1, 2, 3).astype(np.float32)

    @staticmethod
    def colours(colours: Array, ground: tuple[int, int, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        """Of both ends of the segments, (A * 4 * TRAIL_STEPS, 2, 3): colours (A, 3), which fade into the ground's."""
        left = (1.0 - np.arange(TRAIL_STEPS + 1) / TRAIL_STEPS)[:, None] ** 1.5
        faded = np.asarray(ground) + left * (colours[:, None, None] - ground)  # (A, 1, STEPS + 1, 3)
        faded = np.repeat(faded, len(TRAILED), axis=1)
        return np.rint(np.stack([faded[:, :, :-1], faded[:, :, 1:]], axis=3)).reshape(-1, 2, 3).astype(np.uint8)


class Marks:
    """Where feet stand, and for MARK_SECONDS where they stood: MARKS of each foot, taken in turn.

    positions (A * 2 * MARKS, 3), wxyzs (A * 2 * MARKS, 4), opacities (A * 2 * MARKS,): what `move` changes.
    """

    def __init__(self, joints: Array) -> None:
        count = len(joints)
        self._spots: Array = np.zeros((count, 2, MARKS, 3))
        self._turns: Array = np.tile(rot.IDENTITY, (count, 2, MARKS, 1))
        self._left: Array = np.zeros((count, 2, MARKS))  # of a mark's time, 1 to 0
        self._newest = np.zeros((count, 2), dtype=np.intp)
        self._stood = np.zeros((count, 2), dtype=bool)
        self._before = joints[:, _TOES]

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

    @property
    def positions(self) -> Floats:
        return self._spots.reshape(-1, 3).astype(np.float32)

    @property
    def wxyzs(self) -> Floats:
        return self._turns.reshape(-1, 4)[:, [3, 0, 1, 2]].astype(np.float32)

    @property
    def opacities(self) -> Floats:
        return self._left.reshape(-1).astype(np.float32)
