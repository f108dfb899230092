"""Directions, and the frames that two of them make: small batches of vectors (n, 3), in few numpy calls."""

from __future__ import annotations

import numpy as np

from motion.keypoint_body import Bools
from motion.skeleton import Array

_YZX, _ZXY = np.array([1, 2, 0]), np.array([2, 0, 1])
_UP = np.array([0.0, 1.0, 0.0])


def unit(vectors: Array) -> Array:
    """(..., 3) of length 1; a zero vector stays one."""
    squares = np.einsum("...i,...i->...", vectors, vectors)
    return np.asarray(vectors / np.sqrt(np.maximum(squares, 1e-24))[..., None])


def cross(a: Array, b: Array) -> Array:
    """a × b, (n, 3); a tenth of np.cross's time for so few."""
    return np.asarray(a.take(_YZX, 1) * b.take(_ZXY, 1) - a.take(_ZXY, 1) * b.take(_YZX, 1))


def frames(along: Array, across: Array) -> tuple[Array, Bools]:
    """Matrices (n, 3, 3) with columns along the first direction, in the plane of both, and across that plane.

    The second result says which are fine: those whose two directions differ.
    """
    first = unit(along)
    third = cross(first, unit(across))
    fine = np.einsum("ij,ij->i", third, third) > 1e-4  # half a degree
    third = unit(third)
    return np.stack([first, cross(third, first), third], axis=-1), fine


def seen_from(frames: Array, vectors: Array) -> Array:
    """Directions (n, 3) in the axes of frames (n, 3, 3)."""
    return np.asarray(np.matmul(vectors[:, None, :], frames)[:, 0])


def upright(left: Array) -> Array:
    """The matrix of a body that stands with this direction (3,) on its left."""
    return np.asarray(frames(left[None], _UP[None])[0][0])


def carried(hinges: Array, limbs: Array, now: Array) -> Array:
    """Hinges across limbs after the shortest turn from `limbs` to `now`, all (n, 3) and of length 1."""
    opened = np.maximum(1.0 + np.einsum("ij,ij->i", limbs, now), 1e-3)
    return np.asarray(hinges - (np.einsum("ij,ij->i", hinges, now) / opened)[:, None] * (limbs + now))


def turn_between(before: Array, now: Array) -> Array | None:
    """The matrix that turns one cloud of points (n, 3) into another best (Kabsch 1976); None for a line."""
    if len(now) < 3:
        return None
    left, sizes, right = np.linalg.svd((before - before.mean(axis=0)).T @ (now - now.mean(axis=0)))
    if sizes[1] <= 1e-3 * sizes[0]:
        return None
    left[:, 2] *= np.linalg.det(left) * np.linalg.det(right)
    return np.asarray((left @ right).T)
