"""What a window of motion is reduced to before distributions are compared: kinetic, manual and cross-distance features.

All take windows (N, T, 24, 3) at 30 fps, metres, Y up. The constants (frame times of 1/60 and 1/120 s at any rate, limb
lengths of one SMPL template) are those of the released code, kept so that figures compare.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motion.metrics.joints import POINT
from motion.skeleton import Array

_KINETIC_DT = 1.0 / 60.0
_MANUAL_DT = 1.0 / 120.0
_NEIGHBOURS = 2  # frames on each side in a kinetic mean
# Lengths of the SMPL template in the released `manual_new`: humerus, across the shoulders, across the hips.
_HUMERUS = float(np.linalg.norm(np.subtract((0.199113, 0.236808, -0.018070), (0.454445, 0.221159, -0.041017))))
_SHOULDERS = float(np.linalg.norm(np.subtract((0.199113, 0.236808, -0.018070), (-0.191692, 0.236929, -0.012306))))
_HIPS = float(np.linalg.norm(np.subtract((0.056408, -0.323069, 0.010920), (-0.062483, -0.331302, 0.015041))))

CROSS_POINTS = ("root", "lankle", "rankle", "ltoes", "rtoes", "head", "lshoulder", "rshoulder", "lwrist", "rwrist")

# (relation, points, threshold); thresholds in metres, m/s or degrees. A leading "." names a fixed point or a height:
# .zero, .up, .down, and .floor, the lowest point of this frame.
_MANUAL: list[tuple[str, tuple[str, ...], Any]] = [
    ("normal_speed", ("neck", "rhip", "lhip", "rwrist"), 1.8 * _HUMERUS),
    ("normal_speed", ("neck", "lhip", "rhip", "lwrist"), 1.8 * _HUMERUS),
    ("beyond", ("chest", "neck", "neck", "rwrist"), 0.2 * _HUMERUS),
    ("beyond", ("chest", "neck", "neck", "lwrist"), 0.2 * _HUMERUS),
    ("speed_along", ("belly", "chest", "chest"), 1.8 * _HUMERUS),
    ("speed_along", ("belly", "chest", "chest"), 1.8 * _HUMERUS),
    ("angle", ("relbow", "rshoulder", "relbow", "rwrist"), (0.0, 110.0)),
    ("angle", ("lelbow", "lshoulder", "lelbow", "lwrist"), (0.0, 110.0)),
    ("beyond", ("lshoulder", "rshoulder", "lwrist", "rwrist"), 2.5 * _SHOULDERS),
    ("speed_along", ("lwrist", "rwrist", "rwrist"), 1.4 * _HUMERUS),
    ("speed_along", ("rwrist", "root", "lwrist"), 1.4 * _HUMERUS),
    ("speed_along", ("lwrist", "root", "rwrist"), 1.4 * _HUMERUS),
    ("speed", ("rwrist",), 2.5 * _HUMERUS),
    ("speed", ("lwrist",), 2.5 * _HUMERUS),
    ("off_plane", ("root", "lhip", "ltoes", "rankle"), 0.38 * _HUMERUS),
    ("off_plane", ("root", "rhip", "rtoes", "lankle"), 0.38 * _HUMERUS),
    ("beyond", (".zero", ".up", ".floor", "rankle"), 1.2 * _HUMERUS),
    ("beyond", (".zero", ".up", ".floor", "lankle"), 1.2 * _HUMERUS),
    ("beyond", ("lhip", "rhip", "lankle", "rankle"), 2.1 * _HIPS),
    ("angle", ("rknee", "rhip", "rknee", "rankle"), (0.0, 110.0)),
    ("angle", ("lknee", "lhip", "lknee", "lankle"), (0.0, 110.0)),
    ("speed", ("rankle",), 2.5 * _HUMERUS),
    ("speed", ("lankle",), 2.5 * _HUMERUS),
    ("angle", ("neck", "root", "rshoulder", "relbow"), (25.0, 180.0)),
    ("angle", ("neck", "root", "lshoulder", "lelbow"), (25.0, 180.0)),
    ("angle", ("neck", "root", "rhip", "rknee"), (50.0, 180.0)),
    ("angle", ("neck", "root", "lhip", "lknee"), (50.0, 180.0)),
    ("off_plane", ("rankle", "neck", "lankle", "root"), 0.5 * _HUMERUS),
    ("angle", ("neck", "root", ".zero", ".up"), (70.0, 110.0)),
    ("beyond", (".zero", ".down", ".floor", "rwrist"), -1.2 * _HUMERUS),
    ("beyond", (".zero", ".down", ".floor", "lwrist"), -1.2 * _HUMERUS),
    ("speed", ("root",), 2.3 * _HUMERUS),
]


def kinetic_features(motion: Array, released: bool = True) -> Array:
    """Mean horizontal and vertical kinetic energy and mean acceleration of each point, (N, 72).

    Source: fairmotion's `kinetic` features (Onuma et al. 2008) as AIST++, Bailando and Duolando call them: positions
    relative to the root of the first frame, means over up to five neighbouring frames, a frame time of 1/60 s. The
    released code misplaces a parenthesis, so its acceleration depends on where the body stands; `released` keeps
    that ("compat"), otherwise the acceleration is what it was meant to be ("fixed").
    """
    p = motion - motion[:, :1, :1]  # (N, T, 24, 3)
    frames = p.shape[1]
    velocity = _windowed_mean(np.diff(p, axis=1) / _KINETIC_DT, first=1, last=frames - 1, frames=frames)
    before, now, after = p[:, :-2], p[:, 1:-1], p[:, 2:]
    later_velocity = (after - now) / _KINETIC_DT
    earlier_velocity = now - before / _KINETIC_DT if released else (now - before) / _KINETIC_DT
    acceleration = (later_velocity - earlier_velocity) / _KINETIC_DT
    acceleration = _windowed_mean(acceleration, first=1, last=frames - 2, frames=frames)
    horizontal = np.mean(velocity[..., 0] ** 2 + velocity[..., 2] ** 2, axis=1)
    vertical = np.mean(velocity[..., 1] ** 2, axis=1)
    expenditure = np.mean(np.linalg.norm(acceleration, axis=-1), axis=1)
    return np.concatenate([horizontal, vertical, expenditure], axis=-1)


def manual_features(motion: Array) -> Array:
    """The share of frames in which each of 32 relations holds (an elbow bent, a hand raised, a foot fast ...), (N, 32).

    Source: Müller et al. 2005 as fairmotion and AIST++ release them in `manual_new`: a frame time of 1/120 s at any
    rate, limb lengths of the SMPL template, and the fourth point of `f_move` unused.
    """
    return np.stack([_RELATIONS[name](motion, points, bound) for name, points, bound in _MANUAL], axis=-1)


def cross_distance_features(leader: Array, follower: Array) -> Array:
    """Mean distances between ten points of the leader and ten of the follower over each window, (N, 100).

    Source: the cross-distance of Duolando (Siyao et al. 2024).
    """
    chosen = [POINT[name] for name in CROSS_POINTS]
    apart = leader[:, :, chosen, None, :] - follower[:, :, None, chosen, :]
    distances = np.linalg.norm(apart, axis=-1).mean(axis=1)
    return np.asarray(distances.reshape(len(leader), len(chosen) ** 2))


def _windowed_mean(values: Array, first: int, last: int, frames: int) -> Array:
    """Means for frames 1..T-1 over up to five neighbours; `values[:, k]` belongs to frame first + k, up to `last`."""
    total = np.concatenate([np.zeros_like(values[:, :1]), np.cumsum(values, axis=1)], axis=1)
    frame = np.arange(1, frames)
    low = np.clip(frame - _NEIGHBOURS, first, last) - first
    high = np.clip(frame + _NEIGHBOURS, first, last) - first + 1
    return np.asarray((total[:, high] - total[:, low]) / (high - low)[:, None, None])


def _fetch(motion: Array, name: str) -> Array:
    """A named point at frames 1..T-1, (N, T-1, 3)."""
    now = motion[:, 1:]
    if name == ".floor":
        low = np.zeros_like(now[:, :, 0])
        low[..., 1] = now[..., 1].min(axis=-1)
        return low
    if name in _FIXED:
        return np.broadcast_to(_FIXED[name], now[:, :, 0].shape)
    return now[:, :, POINT[name]]


def _relative_step(motion: Array, point: str, origin: str) -> Array:
    apart = motion[:, :, POINT[point]] - motion[:, :, POINT[origin]]
    return np.asarray(np.diff(apart, axis=1) / _MANUAL_DT)


def _along(vector: Array, direction: Array) -> Array:
    length = np.maximum(np.linalg.norm(direction, axis=-1), 1e-12)
    return np.asarray(np.sum(vector * direction, axis=-1) / length)


def _share(holds: NDArray[np.bool_]) -> Array:
    return np.asarray(holds.mean(axis=1))


def _beyond(motion: Array, points: tuple[str, ...], bound: float) -> Array:
    a, b, c, q = (_fetch(motion, name) for name in points)
    return _share(_along(q - c, b - a) > bound)


def _off_plane(motion: Array, points: tuple[str, ...], bound: float) -> Array:
    a, b, c, q = (_fetch(motion, name) for name in points)
    return _share(_along(q - a, np.cross(c - a, b - a)) > bound)


def _angle(motion: Array, points: tuple[str, ...], bound: tuple[float, float]) -> Array:
    a, b, c, d = (_fetch(motion, name) for name in points)
    cosine = _along(d - c, b - a) / np.maximum(np.linalg.norm(d - c, axis=-1), 1e-12)
    degrees = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
    return _share((degrees > bound[0]) & (degrees < bound[1]))


def _speed(motion: Array, points: tuple[str, ...], bound: float) -> Array:
    step = np.diff(motion[:, :, POINT[points[0]]], axis=1)
    return _share(np.linalg.norm(step, axis=-1) / _MANUAL_DT > bound)


def _speed_along(motion: Array, points: tuple[str, ...], bound: float) -> Array:
    a, b, c = points
    return _share(_along(_relative_step(motion, c, a), _fetch(motion, b) - _fetch(motion, a)) > bound)


def _normal_speed(motion: Array, points: tuple[str, ...], bound: float) -> Array:
    a, b, c, q = points
    start = _fetch(motion, a)
    normal = np.cross(_fetch(motion, c) - start, _fetch(motion, b) - start)
    return _share(_along(_relative_step(motion, q, a), normal) > bound)


_FIXED = {".zero": np.zeros(3), ".up": np.array([0.0, 1.0, 0.0]), ".down": np.array([0.0, -1.0, 0.0])}
_RELATIONS: dict[str, Callable[[Array, tuple[str, ...], Any], Array]] = {
    "beyond": _beyond,
    "off_plane": _off_plane,
    "angle": _angle,
    "speed": _speed,
    "speed_along": _speed_along,
    "normal_speed": _normal_speed,
}
