"""Parts and multiples of rotations, for stages that blend poses: bone lengths stay exact, and nothing jumps."""

from __future__ import annotations

import numpy as np

from motion.skeleton import Array

_X = np.array([1.0, 0.0, 0.0])


def turned(q: Array, share: Array | float) -> Array:
    """The rotation (..., 4) about q's axis by `share` (...) of q's angle.

    The angle is 0 to 2 pi: q and -q are the two ways round to one rotation, and a share of each is another rotation.
    """
    vector, w = q[..., :3], q[..., 3]
    length = np.sqrt(np.einsum("...i,...i->...", vector, vector))
    half = np.asarray(share) * np.arctan2(length, w)
    # A whole turn has any axis.
    axis = np.where(length[..., None] < 1e-9, _X, vector / np.maximum(length, 1e-9)[..., None])
    result: Array = np.concatenate([axis * np.sin(half)[..., None], np.cos(half)[..., None]], axis=-1)
    return result


def eased(x: Array | float) -> Array:
    """0 up to 0, 1 from 1 on, and smoothly between (a smoothstep)."""
    x = np.clip(x, 0.0, 1.0)
    return np.asarray(x * x * (3.0 - 2.0 * x))
