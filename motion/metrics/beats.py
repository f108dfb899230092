"""Does the partner move on the leader's beats? Points (T, 24, 3) at 30 fps; a beat is a moment of least speed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from motion.metrics.placement import mean_speed
from motion.skeleton import Array

_SMOOTHING = 5.0  # frames
_TOLERANCE = 3.0  # frames


def motion_beats(points: Array) -> NDArray[np.intp]:
    """The frames of strict local minima of the mean speed smoothed with σ = 5 frames.

    Source: Duolando (Siyao et al. 2024), which sums 55 joints of a body with fingers; here the 24 body points.
    """
    speed = gaussian_filter1d(mean_speed(points), _SMOOTHING)
    return np.flatnonzero((speed[1:-1] < speed[:-2]) & (speed[1:-1] < speed[2:])) + 1


def beat_scores(beats: NDArray[np.intp], answers: NDArray[np.intp]) -> Array:
    """For each beat, exp(−d²/18) of the distance d in frames to the nearest answer; zeros when there is none.

    The mean over the leader's beats of the follower's answers is BED; over music beats it is BAS. Source: the beat
    echo degree of Duolando.
    """
    if not len(answers):
        return np.zeros(len(beats))
    nearest = np.abs(beats[:, None] - answers[None, :]).min(axis=1)
    return np.asarray(np.exp(-(nearest.astype(np.float64) ** 2) / (2.0 * _TOLERANCE**2)))
