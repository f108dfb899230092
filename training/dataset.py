"""Recordings of two people -> windows of a dancer's past and a partner's near future, as torch tensors.

Pairs are found by a file name pattern or a list. What a model is given is the raw take through the causal filter it
meets on stage; what it must say is the zero-phase one. Takes are split whole, never by window. Mirroring and role
exchange are done when a batch is gathered, so they cost no memory; heading is free, models work in the dancer's frame.
"""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from motion import clean, kinematics
from motion import rotations as rot
from motion.clip import Clip
from motion.load import load_humanoid
from motion.skeleton import HUMANOID, Skeleton

_CACHE_FORMAT = 2


@dataclass(frozen=True)
class Config:
    """What to read. lead and follow are file name patterns with one star each that must match the same text;
    pairs lists them instead: [{lead: a.bvh, follow: b.bvh, first: 0, last: 9000}], frames after drop_first.
    """

    lead: str = "60_*.bvh"
    follow: str = "61_*.bvh"
    pairs: tuple[dict[str, Any], ...] = ()
    drop_first: int = 10  # cgspeed's conversions blend in over the first frames
    scale: float | str = "auto"  # metres per file unit
    fps: float = 120.0  # rate of the windows
    on_floor: bool = True  # what the model should say stands on the floor, however high the recording floats
    mirror: bool = True
    swap_roles: bool = True
    test_share: float = 0.0  # of the frames is held out, whole takes where there are several, when no fold is asked for
    licence: str = "not stated"  # goes into the model's manifest
    source: str = ""


@dataclass(frozen=True)
class Track:
    """One dancer in one take. given (T, J, 3): causal input positions; root (T, 3), rotations (T, J, 4): the truth."""

    file: str
    sha256: str
    given: np.ndarray
    root: np.ndarray
    rotations: np.ndarray

    def __len__(self) -> int:
        return len(self.root)


@dataclass(frozen=True)
class Pair:
    """Two tracks of one take, frame for frame, at `fps`."""

    name: str
    fps: float
    lead: Track
    follow: Track

    def files(self) -> list[dict[str, str]]:
        """Names and hashes, for the manifest."""
        return [{"take": track.file, "sha256": track.sha256} for track in (self.lead, self.follow)]


def load_pairs(config: Config, folder: str | Path, cache: str | Path | None = None) -> list[Pair]:
    """Every pair in `folder`, on HUMANOID in metres, ordered by name.

    cache: a folder for retargeted takes, keyed by the hash of the file. Raises ValueError when no pair is found, a
    file is missing, the two files of a pair disagree in length or rate, or a range leaves too little.
    """
    folder = Path(folder)
    pairs = []
    for lead, follow, first, last in find_pairs(config, folder):
        sides = [_read(folder / name, config, cache) for name in (lead, follow)]
        frames = [len(track) for track, _ in sides]
        if frames[0] != frames[1] or abs(sides[0][1] - sides[1][1]) > 0.01 * sides[0][1]:
            raise ValueError(
                f"{lead} and {follow} must be one take, frame for frame: {frames[0]} frames at {sides[0][1]:g} fps "
                f"against {frames[1]} at {sides[1][1]:g}"
            )
        stop = frames[0] if last is None else last
        if not 0 <= first < stop <= frames[0]:
            raise ValueError(f"{lead}: frames {first}..{stop} are not within 0..{frames[0]}")
        tracks = [
            Track(t.file, t.sha256, t.given[first:stop], t.root[first:stop], t.rotations[first:stop]) for t, _ in sides
        ]
        pairs.append(Pair(Path(lead).stem, sides[0][1], *tracks))
    return pairs


def find_pairs(config: Config, folder: Path) -> list[tuple[str, str, int, int | None]]:
    """(lead file, follow file, first frame, last frame or None) of every pair. Raises ValueError as `load_pairs`."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder")
    if config.pairs:
        keys = {"lead", "follow", "first", "last"}
        found = []
        for entry in config.pairs:
            if set(entry) - keys or not {"lead", "follow"} <= entry.keys():
                raise ValueError(f"pair {dict(entry)}: needs lead and follow, may have first and last, nothing else")
            found.append((entry["lead"], entry["follow"], int(entry.get("first", 0)), entry.get("last")))
        if missing := [name for pair in found for name in pair[:2] if not (folder / name).is_file()]:
            raise ValueError(f"{folder} lacks {', '.join(missing)}")
        return found
    for pattern in (config.lead, config.follow):
        if pattern.count("*") != 1:
            raise ValueError(f"pattern {pattern!r} must have exactly one star: the part both names of a take share")
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    before, after = config.lead.split("*")
    found = []
    for name in fnmatch.filter(names, config.lead):
        partner = config.follow.replace("*", name[len(before) : len(name) - len(after)])
        if partner in names and partner != name:
            found.append((name, partner, 0, None))
    if not found:
        here = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
        raise ValueError(f"no pairs {config.lead!r} + {config.follow!r} in {folder}; it has: {here or 'no files'}")
    return found


def split(pairs: Sequence[Pair], fold: tuple[int, int] | None) -> tuple[list[Pair], list[Pair]]:
    """(training, held out) takes. fold = (k, K), k from 1: every K-th take from the k-th is held out; None: all train.

    Pairs that share a file are ranges of one take and stay together. Raises ValueError when a side would be empty or k
    is not in 1..K.
    """
    if fold is None:
        return list(pairs), []
    k, count = fold
    takes = takes_of(pairs)
    held = {place for take in takes[k - 1 :: count] for place in take} if 1 <= k <= count else set()
    if not 0 < len(held) < len(pairs):
        raise ValueError(f"fold {k}/{count} of {len(takes)} takes leaves a side empty")
    sides: tuple[list[Pair], list[Pair]] = ([], [])
    for place, pair in enumerate(pairs):
        sides[place in held].append(pair)
    return sides


def takes_of(pairs: Sequence[Pair]) -> list[list[int]]:
    """Places of the pairs that have a file in common, by its hash: a list for each take, ordered by first place."""
    takes: list[tuple[set[str], list[int]]] = []
    for place, pair in enumerate(pairs):
        files, places = {pair.lead.sha256, pair.follow.sha256}, [place]
        for take in [take for take in takes if take[0] & files]:
            takes.remove(take)
            files, places = files | take[0], take[1] + places
        takes.append((files, places))
    return sorted(sorted(places) for _, places in takes)


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
        self._given = _stack([[track.given for track in side] for side in tracks])  # (2, N, J, 3)
        self._root = _stack([[track.root for track in side] for side in tracks])
        self._rotations = _stack([[rot.to_6d(track.rotations) for track in side] for side in tracks])
        self._starts = torch.cat(
            [torch.arange(end - length, end, stride) for end, length in zip(ends, lengths, strict=True)]
        )
        self._names = [pair.name for pair in pairs]
        self._begins = torch.tensor(ends - lengths)
        self._fresh, self._longest = fresh_share, int(-self.past.min())
        self._mirror, self._swap = 1 + mirror, 1 + swap_roles
        self._opposite = torch.tensor(opposite_joints(HUMANOID))

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
        flip = mirrored.bool()[:, None, None]
        side = root.new_tensor([-1.0, 1.0, 1.0])
        turned = root.new_tensor([1.0, -1.0, -1.0, -1.0, 1.0, 1.0])  # S·R·S of the x and y columns, S = diag(-1, 1, 1)
        return {
            "dancer": torch.where(flip[..., None], dancer[..., self._opposite, :] * side, dancer),
            "partner_root": torch.where(flip, root * side, root),
            "partner_rotations": torch.where(flip[..., None], rotations[..., self._opposite, :] * turned, rotations),
            "swapped": swapped[:, None].float(),
        }

    def batches(self, size: int, seed: int, first: int = 0) -> Iterator[dict[str, Tensor]]:
        """One epoch from batch `first` on: every window once, shuffled by `seed`, without an incomplete last batch."""
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
        for number in range(first, self.count(size)):
            yield self.gather(order[number * size : (number + 1) * size])

    def origin(self, number: int) -> tuple[str, int]:
        """The pair's name and the frame in it, at the pair's rate, that window `number` shows as now."""
        now = self._starts[number % len(self._starts)]
        pair = int(torch.searchsorted(self._begins, now, right=True)) - 1
        return self._names[pair], int(now - self._begins[pair])

    def sample(self, size: int, seed: int) -> dict[str, Tensor]:
        """One batch of `size` windows drawn without putting back (all of them when there are fewer)."""
        return self.gather(torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))[:size])

    def count(self, size: int) -> int:
        """Batches in an epoch."""
        return max(len(self) // size, 1)


def opposite_joints(skeleton: Skeleton) -> list[int]:
    """For every joint the one on the other side: Left... <-> Right..., the middle stays."""
    swap = {"Left": "Right", "Right": "Left"}
    opposite = []
    for name in skeleton.names:
        side = next((side for side in swap if name.startswith(side)), "")
        opposite.append(skeleton.index(swap[side] + name[len(side) :] if side else name))
    return opposite


def _read(path: Path, config: Config, cache: str | Path | None) -> tuple[Track, float]:
    """One file as a track at config.fps, from the cache when it was read before."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    key = f"{digest[:24]}-{_CACHE_FORMAT}-{config.drop_first}-{config.scale}-{config.fps:g}-{config.on_floor:d}.npz"
    stored = None if cache is None else Path(cache) / key
    if stored is not None and stored.is_file():
        with np.load(stored) as arrays:
            return Track(path.name, digest, arrays["given"], arrays["root"], arrays["rotations"]), float(arrays["fps"])
    clip = load_humanoid(path, config.scale).clip[config.drop_first :]
    if len(clip) < 2:
        raise ValueError(f"{path.name}: {len(clip)} frames are left after dropping the first {config.drop_first}")
    given, truth = _at(clean.trailing_median(clip), config.fps), _at(clean.smooth_truth(clip), config.fps)
    if config.on_floor:
        truth = _on_floor(truth)
    positions = kinematics.global_positions(HUMANOID, given.root_positions, given.rotations).astype(np.float32)
    track = Track(path.name, digest, positions, truth.root_positions, truth.rotations)
    if stored is not None:
        stored.parent.mkdir(parents=True, exist_ok=True)
        np.savez(stored, given=positions, root=track.root, rotations=track.rotations, fps=truth.fps)
    return track, truth.fps


def _on_floor(clip: Clip) -> Clip:
    """Shifted so that the lower toe stands as high as HUMANOID's at rest (its 10th percentile: real takes sink)."""
    toes = [HUMANOID.index("LeftToes"), HUMANOID.index("RightToes")]
    heights = kinematics.global_positions(HUMANOID, clip.root_positions, clip.rotations)[:, toes, 1].min(axis=1)
    shift = HUMANOID.rest_positions[toes[0], 1] - np.percentile(heights, 10)
    return Clip(clip.skeleton, clip.fps, clip.root_positions + np.array([0.0, shift, 0.0]), clip.rotations)


def _at(clip: Clip, fps: float) -> Clip:
    return clip if abs(clip.fps - fps) < 0.01 * fps else clean.resample(clip, fps)


def _stack(sides: list[list[np.ndarray]]) -> Tensor:
    return torch.stack([torch.from_numpy(np.concatenate(side)).float() for side in sides])
