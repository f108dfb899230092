"""Where the joints are: local rotations <-> global ones, and forward kinematics, for one frame or many.

Every joint is composed with its ancestors by pointer doubling: after k rounds a joint knows the product over its
2^k nearest ancestors, so a body of depth 8 takes three batched products instead of 21 small ones.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motion import rotations as rot
from motion.skeleton import Array, Skeleton


def forward(skeleton: Skeleton, root_positions: ArrayLike, rotations: ArrayLike) -> tuple[Array, Array]:
    """Forward kinematics.

    root_positions (..., 3) metres, rotations (..., J, 4) local. Returns global_positions (..., J, 3) and
    global_matrices (..., J, 3, 3).
    """
    rotations = np.asarray(rotations, dtype=np.float64)
    joints = len(skeleton)
    transforms = np.zeros((*rotations.shape[:-2], joints + 1, 4, 4))  # the extra one is the identity, the end of chains
    transforms[..., :joints, :3, :3] = rot.to_matrix(rotations)
    transforms[..., :joints, :3, 3] = skeleton.offsets
    transforms[..., 0, :3, 3] = root_positions
    transforms[..., 3, 3] = 1.0
    transforms[..., joints, :3, :3] = _EYE3
    for ancestors in _doubling(skeleton.parents):
        transforms = np.matmul(transforms[..., ancestors, :, :], transforms)
    return transforms[..., :joints, :3, 3], transforms[..., :joints, :3, :3]


def global_positions(skeleton: Skeleton, root_positions: ArrayLike, rotations: ArrayLike) -> Array:
    """Global joint positions (..., J, 3), metres."""
    return forward(skeleton, root_positions, rotations)[0]


def local_to_global(skeleton: Skeleton, rotations: ArrayLike) -> Array:
    """Global rotations (..., J, 4) of local ones (..., J, 4)."""
    q = np.asarray(rotations, dtype=np.float64)
    identity = np.broadcast_to(rot.IDENTITY, (*q.shape[:-2], 1, 4))
    q = np.concatenate([q, identity], axis=-2)
    for ancestors in _doubling(skeleton.parents):
        q = rot.multiply(q[..., ancestors, :], q)
    return q[..., :-1, :]


def global_to_local(skeleton: Skeleton, global_rotations: ArrayLike) -> Array:
    """Local rotations (..., J, 4) of global ones (..., J, 4)."""
    q = np.asarray(global_rotations, dtype=np.float64)
    local = q.copy()
    children = np.arange(1, len(skeleton))
    parents = np.array(skeleton.parents[1:], dtype=np.intp)
    local[..., children, :] = rot.multiply(rot.inverse(q[..., parents, :]), q[..., children, :])
    return local


_EYE3 = np.eye(3)


@lru_cache(maxsize=64)
def _doubling(parents: tuple[int, ...]) -> tuple[NDArray[np.intp], ...]:
    """For each round, the ancestor every joint is composed with; joint J stands for 'none left'."""
    none = len(parents)
    ancestors = np.array([none if p < 0 else p for p in (*parents, -1)], dtype=np.intp)
    rounds = []
    while (ancestors != none).any():
        rounds.append(ancestors)
        ancestors = ancestors[ancestors]
    return tuple(rounds)
