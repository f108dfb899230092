"""Labels that people give to parts of recordings: the CSV file, the sets they belong to, and the windows they are of.

A file has the columns `take,start,end,label set,label`: seconds from the beginning of the recording, end not included.
`take` is the file's name, with or without its suffix. A window has the label that all but `spread` of its frames have,
so a label also counts for windows a little to either side; what lies between two equal labels, if it is no longer than
`fill` frames, has the same. Both happen within what is given of a take: a label never crosses a split.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from motion.load import READERS

COLUMNS = ("take", "start", "end", "label set", "label")
NONE = -1  # of a window, or a frame, that nobody has labelled

Places = NDArray[np.int64]
LabelSets = tuple[tuple[str, tuple[str, ...]], ...]  # names of sets with their labels, in the order of the dial


@dataclass(frozen=True)
class Label:
    """One line of a file: `label` of `label_set` holds in a take from start to end seconds."""

    take: str
    start: float
    end: float
    label_set: str
    label: str
    where: str = ""  # file and line, for people

    @property
    def recording(self) -> str:
        """The take without its suffix."""
        return _bare(self.take)


def read(path: str | Path) -> list[Label]:
    """The labels of a file. Raises ValueError with a line for every fault, OSError when there is no file."""
    path = Path(path)
    with opened(path) as file:
        lines = csv.DictReader(file)
        given = [name.strip() for name in lines.fieldnames or ()]
        if missing := [name for name in COLUMNS if name not in given]:
            raise ValueError(f"{path.name} lacks {', '.join(missing)}; its columns must be: {', '.join(COLUMNS)}")
        lines.fieldnames = given
        labels, faults = [], []
        for line in lines:
            where = f"{path.name}:{lines.line_num}"
            try:
                labels.append(_label({name: (line[name] or "").strip() for name in COLUMNS}, where))
            except ValueError as error:
                faults.append(f"{where}: {error}")
    if faults or (faults := contradictions(labels)):
        raise ValueError("\n".join(faults))
    return labels


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """A CSV file to be read. Raises ValueError naming one that is not UTF-8, and OSError."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        try:
            yield file
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is not UTF-8 (byte {error.start}): save it as `CSV UTF-8`") from None


def write(path: str | Path, labels: Sequence[Label]) -> Path:
    """A file that `read` reads."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(COLUMNS)
        lines.writerows((each.take, each.start, each.end, each.label_set, each.label) for each in labels)
    return Path(path)


def contradictions(labels: Sequence[Label]) -> list[str]:
    """A line for every two labels of one set and take that overlap and differ."""
    faults = []
    order = sorted(labels, key=lambda each: (each.recording, each.label_set, each.start))
    open_ones: list[Label] = []
    for each in order:
        same = [
            one
            for one in open_ones
            if (one.recording, one.label_set) == (each.recording, each.label_set) and one.end > each.start
        ]
        for one in same:
            if one.label != each.label:
                faults.append(
                    f"{each.where}: {each.label_set} of {each.take} is {each.label!r} from {each.start:g} s to "
                    f"{each.end:g} s, and {one.label!r} from {one.start:g} s to {one.end:g} s ({one.where})"
                )
        open_ones = [*same, each]
    return faults


def unknown_takes(labels: Sequence[Label], files: Sequence[str]) -> list[str]:
    """A line for every take that is labelled and is none of these files."""
    known = {_bare(file) for file in files}
    there = ", ".join(files[:8]) + (", ..." if len(files) > 8 else "")
    first = {each.take: each.where for each in reversed(labels) if each.recording not in known}
    return [f"{where}: there is no take {take!r}; there are: {there}" for take, where in first.items()]


def sets_of(labels: Sequence[Label], orders: Mapping[str, Sequence[str]]) -> LabelSets:
    """The label sets of a file, by name; labels in the order of `orders`, or in which they come up in the file.

    Raises ValueError when a file has a label that its order has not, or an order is of no set of the file.
    """
    found: dict[str, list[str]] = {}
    for each in labels:
        of_set = found.setdefault(each.label_set, [])
        if each.label not in of_set:
            of_set.append(each.label)
    faults = [f"orders: {name!r} is none of the label sets {_told(found)}" for name in orders if name not in found]
    for name, order in orders.items():
        odd = [label for label in found.get(name, ()) if label not in order]
        faults += [f"orders: {name} has no {label!r}, which is labelled; it has: {', '.join(order)}" for label in odd]
    if faults:
        raise ValueError("\n".join(faults))
    return tuple((name, tuple(orders.get(name, found[name]))) for name in sorted(found))


def of_frames(labels: Sequence[Label], begin: float, count: int, fps: float, sets: LabelSets) -> Places:
    """The labels' numbers (count, sets) of a take's frames, the first of which is at `begin` seconds of the file.

    Labels that are in none of the sets are left out.
    """
    made = np.full((count, len(sets)), NONE, dtype=np.int64)
    places = {(name, label): place for place, (name, of_set) in enumerate(sets) for label in of_set}
    for each in labels:
        if (each.label_set, each.label) not in places:
            continue
        column = places[each.label_set, each.label]
        first, last = (round((seconds - begin) * fps) for seconds in (each.start, each.end))
        made[max(first, 0) : max(last, 0), column] = sets[column][1].index(each.label)
    return made


def filled(frames: Places, longest: int) -> Places:
    """The same with gaps between equal labels closed, where they are no longer than `longest` frames."""
    made = frames.copy()
    for column in made.T:
        (known,) = np.nonzero(column != NONE)
        for before, after in pairwise(known):
            if 1 < after - before <= longest + 1 and column[before] == column[after]:
                column[before:after] = column[before]
    return made


def of_windows(frames: Places, window: int, spread: int) -> Places:
    """The labels (count - window + 1, sets) of all windows of frames (count, sets)."""
    made = np.full((max(len(frames) - window + 1, 0), frames.shape[1]), NONE, dtype=np.int64)
    for label in range(frames.max(initial=NONE) + 1):
        upto = np.concatenate([np.zeros((1, frames.shape[1]), dtype=np.int64), (frames == label).cumsum(axis=0)])
        made[(upto[window:] - upto[:-window] if len(made) else made) >= window - spread] = label
    return made


def kept(windows: Sequence[Places], share: float, piece: int, seed: int) -> list[Places]:
    """The labels of all takes' windows with a share of them left, in pieces of `piece` neighbouring windows.

    Pieces are drawn without putting back until the share is reached, so that few labels are as many as they should be;
    every label keeps at least one piece. At 0 nothing is left.
    """
    pieces = [(take, first) for take, labels in enumerate(windows) for first in range(0, len(labels), piece)]
    order = [pieces[place] for place in np.random.default_rng(seed).permutation(len(pieces))]
    wanted = share * sum(int((labels != NONE).any(axis=1).sum()) for labels in windows)
    left = [np.full_like(labels, NONE) for labels in windows]
    have, seen = 0, set[tuple[int, int]]()
    for take, first in order if share > 0.0 else ():
        part = windows[take][first : first + piece]
        here = {(column, int(label)) for column, of_set in enumerate(part.T) for label in of_set if label != NONE}
        if here and (have < wanted or not here <= seen):
            left[take][first : first + piece] = part
            have, seen = have + int((part != NONE).any(axis=1).sum()), seen | here
    return left


def missing(windows: Sequence[Places], sets: LabelSets) -> list[str]:
    """A line for every label that no window has."""
    faults = []
    for column, (name, labels) in enumerate(sets):
        counts = Counter(int(label) for each in windows for label in each[:, column])
        faults += [
            f"{name}: no window of the takes trained on is labelled {label!r}; windows of the others: "
            + ", ".join(f"{other} {counts[place]}" for place, other in enumerate(labels) if other != label)
            for number, label in enumerate(labels)
            if not counts[number]
        ]
    return faults


def of_file(labels: Sequence[Label], file: str) -> tuple[Label, ...]:
    """Those of the recording `file`."""
    return tuple(each for each in labels if each.recording == _bare(file))


def _bare(name: str) -> str:
    return name[: -len(Path(name).suffix)] if Path(name).suffix.lower() in READERS else name


def _label(line: Mapping[str, str], where: str) -> Label:
    if empty := [name for name in ("take", "label set", "label") if not line[name]]:
        raise ValueError(f"{empty[0]} is empty")
    try:
        start, end = float(line["start"]), float(line["end"])
    except ValueError:
        raise ValueError(f"start {line['start']!r} and end {line['end']!r} must be seconds") from None
    if not 0.0 <= start < end < float("inf"):
        raise ValueError(f"from {start:g} s to {end:g} s: start must be 0 or more, and end after it")
    return Label(line["take"], start, end, line["label set"], line["label"], where)


def _told(names: Mapping[str, object]) -> str:
    return ", ".join(names) or "(there is none)"
