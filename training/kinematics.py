"""The maths of motion.kinematics and motion.rotations again, in torch, because gradients must flow through it.

Same conventions and the same 6-D order (x axis, then y axis); a test holds the two rooms together. No skeleton is
assumed here: parents and offsets are arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import chain, pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


def matrices_from_6d(sixd: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) of 6-D rotations (..., 6) by Gram-Schmidt (Zhou et al. 2019)."""
    x = F.normalize(sixd[..., :3], dim=-1, eps=1e-8)
    y = sixd[..., 3:] - (x * sixd[..., 3:]).sum(-1, keepdim=True) * x
    y = F.normalize(y, dim=-1, eps=1e-8)
    return torch.stack([x, y, torch.linalg.cross(x, y)], dim=-1)


def sixd_from_matrices(matrices: Tensor) -> Tensor:
    """The first two columns of (..., 3, 3), as (..., 6)."""
    return torch.cat([matrices[..., :, 0], matrices[..., :, 1]], dim=-1)


def global_positions(parents: Sequence[int], offsets: Tensor, root_position: Tensor, matrices: Tensor) -> Tensor:
    """Forward kinematics by pointer doubling: three batched products for a body of depth eight.

    parents: J indices, -1 for the root. offsets (J, 3) metres. root_position (..., 3) metres, matrices (..., J, 3, 3)
    local. Returns (..., J, 3) in the root's space.
    """
    joints = len(parents)
    identity = torch.eye(3, dtype=matrices.dtype, device=matrices.device).expand(*matrices.shape[:-3], 1, 3, 3)
    turns = torch.cat([matrices, identity], dim=-3)  # (..., J + 1, 3, 3): the extra one ends every chain
    places = torch.cat([offsets.to(matrices), offsets.new_zeros(1, 3).to(matrices)])
    places = places.expand(*matrices.shape[:-3], joints + 1, 3).clone()
    places[..., 0, :] = root_position
    ancestors = torch.tensor([joints if parent < 0 else parent for parent in (*parents, -1)])
    while bool((ancestors != joints).any()):
        above = turns[..., ancestors, :, :]
        places = places[..., ancestors, :] + torch.matmul(above, places[..., None])[..., 0]
        turns = torch.matmul(above, turns)
        ancestors = ancestors[ancestors]
    return places[..., :joints, :]


def joint_positions(parents: Sequence[int], offsets: Tensor, q: Tensor) -> Tensor:
    """Forward kinematics with the root at the origin, fast to train through: q (4, J, ...) -> (3, J, ...) metres.

    parents and offsets as in global_positions; q xyzw, local, of length one. The gradient is the part that turns q,
    which is all that is left of it behind a normalisation. Components come first, so that all sums run along the batch.
    """
    return _JointPositions.apply(q.flatten(2), offsets.to(q), tuple(parents)).view(3, *q.shape[1:])


class _JointPositions(torch.autograd.Function):
    """q (4, J, N), offsets (J, 3) -> (3, J, N). The gradient of a joint's turn is the torque about it of all that its
    subtree is pulled by, so nothing of the way down the tree is kept but every joint's global turn.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, offsets: Tensor, parents: tuple[int, ...]) -> Tensor:
        tree = _tree(parents, q.dtype, q.device)
        local = _matrices(q)
        levels = [local[:, :, :1]]
        for joints, above in tree.levels:
            parent, own = levels[-1].index_select(2, above), local.index_select(2, joints)  # (3, 3, k, N)
            levels.append(_sum_of_products(parent[:, :, None].unbind(1), own.unbind(0)))
        turns = torch.cat(levels, dim=2).index_select(2, tree.places)
        carrying = turns.index_select(2, tree.parents)
        bones = _sum_of_products(carrying.unbind(1), offsets.T[:, :, None].unbind(0))
        bones[:, 0] = 0.0
        positions = tree.below @ bones
        ctx.save_for_backward(q, turns, positions, tree.below)
        return positions

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        q, turns, positions, below = ctx.saved_tensors
        pulls = torch.cat([gradient, _cross(positions, gradient)])
        force, moment = (below.T @ pulls).chunk(2)  # of subtrees, moments about the root
        torque = moment - _cross(positions, force)
        own = _sum_of_products(turns.unbind(0), torque.unbind(0))  # in the joint's own frame
        vector, real = q[:3], q[3]
        turned = torch.cat([_cross(vector, own).addcmul_(real, own), -(vector * own).sum(0, keepdim=True)])
        return turned.mul_(2.0), None, None


class _Tree(NamedTuple):
    """A body's joints, level by level."""

    levels: list[tuple[Tensor, Tensor]]  # under the root: the joints, and where their parents are in the level above
    places: Tensor  # (J,) of a joint when all levels follow one another
    parents: Tensor  # (J,) the root's is itself
    below: Tensor  # (J, J) 1 where the row's joint is in the subtree of the column's


@cache
def _tree(parents: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> _Tree:
    below = torch.eye(len(parents))
    levels = [[0]]
    while following := [joint for joint, parent in enumerate(parents) if parent in levels[-1]]:
        for joint in following:
            below[joint] += below[parents[joint]]
        levels.append(following)
    pairs = [(joints, [above.index(parents[joint]) for joint in joints]) for above, joints in pairwise(levels)]
    return _Tree(
        [(torch.tensor(joints, device=device), torch.tensor(above, device=device)) for joints, above in pairs],
        torch.tensor(list(chain(*levels)), device=device).argsort(),
        torch.tensor([max(parent, 0) for parent in parents], device=device),
        below.to(device, dtype),
    )


def _matrices(q: Tensor) -> Tensor:
    """Rotation matrices (3, 3, ...) of unit quaternions (4, ...)."""
    _, y, z, w = q
    double = q + q
    xx, yy, zz = double[:3] * q[:3]
    xy, xz, yz = double[0] * y, double[0] * z, double[1] * z
    wx, wy, wz = double[:3] * w
    rows = [1 - yy - zz, xy - wz, xz + wy, xy + wz, 1 - xx - zz, yz - wx, xz - wy, yz + wx, 1 - xx - yy]
    return torch.stack(rows).unflatten(0, (3, 3))


def _cross(a: Tensor, b: Tensor) -> Tensor:
    """The cross product along the first axis; torch's own is slow there."""
    (x, y, z), (u, v, w) = a, b
    rows = [(y * w).addcmul_(z, v, value=-1.0), (z * u).addcmul_(x, w, value=-1.0), (x * v).addcmul_(y, u, value=-1.0)]
    return torch.stack(rows)


def _sum_of_products(ones: Sequence[Tensor], others: Sequence[Tensor]) -> Tensor:
    total = ones[0] * others[0]
    for one, other in zip(ones[1:], others[1:], strict=True):
        total.addcmul_(one, other)
    return total


def across(positions: Tensor, left: int, right: int) -> Tensor:
    """Unit horizontal direction (..., 2) as (x, z) from the right hip joint to the left one: the body's left.

    positions (..., J, 3). The body faces along its normal, (-z, x); yaw 0 gives (1, 0).
    """
    axis = positions[..., left, 0::2] - positions[..., right, 0::2]
    return F.normalize(axis, dim=-1, eps=1e-6)


def heading_matrix(left: Tensor) -> Tensor:
    """The turn about +Y (..., 3, 3) of a body whose left points to `left` (..., 2) = (x, z).

    Its columns are the body's left, up and forward; a row vector times it goes from the world into the body's frame.
    """
    x, z = left[..., 0], left[..., 1]
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    rows = [torch.stack([x, zero, -z], -1), torch.stack([zero, one, zero], -1), torch.stack([z, zero, x], -1)]
    return torch.stack(rows, dim=-2)
