"""VMC's names and rest offsets: which of Unity's 55 bones is which joint of HUMANOID, and how long it is.

Names are Unity's HumanBodyBones, or VRM's, which are the same with a small first letter, but for VRM 1.0's thumbs. VRM
makes some bones optional; a sender without one gives the next bone's offset from the last bone it has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motion.skeleton import HUMANOID, Array, Skeleton

OK, TIME, ROOT, BONE = "/VMC/Ext/OK", "/VMC/Ext/T", "/VMC/Ext/Root/Pos", "/VMC/Ext/Bone/Pos"

POSITION_SIGNS: Array = np.array([-1.0, 1.0, 1.0])  # Unity's axes to ours, and back
ROTATION_SIGNS: Array = np.array([1.0, -1.0, -1.0, 1.0])
REBUILD_STEP = 0.01  # metres a rest offset must move before the skeleton is made again
REBUILD_WAIT = 1.0  # seconds between two remade skeletons, for senders that stretch bones every frame


def place_of_bone(name: str) -> int | None:
    """The HUMANOID joint of a bone name, None for fingers, face and strangers."""
    return _PLACES.get(name)


def unity_names(names: Sequence[str]) -> list[str]:
    """The same bones by Unity's names. Raises ValueError naming what is no bone.

    Thumbs are VRM 1.0's where one of them has a Metacarpal: its Proximal is then Unity's Intermediate.
    """
    thumbs = _VRM1_THUMBS if any(name[1:].endswith("ThumbMetacarpal") for name in names) else {}
    bones = [name[:1].upper() + name[1:] for name in names]
    bones = [thumbs.get(bone, bone) for bone in bones]
    strangers = [name for name, bone in zip(names, bones, strict=True) if bone not in UNITY_BONES]
    if strangers:
        raise ValueError(f"VMC has no bone named {', '.join(strangers)}; retarget to HUMANOID before sending")
    return bones


def vrm_name(bone: str, vrm: int) -> str:
    """A Unity bone by the name that receivers of VRM `vrm` (0 or 1) models know it: VRM 1.0 has other thumbs."""
    return _THUMBS_OF_VRM1.get(bone, bone) if vrm == 1 else bone


class SenderSkeleton:
    """HUMANOID with the bone lengths a sender tells: one object, made anew only when they change."""

    def __init__(self) -> None:
        self._skeleton = HUMANOID
        self._positions: NDArray[np.floating[Any]] = np.zeros((len(HUMANOID), 3))
        self._newest = b""  # the positions looked at last: a sender's rest offsets stay the same for hours
        self._seen = 0
        self._made = -math.inf

    def update(self, positions: NDArray[np.floating[Any]], received: int, now: float) -> Skeleton:
        """The skeleton to use from a frame on.

        positions: (J, 3) local bone positions, metres, Unity's axes. received: the bones the frame held, a bit a
        joint. now: seconds.
        """
        seen = self._seen | received
        newest = positions[1:].tobytes()
        if seen == self._seen and newest == self._newest:
            return self._skeleton
        moved = np.abs(positions[1:] - self._positions[1:]).max() > REBUILD_STEP
        if moved and seen == self._seen and now - self._made < REBUILD_WAIT:
            return self._skeleton  # looks again at the next frame
        self._newest = newest
        if moved or seen != self._seen:
            self._seen, self._positions, self._made = seen, positions.copy(), now
            received_ever = np.array([seen >> joint & 1 for joint in range(len(HUMANOID))], dtype=np.bool_)
            self._skeleton = HUMANOID.with_offsets(offsets_from_bones(positions * POSITION_SIGNS, received_ever))
        return self._skeleton


def offsets_from_bones(positions: Array, received: NDArray[np.bool_]) -> Array:
    """Rest offsets (J, 3) for HUMANOID from a sender's local bone positions (J, 3), metres, the project's axes.

    A bone at zero tells nothing and keeps HUMANOID's offset. One that was never received is laid on the way between
    its neighbours, so that the joints after it stand where the sender has them. The root stands so high that the
    lowest joint is as far above the floor as HUMANOID's.
    """
    told = received & (np.abs(positions).max(axis=1) > 1e-6)
    if not told[1:].any():
        return HUMANOID.offsets
    offsets = np.array(HUMANOID.offsets)
    covered = np.zeros_like(offsets)  # how far from the last received ancestor the bones left out already reach
    for joint in range(1, len(HUMANOID)):
        parent = HUMANOID.parents[joint]
        before = np.zeros(3) if received[parent] or parent == 0 else covered[parent]
        if told[joint]:
            offsets[joint] = positions[joint] - before
        elif not received[joint]:
            steps, descendant = _next_told(joint, received, told)
            if steps:
                offsets[joint] = (positions[descendant] - before) / (steps + 1)
            covered[joint] = before + offsets[joint]
    heights = np.zeros(len(HUMANOID))
    for joint in range(1, len(HUMANOID)):
        heights[joint] = heights[HUMANOID.parents[joint]] + offsets[joint, 1]
    offsets[0] = [0.0, HUMANOID.rest_positions[:, 1].min() - heights.min(), 0.0]
    return offsets


def _next_told(joint: int, received: NDArray[np.bool_], told: NDArray[np.bool_]) -> tuple[int, int]:
    """Steps from a bone left out down to the first that tells an offset, and that bone; 0 steps if none does."""
    steps = 0
    while not received[joint]:
        children = [child for child, parent in enumerate(HUMANOID.parents) if parent == joint]
        if not children:
            return 0, joint
        joint, steps = children[0], steps + 1
    return (steps, joint) if told[joint] else (0, joint)


def _spellings(name: str) -> tuple[str, str]:
    return name, name[0].lower() + name[1:]


_SIDES = ("Left", "Right")
_FINGERS = [side + finger for side in _SIDES for finger in ("Thumb", "Index", "Middle", "Ring", "Little")]
_FACE = ("LeftEye", "RightEye", "Jaw")
UNITY_BONES = (
    *HUMANOID.names,
    *_FACE,
    *(f + part for f in _FINGERS for part in ("Proximal", "Intermediate", "Distal")),
)
_VRM1_THUMBS = {
    f"{side}Thumb{theirs}": f"{side}Thumb{unitys}"
    for side in _SIDES
    for theirs, unitys in (("Metacarpal", "Proximal"), ("Proximal", "Intermediate"))
}
_THUMBS_OF_VRM1 = {unitys: theirs for theirs, unitys in _VRM1_THUMBS.items()}
FINGERS_AND_FACE = frozenset(
    spelling
    for name in (*_FACE, *(f + part for f in _FINGERS for part in ("Proximal", "Intermediate", "Distal", "Metacarpal")))
    for spelling in _spellings(name)
)
_PLACES = {spelling: joint for joint, name in enumerate(HUMANOID.names) for spelling in _spellings(name)}
