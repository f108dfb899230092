"""Which keys an upsampler is shown for a moment: its slots filled from keys at any times.

`PAST` slots end with the newest key at or before the moment, `AHEAD` slots follow it. Between keys, and a step beyond
them, the newest 5 past ones are shown; a forecast from a suit's own rate (45 fps and more) is shown 11 of the last
0.3 s, thinner the longer ago. Slots for which there is no key are empty: nothing in them is valid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motion import rotations as rot
from motion.skeleton import Array

PAST, AHEAD, SPARSE = 11, 2, 5
LAGS = (36, 24, 16, 12, 8, 6, 4, 3, 2, 1, 0)  # of a forecast, in 1/120 s
HALF_LAGS = (36, 24, 20, 16, 12, 10, 8, 6, 4, 2, 0)  # the same from half that rate
DENSE_FPS = 45.0

# The points of a picture that a model for pictures knows: BODY_25's first fifteen, two toes, and what hands' points
# have as their mean.
OPENPOSE_19 = (
    *("Nose", "Neck", "RShoulder", "RElbow", "RWrist", "LShoulder", "LElbow", "LWrist", "MidHip", "RHip", "RKnee"),
    *("RAnkle", "LHip", "LKnee", "LAnkle", "LBigToe", "RBigToe", "LHand", "RHand"),
)

Places = NDArray[np.intp]
Values = NDArray[np.float32]


@dataclass(frozen=True)
class Shown:
    """What goes into a model for Q moments, a row for those that follow each other and are told from the same keys:
    keys (R, K, 3 + 6J) root and 6-D rotations, valid (R, K, J), times (R, K) and query (R, M) in seconds from the row's
    newest past key. order (Q,): where the moments are among all R * M; the rest only fills rows.
    """

    keys: Values
    valid: Values
    times: Values
    query: Values
    order: Places

    def inputs(self) -> dict[str, Values]:
        """By the names of a model's inputs."""
        return {"keys": self.keys, "valid": self.valid, "times": self.times, "query": self.query}

    def told(self, made: Values) -> Values:
        """What a model says of the moments, (Q, D), of all it says, (R, M, D)."""
        return made.reshape(-1, made.shape[-1])[self.order]


def between(times: ArrayLike, queries: ArrayLike, ahead: int = AHEAD) -> Places:
    """Places (Q, PAST + AHEAD) among keys at rising `times` (N,), -1 for none, with at most `ahead` after a query.

    A query before the first key is shown that one as its newest.
    """
    times, queries = np.asarray(times, dtype=np.float64), np.asarray(queries, dtype=np.float64)
    newest = np.maximum(np.searchsorted(times, queries, side="right") - 1, 0)
    steps = np.arange(1 - PAST, AHEAD + 1)
    places = newest[:, None] + steps
    outside = (places < 0) | (places >= len(times)) | (steps <= -SPARSE) | (steps > ahead)
    return np.where(outside, -1, places)


def forecast(times: ArrayLike) -> Places:
    """Places (1, PAST + AHEAD) of the keys that a moment after the last of `times` (N,) is told from."""
    times = np.asarray(times, dtype=np.float64)
    recent = np.diff(times[-12:])
    pace = float(np.median(recent)) if len(recent) else np.inf
    if len(times) < 6 or not pace <= 1.0 / DENSE_FPS:
        return between(times, times[-1:], 0)
    lags = np.array(LAGS if pace < 0.012 else HALF_LAGS) / 120.0
    nearest = np.abs(times - (times[-1] - lags)[:, None]).argmin(axis=1)
    kept = np.unique(nearest[times[-1] - lags > times[0] - pace])
    places = np.full((1, PAST + AHEAD), -1, dtype=np.intp)
    places[0, PAST - len(kept) : PAST] = kept
    return places


def shown(
    places: Places, times: ArrayLike, root: ArrayLike, rotations: ArrayLike, valid: ArrayLike, queries: ArrayLike
) -> Shown:
    """What a model is given. times (N,), root (N, 3), rotations (N, J, 4) local xyzw, valid (N, J), queries (Q,).

    What is not finite is not valid.
    """
    times, root = np.asarray(times, dtype=np.float64), np.asarray(root, dtype=np.float64)
    rotations = np.asarray(rotations, dtype=np.float64)
    good = np.asarray(valid, dtype=bool) & np.isfinite(rotations).all(axis=-1)
    good[:, 0] &= np.isfinite(root).all(axis=-1)
    sixd = rot.to_6d(rot.normalize(rotations)).reshape(len(root), -1)
    return _filled(places, times, np.concatenate([np.where(good[:, :1], root, 0.0), sixd], axis=-1), good, queries)


def shown_points(places: Places, times: ArrayLike, points: ArrayLike, valid: ArrayLike, queries: ArrayLike) -> Shown:
    """The same of points in a picture (N, P, 2), y up, in any unit: keys (Q, K, 3P), the third coordinates 0."""
    points = np.asarray(points, dtype=np.float64)
    good = np.asarray(valid, dtype=bool) & np.isfinite(points).all(axis=-1)
    flat = np.concatenate([np.where(good[..., None], points, 0.0), np.zeros((*points.shape[:2], 1))], axis=-1)
    return _filled(places, np.asarray(times, dtype=np.float64), flat.reshape(len(points), -1), good, queries)


def _filled(places: Places, times: Array, keys: Array, good: NDArray[np.bool_], queries: ArrayLike) -> Shown:
    """The slots, from keys (N, D) of which `good` (N, J) is valid."""
    queries = np.asarray(queries, dtype=np.float64)
    begins = np.flatnonzero(np.append(True, (places[1:] != places[:-1]).any(axis=1)))[: len(places)]
    count = np.diff(begins, append=len(places))  # of the moments in a row
    row = np.repeat(np.arange(len(begins)), count)
    column = np.arange(len(places)) - begins[row]
    most = int(count.max(initial=1))
    taken = np.maximum(places[begins], 0)
    there = places[begins] >= 0
    newest = times[taken[:, PAST - 1]]
    query = np.repeat((queries[begins] - newest)[:, None], most, axis=1)
    query[row, column] = queries - newest[row]
    return Shown(
        keys[taken].astype(np.float32),
        (good[taken] & there[..., None]).astype(np.float32),
        np.where(there, times[taken] - newest[:, None], 0.0).astype(np.float32),
        query.astype(np.float32),
        row * most + column,
    )


def poses(made: ArrayLike) -> tuple[Array, Array]:
    """Root (..., 3) and local rotations (..., J, 4) of what a model says, (..., 3 + 6J)."""
    made = np.asarray(made, dtype=np.float64)
    sixd = made[..., 3:]
    return made[..., :3], rot.from_6d(sixd.reshape(*sixd.shape[:-1], -1, 6))
