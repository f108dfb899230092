"""Feet that stand, stand still: hold planted toes where they are, keep feet over the floor, bend the knee to reach.

Offline and whole clips at a time; `reach` is per frame and serves live use too. Only legs change: hips, spine and arms
stay as they were, a foot keeps its direction in the world, bone lengths are exact. Needs HUMANOID's leg names.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motion import kinematics
from motion import rotations as rot
from motion.clip import Clip
from motion.skeleton import Array, Skeleton

SIDES = ("Left", "Right")


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
    for side, name in enumerate(SIDES):
        rotations = reach(clip.skeleton, clip.root_positions, rotations, name, shift[:, side])
    return Clip(clip.skeleton, clip.fps, clip.root_positions, rotations)


def reach(skeleton: Skeleton, root_positions: Array, rotations: Array, side: str, shift: Array) -> Array:
    """Local rotations (..., J, 4) with one foot moved by shift (..., 3) metres in the world, by two-bone IK.

    The knee stays in its plane, turned as a whole towards the target; the foot keeps its global rotation. A target
    beyond the leg is approached as far as the leg goes.
    """
    upper, lower, foot = (skeleton.index(side + bone) for bone in ("UpperLeg", "LowerLeg", "Foot"))
    positions, _ = kinematics.forward(skeleton, root_positions, rotations)
    turns = kinematics.local_to_global(skeleton, rotations)
    hip, knee, ankle = (positions[..., joint, :] for joint in (upper, lower, foot))
    thigh, shin = (float(np.linalg.norm(skeleton.offsets[joint])) for joint in (lower, foot))
    target = ankle + shift
    before, after = np.linalg.norm(ankle - hip, axis=-1), np.linalg.norm(target - hip, axis=-1)
    after = np.maximum(_soft(after, before, thigh + shin), abs(thigh - shin) + 1e-4)
    # Angles before and after come from the same law of cosines, so no shift is no change.
    hinge = _hinge(hip, knee, ankle, turns[..., upper, :])
    hip_turn = _corner(thigh, before, shin) - _corner(thigh, after, shin)
    knee_turn = _corner(thigh, shin, before) - _corner(thigh, shin, after)
    swing = rot.between(ankle - hip, target - hip)
    thigh_turn = rot.multiply(swing, _about(hinge, hip_turn))
    shin_turn = rot.multiply(thigh_turn, _about(hinge, knee_turn))
    changed = turns.copy()
    changed[..., upper, :] = rot.multiply(thigh_turn, turns[..., upper, :])
    changed[..., lower, :] = rot.multiply(shin_turn, turns[..., lower, :])
    local = kinematics.global_to_local(skeleton, changed)
    result = np.array(rotations, dtype=np.float64)
    for joint in (upper, lower, foot):
        result[..., joint, :] = rot.normalize(local[..., joint, :])
    return result


def runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(start, stop) of every unbroken run of True in flags (T,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def _toes(clip: Clip) -> Array:
    joints = [clip.skeleton.index(side + "Toes") for side in SIDES]
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


def _soft(wanted: Array, before: Array, leg: float) -> Array:
    """A hip-to-ankle distance that nears the straight leg ever slower: a knee that snaps straight is seen at once.

    Nothing changes up to 97 % of the leg, or up to what it was before.
    """
    start = np.maximum(before, 0.97 * leg)
    room = np.maximum(0.995 * leg - start, 1e-6)
    return np.where(wanted > start, start + room * (1.0 - np.exp(-np.maximum(wanted - start, 0.0) / room)), wanted)


def _corner(side_a: Array | float, side_b: Array | float, opposite: Array | float) -> Array:
    """The angle between two sides of a triangle, radians."""
    cosine = (np.square(side_a) + np.square(side_b) - np.square(opposite)) / (2.0 * np.multiply(side_a, side_b))
    return np.arccos(np.clip(cosine, -1.0, 1.0))


def _hinge(hip: Array, knee: Array, ankle: Array, thigh_turns: Array) -> Array:
    """The knee's axis in the world (..., 3): across the leg's plane, or where the leg is straight the thigh's own X."""
    across = np.cross(knee - hip, ankle - hip)
    own = rot.rotate(thigh_turns, np.array([1.0, 0.0, 0.0]))
    size = np.linalg.norm(across, axis=-1, keepdims=True)
    return np.where(size > 1e-3, across / np.maximum(size, 1e-12), own)


def _about(axis: Array, angle: Array) -> Array:
    return np.concatenate([axis * np.sin(angle / 2)[..., None], np.cos(angle / 2)[..., None]], axis=-1)
