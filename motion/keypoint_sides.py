"""Detectors mistake left for right for a frame or two: arms, legs or a face that jump across are put back."""

from __future__ import annotations

import numpy as np

from motion.keypoint_body import MIRRORED, POINTS, SIDES, Bools, places
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
        around = points - points[_HIPS].mean(axis=0)
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
