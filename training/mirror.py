"""Left and right exchanged: which joint is on the other side, for any skeleton that is its own mirror image at rest."""

from __future__ import annotations

import re

import numpy as np

from motion.skeleton import Skeleton

UNEVEN = 0.05  # metres by which a joint and its opposite may differ at rest
# How names tell sides: a word, a letter set apart, or a first letter before a capital (lShldr, rShldr).
_SIDES = (
    (r"Left|Right", {"Left": "Right", "Right": "Left"}),
    (r"left|right", {"left": "right", "right": "left"}),
    (r"LEFT|RIGHT", {"LEFT": "RIGHT", "RIGHT": "LEFT"}),
    (r"(?<![A-Za-z0-9])[LRlr](?![A-Za-z0-9])|(?<=_)[LRlr](?=\d)", {"L": "R", "R": "L", "l": "r", "r": "l"}),
    (r"^[lr](?=[A-Z])|(?<=:)[lr](?=[A-Z])", {"l": "r", "r": "l"}),
)


def opposite_joints(skeleton: Skeleton) -> list[int]:
    """For every joint the one on the other side: Left... <-> Right..., the middle stays.

    Raises ValueError where the rest pose is not its own mirror image in X, because then turned rotations would not be.
    """
    names = list(skeleton.names)
    opposite = [names.index(other) if (other := _other(name, names)) else joint for joint, name in enumerate(names)]
    uneven = np.abs(skeleton.offsets[opposite] * [-1.0, 1.0, 1.0] - skeleton.offsets).max(axis=-1)
    uneven[0] = 0.0
    twisted = [
        skeleton.parents[other] not in (-1, opposite[p]) for other, p in zip(opposite, skeleton.parents, strict=True)
    ]
    if uneven.max() > UNEVEN or any(twisted[1:]):
        worst = names[int(np.argmax(uneven))]
        raise ValueError(
            f"left and right cannot be exchanged: at rest {worst!r} is no mirror image of "
            f"{names[opposite[int(np.argmax(uneven))]]!r}; set `mirror: false`, or `skeleton: humanoid`"
        )
    return opposite


def _other(name: str, names: list[str]) -> str | None:
    for pattern, swap in _SIDES:
        other = re.sub(pattern, lambda found, swap=swap: swap[found.group()], name, count=1)
        if other != name and other in names:
            return other
    return None
