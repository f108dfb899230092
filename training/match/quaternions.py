"""Unit quaternions xyzw and plane rotations in torch, as a few matrix products: a live graph pays for every small node.

Products of two quaternions and of two complex numbers are bilinear: the outer product times a constant table.
"""

from __future__ import annotations

import torch
from torch import Tensor

_CONJUGATE = torch.tensor([-1.0, -1.0, -1.0, 1.0])


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
    """(16, 9): what q_i q_j adds to the rotation matrix, less the identity."""
    table = torch.zeros(4, 4, 3, 3)
    x, y, z, w = range(4)
    for row, column, i, j, factor in (
        *((0, 0, y, y, -2), (0, 0, z, z, -2), (1, 1, x, x, -2), (1, 1, z, z, -2), (2, 2, x, x, -2), (2, 2, y, y, -2)),
        *((0, 1, x, y, 2), (0, 1, z, w, -2), (0, 2, x, z, 2), (0, 2, y, w, 2), (1, 0, x, y, 2), (1, 0, z, w, 2)),
        *((1, 2, y, z, 2), (1, 2, x, w, -2), (2, 0, x, z, 2), (2, 0, y, w, -2), (2, 1, y, z, 2), (2, 1, x, w, 2)),
    ):
        table[i, j, row, column] += factor
    return table.view(16, 9)


def _cross_table() -> Tensor:
    """(9, 3): what a_i b_j adds to the cross product."""
    table = torch.zeros(3, 3, 3)
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        table[i, j, k], table[j, i, k] = 1.0, -1.0
    return table.view(9, 3)


_PRODUCT, _MATRIX, _CROSS, _EYE = _product_table(), _matrix_table(), _cross_table(), torch.eye(3).flatten()


def multiply(a: Tensor, b: Tensor) -> Tensor:
    """First b, then a: (B, N, 4) each."""
    return (a.unsqueeze(-1) * b.unsqueeze(-2)).flatten(-2) @ _PRODUCT


def conjugate(q: Tensor) -> Tensor:
    return q * _CONJUGATE


def exp(vector: Tensor) -> Tensor:
    """The rotation of a rotation vector, radians."""
    half = 0.5 * vector.norm(dim=-1, keepdim=True).clamp(min=1e-6)
    return torch.cat([vector * (0.5 * torch.sin(half) / half), torch.cos(half)], dim=-1)


def log(q: Tensor) -> Tensor:
    """The rotation vector, the short way round."""
    vector, w = q.split([3, 1], dim=-1)
    sine = vector.norm(dim=-1, keepdim=True).clamp(min=1e-7)
    angle = 2.0 * torch.atan(sine / w.abs().clamp(min=1e-6)) * torch.where(w < 0.0, -1.0, 1.0)
    return vector * (angle / sine)


def matrices(q: Tensor) -> Tensor:
    """Rotation matrices (B, N, 3, 3) of (B, N, 4)."""
    flat = (q.unsqueeze(-1) * q.unsqueeze(-2)).flatten(-2) @ _MATRIX + _EYE
    return flat.view(-1, q.shape[1], 3, 3)


def cross(a: Tensor, b: Tensor) -> Tensor:
    """(B, N, 3) each."""
    return (a.unsqueeze(-1) * b.unsqueeze(-2)).flatten(-2) @ _CROSS


def skew(a: Tensor) -> Tensor:
    """The matrices (B, N, 3, 3) that are a cross product with a (B, N, 3): skew(a) v = a x v."""
    return (a @ _SKEW).view(-1, a.shape[1], 3, 3)


_SKEW = torch.tensor([[0.0, 0, 0, 0, 0, -1, 0, 1, 0], [0, 0, 1, 0, 0, 0, -1, 0, 0], [0, -1, 0, 1, 0, 0, 0, 0, 0]])
