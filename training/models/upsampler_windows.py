"""What the upsampler is trained on: keys at some rate, wrong as suits and cameras are, and the moments between them.

Every frame of every take is a newest past key once, and once more mirrored; which question, which rate, which moments
and what is wrong are drawn by window. A batch: keys (B, K, J, 3), valid (B, K, J), times (B, K), query (B, Q), truth
(B, Q, J, 3), clean (B, K, J, 3) and corrupted (B,): keys as they should be, and whether something was done to them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from motion import key_window
from motion.skeleton import HUMANOID, Skeleton
from training.mirror import opposite_joints
from training.models.upsampler_corruption import corrupt
from training.models.upsampler_takes import TRACKS, Dancer, Take

QUERIES = 4
FPS = 120.0  # frames a second of takes: what the tables below and a forecast's lags count in
# Frames of 120 a second from key to key, and how often.
SPARSE = ((2, 0.05), (3, 0.08), (4, 0.37), (5, 0.05), (6, 0.05), (8, 0.3), (10, 0.04), (12, 0.06))
WIDE = ((4, 0.18), (6, 0.05), (8, 0.12), (12, 0.05), (16, 0.35), (24, 0.05), (32, 0.2))
HORIZON = 0.1  # seconds


class Windows:
    """See the module. shares: how often each of QUESTIONS is asked. stride: frames between windows."""

    def __init__(
        self,
        takes: Sequence[Take],
        past: int,
        ahead: int,
        mirror: bool,
        shares: Sequence[float],
        corrupted: float,
        skeleton: Skeleton = HUMANOID,
        stride: int = 1,
    ) -> None:
        dancers = [dancer for take in takes for dancer in take.dancers if len(dancer.raw) > 8]
        if not dancers:
            raise ValueError("no takes to make windows of")
        if takes[0].fps != FPS:
            raise ValueError(f"data.fps {takes[0].fps:g}: an upsampler is trained on takes at {FPS:g} frames a second")
        lengths = np.array([len(dancer.raw) for dancer in dancers])
        ends = lengths.cumsum()
        self._first = torch.from_numpy(np.repeat(ends - lengths, lengths))
        self._last = torch.from_numpy(np.repeat(ends - 1, lengths))
        self._tracks, self._turns = (_joined(dancers, names) for names in (TRACKS[:2], TRACKS[2:]))  # (2, N, J, 3), 6
        self._begins, self._names = ends - lengths, [dancer.file for dancer in dancers]
        self.past, self.ahead, self.fps = past, ahead, takes[0].fps
        self._mirror, self._corrupted = 1 + mirror, corrupted
        self._now = torch.arange(0, int(ends[-1]), stride)
        self._opposite = torch.tensor(opposite_joints(skeleton)) if mirror else None
        self._shares = torch.tensor([*shares, 0.0]).cumsum(0) / sum(shares)

    def __len__(self) -> int:
        return len(self._now) * self._mirror

    def gather(self, numbers: Tensor) -> dict[str, Tensor]:
        """The windows with these numbers (B,) in 0..len."""
        now, mirrored = self._now[numbers % len(self._now)], numbers // len(self._now)
        chance = torch.rand(len(numbers), 8)
        which = torch.bucketize(chance[:, 0].contiguous(), self._shares[:4]).clamp(max=3)
        dense = which == 3
        step = torch.where(dense, 4, torch.where(which == 0, _draw(SPARSE, chance[:, 1]), _draw(WIDE, chance[:, 1])))
        offsets = self._offsets(step, which, chance)  # (B, K) frames
        first, last = self._first[now], self._last[now]
        longest = torch.where(dense, torch.full_like(step, 12), step)
        now = torch.maximum(torch.minimum(now, last - longest), first)[:, None]
        frames = now + offsets
        valid = (frames >= first[:, None]) & (frames <= last[:, None])
        count = torch.where(dense, 11, key_window.SPARSE)[:, None]
        slots = torch.arange(self.past + self.ahead)
        valid &= (slots >= self.past - count) & (slots < self.past + torch.where(dense, 0, which)[:, None])
        few = (chance[:, 2] < 0.03)[:, None]  # just come on: one past key, or two
        valid &= ~few | (slots >= self.past - 1 - (chance[:, 3] < 0.5).long()[:, None])
        frames = torch.minimum(torch.maximum(frames, first[:, None]), last[:, None])
        noisy = torch.where(which == 0, 0.85, torch.where(dense, 0.95, 0.15)) > chance[:, 4]
        near = slice(self.past - key_window.SPARSE, None)  # the slots that may hold keys of rows that are made wrong
        filtered = (~noisy).long()[:, None]
        keys, turns = (
            self._tracks[filtered, frames],
            self._turns[filtered, frames[:, near]],
        )  # (B, K, J, 3), (B, 7, J, 6)
        clean = self._tracks[1, frames]
        query = self._queries(offsets, which, chance)
        truth = self._at(now + query * self.fps, first, last)
        if self._opposite is not None:
            flip = mirrored.bool()[:, None, None, None]
            side = keys.new_tensor([-1.0, 1.0, 1.0])
            keys, clean, truth = (
                torch.where(flip, each[:, :, self._opposite] * side, each) for each in (keys, clean, truth)
            )
            turned = turns[:, :, self._opposite] * turns.new_tensor([1.0, -1.0, -1.0, -1.0, 1.0, 1.0])  # S·R·S
            turns = torch.where(flip, turned, turns)
        valid = valid[:, :, None].expand(keys.shape[:-1]).float()
        spoilt = (chance[:, 5] < self._corrupted) & (which == 2)
        times = (offsets / self.fps).float()
        wrong = corrupt(keys[:, near], turns, times[:, near], valid[:, near], spoilt)
        keys, valid = (
            torch.cat([whole[:, : near.start], part], dim=1) for whole, part in zip((keys, valid), wrong, strict=True)
        )
        return {
            "keys": keys,
            "valid": valid,
            "times": times,
            "query": query,
            "truth": truth,
            "clean": clean,
            "corrupted": spoilt.float(),
        }

    def origin(self, number: int) -> tuple[str, int]:
        """The file of a window and the frame in it that is the newest past key."""
        now = int(self._now[number % len(self._now)])
        place = int(np.searchsorted(self._begins, now, side="right")) - 1
        return self._names[place], int(now - self._begins[place])

    def _offsets(self, step: Tensor, which: Tensor, chance: Tensor) -> Tensor:
        """Frames (B, K) of the keys from the newest past one; in some windows keys came late or were lost."""
        slots = torch.arange(1 - self.past, self.ahead + 1)
        even = slots * step[:, None]
        uneven = torch.rand(len(step), len(slots))
        moved = even + ((uneven * 2.0 - 1.0) * 0.3 * step[:, None]).round().long() * (slots != 0)
        lost = (uneven < 0.12) & (slots != 0)
        away = torch.where(slots < 0, -lost.long().flip(1).cumsum(1).flip(1), (lost & (slots > 0)).long().cumsum(1))
        dropped = even + away * (slots != 0) * step[:, None]
        kind = chance[:, 6:7]
        sparse = torch.where(kind < 0.08, moved, torch.where(kind < 0.16, dropped, even))
        lags = -torch.tensor([key_window.LAGS, key_window.HALF_LAGS])[(chance[:, 6] < 0.15).long()]
        filler = torch.zeros(len(step), self.past + self.ahead, dtype=torch.long)
        filler[:, self.past - len(key_window.LAGS) : self.past] = lags
        return torch.where((which == 3)[:, None], filler, sparse)

    def _queries(self, offsets: Tensor, which: Tensor, chance: Tensor) -> Tensor:
        """Moments (B, Q) in seconds, evenly spread over what is asked."""
        dense = which == 3
        after, before = offsets[:, self.past], -offsets[:, self.past - 2]
        longest = torch.where(dense, HORIZON, torch.where(which == 0, 1.1 * before, after) / self.fps)
        start = torch.where(dense | (which == 0), 0.4 + 0.6 * chance[:, 7], 0.1 + 0.8 * chance[:, 7])
        return (torch.arange(QUERIES) + start[:, None]) / QUERIES * longest[:, None]

    def _at(self, frames: Tensor, first: Tensor, last: Tensor) -> Tensor:
        """The clean positions (B, Q, J, 3) at any frames (B, Q), between two of them on their line."""
        frames = torch.minimum(torch.maximum(frames, first[:, None]), last[:, None])
        left = torch.minimum(frames.floor().long(), (last - 1)[:, None])
        share = (frames - left)[..., None, None]
        return torch.lerp(self._tracks[1, left], self._tracks[1, left + 1], share)


def _joined(dancers: Sequence[Dancer], names: Sequence[str]) -> Tensor:
    """Tracks of everybody, one after another, (names, N, ...)."""
    return torch.stack([torch.from_numpy(np.concatenate([getattr(each, name) for each in dancers])) for name in names])


def _draw(table: Sequence[tuple[int, float]], chance: Tensor) -> Tensor:
    values, shares = torch.tensor([value for value, _ in table]), torch.tensor([share for _, share in table])
    edges = shares.cumsum(0) / shares.sum()
    return values[torch.bucketize(chance.contiguous(), edges[:-1])]
