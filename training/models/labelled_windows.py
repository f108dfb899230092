"""What the labelled partner is trained on: pieces of two windows, one after the other, every frame of every take once.

A batch: moves (B, 2T, WIDTH), positions (B, 2T, J, 3) of training.models.labelled_pose, and labels (B, 2, sets). Where
there are labels it also has as many windows again that somebody has labelled, known_moves (B, T, WIDTH),
known_positions (B, T, J, 3) and known_labels (B, sets): of few labels a classifier would else see one now and then.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from training.labels import NONE, Places
from training.models import labelled_pose
from training.models.labelled_takes import FPS, Dancer

SEGMENTS = 2


class Windows:
    """See the module. labels: of all windows of every dancer, (windows, sets). stride: frames between pieces."""

    def __init__(
        self, dancers: Sequence[Dancer], labels: Sequence[Places], window: int, mirror: bool, stride: int = 1
    ) -> None:
        self.window, length = window, SEGMENTS * window
        long = [place for place, dancer in enumerate(dancers) if len(dancer) >= length]
        if not long:
            raise ValueError(f"no take has {length / FPS:.1f} s, which training on windows of {window} frames needs")
        frames = np.array([len(dancers[place]) for place in long])
        firsts = frames.cumsum() - frames
        counts = frames - length + 1
        self._starts = torch.from_numpy(
            np.concatenate(
                [np.arange(first, first + count, stride) for first, count in zip(firsts, counts, strict=True)]
            )
        )
        self._names, self._firsts = [dancers[place].file for place in long], firsts
        plain = torch.cat([labelled_pose.moves(dancers[place].root, dancers[place].rotations, FPS) for place in long])
        sides = [plain, labelled_pose.mirrored(plain)] if mirror else [plain]
        self._moves = torch.stack(sides)  # (1 or 2, N, WIDTH)
        self._positions = torch.stack([labelled_pose.positions(side) for side in sides])
        self._labels = torch.from_numpy(
            np.concatenate([np.pad(labels[place], ((0, window - 1), (0, 0)), constant_values=-1) for place in long])
        )
        self._known = (self._labels != NONE).any(dim=1).nonzero()[:, 0]

    def __len__(self) -> int:
        return len(self._starts) * len(self._moves)

    def gather(self, numbers: Tensor) -> dict[str, Tensor]:
        """The pieces with these numbers (B,) in 0..len."""
        side, start = numbers // len(self._starts), self._starts[numbers % len(self._starts)]
        frames = start[:, None] + torch.arange(SEGMENTS * self.window)
        batch = {
            "moves": self._moves[side[:, None], frames],
            "positions": self._positions[side[:, None], frames],
            "labels": self._labels[frames[:, :: self.window]],
        }
        if len(self._known):
            start = self._known[numbers % len(self._known)]  # numbers come in no order, every one once an epoch
            frames = start[:, None] + torch.arange(self.window)
            batch["known_moves"] = self._moves[side[:, None], frames]
            batch["known_positions"] = self._positions[side[:, None], frames]
            batch["known_labels"] = self._labels[start]
        return batch

    def origin(self, number: int) -> tuple[str, int]:
        """The file of a piece and its first frame there, at FPS."""
        start = int(self._starts[number % len(self._starts)])
        place = int(np.searchsorted(self._firsts, start, side="right")) - 1
        return self._names[place], int(start - self._firsts[place])
