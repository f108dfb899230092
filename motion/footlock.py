"""Feet that stand, stand still: hold planted toes where they are, keep feet over the floor, bend the knee to reach.

Offline and whole clips at a time. Only legs change: hips, spine and arms
stay as they were, a foot keeps its direction in the world, bone lengths are exact. Needs HUMANOID's leg names.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motion import kinematics
from motion.clip import Clip
from motion.limbs import LEGS, reach
from motion.skeleton import Array


def planted(
    clip: Clip, floor: float, height: float = 0.05, speed: float = 0.35, shortest: float = 0.1
) -> NDArray[np.bool_]:
    """Which toes stand, (T, 2) left and right: lower than floor + height (m), slower than speed (m/s, horizontally).

    Gaps and stands shorter than `shortest` seconds are no gaps and no stands.
    """
    toes = _toes(clip)
    step = np.gradient(toes[..., [0, 2]], axis=0) * clip.fps if len(clip) > 1 else np.zeros((len(clip), 2, 2))
    stands: NDArray[np.bool_] = (toes[..., 1] < floor + height) & (np.linalg.norm(step, axis=-1) < speed)
    frames = round(shortest * clip.fps)
    for side in range(2):
        for state in (False, True):
            for start, stop in runs(stands[:, side] == state):
                inside = state or (start > 0 and stop < len(clip))
                if stop - start < frames and inside:
                    stands[start:stop, side] = not state
    return stands


def lock(
    clip: Clip,
    stands: NDArray[np.bool_],
    floor: float,
    strength: float = 1.0,
    blend: float = 0.15,
    longest: float = 0.10,
    height: float | None = None,
) -> Clip:
    """The clip with its planted toes held and both feet over the floor.

    stands: (T, 2) left and right, as `planted` gives. floor: metres, the lowest height a toe joint may have.
    strength: 1 holds a toe where it stands on average, 0 leaves it sliding. blend: seconds before and after a stand
    over which the correction comes and goes. longest: metres a toe may be moved by; a stand that slides farther is
    held loosely. height: metres, where standing toes are held; None leaves each stand its own. Legs reach no farther
    than they are long.
    """
    toes = _toes(clip)
    shift = np.zeros_like(toes)
    for side in range(2):
        held = _held(toes[:, side], stands[:, side], strength, longest, height)
        shift[:, side] = _blended(held, stands[:, side], max(blend * clip.fps, 1.0))
    shift[..., 1] += _smooth_rise(np.maximum(floor - (toes[..., 1] + shift[..., 1]), 0.0), clip.fps)
    rotations = clip.rotations
    for side, leg in enumerate(LEGS):
        rotations = reach(clip.skeleton, clip.root_positions, rotations, leg, shift[:, side])
    return Clip(clip.skeleton, clip.fps, clip.root_positions, rotations)


def runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(start, stop) of every unbroken run of True in flags (T,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def _toes(clip: Clip) -> Array:
    joints = clip.skeleton.both_sides("Toes")
    return kinematics.global_positions(clip.skeleton, clip.root_positions, clip.rotations)[:, joints]


def _held(toe: Array, stands: NDArray[np.bool_], strength: float, longest: float, height: float | None) -> Array:
    """How far each planted frame must move, (T, 3), to hold its stand's mean place."""
    held = np.zeros_like(toe)
    for start, stop in runs(stands):
        place = toe[start:stop].mean(axis=0)
        place[1] = place[1] if height is None else height
        away = strength * (place - toe[start:stop])
        far = np.linalg.norm(away, axis=-1).max()
        held[start:stop] = away * min(1.0, longest / max(far, 1e-9))
    return held


def _blended(held: Array, stands: NDArray[np.bool_], frames: float) -> Array:
    """`held` with a smooth way from each stand's last correction to nothing, and from nothing to the next one's."""
    result = held.copy()
    edge = np.arange(len(held), dtype=np.float64)
    for start, stop in runs(~stands):
        gap = stop - start
        reach_frames = min(frames, (gap + 1) / 2.0)
        if start > 0:
            fade = 1.0 - _smoothstep((edge[start:stop] - (start - 1)) / reach_frames)
            result[start:stop] += fade[:, None] * held[start - 1]
        if stop < len(held):
            fade = 1.0 - _smoothstep((stop - edge[start:stop]) / reach_frames)
            result[start:stop] += fade[:, None] * held[stop]
    return result


def _smooth_rise(lack: Array, fps: float) -> Array:
    """At least `lack` (T, 2) metres of lift, rising and falling over 0.1 s instead of at once."""
    width = max(round(0.1 * fps), 1)
    offsets = np.arange(-width, width + 1)
    window = 0.5 + 0.5 * np.cos(np.pi * offsets / (width + 1))
    padded = np.pad(lack, ((width, width), (0, 0)))
    shifted = np.stack([padded[width + o : width + o + len(lack)] * w for o, w in zip(offsets, window, strict=True)])
    return shifted.max(axis=0)  # type: ignore[no-any-return]


def _smoothstep(x: Array) -> Array:
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)
