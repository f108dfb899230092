"""A recording in a file's own units and axes -> metres, Y up, told by the body itself. No file format is known here.

The height is summed along bones (foot to hips to head), so an odd rest pose does not matter. The head joint of an
adult sits at 0.88 of the stature.
"""

from __future__ import annotations

import numpy as np

from motion.clip import Clip
from motion.kinematics import global_positions
from motion.profiles import SkeletonMismatch, detect
from motion.skeleton import Array, Skeleton

# Plain units first; the conversions of the CMU recordings by cgspeed only where no plain unit gives an adult.
PLAIN = {"metres": 1.0, "decimetres": 0.1, "centimetres": 0.01, "millimetres": 0.001, "inches": 0.0254}
CGSPEED = {"cgspeed's CMU units": 0.0564444, "cgspeed's DAZ units / 128": 1.28}
SHORTEST, TALLEST, USUAL = 1.4, 2.1, 1.70
_HEAD_JOINT = 0.88


def to_metres(clip: Clip, scale: str | float | None = "auto") -> tuple[Clip, str]:
    """The clip in metres, Y up, and a sentence on what was found.

    scale: metres per unit, or "auto". Z up is seen where the body both rests and moves along Z. Raises ValueError for
    a scale that is neither "auto" nor a positive number.
    """
    metres, note = body_scale(clip.skeleton, scale)
    skeleton = clip.skeleton.with_offsets(clip.skeleton.offsets * metres)
    clip = Clip(skeleton, clip.fps, clip.root_positions * metres, clip.rotations)
    if _stands_along_z(clip):
        skeleton = skeleton.with_offsets(_z_to_y(skeleton.offsets))
        clip = Clip(skeleton, clip.fps, _z_to_y(clip.root_positions), _z_to_y(clip.rotations))
        note += "; Z was up"
    return clip, note


def body_scale(skeleton: Skeleton, scale: str | float | None = "auto") -> tuple[float, str]:
    """Metres per unit of a skeleton and a sentence that says so. Raises as `to_metres`."""
    if scale not in ("auto", None):
        try:
            value = float(scale or 0.0)
        except ValueError:
            value = -1.0
        if not (value > 0 and np.isfinite(value)):
            raise ValueError(f"scale must be 'auto' or a positive number, not {scale!r}")
        return value, f"scale {value:g} as given"
    units = stature(skeleton)
    for table in (PLAIN, CGSPEED):
        fitting = {name: v for name, v in table.items() if SHORTEST <= v * units <= TALLEST}
        if fitting:
            name = min(fitting, key=lambda n: abs(fitting[n] * units - USUAL))
            return fitting[name], f"scale {fitting[name]:g} ({name}: a body of {fitting[name] * units:.2f} m)"
    if not units > 0:
        return 1.0, "scale 1: the skeleton has no size"
    value = USUAL / units
    return value, f"scale {value:g}: no known unit makes {units:.4g} units an adult, so the body is taken as {USUAL} m"


def stature(skeleton: Skeleton) -> float:
    """Body height in the skeleton's units; for a skeleton that is no known body, its longest chain."""
    lengths = np.linalg.norm(skeleton.offsets, axis=-1)
    lengths[0] = 0.0
    from_root = lengths.copy()
    for joint, parent in enumerate(skeleton.parents[1:], start=1):
        from_root[joint] += from_root[parent]
    try:
        _, places = detect(skeleton.names)
    except SkeletonMismatch:
        return float(from_root.max())
    legs = [
        _length_between(skeleton, lengths, places[f"{side}UpperLeg"], places[f"{side}Foot"])
        for side in ("Left", "Right")
    ]
    trunk = _length_between(skeleton, lengths, places["Hips"], places["Head"])
    rest = skeleton.rest_positions - skeleton.rest_positions[places["Hips"]]
    up = rest[places["Head"]] / np.linalg.norm(rest[places["Head"]])
    drop = -float((rest[places["LeftUpperLeg"]] + rest[places["RightUpperLeg"]]) @ up) / 2  # hips to leg joints
    ankle = 0.045 * sum(legs) / 2  # the foot joint stands this far over the sole
    return (sum(legs) / 2 + ankle + drop + trunk) / _HEAD_JOINT


def _length_between(skeleton: Skeleton, lengths: Array, ancestor: int, joint: int) -> float:
    """Sum of bone lengths from `ancestor` down to `joint`; to the root when it is no ancestor."""
    total = 0.0
    while joint not in (ancestor, -1):
        total += float(lengths[joint])
        joint = skeleton.parents[joint]
    return total


def _z_to_y(values: Array) -> Array:
    """(x, y, z) -> (x, z, -y) for vectors and for the axis part of quaternions: what was up along +Z is up along +Y."""
    turned = np.array(values)
    turned[..., 1], turned[..., 2] = values[..., 2], -values[..., 1]
    return turned


def _stands_along_z(clip: Clip) -> bool:
    try:
        _, places = detect(clip.skeleton.names)
    except SkeletonMismatch:
        return False
    some = clip[:: max(1, len(clip) // 100)]
    moving = global_positions(some.skeleton, some.root_positions, some.rotations)
    rest = clip.skeleton.rest_positions[None]
    up = [np.median(p[:, places["Head"]] - p[:, places["Hips"]], axis=0) for p in (rest, moving)]
    return all(direction[2] > 2.0 * np.abs(direction[:2]).max() for direction in up)
