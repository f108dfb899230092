"""Windows of a dancer's past and a partner's near future, as index views of their takes.

Frames are copied only into the batch that asks for them. Mirroring and role exchange are done then too, so they cost no
memory; heading is free, models work in the dancer's frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from motion import rotations as rot
from training.dataset import Pair
from training.mirror import opposite_joints

_PIECE = 4096  # frames


class Windows:
    """All windows of some pairs. `gather(numbers)` makes a batch, `batches` shuffles an epoch of them.

    A batch is a dict of float32 tensors: dancer (B, 1 + past, J, 3) positions, now first; partner_root
    (B, future, 3); partner_rotations (B, future, J, 6); swapped (B, 1), 1 where the follower plays the dancer.
    fresh_share of the windows are of a dancer who has just come on: up to a moment ago their past stands still.
    Before a take's start and after its end its first and last frame stand. `stride` frames lie between windows.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        past: Sequence[float],
        future: Sequence[float],
        stride: int = 1,
        mirror: bool = False,
        swap_roles: bool = False,
        fresh_share: float = 0.0,
    ) -> None:
        if not pairs:
            raise ValueError("no takes to make windows of")
        fps = pairs[0].fps
        self.past = torch.tensor([0, *(-round(seconds * fps) for seconds in past)])
        self.future = torch.tensor([round(seconds * fps) for seconds in future])
        lengths = [len(pair.lead) for pair in pairs]
        ends = np.cumsum(lengths)
        self._first = torch.tensor(np.repeat(ends - lengths, lengths))
        self._last = torch.tensor(np.repeat(ends - 1, lengths))
        tracks = [[pair.lead for pair in pairs], [pair.follow for pair in pairs]]
        self._given = stack([[track.given for track in side] for side in tracks])  # (2, N, J, 3)
        self._root = stack([[track.root for track in side] for side in tracks])
        self._rotations = stack([[track.rotations for track in side] for side in tracks], rot.to_6d)
        self._starts = torch.cat(
            [torch.arange(end - length, end, stride) for end, length in zip(ends, lengths, strict=True)]
        )
        self._pairs = [(pair.name, pair.file_frame) for pair in pairs]
        self._begins = torch.tensor(ends - lengths)
        self._fresh, self._longest = fresh_share, int(-self.past.min())
        self._mirror, self._swap = 1 + mirror, 1 + swap_roles
        self._opposite = torch.tensor(opposite_joints(pairs[0].skeleton) if mirror else [], dtype=torch.int64)

    def __len__(self) -> int:
        return len(self._starts) * self._mirror * self._swap

    def gather(self, numbers: Tensor) -> dict[str, Tensor]:
        """The windows with these numbers (B,) in 0..len."""
        variant, place = numbers // len(self._starts), numbers % len(self._starts)
        swapped, mirrored = variant % self._swap, variant // self._swap  # (B,)
        now = self._starts[place][:, None]
        first, last = self._first[now], self._last[now]
        if self._fresh:
            short = torch.randint(self._longest + 1, now.shape)
            first = torch.where(torch.rand(now.shape) < self._fresh, torch.maximum(first, now - short), first)
        past, future = torch.maximum(now + self.past, first), torch.minimum(now + self.future, last)
        dancer = self._given[swapped[:, None], past]
        root = self._root[1 - swapped[:, None], future]
        rotations = self._rotations[1 - swapped[:, None], future]
        if self._mirror > 1:
            flip = mirrored.bool()[:, None, None]
            side = root.new_tensor([-1.0, 1.0, 1.0])
            turned = root.new_tensor(
                [1.0, -1.0, -1.0, -1.0, 1.0, 1.0]
            )  # S·R·S of the x and y columns, S = diag(-1, 1, 1)
            dancer = torch.where(flip[..., None], dancer[..., self._opposite, :] * side, dancer)
            root = torch.where(flip, root * side, root)
            rotations = torch.where(flip[..., None], rotations[..., self._opposite, :] * turned, rotations)
        return {
            "dancer": dancer,
            "partner_root": root,
            "partner_rotations": rotations,
            "swapped": swapped[:, None].float(),
        }

    def batches(self, size: int, seed: int, first: int = 0) -> Iterator[dict[str, Tensor]]:
        """One epoch from batch `first` on: every window once, shuffled by `seed`, without an incomplete last batch."""
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
        for number in range(first, self.count(size)):
            yield self.gather(order[number * size : (number + 1) * size])

    def origin(self, number: int) -> tuple[str, int]:
        """The pair's name and the frame of the lead's file that window `number` shows as now."""
        now = self._starts[number % len(self._starts)]
        place = int(torch.searchsorted(self._begins, now, right=True)) - 1
        return self._pairs[place][0], self._pairs[place][1](int(now - self._begins[place]))

    def sample(self, size: int, seed: int) -> dict[str, Tensor]:
        """One batch of `size` windows drawn without putting back (all of them when there are fewer)."""
        return self.gather(torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))[:size])

    def count(self, size: int) -> int:
        """Batches in an epoch."""
        return max(len(self) // size, 1)


def stack(sides: Sequence[Sequence[np.ndarray]], change: Callable[[np.ndarray], np.ndarray] = np.asarray) -> Tensor:
    """Both dancers' tracks, changed, one after another: (2, N, ...) float32, filled in pieces to hold little twice."""
    frames = sum(map(len, sides[0]))
    stacked = torch.empty((len(sides), frames, *change(sides[0][0][:1]).shape[1:]))
    for place, side in enumerate(sides):
        at = 0
        for track in side:
            for first in range(0, len(track), _PIECE):
                piece = np.ascontiguousarray(change(track[first : first + _PIECE]))
                stacked[place, at : at + len(piece)] = torch.from_numpy(piece)
                at += len(piece)
    return stacked
