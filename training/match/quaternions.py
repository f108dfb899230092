"""Unit quaternions xyzw and plane rotations in torch, as a few matrix products: a live graph pays for every small node.

What is bilinear is an outer product times a constant table; the outer product is (a @ _EACH) * (b @ _ALL).
"""

from __future__ import annotations

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


def _matrix_table() -> Tensor:
    """(16, 9): what q_i q_j adds to the rotation matrix."""
    table = torch.zeros(4, 4, 3, 3)
    x, y, z, w = range(4)
    for row, a, b in ((0, y, z), (1, z, x), (2, x, y)):
        table[w, w, row, row] = table[row, row, row, row] = 1.0
        table[a, a, row, row] = table[b, b, row, row] = -1.0
    for row, column, i, j, factor in (
        *((0, 1, x, y, 2), (0, 1, z, w, -2), (0, 2, x, z, 2), (0, 2, y, w, 2), (1, 0, x, y, 2), (1, 0, z, w, 2)),
        *((1, 2, y, z, 2), (1, 2, x, w, -2), (2, 0, x, z, 2), (2, 0, y, w, -2), (2, 1, y, z, 2), (2, 1, x, w, 2)),
    ):
        table[i, j, row, column] += factor
    return table.view(16, 9)


_PRODUCT, _MATRIX = _product_table(), _matrix_table()
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
    return (((q @ _EACH) * (q @ _ALL)) @ _MATRIX).view(-1, count, 3, 3)


def between(a: Tensor, b: Tensor, lengths: Tensor) -> Tensor:
    """The shortest turn from the direction of a to that of b, (..., 3) each; lengths (..., 1): their product.

    Not of length 1; the two are not opposite.
    """
    # -b a is the turn twice over; the sum of that and no turn at all lies half way.
    return ((b @ _EACH_3) * (a @ _ALL_3)) @ -_VECTORS + lengths * _REAL


def cross(a: Tensor, b: Tensor) -> Tensor:
    """(..., 3) each."""
    return ((a @ _EACH_3) * (b @ _ALL_3)) @ _CROSS
