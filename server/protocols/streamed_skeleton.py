"""The skeleton of a sender that tells where its joints are but not how long its bones: measured from its poses.

No sockets here, no format. One Skeleton object, made anew only when a bone has changed, so that who keeps tables for a
skeleton keeps them through a show.
"""

from __future__ import annotations

import math

import numpy as np

from motion import rotations as rot
from motion.skeleton import HUMANOID, Array, Skeleton
from server.protocols.vmc_bones import REBUILD_STEP, REBUILD_WAIT


class StreamedSkeleton:
    """`skeleton` is the newest: the one given until bones were measured, then the same joints with those bones."""

    def __init__(self, skeleton: Skeleton) -> None:
        self.skeleton = skeleton
        self._measured: Array | None = None
        self._looked = -math.inf

    def is_due(self, now: float) -> bool:
        """Whether it is time to measure again: bones need no look at every frame."""
        return now - self._looked >= REBUILD_WAIT

    def update(self, offsets: Array, now: float) -> None:
        """Takes measured offsets (J, 3), metres, the root's row not used. Bones that are all zero tell nothing."""
        self._looked = now
        if np.abs(offsets[1:]).max(initial=0.0) < 1e-6:
            return
        if self._measured is not None and np.abs(offsets[1:] - self._measured[1:]).max() <= REBUILD_STEP:
            return
        self._measured = offsets.copy()
        standing = self._measured.copy()
        standing[0] = 0.0
        lowest = self.skeleton.with_offsets(standing).rest_positions[:, 1].min()
        standing[0, 1] = HUMANOID.rest_positions[:, 1].min() - lowest  # as far above the floor as HUMANOID's
        self.skeleton = self.skeleton.with_offsets(standing)


def measured_offsets(parents: tuple[int, ...], positions: Array, global_rotations: Array) -> Array:
    """Each joint's place in its parent's frame, (J, 3), of global positions (J, 3) and rotations (J, 4).

    The root's row is its position.
    """
    offsets = positions.copy()
    above = np.array(parents[1:], dtype=np.intp)
    offsets[1:] = rot.rotate(rot.inverse(global_rotations[above]), positions[1:] - positions[above])
    return offsets
