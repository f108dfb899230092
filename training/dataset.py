"""Recordings of two people -> pairs of tracks, frame for frame, split by take (training.windows makes batches of them).

Which files (training.recordings), what becomes of each (training.reading), kept once read (training.cache), and told
(training.data_report). Every fault of every file is found before anything is refused. Takes are split whole, never by
window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from motion.skeleton import HUMANOID, Skeleton
from training import cache as caching
from training import data_report, reading
from training.mirror import opposite_joints
from training.reading import SAME_RATE, Track, Treatment
from training.recordings import Config, Take, alone, find_takes

__all__ = ["Config", "Pair", "Take", "Track", "load_pairs", "opposite_joints", "split", "takes_of"]


@dataclass(frozen=True)
class Pair:
    """Two tracks of one take, frame for frame, at `fps`, on one skeleton.

    first: the frame of the lead's file that the tracks begin with; step: its frames in one of theirs.
    """

    name: str
    fps: float
    lead: Track
    follow: Track
    skeleton: Skeleton = HUMANOID
    first: int = 0
    step: float = 1.0

    def __len__(self) -> int:
        return len(self.lead)

    def __getitem__(self, frames: slice) -> Pair:
        begin = frames.indices(len(self))[0]
        return replace(self, lead=self.lead[frames], follow=self.follow[frames], first=self.file_frame(begin))

    def file_frame(self, frame: int) -> int:
        """Where a frame of the tracks is in the lead's file."""
        return self.first + round(frame * self.step)

    def files(self) -> list[dict[str, str]]:
        """Names and hashes, for the manifest."""
        return [{"take": track.file, "sha256": track.sha256} for track in (self.lead, self.follow)]


def load_pairs(
    config: Config, folder: str | Path, cache: str | Path | None = None, report: str | Path | None = None
) -> list[Pair]:
    """Every good part of every take in `folder`, in metres on one body, ordered by name.

    cache: a folder for what has been read. report: a folder that gets data_report.md and .json; a summary is printed.
    Raises ValueError when no pair is found, and with a line for every file that is missing or broken and every take
    whose two sides do not fit together.
    """
    folder = Path(folder)
    takes = find_takes(config, folder)
    reader = _Reader(config, folder, caching.Cache(cache))
    pairs, told, faults = list[Pair](), [], list[str]()
    for take in takes:
        lead = follow = None
        try:
            lead = reader.read(take.lead, take.lead_skeleton, take)
        except (ValueError, OSError) as error:
            faults.append(_said(take.lead, error))
        try:
            follow = reader.read(take.follow, take.follow_skeleton, take, lead and lead[1])
        except (ValueError, OSError) as error:
            faults.append(_said(take.follow, error))
        if lead is None or follow is None:
            continue
        if fault := _misfit(take, lead[1], follow[1]):
            faults.append(fault)
            continue
        pairs += _pairs(take, lead, follow, config.drop_first)
        told.append((Path(take.lead).stem, lead[1], follow[1]))
    if faults:
        raise ValueError("\n".join(dict.fromkeys(faults)))
    if report is not None:
        body = "the standard body" if config.skeleton == "humanoid" else f"the body of {takes[0].lead}"
        made = data_report.make(told, body, alone(config, folder, takes), config.repair)
        print(data_report.summary(made), f"all of it: {data_report.write(made, Path(report))}", sep="\n")
    return pairs


class _Reader:
    """Reads files through the cache, all of them for one body: HUMANOID, or that of the first file read."""

    def __init__(self, config: Config, folder: Path, cache: caching.Cache) -> None:
        self._config, self._folder, self._cache = config, folder, cache
        self._body = HUMANOID if config.skeleton == "humanoid" else None

    def read(
        self, name: str, skeleton: str, take: Take, lead: dict[str, Any] | None = None
    ) -> tuple[list[Track], dict[str, Any]]:
        """A file's tracks and facts. lead: the facts of the take's lead, when this is the other one."""
        path, config = self._folder / name, self._config
        content = caching.digest(path)
        settings: dict[str, Any] = {
            "scale": config.scale,
            "skeleton": skeleton,
            "body": [config.skeleton, None if self._body is None else self._body.to_dict()],
            "treatment": [config.drop_first, config.fps, config.repair, config.on_floor],
            "ranges": [take.ranges, take.first, take.last],
            "lead": None if lead is None else [lead["parts"], lead["fps"]],
        }
        key = caching.key(content, settings)
        stored = self._cache.get(key)
        if stored is None:
            recording = reading.read(path, content, config.scale, skeleton, self._body)
            clip = recording.clip
            treatment = Treatment(
                tuple(map(tuple, take.parts(len(clip)) if lead is None else lead["parts"])),
                clip.fps if lead is None else lead["fps"],
                config.drop_first,
                config.fps,
                config.repair,
                config.on_floor,
            )
            tracks, facts = reading.treat(recording, treatment)
            self._cache.put(key, {name: _joined(tracks, name) for name in _ARRAYS}, facts)
        else:
            arrays, facts = stored
            facts["file"] = path.name
            tracks = _parted(arrays, facts)
        if self._body is None:
            self._body = Skeleton.from_dict(facts["skeleton"])
        return tracks, facts


_ARRAYS = ("given", "root", "rotations")


def _joined(tracks: list[Track], name: str) -> np.ndarray:
    return np.concatenate([getattr(track, name) for track in tracks])


def _parted(arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> list[Track]:
    ends = np.cumsum(facts["track_frames"])
    whole = Track(facts["file"], facts["sha256"], *(arrays[name] for name in _ARRAYS))
    return [whole[end - length : end] for end, length in zip(ends, facts["track_frames"], strict=True)]


def _misfit(take: Take, lead: dict[str, Any], follow: dict[str, Any]) -> str | None:
    """Why two recordings are not one take, with both values and what to do; None when they are."""
    (frames, fps), (others, rate) = ((facts["frames"], facts["fps"]) for facts in (lead, follow))
    last = max(last for _, last in lead["parts"])
    values = f"{frames} frames at {fps:g} fps against {others} at {rate:g}"
    if abs(fps - rate) < SAME_RATE * fps:
        if take.whole and frames != others:
            return (
                f"{take.lead} and {take.follow} must be one take, frame for frame: {values}; if they begin together, "
                f"list the take under `pairs` with ranges: [[0, {min(frames, others)}]], else cut them to one moment"
            )
        short = last > others
    else:
        seconds = frames / fps, others / rate
        if take.whole and abs(seconds[0] - seconds[1]) > 1.5 / min(fps, rate):
            return (
                f"{take.lead} and {take.follow} must be one take: {values}, {seconds[0]:.2f} s against "
                f"{seconds[1]:.2f} s; rates may differ, but not lengths: if they begin together, list the take under "
                f"`pairs` with ranges: [[0, {int(min(seconds) * fps)}]]"
            )
        short = last / fps > (others + 1.5) / rate
    return f"{take.follow}: ranges reach frame {last} of {take.lead}, but there are {values}" if short else None


def _pairs(
    take: Take, lead: tuple[list[Track], dict[str, Any]], follow: tuple[list[Track], dict[str, Any]], drop_first: int
) -> list[Pair]:
    """A pair of every part, trimmed to the shorter side where the rates rounded differently."""
    pairs, facts, stem = [], lead[1], Path(take.lead).stem
    skeleton = Skeleton.from_dict(facts["skeleton"])
    if skeleton.to_dict() == HUMANOID.to_dict():
        skeleton = HUMANOID
    for (first, last), one, other in zip(facts["parts"], lead[0], follow[0], strict=True):
        frames = slice(0, min(len(one), len(other)))
        name = stem if len(facts["parts"]) == 1 else f"{stem}[{first}:{last}]"
        step = facts["fps"] / facts["rate"] if facts["resampled"] else 1.0
        pairs.append(Pair(name, facts["rate"], one[frames], other[frames], skeleton, max(first, drop_first), step))
    return pairs


def _said(file: str, error: Exception) -> str:
    """An error in one line that begins with the file's name."""
    said = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    said = " ".join(said.split())
    return said if said.startswith(Path(file).name) else f"{Path(file).name}: {said}"


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
        files, places = {file["sha256"] for file in pair.files()}, [place]
        for take in [take for take in takes if take[0] & files]:
            takes.remove(take)
            files, places = files | take[0], take[1] + places
        takes.append((files, places))
    return sorted(sorted(places) for _, places in takes)
