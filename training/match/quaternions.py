"""Unit quaternions xyzw in torch, with operators that every ONNX runtime has. A last axis of 4 (3 for vectors)."""

from __future__ import annotations

import torch
from torch import Tensor


def multiply(a: Tensor, b: Tensor) -> Tensor:
    """First b, then a."""
    ax, ay, az, aw = a.unbind(-1)
    bx, by, bz, bw = b.unbind(-1)
    return torch.stack(
        [
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        ],
        dim=-1,
    )


def conjugate(q: Tensor) -> Tensor:
    return q * q.new_tensor([-1.0, -1.0, -1.0, 1.0])


def exp(vector: Tensor) -> Tensor:
    """The rotation of a rotation vector, radians."""
    angle = (vector * vector).sum(-1, keepdim=True).clamp(min=1e-12).sqrt()
    return torch.cat([vector / angle * torch.sin(0.5 * angle), torch.cos(0.5 * angle)], dim=-1)


def log(q: Tensor) -> Tensor:
    """The rotation vector, the short way round."""
    q = torch.where(q[..., 3:] < 0.0, -q, q)
    sine = (q[..., :3] * q[..., :3]).sum(-1, keepdim=True).clamp(min=1e-14).sqrt()
    return q[..., :3] / sine * (2.0 * torch.atan(sine / q[..., 3:].clamp(min=1e-6)))


def matrices(q: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3)."""
    x, y, z, w = q.unbind(-1)
    rows = [
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)], dim=-1),
        torch.stack([2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)], dim=-1),
        torch.stack([2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)], dim=-1),
    ]
    return torch.stack(rows, dim=-2)
