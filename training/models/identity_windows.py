"""Windows of takes of which it is known who moves and what is done; every cell of the two comes up equally often.

What a frame is, the takes know: a move of a body, or a picture. Windows never cross the end of a take.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.labels import NONE
from training.models.identity_takes import Names


class Sequences:
    """Windows of `window` frames, `stride` apart. tracks: the frames (T, ...) of every sequence, none shorter than a
    window; bytes come out as numbers from 0 to 1. cells: their (identity, action). mirrored: frames seen in a mirror,
    where every window is to come in both ways. shown: so many frames of a window are all that is cut out, 0 for all.
    """

    def __init__(
        self,
        tracks: Sequence[Tensor],
        files: Sequence[str],
        cells: Sequence[tuple[str, str]],
        names: Names,
        window: int,
        stride: int = 1,
        mirrored: Callable[[Tensor], Tensor] | None = None,
        shown: int = 0,
    ) -> None:
        self._shown, self._read = min(shown or window, window), list[Tensor]()
        whole = torch.cat(list(tracks))
        self._sides = [whole] if mirrored is None else [whole, mirrored(whole)]
        self._files, self._cells, self._window = list(files), list(cells), window
        lengths = np.array([len(track) for track in tracks])
        firsts = lengths.cumsum() - lengths
        self._firsts, self._lengths = torch.from_numpy(firsts), torch.from_numpy(lengths)
        self._who = torch.tensor([[_place(names.identities, who), _place(names.actions, what)] for who, what in cells])
        self._others = [self._same_identity(place) for place in range(len(cells))]
        windows: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for place, (first, length) in enumerate(zip(firsts.tolist(), lengths.tolist(), strict=True)):
            starts = range(first, first + length - window + 1, stride)
            windows.setdefault(cells[place], []).extend((place, start) for start in starts)
        self._windows = [windows[cell] for cell in sorted(windows)]
        self._most = max(map(len, self._windows))

    def __len__(self) -> int:
        return self._most * len(self._windows) * len(self._sides)

    def gather(self, numbers: Tensor) -> dict[str, Tensor]:
        """The windows with these numbers (B,) in 0..len: x (B, T, ...); pair (B, T, ...), a window of the same identity
        drawn from another sequence, where there is one; identity (B,) and action (B,), places among the names, or
        NONE. Where only some frames are shown, x and pair have them, the same of x for the whole batch, from `first`
        (B,) of the window on. read (B, T, ...): of all frames, where `tell_of` gave it.
        """
        side = numbers % len(self._sides)
        place, start = torch.tensor([self._window_at(number) for number in numbers.tolist()]).unbind(1)
        which, when = torch.rand(len(numbers)).tolist(), torch.rand(len(numbers))
        others = [self._others[own] for own in place.tolist()]
        other = torch.tensor([of_it[int(chance * len(of_it))] for of_it, chance in zip(others, which, strict=True)])
        begin = self._firsts[other] + (when * (self._lengths[other] - self._window + 1)).long()
        identity, action = self._who[place].unbind(1)
        left = self._window - self._shown
        first, other_first = (int(torch.randint(left + 1, (1,))) if left else 0 for _ in range(2))
        batch = {
            "x": self._cut(self._sides, side, start + first, self._shown),
            "pair": self._cut(self._sides, side, begin + other_first, self._shown),
            "identity": identity,
            "action": action,
        }
        if left:
            batch["first"] = torch.full_like(identity, first)
        if self._read:
            batch["read"] = self._cut(self._read, side, start, self._window)
        return batch

    @torch.no_grad()
    def tell_of(self, read: Callable[[Tensor], Tensor], size: int = 256) -> None:
        """From now on a batch has what `read` says of frames (N, ...), of all of a window: it is asked once."""
        self._read = [torch.cat([read(_numbers(part)) for part in side.split(size)]) for side in self._sides]

    def even(self, each: int) -> Tensor:
        """Numbers of windows spread evenly over what there is of every cell, at most `each` of each, not mirrored."""
        numbers = []
        for cell, of_cell in enumerate(self._windows):
            places = np.unique(np.linspace(0, len(of_cell) - 1, min(each, len(of_cell))).round().astype(int))
            numbers += [(cell + len(self._windows) * place) * len(self._sides) for place in places.tolist()]
        return torch.tensor(numbers)

    def origin(self, number: int) -> tuple[str, int]:
        """The file of a window and its first frame there."""
        place, start = self._window_at(number)
        return self._files[place], start - int(self._firsts[place])

    def _window_at(self, number: int) -> tuple[int, int]:
        """The sequence of a window, and its first frame among all frames."""
        number //= len(self._sides)
        of_cell = self._windows[number % len(self._windows)]
        return of_cell[number // len(self._windows) % len(of_cell)]

    @staticmethod
    def _cut(sides: Sequence[Tensor], side: Tensor, start: Tensor, count: int) -> Tensor:
        frames = start[:, None] + torch.arange(count)
        made = sides[0][frames]
        if len(sides) > 1:
            other = side.bool()
            made[other] = sides[1][frames[other]]
        return _numbers(made)

    def _same_identity(self, place: int) -> list[int]:
        same = [other for other, (who, _) in enumerate(self._cells) if who == self._cells[place][0]]
        return [other for other in same if other != place] or same


def of_takes(
    takes: Sequence[Any], names: Names, window: int, mirror: bool, stride: int = 1, shown: int = 0
) -> Sequences:
    """Windows of the takes of training.models.identity_takes, or of training.models.identity_films."""
    tracks = [track for take in takes for track in take.tracks(window)]
    files = [file["take"] for take in takes for file in take.files()]
    cells = [cell for take in takes for cell in take.cells]
    mirrored = type(takes[0]).mirrored if mirror else None
    return Sequences(tracks, files, cells, names, window, stride, mirrored, shown)


def _place(names: Sequence[str], name: str) -> int:
    return names.index(name) if name in names else NONE


def _numbers(frames: Tensor) -> Tensor:
    return frames / 255.0 if frames.dtype == torch.uint8 else frames
