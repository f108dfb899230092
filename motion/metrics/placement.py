"""Is the partner where the true partner was, and does it answer this leader? Points (T, 24, 3) at 30 fps, metres."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motion.metrics.joints import facing, own_frame, to_frame
from motion.skeleton import Array

FAR = 1.2  # metres between leader and true follower
LEAST_SEED_DIFFERENCE = 0.05  # metres
LEAST_CHANGE = 1e-3  # metres
_GROUND = [0, 2]


def root_errors(made: Array, truth: Array) -> Array:
    """Horizontal distance between the made and the true root, (T,) metres.

    Its mean is the root ADE; a rotation into the leader's frame would not change it. Source: BRAID and ReactDance's
    placement error (trajectory forecasting's ADE).
    """
    return np.asarray(np.linalg.norm((made - truth)[:, 0, _GROUND], axis=-1))


def is_far(leader: Array, truth: Array) -> NDArray[np.bool_]:
    """The frames (T,) in which the true follower stands further than 1.2 m from the leader."""
    return root_errors(leader, truth) > FAR


def joint_errors(made: Array, truth: Array) -> Array:
    """Mean distance of the 24 points from the true ones in the world, (T,) metres; its mean is the MPJPE."""
    return np.asarray(np.linalg.norm(made - truth, axis=-1).mean(axis=-1))


def root_steps(points: Array) -> Array:
    """Horizontal root movement from each frame to the next, (T-1,) metres."""
    return np.asarray(np.linalg.norm(np.diff(points[:, 0, _GROUND], axis=0), axis=-1))


def teleport_threshold(truth_steps: Array) -> float:
    """The root step that only one true step in a thousand exceeds, metres a frame. Source: the BRAID audit."""
    return float(np.percentile(truth_steps, 99.9))


def mean_speed(points: Array) -> Array:
    """Mean step of the points from each frame to the next, (T-1,) metres."""
    return np.asarray(np.linalg.norm(np.diff(points, axis=0), axis=-1).mean(axis=-1))


def cross_correlation(leader: Array, made: Array, reach: int = 15) -> Array:
    """Correlation of the leader's mean speed with the partner's `lag` frames later, (2*reach+1,) for -reach..reach.

    Zeros when either stands still. Source: the speed cross-correlation of the ReactDance audit.
    """
    a, b = mean_speed(leader), mean_speed(made)
    if len(a) <= 2 * reach or min(a.std(), b.std()) < 1e-9:
        return np.zeros(2 * reach + 1)
    return np.array([_correlation(a, b, lag) for lag in range(-reach, reach + 1)])


def lag_frames(correlations: Array) -> float:
    """By how many frames the partner follows the leader: where the correlation peaks, to a fraction of a frame.

    correlations: (2*reach+1,), may be a mean over takes. Negative means early; NaN when there is no peak above zero
    within reach. Source: as `cross_correlation`.
    """
    peak = int(np.argmax(correlations))
    if correlations[peak] <= 0.0 or peak in (0, len(correlations) - 1):
        return float("nan")
    before, top, after = correlations[peak - 1 : peak + 2]
    curvature = before - 2.0 * top + after
    between = 0.5 * (before - after) / curvature if curvature < 0.0 else 0.0
    return float(peak - len(correlations) // 2 + between)


def pose_difference(a: Array, b: Array) -> float:
    """Mean distance of the points of two clips (T, 24, 3), each seen in its own pelvis's frame, metres."""
    frames = min(len(a), len(b))
    return float(np.linalg.norm(own_frame(a[:frames]) - own_frame(b[:frames]), axis=-1).mean())


def place_difference(a: Array, leader_a: Array, b: Array, leader_b: Array) -> float:
    """Mean horizontal distance of the roots of two clips, each seen from its own leader's place and facing, metres."""
    frames = min(len(a), len(b))
    places = [
        to_frame(made[:frames, :1], leader[:frames, 0], facing(leader[:frames]))[:, 0][:, _GROUND]
        for made, leader in ((a, leader_a), (b, leader_b))
    ]
    return float(np.linalg.norm(places[0] - places[1], axis=-1).mean())


def leader_sensitivity(other_leader: float, other_seed: float, seed_difference: float) -> float:
    """How much more another leader changes than another seed: ‖f(L)−f(L′)‖ / ‖f(L)−f(L,ε)‖, both in metres.

    seed_difference: by how much two seeds' poses differ (`pose_difference`). NaN when that is under 0.05 m: the ratio
    would flatter a partner that hardly varies. A seed that changes less than a millimetre counts as one, so a figure of
    hundreds says "at least". Source: counterfactual sensitivity of the BRAID audit.
    """
    if not seed_difference >= LEAST_SEED_DIFFERENCE:
        return float("nan")
    return other_leader / max(other_seed, LEAST_CHANGE)


def _correlation(a: Array, b: Array, lag: int) -> float:
    a, b = (a[: len(a) - lag], b[lag:]) if lag >= 0 else (a[-lag:], b[: len(b) + lag])
    a, b = a - a.mean(), b - b.mean()
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / size if size > 1e-12 else 0.0
