"""Whole windows of two dancers, as index views of their takes: frames are copied only into the batch that asks.

A batch is a dict of float32 tensors, T frames from a window's first on: dancer_root and partner_root (B, T, 3) metres
in the world, dancer_rotations and partner_rotations (B, T, J, 4) local xyzw. The partner's frames are `ahead` later
than the dancer's. Windows never cross the end of a take.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from motion.skeleton import Skeleton
from training.dataset import Pair
from training.mirror import opposite_joints
from training.windows import stack

Batch = dict[str, Tensor]


def starts(frames: int, window: int, stride: int) -> range:
    """First frames of the windows in a take: every `stride`-th one from which a whole window fits."""
    return range(0, frames - window + 1, stride)


class Sequences:
    """All windows of some pairs, `stride` frames apart; the mirrored ones and those with roles exchanged after them.

    Raises ValueError when no take is as long as a window.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        skeleton: Skeleton,
        window: int,
        stride: int = 1,
        mirror: bool = False,
        swap_roles: bool = False,
        ahead: int = 0,
    ) -> None:
        lengths = [len(pair.lead) for pair in pairs]
        first = np.cumsum([0, *lengths])
        found = [begin + np.array(starts(n, window + ahead, stride)) for begin, n in zip(first, lengths, strict=False)]
        if not sum(map(len, found)):
            raise ValueError(
                f"no take is as long as a window of {window + ahead} frames; the longest has {max(lengths)}"
            )
        self._starts = torch.from_numpy(np.concatenate(found)).long()
        self._frames = {"dancer": torch.arange(window), "partner": torch.arange(window) + ahead}
        tracks = [[pair.lead for pair in pairs], [pair.follow for pair in pairs]]
        self._root = stack([[track.root for track in side] for side in tracks])  # (2, N, 3)
        self._rotations = stack([[track.rotations for track in side] for side in tracks])  # (2, N, J, 4)
        self._pairs, self._begins = [(pair.name, pair.file_frame) for pair in pairs], first[:-1]
        self._mirror, self._swap = 1 + mirror, 1 + swap_roles
        self._opposite = torch.tensor(opposite_joints(skeleton)) if mirror else None

    def __len__(self) -> int:
        return len(self._starts) * self._mirror * self._swap

    def gather(self, numbers: Tensor) -> Batch:
        """The windows with these numbers (B,) in 0..len."""
        variant, place = numbers // len(self._starts), numbers % len(self._starts)
        role, mirrored = variant % self._swap, variant // self._swap
        batch = {}
        for name, side in (("dancer", role), ("partner", 1 - role)):
            frames = self._starts[place][:, None] + self._frames[name]
            root, rotations = self._root[side[:, None], frames], self._rotations[side[:, None], frames]
            if self._opposite is not None:
                flip = mirrored.bool()[:, None, None]
                root = torch.where(flip, root * root.new_tensor([-1.0, 1.0, 1.0]), root)
                turned = rotations[..., self._opposite, :] * root.new_tensor([1.0, -1.0, -1.0, 1.0])
                rotations = torch.where(flip[..., None], turned, rotations)
            batch |= {f"{name}_root": root, f"{name}_rotations": rotations}
        return batch

    def origin(self, number: int) -> tuple[str, int]:
        """The take of a window and the frame of its lead's file that it begins with."""
        frame = int(self._starts[number % len(self._starts)])
        place = int(np.searchsorted(self._begins, frame, side="right")) - 1
        name, file_frame = self._pairs[place]
        return name, file_frame(frame - int(self._begins[place]))
