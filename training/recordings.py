"""Which recordings make pairs: by two file name patterns or as a list, with the parts of them that are good.

Names and numbers only: no file is opened here.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Take:
    """Two people in one take: a file each, or one file with two skeletons.

    ranges: frames of the lead's file as an editor counts them, from 0, last not included; the whole file when empty.
    first and last say one range. lead_skeleton, follow_skeleton: the root joint's name, or an FBX file's node above it
    or namespace, where a file holds several; the first when empty.
    """

    lead: str
    follow: str
    ranges: tuple[tuple[int, int], ...] = ()
    first: int = 0
    last: int | None = None
    lead_skeleton: str = ""
    follow_skeleton: str = ""

    def __post_init__(self) -> None:
        if self.ranges and (self.first or self.last is not None):
            raise ValueError(f"{self.lead}: ranges and first/last say the same thing twice; leave first and last out")
        before = 0
        for first, last in self.ranges:
            if not before <= first < last:
                raise ValueError(
                    f"{self.lead}: ranges {_said(self.ranges)} must grow, [first, last] and last not in it"
                )
            before = last

    def parts(self, frames: int) -> list[tuple[int, int]]:
        """The ranges in a lead of so many frames. Raises ValueError when they do not fit."""
        parts = list(self.ranges) or [(self.first, frames if self.last is None else self.last)]
        if wrong := [part for part in parts if not 0 <= part[0] < part[1] <= frames]:
            raise ValueError(f"{self.lead}: frames {_said(wrong)} are not within 0..{frames}")
        return parts

    @property
    def whole(self) -> bool:
        """Whether no range was asked for."""
        return not self.ranges and not self.first and self.last is None


@dataclass(frozen=True)
class Config:
    """What to read and how. lead and follow are file name patterns with one star each that must match the same text;
    pairs lists takes instead, each with its good ranges. What else a key means stands behind it.
    """

    lead: str = "60_*.bvh"
    follow: str = "61_*.bvh"
    pairs: tuple[Take, ...] = ()
    lead_skeleton: str = ""  # whose skeleton in files that hold several; a take in `pairs` may say otherwise
    follow_skeleton: str = ""
    drop_first: int = 10  # frames of the lead's file; cgspeed's conversions blend in over their first frames
    scale: float | str = "auto"  # metres per file unit
    fps: float = 120.0  # rate of the windows; other recordings are resampled
    skeleton: Literal["humanoid", "native"] = "humanoid"  # the body models are trained on; native: that of the files
    repair: bool = False  # interpolate glitches in what the model should say; the median filters act in any case
    on_floor: bool = True  # what the model should say stands on the floor, however high the recording floats
    mirror: bool = True
    swap_roles: bool = True
    test_share: float = 0.0  # of the frames is held out, whole takes where there are several, when no fold is asked for
    licence: str = "not stated"  # goes into the model's manifest
    source: str = ""

    def __post_init__(self) -> None:
        if self.drop_first < 0 or not self.fps > 0:
            raise ValueError(f"drop_first {self.drop_first} must be 0 or more and fps {self.fps} above 0")


def find_takes(config: Config, folder: Path) -> list[Take]:
    """Every take that `config` asks for, ordered by name when found by pattern.

    Raises ValueError when `folder` is none, a listed file is missing, a pattern has not one star, or nothing matches.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder")
    takes = _listed(config, folder) if config.pairs else _matching(config, folder)
    for take in takes:
        if (take.lead, take.lead_skeleton) == (take.follow, take.follow_skeleton):
            raise ValueError(f"{take.lead} is lead and follow; name two files, or lead_skeleton and follow_skeleton")
    return takes


def _listed(config: Config, folder: Path) -> list[Take]:
    listed = [name for take in config.pairs for name in (take.lead, take.follow)]
    if missing := [name for name in dict.fromkeys(listed) if not (folder / name).is_file()]:
        raise ValueError(f"{folder} lacks {', '.join(missing)}")
    return [
        replace(
            take,
            lead_skeleton=take.lead_skeleton or config.lead_skeleton,
            follow_skeleton=take.follow_skeleton or config.follow_skeleton,
        )
        for take in config.pairs
    ]


def _matching(config: Config, folder: Path) -> list[Take]:
    for pattern in (config.lead, config.follow):
        if pattern.count("*") != 1:
            raise ValueError(f"pattern {pattern!r} must have exactly one star: the part both names of a take share")
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    before, after = config.lead.split("*")
    skeletons = config.lead_skeleton, config.follow_skeleton
    found = []
    for name in fnmatch.filter(names, config.lead):
        partner = config.follow.replace("*", name[len(before) : len(name) - len(after)])
        if partner in names and (partner != name or skeletons[0] != skeletons[1]):
            found.append(Take(name, partner, lead_skeleton=skeletons[0], follow_skeleton=skeletons[1]))
    if not found:
        here = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
        raise ValueError(f"no pairs {config.lead!r} + {config.follow!r} in {folder}; it has: {here or 'no files'}")
    return found


def alone(config: Config, folder: Path, takes: list[Take]) -> list[str]:
    """Recordings in the folder that one of the patterns matches and that still have no partner, by name."""
    if config.pairs:
        return []
    used = {name for take in takes for name in (take.lead, take.follow)}
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    return [
        name
        for name in names
        if name not in used and any(fnmatch.fnmatch(name, pattern) for pattern in (config.lead, config.follow))
    ]


def _said(ranges: object) -> str:
    return str([list(pair) for pair in ranges])  # type: ignore[attr-defined]
