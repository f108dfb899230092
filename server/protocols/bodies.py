"""The skeleton of a suit whose stream tells only how its joints hang on each other."""

from __future__ import annotations

from collections.abc import Sequence

from motion.skeleton import HUMANOID, Array, Skeleton


def standing(names: Sequence[str], parents: Sequence[int], offsets: Array) -> Skeleton:
    """The skeleton with these offsets (J, 3), its root over the origin and its lowest joint as high as HUMANOID's."""
    offsets = offsets.copy()
    offsets[0] = 0.0
    body = Skeleton(tuple(names), tuple(parents), offsets)
    offsets[0, 1] = HUMANOID.rest_positions[:, 1].min() + body.hip_height
    return body.with_offsets(offsets)
