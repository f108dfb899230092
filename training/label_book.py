"""What people have said about windows, on paper: a CSV file that is whole after every word, and another beside it.

The file is that of training.labels (take, start, end, label set, label) or the blind.csv of an evaluation (clip, label
set, label), with the columns `who` and `when`, which their readers leave alone; lines and columns of others are kept.
Beside it lies NAME.side.csv with what must not be in there: labels given again to windows that came up twice, to tell
how far somebody agrees with oneself, and windows that somebody could not tell (`kind` is again, or skipped).
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from training import labels
from training.label_windows import Window
from training.labels import Label, LabelSets

Line = dict[str, str]
Key = tuple[str, int, int]  # a clip, or a recording and milliseconds
Lines = dict[tuple[Key, str], Line]  # by window and label set
SideLines = dict[tuple[Key, str, str], Line]  # and by kind

TAKES, CLIPS = ("take", "start", "end"), ("clip",)  # the columns that say what a line is about
SAID, BY = ("label set", "label"), ("who", "when")
AGAIN, SKIPPED = "again", "skipped"


class Book:
    """The two files, as they are and as they become. One thread writes.

    about: TAKES or CLIPS. Raises ValueError for a file with other columns, takes, clips or labels than these, naming
    the line, and OSError when it cannot be read or nothing can be written beside it.
    """

    def __init__(
        self,
        path: Path,
        about: tuple[str, ...],
        sets: LabelSets,
        windows: Sequence[Window],
        who: str = "",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.path, self.side_path = path, side_of(path)
        self.about, self.sets, self.who, self._clock = about, sets, who, clock
        for each in (self.path, self.side_path):
            _writable(each)
        self._columns, lines = read_lines(path) if path.exists() else ((*about, *SAID), [])
        if key_columns(self._columns) != about:
            raise ValueError(f"{path} has the columns {', '.join(self._columns)}; {', '.join((*about, *SAID))} are due")
        self._columns = tuple(dict.fromkeys([*self._columns, *BY]))
        self.lines: Lines = {(_key(line), line["label set"]): line for line in lines}
        self.side: SideLines = {(_key(line), line["label set"], line["kind"]): line for line in read_side(path)}
        self._keys = {window: _window_key(about, window) for window in windows}
        self._check(windows)
        self._seen = {each: _stamp(each) for each in (self.path, self.side_path)}

    def said(self, window: Window, of_set: str, again: bool = False) -> str:
        """The label that a window has of a set, or was given when it came up again; empty when none."""
        key = self._keys[window]
        line = self.side.get((key, of_set, AGAIN)) if again else self.lines.get((key, of_set))
        return line["label"] if line else ""

    def skipped(self, window: Window, of_set: str) -> bool:
        """Whether somebody could not tell."""
        return (self._keys[window], of_set, SKIPPED) in self.side

    def said_when(self, window: Window, of_set: str) -> tuple[str, str]:
        """By whom and when a window was labelled; empty when the file does not say."""
        line = self.lines.get((self._keys[window], of_set), {})
        return line.get("who", ""), line.get("when", "")

    def taken(self, window: Window, of_set: str) -> bool:
        """Whether a label of the file, which is not this window's, covers a part of it: another could contradict."""
        if self.about == CLIPS:
            return False
        recording, start, end = key = self._keys[window]
        return any(
            of == of_set and other != key and other[0] == recording and other[1] < end and start < other[2]
            for other, of in self.lines
        )

    def say(self, window: Window, of_set: str, label: str, again: bool = False) -> None:
        """Write a label down. Raises OSError when it cannot be, and nothing has changed then."""
        key, lines, side = self._keys[window], dict(self.lines), dict(self.side)
        if again:
            side[key, of_set, AGAIN] = self._line(window, of_set, label) | {"kind": AGAIN}
        else:
            side.pop((key, of_set, SKIPPED), None)
            lines[key, of_set] = lines.get((key, of_set), {}) | self._line(window, of_set, label)
        self.turn_to(lines, side)

    def skip(self, window: Window, of_sets: Sequence[str]) -> None:
        """Write down that somebody cannot tell, whatever was said before. Raises as `say`."""
        key, lines, side = self._keys[window], dict(self.lines), dict(self.side)
        for of_set in of_sets:
            side[key, of_set, SKIPPED] = self._line(window, of_set, "") | {"kind": SKIPPED}
            if line := lines.pop((key, of_set), None):
                lines |= {(key, of_set): line | {"label": ""}} if self.about == CLIPS else {}
        self.turn_to(lines, side)

    def turn_to(self, lines: Lines, side: SideLines) -> None:
        """Make both files say this. Raises OSError when one cannot be written or somebody else has changed it."""
        if lines != self.lines:
            self._write(self.path, self._columns, list(lines.values()))
        if side != self.side:
            self._write(self.side_path, (*self.about, *SAID, *BY, "kind"), list(side.values()))
        self.lines, self.side = lines, side

    def _line(self, window: Window, of_set: str, label: str) -> Line:
        about = (window.take, str(window.start), str(window.end)) if self.about == TAKES else (window.take,)
        when = self._clock().isoformat(timespec="milliseconds")
        return dict(zip((*self.about, *SAID, *BY), (*about, of_set, label, self.who, when), strict=True))

    def _write(self, path: Path, columns: Sequence[str], lines: Sequence[Line]) -> None:
        if _stamp(path) != self._seen[path]:
            raise OSError(f"another program has changed {path}: start again, so that nothing of it is lost")
        part = path.with_name(f"{path.name}.part")
        with open(part, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(lines)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        self._seen[path] = _stamp(path)

    def _check(self, windows: Sequence[Window]) -> None:
        names = [window.take for window in windows]
        lines = [*self.lines.values(), *self.side.values()]
        if self.about == CLIPS:
            if unknown := sorted({line["clip"] for line in lines} - set(names)):
                raise ValueError(f"{self.path} has the clip {unknown[0]!r}, which is not there")
            there = sorted({line["label set"] for line in lines})
            if there and (unknown := [name for name, _ in self.sets if name not in there]):
                raise ValueError(f"{self.path} does not ask for {unknown[0]!r}; it asks for: {', '.join(there)}")
        else:
            given = [Label(line["take"], 0.0, 1.0, "", "", self.path.name) for line in lines]
            if faults := labels.unknown_takes(given, sorted(set(names))):
                raise ValueError("\n".join(faults))
        known = dict(self.sets)
        for line in lines:
            choices = known.get(line["label set"], (line["label"],))
            if line["label"] and line["label"] not in choices:
                raise ValueError(
                    f"{self.path} has the label {line['label']!r} of {line['label set']}; --set has: "
                    f"{', '.join(choices)}"
                )


def key_columns(columns: Sequence[str]) -> tuple[str, ...]:
    """What the lines of a file are about: CLIPS or TAKES."""
    return CLIPS if "clip" in columns else TAKES


def side_of(path: Path) -> Path:
    return path.with_suffix(".side.csv")


def read_lines(path: Path) -> tuple[tuple[str, ...], list[Line]]:
    """The columns and lines of a file. Raises ValueError for one of neither kind, with every fault, and OSError."""
    columns, lines = _table(path)
    if key_columns(columns) == TAKES:
        labels.read(path)
    elif missing := [name for name in (*CLIPS, *SAID) if name not in columns]:
        raise ValueError(f"{path} lacks {', '.join(missing)}; its columns must be: {', '.join((*CLIPS, *SAID))}")
    return columns, lines


def read_side(path: Path) -> list[Line]:
    """The lines beside a file; none when there is nothing. Raises ValueError for other columns, and OSError."""
    side = side_of(path)
    if not side.exists():
        return []
    columns, lines = _table(side)
    due = (*key_columns(columns), *SAID, *BY, "kind")
    if missing := [name for name in due if name not in columns]:
        raise ValueError(f"{side} lacks {', '.join(missing)}; its columns must be: {', '.join(due)}")
    return lines


def recording_of(line: Line) -> str:
    """What a line is about: a clip, or a take without its suffix."""
    return line["clip"] if "clip" in line else Label(line["take"], 0.0, 1.0, "", "").recording


def _table(path: Path) -> tuple[tuple[str, ...], list[Line]]:
    with labels.opened(path) as file:
        reader = csv.DictReader(file, restval="")
        columns = tuple(name.strip() for name in reader.fieldnames or ())
        reader.fieldnames = list(columns)
        return columns, [{name: line[name].strip() for name in columns} for line in reader]


def _key(line: Line) -> Key:
    start, end = (round(1000.0 * float(line.get(name) or 0.0)) for name in ("start", "end"))
    return recording_of(line), start, end


def _window_key(about: tuple[str, ...], window: Window) -> Key:
    if about == CLIPS:
        return window.take, 0, 0
    return _key({"take": window.take, "start": str(window.start), "end": str(window.end)})


def _writable(path: Path) -> None:
    """Raises OSError when a file could not be written there."""
    if path.is_dir():
        raise OSError(f"{path} is a folder; --labels names a CSV file")
    if path.exists() and not os.access(path, os.W_OK):
        raise OSError(f"{path} cannot be written: it is protected")
    part = path.with_name(f"{path.name}.part")
    try:
        with open(part, "w", encoding="utf-8"):
            pass
        part.unlink()
    except OSError as error:
        raise OSError(f"{path} cannot be written: {error.strerror or error}") from None


def _stamp(path: Path) -> tuple[int, int]:
    if not path.exists():
        return 0, 0
    facts = path.stat()
    return facts.st_mtime_ns, facts.st_size
