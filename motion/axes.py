"""How other programs lay out space: axes and units of Unity, TouchDesigner, Unreal and Blender, and the way there.

Axes are exchanged, some turned round, and there is one unit of length. Positions take all of it; a rotation's axis
takes the exchange and, where the map mirrors (Unity and Unreal are left-handed), one more sign. The map is linear, so
local and global rotations follow one formula, and forward kinematics of a mapped pose is mapped forward kinematics.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from motion.skeleton import Array, Skeleton

UNITS = {"m": 1.0, "cm": 100.0, "mm": 1000.0}  # how many make a metre


@dataclass(frozen=True, eq=False)
class Axes:
    """A map of space. matrix: (3, 3), old axes to new ones, one entry of 1 or -1 a row. scale: of positions only.

    Raises ValueError for a matrix that is none.
    """

    matrix: Array = field(default_factory=lambda: np.eye(3))
    scale: float = 1.0

    def __post_init__(self) -> None:
        exchanged = np.abs(self.matrix)
        if not (np.isin(exchanged, (0.0, 1.0)).all() and (exchanged @ exchanged.T == np.eye(3)).all()):
            raise ValueError(f"axes are exchanged and turned round, nothing else: {self.matrix.tolist()}")

    def positions(self, positions: Array) -> Array:
        """Positions (..., 3) in the new axes and unit."""
        mapped: Array = np.matmul(positions, self._positions)
        return mapped

    def rotations(self, rotations: Array) -> Array:
        """Rotations (..., 4) xyzw, local or global, in the new axes."""
        mapped: Array = np.matmul(rotations, self._rotations)
        return mapped

    def skeleton(self, skeleton: Skeleton) -> Skeleton:
        """The same joints, their offsets in the new axes and unit."""
        return skeleton.with_offsets(self.positions(skeleton.offsets))

    def then(self, following: Axes) -> Axes:
        """First this map, then the following one."""
        return Axes(following.matrix @ self.matrix, following.scale * self.scale)

    @property
    def inverse(self) -> Axes:
        return Axes(self.matrix.T, 1.0 / self.scale)

    def in_unit(self, unit: str) -> Axes:
        """The same axes in another unit, one of UNITS."""
        return replace(self, scale=UNITS[unit])

    @property
    def unit(self) -> str:
        """The name of the unit, empty for one that is not in UNITS."""
        return next((unit for unit, scale in UNITS.items() if scale == self.scale), "")

    @property
    def changes(self) -> bool:
        """Whether the map does anything at all."""
        return self.scale != 1.0 or bool((self.matrix != np.eye(3)).any())

    @cached_property
    def _positions(self) -> Array:
        return np.ascontiguousarray(self.matrix.T) * self.scale

    @cached_property
    def _rotations(self) -> Array:
        turns = np.eye(4)
        turns[:3, :3] = self.matrix.T * np.round(np.linalg.det(self.matrix))
        return turns


def _axes(x: str, y: str, z: str, scale: float = 1.0) -> Axes:
    """Each new axis by the old one it is: "x", or "-x" turned round."""
    rows = [np.eye(3)["xyz".index(axis[-1])] * (-1.0 if axis[0] == "-" else 1.0) for axis in (x, y, z)]
    return Axes(np.array(rows), scale)


# From the project's own (right-handed, Y up, +Z forward, left is +X, metres).
PROFILES = {
    "raw": _axes("x", "y", "z"),
    "unity": _axes("-x", "y", "z"),  # left-handed, Y up, +Z forward
    "touchdesigner": _axes("x", "y", "z"),
    "unreal": _axes("z", "-x", "y", 100.0),  # left-handed, Z up, +X forward, centimetres
    "blender": _axes("x", "-z", "y"),  # Z up; a character faces -Y
}


def change(source: str, target: str) -> Axes:
    """From one profile's axes and unit to another's."""
    return PROFILES[source].inverse.then(PROFILES[target])
