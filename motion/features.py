"""Pose <-> model vector: the contract between training and the live server.

A layout is an ordered list of named blocks; a model's manifest says which layout each of its inputs and outputs has.
Blocks hold physical quantities in the world (metres, unit rotations): normalisation lives inside the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motion import kinematics
from motion import rotations as rot
from motion.skeleton import Array, Skeleton

Layout = Sequence[str]


@dataclass(frozen=True)
class _Block:
    width: Callable[[int], int]  # of the joint count
    encode: Callable[[Skeleton, Array, Array], Array]


_BLOCKS = {
    "root_position": _Block(lambda joints: 3, lambda skeleton, root, q: root),
    "rotations_6d": _Block(lambda joints: 6 * joints, lambda skeleton, root, q: _flat(rot.to_6d(q))),
    "global_positions": _Block(
        lambda joints: 3 * joints,
        lambda skeleton, root, q: _flat(kinematics.global_positions(skeleton, root, q)),
    ),
}


def check(layout: Layout) -> None:
    """Raises ValueError naming every unknown block and the choices."""
    unknown = [name for name in layout if name not in _BLOCKS]
    if unknown or not layout:
        raise ValueError(f"unknown feature blocks {unknown or list(layout)}; known: {', '.join(_BLOCKS)}")


def width(layout: Layout, joints: int) -> int:
    """How many numbers a layout has for a body of `joints` joints."""
    check(layout)
    return sum(_BLOCKS[name].width(joints) for name in layout)


def slices(layout: Layout, joints: int) -> dict[str, slice]:
    """Where each block stands in the vector."""
    return _slices(tuple(layout), joints)


@lru_cache(maxsize=64)
def _slices(layout: tuple[str, ...], joints: int) -> dict[str, slice]:
    check(layout)
    places, start = {}, 0
    for name in layout:
        stop = start + _BLOCKS[name].width(joints)
        places[name] = slice(start, stop)
        start = stop
    return places


def encode(layout: Layout, skeleton: Skeleton, root_position: ArrayLike, rotations: ArrayLike) -> NDArray[np.float32]:
    """The vector (..., D) of poses: root_position (..., 3) metres, rotations (..., J, 4) local xyzw."""
    slices(layout, len(skeleton))  # refuses unknown blocks
    root, q = np.asarray(root_position, dtype=np.float64), np.asarray(rotations, dtype=np.float64)
    return np.concatenate([_BLOCKS[name].encode(skeleton, root, q) for name in layout], axis=-1).astype(np.float32)


def decode(layout: Layout, joints: int, vector: ArrayLike) -> tuple[Array, Array]:
    """root_position (..., 3) and local rotations (..., J, 4) from a vector (..., D).

    Raises ValueError when the layout does not determine a pose.
    """
    places = slices(layout, joints)
    if not {"root_position", "rotations_6d"} <= places.keys():
        raise ValueError(f"layout {list(layout)} does not determine a pose: it needs root_position and rotations_6d")
    vector = np.asarray(vector, dtype=np.float64)
    sixd = vector[..., places["rotations_6d"]]
    return vector[..., places["root_position"]], rot.from_6d(sixd.reshape(*sixd.shape[:-1], joints, 6))


def _flat(values: Array) -> Array:
    return values.reshape(*values.shape[:-2], -1)
