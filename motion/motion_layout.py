"""Which numbers a motion vector has, by name: to condition on a few of them, to bound them, to see them in a mirror.

Names and places only; motion.motion_vectors fills them from clips and reads them back.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motion.ground_frames import GroundFrame
from motion.skeleton import Array

RATE = 30.0
GROUPS = ((-9, -3), (-2, -1), (0, 0))  # frames from now, both included, averaged: older ones more coarsely
FUTURE = (4, 8, 12, 16)  # frames from now
HORIZON = 30  # frames from now over which the controls are means
FACING = 0.5  # metres that a unit of facing counts as
_LIMBS = ("UpperArm", "LowerArm", "Hand", "LowerLeg", "Foot")
BESIDE = ("LeftUpperLeg", "Head", *(side + part for part in _LIMBS for side in ("Left", "Right")))
ENDS = ("LeftHand", "RightHand", "LeftFoot", "RightFoot")  # what is foreseen of a dancer
Places = NDArray[np.intp]
_AXES = ("x", "y", "z")


@dataclass(frozen=True)
class Layout:
    """Which numbers there are, in order. dancer: whether there is one beside the partner."""

    dancer: bool = True

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every number's name, the past first: `dancer.history.0.root.y`, `dancer.facing.z`,
        `partner.future.2.LeftHand.x`, `controls.root.x`, `controls.facing.z`, `controls.head`."""
        whole, ends = ("root", *BESIDE), ("root", *ENDS)
        pasts = ["partner.history", "dancer.history"] if self.dancer else ["partner.history"]
        names = [name for past in pasts for name in _points(past, len(GROUPS), whole)]
        names += ["dancer.facing.x", "dancer.facing.z"] if self.dancer else []
        names += _points("partner.future", len(FUTURE), whole)
        names += [f"controls.root.{axis}" for axis in _AXES]
        names += ["controls.facing.x", "controls.facing.z", "controls.head"]
        return (*names, *(_points("dancer.future", len(FUTURE), ends) if self.dancer else []))

    @cached_property
    def past(self) -> int:
        """How many numbers, the first ones, are of what was: both histories, and where the dancer looks."""
        return self.names.index("partner.future.0.root.x")

    @property
    def width(self) -> int:
        return len(self.names)

    def select(self, *patterns: str) -> Places:
        """Where the numbers stand whose names begin with a pattern's parts, `*` standing for any one.

        `partner.future`, `dancer`, `*.history.*.LeftHand`, `controls.facing`. Raises ValueError for one that fits
        nothing, naming the choices.
        """
        found: set[int] = set()
        for pattern in patterns:
            parts = pattern.split(".")
            fits = [
                place
                for place, name in enumerate(self._parts)
                if len(name) >= len(parts) and all(map(fnmatch.fnmatchcase, name, parts))
            ]
            if not fits:
                blocks = dict.fromkeys(".".join(name[:2]) for name in self._parts)
                raise ValueError(
                    f"nothing is called {pattern!r}; there are {', '.join(blocks)}, with numbers of steps and points "
                    f"root, {', '.join(BESIDE)}"
                )
            found |= set(fits)
        return np.array(sorted(found), dtype=np.intp)

    @cached_property
    def _parts(self) -> list[list[str]]:
        return [name.split(".") for name in self.names]

    def place_rows(self, step: int, joint: str) -> Array:
        """(3, width): rows whose products with a vector are where the partner's joint is at FUTURE[step], in the frame.

        Raises ValueError for a step or joint that the vector has not, naming the choices.
        """
        if not 0 <= step < len(FUTURE) or joint not in ("Hips", *BESIDE):
            raise ValueError(
                f"the partner's {joint!r} at step {step} is no number of the vector; steps: 0 to {len(FUTURE) - 1}, "
                f"joints: Hips, {', '.join(BESIDE)}"
            )
        rows = np.zeros((3, self.width))
        rows[[0, 1, 2], self.select(f"partner.future.{step}.root")] = 1.0
        if joint != "Hips":
            rows[[0, 1, 2], self.select(f"partner.future.{step}.{joint}")] = 1.0
        return rows

    def half_space(
        self, step: int, joint: str, normal: ArrayLike, limit: float, frame: GroundFrame
    ) -> tuple[Array, float]:
        """a (width,) and b with a·x <= b where normal · place <= limit on stage. Raises as `place_rows`."""
        inside, bound = frame.plane(normal, limit)
        return inside @ self.place_rows(step, joint), float(bound)


def _points(block: str, steps: int, points: tuple[str, ...]) -> list[str]:
    return [f"{block}.{step}.{point}.{axis}" for step in range(steps) for point in points for axis in _AXES]


def mirrored_places(layout: Layout) -> tuple[Places, Array]:
    """Where each number of the mirror image stands, and its sign: x changes sides, left and right are exchanged.

    Of the hips' line only its left end is a number; its mirror image is its negative, with x as it was.
    """
    order, signs = np.arange(layout.width, dtype=np.intp), np.ones(layout.width)
    index = {name: place for place, name in enumerate(layout.names)}
    for name, place in index.items():
        parts = name.split(".")
        point, axis = parts[-2], parts[-1]
        other = _other(point) if point != "LeftUpperLeg" else point
        order[place] = index[".".join([*parts[:-2], other, axis])] if axis in _AXES else place
        flips = axis == "x" if point != "LeftUpperLeg" else axis != "x"
        signs[place] = -1.0 if flips else 1.0
    return order, signs


def _other(point: str) -> str:
    for side, other in (("Left", "Right"), ("Right", "Left")):
        if point.startswith(side):
            return other + point.removeprefix(side)
    return point
