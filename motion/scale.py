"""How many metres a file's unit is, told by the body's height; nothing else is known about a file here.

The height is summed along bones (foot to hips to head), so an odd rest pose does not matter. The head joint of an
adult sits at 0.88 of the stature.
"""

from __future__ import annotations

import numpy as np

from motion.clip import Clip
from motion.profiles import SkeletonMismatch, detect
from motion.skeleton import Skeleton

# Plain units first; the conversions of the CMU recordings by cgspeed only where no plain unit gives an adult.
PLAIN = {"metres": 1.0, "centimetres": 0.01, "millimetres": 0.001, "inches": 0.0254}
CGSPEED = {"cgspeed's CMU units": 0.0564444, "cgspeed's DAZ units / 128": 1.28}
SHORTEST, TALLEST, USUAL = 1.4, 2.1, 1.70
_HEAD_JOINT = 0.88


def body_scale(clip: Clip, scale: str | float = "auto") -> tuple[float, str]:
    """Metres per unit of the clip's skeleton and a sentence that says so.

    Raises ValueError for a scale that is neither "auto" nor a positive number.
    """
    if scale != "auto":
        try:
            value = float(scale)
        except ValueError:
            value = -1.0
        if not (value > 0 and np.isfinite(value)):
            raise ValueError(f"scale must be 'auto' or a positive number, not {scale!r}")
        return value, f"scale {value:g} as given"
    units = stature(clip.skeleton)
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
        lengths_between(skeleton, lengths, places[f"{side}UpperLeg"], places[f"{side}Foot"])
        for side in ("Left", "Right")
    ]
    trunk = lengths_between(skeleton, lengths, places["Hips"], places["Head"])
    rest = skeleton.rest_positions - skeleton.rest_positions[places["Hips"]]
    up = rest[places["Head"]] / np.linalg.norm(rest[places["Head"]])
    drop = -float((rest[places["LeftUpperLeg"]] + rest[places["RightUpperLeg"]]) @ up) / 2  # hips to leg joints
    ankle = 0.045 * sum(legs) / 2  # the foot joint stands this far over the sole
    return (sum(legs) / 2 + ankle + drop + trunk) / _HEAD_JOINT


def lengths_between(skeleton: Skeleton, lengths: np.ndarray, ancestor: int, joint: int) -> float:
    """Sum of bone lengths from `ancestor` down to `joint`; to the root when it is no ancestor."""
    total = 0.0
    while joint not in (ancestor, -1):
        total += float(lengths[joint])
        joint = skeleton.parents[joint]
    return total
