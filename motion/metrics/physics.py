"""Do the feet hold and is the motion neither shaky nor sleepy? Points (T, 24, 3) at 30 fps, metres, Y up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motion.metrics.joints import FPS, POINT
from motion.skeleton import Array

_GROUND = [0, 2]
_ANKLES = [POINT["lankle"], POINT["rankle"]]
_TOES = [POINT["ltoes"], POINT["rtoes"]]
_GLIDE_STEP = 0.03  # metres a frame
_STILL_STEP = 0.01
_LOW_TOE = 0.05  # metres over the floor
_FLOATING = 0.06
_PLANTED_FRAMES = 3
_PLANTED_SHARES = (0.7, 1.3)


@dataclass(frozen=True)
class Planting:
    """How a body's toes stand: mean horizontal speed while planted, m/s, and the share of toe frames planted.

    frames: toe frames looked at, so that takes can be pooled.
    """

    speed: float
    share: float
    frames: int


def skating(points: Array) -> NDArray[np.bool_]:
    """The steps (T-1,) in which the body glides: pelvis over 0.03 m, both ankles under 0.01 m relative to it.

    The mean x 100 is the skating ratio in percent. Source: SR of Duolando (Siyao et al. 2024).
    """
    pelvis = np.linalg.norm(np.diff(points[:, 0, _GROUND], axis=0), axis=-1)
    ankles = np.linalg.norm(np.diff(points[:, _ANKLES] - points[:, :1], axis=0), axis=-1)
    return np.asarray((pelvis > _GLIDE_STEP) & (ankles < _STILL_STEP).all(axis=-1))


def physical_foot_contact(points: Array) -> float:
    """PFC: feet that move while the pelvis accelerates, x 10⁴; 0 for a still body. One value a sequence; average them.

    Source: EDGE (Tseng et al. 2023): root acceleration with its downward part clamped away, divided by its maximum
    over the sequence, times the slower of ankle and toe of each foot.
    """
    acceleration = np.diff(points[:, 0], n=2, axis=0) * FPS**2
    acceleration[:, 1] = np.maximum(acceleration[:, 1], 0.0)
    size = np.linalg.norm(acceleration, axis=-1)
    peak = size.max(initial=0.0)
    if peak <= 0.0:
        return 0.0
    steps = np.linalg.norm(np.diff(points[1:][..., _GROUND], axis=0), axis=-1)  # (T-2, 24)
    left = np.minimum(steps[:, POINT["lankle"]], steps[:, POINT["ltoes"]])
    right = np.minimum(steps[:, POINT["rankle"]], steps[:, POINT["rtoes"]])
    return float(1e4 * np.mean(left * right * size / peak))


def jitter(points: Array) -> float:
    """Mean third difference of the points times fps³ / 10. Source: R2R (report the ratio to the truth's)."""
    if len(points) < 4:
        return float("nan")
    return float(np.linalg.norm(np.diff(points, n=3, axis=0), axis=-1).mean() * FPS**3 / 10.0)


def foot_slide(points: Array) -> float:
    """Mean horizontal step of a toe lower than its minimum + 5 cm, centimetres a frame. Source: R2R."""
    toes = points[:, _TOES]
    low = toes[1:, :, 1] < toes[..., 1].min(axis=0) + _LOW_TOE
    steps = np.linalg.norm(np.diff(toes[..., _GROUND], axis=0), axis=-1)
    return float(100.0 * steps[low].mean()) if low.any() else float("nan")


def floor_height(truth: Array) -> float:
    """The height of the floor: the lowest point a true toe reaches in the take, metres."""
    return float(truth[:, _TOES, 1].min())


def standing_height(points: Array) -> float:
    """How high the toe that stands is: the 10th percentile of the lower toe's height, metres."""
    return float(np.percentile(points[:, _TOES, 1].min(axis=1), 10.0))


def own_floor(points: Array, truth: Array) -> float:
    """The truth's floor under a made body, metres: moved by how much higher or lower that body stands, up to 6 cm.

    Recordings float and sink by that much from take to take, which no partner can know: a true follower put on the
    floor would otherwise slide three times as much as the same one where the recording left it.
    """
    apart = standing_height(points) - standing_height(truth)
    return floor_height(truth) + float(np.clip(apart, -_FLOATING, _FLOATING))


def planting(points: Array, floor: float) -> Planting:
    """How the toes stand that stay lower than `floor` + 5 cm for at least three frames.

    Speeds are horizontal, m/s, over the steps between planted frames. NaN speed when a toe never stands.
    """
    toes = points[:, _TOES]
    planted = np.stack([_long_runs(low) for low in (toes[..., 1] < floor + _LOW_TOE).T], axis=-1)  # (T, 2)
    speeds = np.linalg.norm(np.diff(toes[..., _GROUND], axis=0), axis=-1) * FPS
    standing = planted[1:] & planted[:-1]
    speed = float(speeds[standing].mean()) if standing.any() else float("nan")
    return Planting(speed, float(planted.mean()), planted.size)


def pooled(parts: list[Planting]) -> Planting:
    """One planting of several takes: shares weighted by frames, speeds by planted frames."""
    frames = np.array([part.frames for part in parts], dtype=np.float64)
    planted = np.array([part.share for part in parts]) * frames
    speeds = np.array([part.speed if part.share > 0 else 0.0 for part in parts])
    speed = float(np.nansum(speeds * planted) / planted.sum()) if planted.sum() > 0 else float("nan")
    return Planting(speed, float(planted.sum() / frames.sum()), int(frames.sum()))


def own_slide_ratio(made: Planting, truth: Planting) -> float:
    """The speed of the made body's own planted toes over that of the truth's; 1 slides as much as the truth.

    NaN when the made body plants less than 0.7 or more than 1.3 times as often: it would win by not standing, or by
    not moving. Its own feet are judged, not those in phase with one particular partner.
    """
    low, high = _PLANTED_SHARES
    counts = truth.share > 0 and low <= made.share / truth.share <= high
    return made.speed / truth.speed if counts else float("nan")


def _long_runs(low: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keeps only runs of True of at least three frames."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], low, [False]]).astype(np.int8)))
    kept = np.zeros(len(low), dtype=np.bool_)
    for start, stop in edges.reshape(-1, 2):
        kept[start:stop] = stop - start >= _PLANTED_FRAMES
    return kept
