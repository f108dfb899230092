"""The maths of motion.kinematics and motion.rotations again, in torch, because gradients must flow through it.

Same conventions and the same 6-D order (x axis, then y axis); a test holds the two rooms together. No skeleton is
assumed here: parents and offsets are arguments.
"""

from __future__ import annotations

from collections.abc import Sequence

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
