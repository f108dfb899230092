"""What a body is made of: joint names, who hangs on whom, and the rest offsets. Nothing here moves.

Rules: parents stand before their children; the root is joint 0 and its parent is -1; offsets are metres in the
parent's frame; the rest pose has identity rotations everywhere. `HUMANOID` is the standard body of this project.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Skeleton:
    """A joint hierarchy in its rest pose.

    names: J joint names. parents: J indices, -1 for the root. offsets: (J, 3) metres, each joint relative to its
    parent at rest; the root's offset is where the root stands at rest (forward kinematics ignores it).

    Raises ValueError when the lengths differ, a parent stands after its child, a name repeats, or the root is not
    the first joint.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: Array = field(repr=False)

    def __post_init__(self) -> None:
        offsets = np.array(self.offsets, dtype=np.float64)
        count = len(self.names)
        if len(self.parents) != count or offsets.shape != (count, 3):
            raise ValueError(
                f"a skeleton needs one parent and one offset a joint: {count} names, {len(self.parents)} parents, "
                f"offsets {offsets.shape}"
            )
        if count == 0 or self.parents[0] != -1:
            raise ValueError("the first joint of a skeleton must be its root (parent -1)")
        for child, parent in enumerate(self.parents[1:], start=1):
            if not 0 <= parent < child:
                raise ValueError(f"joint {self.names[child]!r} has parent {parent}; parents must come first")
        if len(set(self.names)) != count:
            repeated = sorted({name for name in self.names if self.names.count(name) > 1})
            raise ValueError(f"joint names repeat: {', '.join(repeated)}")
        offsets.setflags(write=False)
        object.__setattr__(self, "offsets", offsets)

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """The place of joint `name`; KeyError names the choices."""
        try:
            return self._places[name]
        except KeyError:
            raise KeyError(f"no joint {name!r}; this skeleton has: {', '.join(self.names)}") from None

    def both_sides(self, *bones: str) -> list[int]:
        """The places of bones that are there twice: all of the left, then all of the right."""
        return [self.index(side + bone) for side in ("Left", "Right") for bone in bones]

    def with_offsets(self, offsets: Array) -> Skeleton:
        """The same joints with other bone lengths."""
        return Skeleton(self.names, self.parents, offsets)

    @cached_property
    def topology_hash(self) -> int:
        """32 bits that agree between two skeletons with the same joints in the same order (not: the same lengths)."""
        return zlib.crc32(json.dumps([self.names, self.parents]).encode())

    @cached_property
    def rest_positions(self) -> Array:
        """Global joint positions at rest, (J, 3)."""
        positions = np.array(self.offsets)
        for joint, parent in enumerate(self.parents):
            if parent >= 0:
                positions[joint] += positions[parent]
        return positions

    @cached_property
    def hip_height(self) -> float:
        """How far the root stands over the lowest joint at rest, metres."""
        return float(self.rest_positions[0, 1] - self.rest_positions[:, 1].min())

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `from_dict` reads it back."""
        return {
            "names": list(self.names),
            "parents": list(self.parents),
            "offsets": [[round(float(v), 6) for v in offset] for offset in self.offsets],
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Skeleton:
        return cls(tuple(data["names"]), tuple(int(p) for p in data["parents"]), np.asarray(data["offsets"]))

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.names)}


def _humanoid() -> Skeleton:
    """22 joints with Unity's and VRM's names, an adult of 1.70 m in T-pose, standing on the floor."""
    table: list[tuple[str, str | None, tuple[float, float, float]]] = [
        ("Hips", None, (0.0, 0.88, 0.0)),
        ("Spine", "Hips", (0.0, 0.20, 0.0)),
        ("Chest", "Spine", (0.0, 0.12, 0.0)),
        ("UpperChest", "Chest", (0.0, 0.10, -0.02)),
        ("Neck", "UpperChest", (0.0, 0.12, -0.01)),
        ("Head", "Neck", (0.0, 0.08, 0.01)),
    ]
    for side, left in (("Left", 1.0), ("Right", -1.0)):
        table += [
            (f"{side}Shoulder", "UpperChest", (left * 0.03, 0.09, -0.03)),
            (f"{side}UpperArm", f"{side}Shoulder", (left * 0.09, -0.02, 0.01)),
            (f"{side}LowerArm", f"{side}UpperArm", (left * 0.282, 0.0, 0.0)),
            (f"{side}Hand", f"{side}LowerArm", (left * 0.237, 0.0, 0.0)),
        ]
    for side, left in (("Left", 1.0), ("Right", -1.0)):
        table += [
            (f"{side}UpperLeg", "Hips", (left * 0.088, 0.0, 0.0)),
            (f"{side}LowerLeg", f"{side}UpperLeg", (0.0, -0.368, 0.0)),
            (f"{side}Foot", f"{side}LowerLeg", (0.0, -0.454, 0.0)),
            (f"{side}Toes", f"{side}Foot", (0.0, -0.037, 0.121)),
        ]
    names = tuple(name for name, _, _ in table)
    parents = tuple(-1 if parent is None else names.index(parent) for _, parent, _ in table)
    return Skeleton(names, parents, np.array([offset for _, _, offset in table]))


HUMANOID = _humanoid()
