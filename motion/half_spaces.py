"""The nearest point that keeps within half-spaces, exactly, and which half-spaces no point can keep within together.

A half-space is a.x <= b. Points move only along variables whose `room` is above 0, far along those with much room: the
distance is that of x / sqrt(room). Least-distance programming by non-negative least squares, after Lawson and Hanson,
Solving Least Squares Problems (1974), chapter 23.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

Array = NDArray[np.float64]

EMPTY = 1e-7  # a least-squares residual under this says that no point keeps within all
TOLERANCE = 1e-9  # of a bound, in units of what a row can move by


def violations(points: Array, a: Array, b: Array) -> Array:
    """a.x - b, (M, I), of points (M, D) and half-spaces a (I, D), b (I,); above 0 outside."""
    outside: Array = points @ a.T - b
    return outside


def compatible(point: Array, a: Array, b: Array, room: Array) -> tuple[list[int], list[tuple[int, int | None]]]:
    """Which of the half-spaces can be kept within together by moving `point` (D,), and the pairs that cannot.

    Taken in order: a half-space that contradicts those before it is left out, and named in a pair with the one that
    contradicts it most; with None when it cannot be reached at all, for want of room.
    """
    rows, outside = _scaled(point[None], a, b, room)
    kept: list[int] = []
    pairs: list[tuple[int, int | None]] = []
    for number in range(len(a)):
        if not rows[number].any():
            if outside[0, number] > TOLERANCE * max(1.0, abs(b[number])):
                pairs.append((number, None))
            continue
        together = [*kept, number]
        multipliers, residual = _dual(rows[together], outside[0, together])
        if residual > EMPTY:
            kept.append(number)
        else:
            pairs.append((number, kept[int(np.argmax(multipliers[:-1]))]))
    return kept, pairs


def project(points: Array, a: Array, b: Array, room: Array) -> Array:
    """The nearest points (M, D) within half-spaces a (I, D), b (I,) that are compatible."""
    rows, outside = _scaled(points, a, b, room)
    moved = points.copy()
    norms = np.linalg.norm(rows, axis=1)
    for number in np.flatnonzero((outside > TOLERANCE * norms).any(axis=1)):
        multipliers, residual = _dual(rows, outside[number])
        moved[number] -= np.sqrt(room) * (rows.T @ multipliers) / residual**2
    return moved


def _scaled(points: Array, a: Array, b: Array, room: Array) -> tuple[Array, Array]:
    """Rows in the coordinates in which distance is plain, and how far outside every point is (M, I)."""
    rows = a * np.sqrt(room)
    rows[np.abs(rows).max(axis=1, initial=0.0) <= 1e-12 * np.abs(a).max(axis=1, initial=1e-300)] = 0.0
    return rows, violations(points, a, b)


def _dual(rows: Array, outside: Array) -> tuple[Array, float]:
    """Multipliers (I,) of the least-distance problem rows @ step <= -outside, and its residual: 0 if it has no answer.

    min |E y - f| for y >= 0 with E = [-rows.T; outside], f = (0, 1); rows and outside are scaled to unit rows.
    """
    norms = np.linalg.norm(rows, axis=1)
    unit, far = rows / norms[:, None], outside / norms
    scale = max(float(np.abs(far).max()), 1e-12)
    turned = np.asarray(np.linalg.qr(unit.T, mode="r"))  # (I, I) at most: the same lengths and angles in as few numbers
    matrix = np.vstack([-turned, far / scale])
    target = np.zeros(len(matrix))
    target[-1] = 1.0
    multipliers, residual = nnls(matrix, target)
    return multipliers * scale / norms, float(residual)
