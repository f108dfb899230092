"""What is put right about a body's points before a pose is fitted to them.

Detectors mistake left for right for a frame or two: arms, legs or a face that jump across are put back. One corner of
the trunk that is hidden is told by the other three.
"""

from __future__ import annotations

import numpy as np

from motion.keypoint_body import MIRRORED, POINTS, SIDES, Bools, places
from motion.keypoint_frames import turn_between
from motion.skeleton import Array

LONGEST = 0.3  # seconds: what stays crossed for longer was not a mistake
STEP = 0.15  # seconds between two frames at most: after more, a body may have turned round

_PARTS = (
    ("Ear", "Eye"),
    ("Shoulder", "Elbow", "Wrist", "Index", "Pinky"),
    ("Hip", "Knee", "Ankle", "Heel", "Toe"),
)
_IN_PART = np.array(
    [[name in [side + point for side in SIDES for point in part] for name in POINTS] for part in _PARTS]
)
_HIPS = places("Hip")
_CORNERS = places("Hip", "Shoulder")


class SideGuard:
    """Remembers where a body's points were, around the hips."""

    def __init__(self) -> None:
        self._around = np.zeros((len(POINTS), 3))
        self._seen: Bools = np.zeros(len(POINTS), dtype=bool)
        self._crossed = np.zeros(len(_PARTS))  # seconds for which each part has been put back

    def put_back(self, points: Array, seen: Bools, dt: float) -> tuple[Array, Bools]:
        """points (25, 3) and seen (25,) with the sides of face, arms and legs each as they were a moment ago.

        A part is put back when its points are less than half as far (root mean square) from the last ones of the other
        side as from those of their own.
        """
        if not seen[_HIPS].all():
            self._seen = np.zeros_like(seen)
            return points, seen
        around = points - 0.5 * (points[_HIPS[0]] + points[_HIPS[1]])
        both = seen & seen[MIRRORED] & self._seen & self._seen[MIRRORED]
        if dt <= STEP and both.any():
            moved = np.stack([around - self._around, around[MIRRORED] - self._around])
            squares = np.where(both, np.einsum("ijk,ijk->ij", moved, moved), 0.0)
            straight, across = squares @ _IN_PART.T
            wrong = (across < 0.25 * straight) & (self._crossed < LONGEST)
            self._crossed = np.where(wrong, self._crossed + dt, 0.0)
            if wrong.any():
                order = np.where(_IN_PART[wrong].any(axis=0), MIRRORED, np.arange(len(POINTS)))
                points, seen, around = points[order], seen[order], around[order]
        self._around, self._seen = around, seen
        return points, seen


class TrunkMemory:
    """Remembers hips and shoulders as they were when all four were seen last."""

    def __init__(self) -> None:
        self._corners: Array | None = None

    def completed(self, points: Array, seen: Bools) -> tuple[Array, Bools]:
        """points (25, 3) and seen (25,) with a hidden hip or shoulder where it last was, as the other three see it."""
        found = seen[_CORNERS]
        if found.all():
            self._corners = points[_CORNERS]
        elif found.sum() == 3 and self._corners is not None:
            known, hidden = _CORNERS[found], _CORNERS[~found]
            turned = turn_between(self._corners[found], points[known])
            if turned is not None:
                points, seen = points.copy(), seen.copy()
                beside = self._corners[~found] - self._corners[found].mean(axis=0)
                points[hidden] = points[known].mean(axis=0) + beside @ turned.T
                seen[hidden] = True
        return points, seen
