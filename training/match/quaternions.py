"""Unit quaternions xyzw and plane rotations in torch, as a few matrix products: a live graph pays for every small node.

What is bilinear is an outer product times a constant table; the outer product is (a @ _EACH) * (b @ _ALL).
"""

from __future__ import annotations

from itertools import combinations_with_replacement

import torch
from torch import Tensor


def _product_table() -> Tensor:
    """(16, 4): what a_i b_j adds to a * b."""
    units = torch.eye(4)
    table = torch.zeros(4, 4, 4)
    for i, (ax, ay, az, aw) in enumerate(units):
        for j, (bx, by, bz, bw) in enumerate(units):
            table[i, j] = torch.stack(
                [
                    aw * bx + ax * bw + ay * bz - az * by,
                    aw * by - ax * bz + ay * bw + az * bx,
                    aw * bz + ax * by - ay * bx + az * bw,
                    aw * bw - ax * bx - ay * by - az * bz,
                ]
            )
    return table.view(16, 4)


def _matrix_tables() -> tuple[Tensor, Tensor]:
    """(4, 10) sums of q_i and q_j, and (10, 9): what their squares add to the rotation matrix."""
    pairs = list(combinations_with_replacement(range(4), 2))
    eye = torch.eye(4)
    sums = torch.stack([eye[i] if i == j else eye[i] + eye[j] for i, j in pairs], dim=1)
    products = {pair: torch.eye(10)[place] for place, pair in enumerate(pairs)}
    x, y, z, w = squares = [products[i, i] for i in range(4)]

    def twice(i: int, j: int) -> Tensor:
        return products[i, j] - squares[i] - squares[j]

    xy, xz, xw, yz, yw, zw = (twice(i, j) for i, j in pairs if i != j)
    rows = [w + x - y - z, xy - zw, xz + yw, xy + zw, w + y - x - z, yz - xw, xz - yw, yz + xw, w + z - x - y]
    return sums, torch.stack(rows, dim=1)


_PRODUCT = _product_table()
_SUMS, _MATRIX = _matrix_tables()
_EACH, _ALL = (
    torch.eye(4).repeat_interleave(4, dim=1),
    torch.eye(4).repeat(1, 4),
)  # a0 a0 a0 a0 a1 ..., b0 b1 b2 b3 b0 ...
_CONJUGATE = torch.tensor([-1.0, -1.0, -1.0, 1.0])
_EACH_3, _ALL_3 = torch.eye(3).repeat_interleave(3, dim=1), torch.eye(3).repeat(1, 3)
_VECTORS = _PRODUCT.view(4, 4, 4)[:3, :3].reshape(9, 4)  # of quaternions without a real part
_CROSS = _VECTORS[:, :3].contiguous()
_REAL = torch.tensor([0.0, 0.0, 0.0, 1.0])


def multiply(a: Tensor, b: Tensor) -> Tensor:
    """First b, then a: (..., 4) each."""
    return ((a @ _EACH) * (b @ _ALL)) @ _PRODUCT


def conjugate(q: Tensor) -> Tensor:
    return q * _CONJUGATE


def exp(vector: Tensor) -> Tensor:
    """The rotation of a rotation vector, radians."""
    angle = vector.norm(dim=-1, keepdim=True).clamp(min=2e-6)
    half = 0.5 * angle
    return torch.cat([vector * (torch.sin(half) / angle), torch.cos(half)], dim=-1)


def log(q: Tensor) -> Tensor:
    """The rotation vector, the short way round; of any length of q."""
    vector, w = q.split([3, 1], dim=-1)
    sine = vector.norm(dim=-1, keepdim=True).clamp(min=1e-7)
    return vector * (2.0 * torch.atan(sine / w) / sine)


def matrices(q: Tensor, count: int) -> Tensor:
    """Rotation matrices (B, count, 3, 3) of (B, count, 4)."""
    return ((q @ _SUMS).square() @ _MATRIX).view(-1, count, 3, 3)


def between(a: Tensor, b: Tensor, lengths: Tensor) -> Tensor:
    """The shortest turn from the direction of a to that of b, (..., 3) each; lengths (..., 1): their product.

    Not of length 1; the two are not opposite.
    """
    # -b a is the turn twice over; the sum of that and no turn at all lies half way.
    return ((b @ _EACH_3) * (a @ _ALL_3)) @ -_VECTORS + lengths * _REAL


def cross(a: Tensor, b: Tensor) -> Tensor:
    """(..., 3) each."""
    return ((a @ _EACH_3) * (b @ _ALL_3)) @ _CROSS
