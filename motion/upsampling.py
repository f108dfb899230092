"""Poses between keys, and beyond the newest: the plain ways, which a learned one falls back on and is measured against.

Keys stand at any rising times in seconds, queries at any times. `hold` and `extrapolate` know only the keys up to a
query; the others need keys after it, and beyond the last key (or before the first) they hold it. One key is held.
Points are interpolated as they are, so bones between keys change their length; rotations keep it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motion import rotations as rot
from motion.skeleton import Array

LIVE_KEYS = 6
DECAY_SECONDS = 0.05  # of a movement that is carried on past the newest key

Places = NDArray[np.intp]
Bools = NDArray[np.bool_]


def points_at(method: str, times: ArrayLike, points: ArrayLike, queries: ArrayLike) -> Array:
    """Points (Q, ...) at `queries` (Q,) from keys (K, ...) at `times` (K,), by one of `OF_POINTS`.

    Raises ValueError for another method, and for keys as `checked_times` does.
    """
    times, queries = checked_times(times, len(np.asarray(points))), np.asarray(queries, dtype=np.float64)
    return _chosen(method, OF_POINTS)(times, np.asarray(points, dtype=np.float64), queries)


def poses_at(
    method: str, times: ArrayLike, root: ArrayLike, rotations: ArrayLike, queries: ArrayLike
) -> tuple[Array, Array]:
    """Root positions (Q, 3) and local rotations (Q, J, 4) at `queries` (Q,), by one of `OF_POSES`.

    root (K, 3), rotations (K, J, 4). `linear`, `catmull_rom` and `cubic` take the components of sign-continuous
    quaternions and bring them back to length one. Raises as `points_at`.
    """
    times, queries = checked_times(times, len(np.asarray(root))), np.asarray(queries, dtype=np.float64)
    turn = _chosen(method, OF_POSES)
    way = OF_POINTS["linear" if method == "slerp" else method]
    return way(times, np.asarray(root, dtype=np.float64), queries), turn(
        times, rot.continuous(np.asarray(rotations, dtype=np.float64)), queries
    )


def checked_times(times: ArrayLike, keys: int) -> Array:
    """The times (K,) of keys. Raises ValueError when there is none, one is not finite, or they do not rise."""
    times = np.asarray(times, dtype=np.float64)
    if times.shape != (keys,) or not keys:
        raise ValueError(f"keys need a time each, and there must be one: {keys} keys, times {times.shape}")
    if not np.isfinite(times).all():
        raise ValueError(f"the time of key {int(np.flatnonzero(~np.isfinite(times))[0])} is not finite")
    if (late := np.flatnonzero(np.diff(times) <= 0.0)).size:
        at = int(late[0])
        raise ValueError(f"keys must be in rising order: key {at + 1} at {times[at + 1]:g} s follows {times[at]:g} s")
    return times


def on_stage(times: Array, root: Array, rotations: Array, queries: Array) -> tuple[Array, Array]:
    """What a live show does without a model, as `poses_at`: Catmull-Rom between keys, and past the newest on at its
    speed, which dies away within DECAY_SECONDS.
    """
    made_root, made = poses_at("catmull_rom", times, root, rotations, np.minimum(queries, times[-1]))
    beyond = queries > times[-1]
    if beyond.any() and len(times) > 1:
        on = times[-1] + DECAY_SECONDS * (1.0 - np.exp(-(queries[beyond] - times[-1]) / DECAY_SECONDS))
        made_root[beyond], made[beyond] = poses_at("extrapolate", times, root, rotations, on)
    return made_root, made


def fill_points(times: Array, points: Array, valid: Bools) -> Array:
    """Points (K, J, 3) with those that are not valid (K, J) on the line between their joint's neighbours in time.

    Before the first and after the last valid key they stand still; a joint that never is valid is at the origin.
    """
    points = np.array(points)
    for joint in np.flatnonzero(~valid.all(axis=0)):
        seen, not_seen = valid[:, joint], ~valid[:, joint]
        filled = _linear(times[seen], points[seen, joint], times[not_seen]) if seen.any() else 0.0
        points[not_seen, joint] = filled
    return points


def fill_rotations(times: Array, rotations: Array, valid: Bools) -> Array:
    """The same of rotations (K, J, 4), by slerp; a joint that never is valid has no rotation."""
    rotations = np.array(rotations)
    for joint in np.flatnonzero(~valid.all(axis=0)):
        seen, not_seen = valid[:, joint], ~valid[:, joint]
        filled = _slerp(times[seen], rotations[seen, joint], times[not_seen]) if seen.any() else rot.IDENTITY
        rotations[not_seen, joint] = filled
    return rotations


def _hold(times: Array, values: Array, queries: Array) -> Array:
    return np.asarray(values[np.maximum(np.searchsorted(times, queries, side="right") - 1, 0)])


def _extrapolate(times: Array, values: Array, queries: Array) -> Array:
    """On with the speed between the last two keys up to a query; the first key is held until the second."""
    before, newest, reach = _last_two(times, values, queries)
    return np.asarray(newest + (newest - before) * reach)


def _spin_on(times: Array, rotations: Array, queries: Array) -> Array:
    """The same of rotations: on with the angular velocity between the last two keys."""
    before, newest, reach = _last_two(times, rotations, queries)
    step = rot.multiply(rot.inverse(before), newest)
    step = np.where(step[..., 3:] < 0.0, -step, step)
    sine = np.linalg.norm(step[..., :3], axis=-1, keepdims=True)
    half = np.arctan2(sine, step[..., 3:]) * reach
    turn = np.concatenate([step[..., :3] * (np.sin(half) / np.maximum(sine, 1e-12)), np.cos(half)], axis=-1)
    return rot.normalize(rot.multiply(newest, turn))


def _linear(times: Array, values: Array, queries: Array) -> Array:
    left, share = _segment(times, values, queries)
    return np.asarray(values[left] + (values[_right(values, left)] - values[left]) * share)


def _slerp(times: Array, rotations: Array, queries: Array) -> Array:
    left, share = _segment(times, rotations, queries)
    return rot.slerp(rotations[left], rotations[_right(rotations, left)], share[..., 0])


def _catmull_rom(times: Array, values: Array, queries: Array) -> Array:
    """Cubic Hermite segments with the slope of the parabola through a key and its neighbours.

    At even times that is Catmull-Rom's half of the way from one neighbour to the other.
    """
    if len(times) < 3:
        return _linear(times, values, queries)
    spans = _beside(np.diff(times), values)
    speeds = np.diff(values, axis=0) / spans  # (K - 1, ...)
    inner = (speeds[:-1] * spans[1:] + speeds[1:] * spans[:-1]) / (spans[:-1] + spans[1:])
    slopes = np.concatenate([speeds[:1], inner, speeds[-1:]])
    left, t = _segment(times, values, queries)
    span = spans[left]
    start, end = values[left], values[left + 1]
    across = end - start
    first, last = slopes[left] * span - across, across - slopes[left + 1] * span
    return np.asarray(start + t * (across + (1.0 - t) * (first * (1.0 - t) + last * t)))


def _cubic(times: Array, values: Array, queries: Array) -> Array:
    """The spline with two smooth derivatives through all keys, not-a-knot at its ends."""
    if len(times) < 3:
        return _linear(times, values, queries)
    from scipy.interpolate import CubicSpline  # here, because it takes a while and the live server never needs it

    return np.asarray(CubicSpline(times, values)(np.clip(queries, times[0], times[-1])))


def _of_components(way: Callable[[Array, Array, Array], Array]) -> Callable[[Array, Array, Array], Array]:
    return lambda times, rotations, queries: rot.normalize(way(times, rotations, queries))


Way = Callable[[Array, Array, Array], Array]
OF_POINTS: dict[str, Way] = {
    "hold": _hold,
    "extrapolate": _extrapolate,
    "linear": _linear,
    "catmull_rom": _catmull_rom,
    "cubic": _cubic,
}
OF_POSES: dict[str, Way] = {
    "hold": _hold,
    "extrapolate": _spin_on,
    "linear": _of_components(_linear),
    "slerp": _slerp,
    "catmull_rom": _of_components(_catmull_rom),
    "cubic": _of_components(_cubic),
}


def _chosen(method: str, ways: dict[str, Way]) -> Way:
    if method not in ways:
        raise ValueError(f"no method {method!r}; choose one of {', '.join(ways)}")
    return ways[method]


def _segment(times: Array, values: Array, queries: Array) -> tuple[Places, Array]:
    """The key on the left of each query and how far it is on the way to the next, 0..1, shaped beside the values."""
    left = np.clip(np.searchsorted(times, queries, side="right") - 1, 0, max(len(times) - 2, 0))
    right = _right(times, left)
    share = (queries - times[left]) / np.maximum(times[right] - times[left], 1e-12)
    return left, _beside(np.clip(share, 0.0, 1.0), values)


def _right(keys: Array, left: Places) -> Places:
    return np.minimum(left + 1, len(keys) - 1)


def _last_two(times: Array, values: Array, queries: Array) -> tuple[Array, Array, Array]:
    """The keys before and at the newest up to each query, and the time since then in steps between the two."""
    newest = np.maximum(np.searchsorted(times, queries, side="right") - 1, 0)
    before = np.maximum(newest - 1, 0)
    span = times[newest] - times[before]
    reach = np.where(span > 0.0, (queries - times[newest]) / np.where(span > 0.0, span, 1.0), 0.0)
    return values[before], values[newest], _beside(np.maximum(reach, 0.0), values)


def _beside(numbers: Array, values: Array) -> Array:
    """Numbers (Q,) with as many axes as the values, so that they multiply them."""
    return numbers.reshape(-1, *[1] * (values.ndim - 1))
