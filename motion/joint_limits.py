"""How far HUMANOID's joints turn: a range for each of three numbers a joint, as recorded dancers used them.

A local rotation is `centre · swing · twist`: the joint's mean rotation in the recordings, a turn that points its bone
elsewhere (a rotation vector across the bone, two numbers) and one about the bone. A range about a centre keeps every
number far from where it would wrap, and a box of ranges can be kept exactly by clipping. The root has no limits.

The table is of `training.prepare_joint_limits`: the 0.5 and 99.5 percentiles of recordings of the CMU Graphics Lab
Motion Capture Database (mocap.cs.cmu.edu, created with funding from NSF EIA-0196217), left and right alike.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motion import rotations as rot
from motion.skeleton import HUMANOID, Array, Skeleton

TABLE = Path(__file__).with_suffix(".json")
NUMBERS = ("swing_a", "swing_b", "twist")
LOOSE = 1e-6  # radians; what a quaternion's rounding may be beyond a limit


@dataclass(frozen=True, eq=False)
class JointLimits:
    """centres (J, 4); low, high (J, 3): swing about the two axes across the bone, twist about it, radians.

    frames (J, 3, 3): each joint's axes as columns, the last along its bone. The root's are infinite. Raises ValueError
    when a range is empty, or so wide that a swing could pass half a turn and come back as another.
    """

    centres: Array = field(repr=False)
    low: Array = field(repr=False)
    high: Array = field(repr=False)
    frames: Array = field(repr=False)

    def __post_init__(self) -> None:
        wide = np.linalg.norm(np.maximum(np.abs(self.low), np.abs(self.high))[1:, :2], axis=-1)
        twist = np.maximum(np.abs(self.low), np.abs(self.high))[1:, 2]
        bad = np.asarray((self.low > self.high).any(axis=-1))
        bad[1:] |= (wide >= np.pi) | (twist >= np.pi)
        if bad.any():
            raise ValueError(f"joint {int(np.flatnonzero(bad)[0])} has ranges that are empty or reach past half a turn")

    def numbers(self, rotations: Array) -> Array:
        """The three numbers (..., J, 3) of local rotations (..., J, 4)."""
        from_centre = rot.multiply(rot.inverse(self.centres), rotations)
        along = np.einsum("...ji,ji->...j", from_centre[..., :3], self.frames[..., 2])
        half = np.where(along**2 + from_centre[..., 3] ** 2 > 1e-18, np.arctan2(along, from_centre[..., 3]), 0.0)
        twist = 2.0 * ((half + 0.5 * np.pi) % np.pi - 0.5 * np.pi)  # q and -q are one twist
        swing = rot.to_vector(rot.multiply(from_centre, self._twists(-twist)))
        across = np.einsum("...ji,jik->...jk", swing, self.frames[..., :2])
        return np.concatenate([across, twist[..., None]], axis=-1)

    def rotations(self, numbers: Array) -> Array:
        """Local rotations (..., J, 4) of the three numbers (..., J, 3)."""
        swing = rot.from_vector(np.einsum("...jk,jik->...ji", numbers[..., :2], self.frames[..., :2]))
        return rot.multiply(self.centres, rot.multiply(swing, self._twists(numbers[..., 2])))

    def clip(self, rotations: Array) -> Array:
        """The rotations (..., J, 4) with every number brought into its range; those within stay as they are."""
        numbers = self.numbers(rotations)
        inside = np.clip(numbers, self.low, self.high)
        moved = (inside != numbers).any(axis=-1)[..., None]
        return np.where(moved, self.rotations(inside), rotations)

    def beyond(self, rotations: Array) -> Array:
        """How far each number is beyond its range, (..., J, 3) radians; 0 within."""
        numbers = self.numbers(rotations)
        return np.asarray(np.maximum(np.maximum(self.low - numbers, numbers - self.high), 0.0))

    def kept(self, rotations: Array, tolerance: float = LOOSE) -> NDArray[np.bool_]:
        """Whether poses (..., J, 4) keep all limits, (...)."""
        return np.asarray((self.beyond(rotations) <= tolerance).all(axis=(-2, -1)))

    def to_dict(self, skeleton: Skeleton = HUMANOID) -> dict[str, Any]:
        """JSON-ready, without the root; `from_dict` reads it back."""
        return {
            name: {
                "centre": [round(float(v), 6) for v in self.centres[joint]],
                **{
                    number: [round(float(side[joint, place]), 4) for side in (self.low, self.high)]
                    for place, number in enumerate(NUMBERS)
                },
            }
            for joint, name in enumerate(skeleton.names)
            if joint
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any], skeleton: Skeleton = HUMANOID) -> JointLimits:
        """Raises ValueError naming the joints that are missing."""
        if missing := [name for name in skeleton.names[1:] if name not in data]:
            raise ValueError(f"the joint limits lack {', '.join(missing)}")
        rows = [data[name] for name in skeleton.names[1:]]
        centres = rot.normalize(np.array([rot.IDENTITY, *(row["centre"] for row in rows)]))
        ranges = np.array([[row[number] for number in NUMBERS] for row in rows], dtype=np.float64)  # (J - 1, 3, 2)
        unbounded = np.full((1, 3), np.inf)
        return cls(
            centres,
            np.concatenate([-unbounded, ranges[..., 0]]),
            np.concatenate([unbounded, ranges[..., 1]]),
            bone_frames(skeleton),
        )

    def _twists(self, angles: Array) -> Array:
        half = 0.5 * angles[..., None]
        return np.concatenate([np.sin(half) * self.frames[..., 2], np.cos(half)], axis=-1)


def bone_frames(skeleton: Skeleton) -> Array:
    """Axes of every joint (J, 3, 3) as columns: two across its bone at rest, and the bone.

    A joint's bone goes to its first child; one without children goes on as the bone before it.
    """
    frames = np.empty((len(skeleton), 3, 3))
    for joint in range(len(skeleton)):
        children = [child for child, parent in enumerate(skeleton.parents) if parent == joint]
        bone = skeleton.offsets[children[0] if children else joint]
        along = bone / max(float(np.linalg.norm(bone)), 1e-12)
        aside = np.eye(3)[int(np.argmin(np.abs(along) + np.array([0.0, 1e-6, 2e-6])))]  # X before Y before Z
        first = aside - along * (aside @ along)
        first /= np.linalg.norm(first)
        frames[joint] = np.stack([first, np.cross(along, first), along], axis=-1)
    return frames


@lru_cache(maxsize=1)
def humanoid_limits() -> JointLimits:
    """The table that comes with the project, of HUMANOID."""
    stored = json.loads(TABLE.read_text(encoding="utf-8"))
    return JointLimits.from_dict(stored["joints"])
