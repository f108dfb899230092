"""The text of a BVH file, checked: its nodes, its rows, and an error that names file, line and reason.

It exists because bvhio 1.5.4 never returns on a file without MOTION, overflows the stack on a long chain, and takes
rows of the wrong width or number in silence. Rules: what can only mean one thing is read (CRLF, UTF-16, tabs, blank
lines, comments, any letter case, decimal commas, braces on any line, names with spaces, several roots: the first or
the named one); what contradicts itself is refused. Nothing here knows what a rotation is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from motion.skeleton import Array

MAX_DEPTH = 250  # bvhio recurses; a body has some 20 joints from hip to fingertip
LARGEST = 1e9  # bvhio's offsets are float32; a sum of squares must stay finite
_BLOCK = 1024  # rows
POSITION = {"xposition": 0, "yposition": 1, "zposition": 2}
ROTATION = {"xrotation": 0, "yrotation": 1, "zrotation": 2}


class BvhError(ValueError):
    """A BVH file is broken: `walk.bvh:412: row has 97 values, the channels need 96`."""


@dataclass
class Node:
    """A joint or End Site as the file declares it; parent is a place in the list of nodes, -1 for a root."""

    name: str
    parent: int
    line: int
    end: bool = False
    offset: list[float] | None = None
    channels: list[str] | None = None


@dataclass(frozen=True)
class BvhText:
    """A checked file: the first root's nodes, rows (T, C) with that root's channels, seconds a frame, and notes."""

    nodes: list[Node]
    rows: Array
    frame_time: float
    notes: list[str]


def read_text(path: Path, root: str | None = None) -> BvhText:
    """Read and check a BVH file; root: the one to keep, the first when None. Raises BvhError, OSError."""
    lines = _Lines(path)
    hierarchy = _Hierarchy(lines)
    for number, tokens in lines.statements():
        if tokens[0].lower() == "motion":
            hierarchy.close(number)
            break
        hierarchy.take(number, tokens)
    else:
        raise lines.error(len(lines.texts), "no MOTION section")
    nodes = hierarchy.nodes
    rows, frame_time = _read_motion(lines, number, sum(len(node.channels or []) for node in nodes))

    roots = [place for place, node in enumerate(nodes) if node.parent < 0]
    names = [nodes[place].name for place in roots]
    names = [f"{name}_{names[:k].count(name) + 1}" if name in names[:k] else name for k, name in enumerate(names)]
    if root is not None and root not in names:
        raise lines.error(nodes[0].line, f"no root {root!r}; it has: {', '.join(names)}")
    chosen = 0 if root is None else names.index(root)
    if len(roots) > 1:
        hierarchy.notes.append(f"{len(roots)} roots ({', '.join(names)}): only {names[chosen]!r} is read")
        first, last = roots[chosen], [*roots, len(nodes)][chosen + 1]
        before = sum(len(node.channels or []) for node in nodes[:first])
        nodes = [replace(node, parent=max(node.parent - first, -1)) for node in nodes[first:last]]
        rows = rows[:, before : before + sum(len(node.channels or []) for node in nodes)]
    return BvhText(nodes, rows, frame_time, hierarchy.notes)


class _Lines:
    """The file's lines, decoded; comments are blanked so that lines keep the numbers an editor shows."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.texts = [
            "" if line.lstrip().startswith(("#", "//")) else line
            for line in re.split(r"\r\n|\n|\r", _decoded(path.read_bytes()).rstrip())
        ]
        if not any(line.strip() for line in self.texts):
            raise self.error(1, "the file is empty")

    def error(self, line: int, reason: str) -> BvhError:
        return BvhError(f"{self.name}:{line}: {reason}")

    def number(self, line: int, token: str) -> float:
        """A finite decimal number; one comma may stand for the point."""
        plain = token.replace(",", ".") if "." not in token else token
        if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", plain, flags=re.ASCII):
            raise self.error(line, f"{token!r} is not a finite number")
        value = float(plain)
        if abs(value) > LARGEST:
            raise self.error(line, f"{token!r} is beyond {LARGEST:g}")
        return value

    def statements(self) -> Iterator[tuple[int, list[str]]]:
        """(line number, tokens), every brace a statement of its own."""
        for number, line in enumerate(self.texts, start=1):
            for part in re.split(r"([{}])", line):
                if part.strip():
                    yield number, part.split()


def _decoded(data: bytes) -> str:
    for bom, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")):
        if data.startswith(bom):
            return data.decode(encoding, errors="replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


@dataclass
class _Hierarchy:
    """Takes the statements of the HIERARCHY section one by one."""

    lines: _Lines
    nodes: list[Node] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _open: list[int] = field(default_factory=list)  # places of the nodes whose braces are open
    _declared: Node | None = None  # named, its opening brace not yet seen
    _names: set[str] = field(default_factory=set)
    _started: bool = False

    def take(self, number: int, tokens: list[str]) -> None:
        keyword = tokens[0].lower()
        if not self._started:
            if keyword != "hierarchy":
                raise self.lines.error(number, f"a BVH file begins with HIERARCHY, not {tokens[0][:40]!r}")
            self._started = True
        elif self._declared is not None and keyword != "{":
            raise self.lines.error(number, f"{self._declared.name!r} needs an opening brace before {tokens[0]!r}")
        elif keyword in _STATEMENTS:
            _STATEMENTS[keyword](self, number, tokens)
        else:
            raise self.lines.error(number, f"unexpected {tokens[0][:40]!r} in the hierarchy")

    def close(self, number: int) -> None:
        """MOTION begins at this line."""
        unfinished = self._declared or (self.nodes[self._open[-1]] if self._open else None)
        if unfinished is not None:
            raise self.lines.error(
                number, f"MOTION begins while {unfinished.name!r} of line {unfinished.line} is still open"
            )
        if not self.nodes:
            raise self.lines.error(number, "no ROOT before MOTION")

    def _declare(self, number: int, tokens: list[str]) -> None:
        keyword = tokens[0].lower()
        parent = self._open[-1] if self._open else -1
        if (keyword == "root") != (parent < 0):
            raise self.lines.error(number, f"{tokens[0]} stands {'inside' if parent >= 0 else 'outside'} a joint")
        if parent >= 0 and self.nodes[parent].end:
            raise self.lines.error(number, f"{tokens[0]} inside an End Site")
        end = keyword == "end"
        if parent < 0:
            self._names = set()  # every root is a body of its own
        name = f"{self.nodes[parent].name}_end" if end else " ".join(tokens[1:])
        if not name:
            raise self.lines.error(number, f"{tokens[0]} without a name")
        self._declared = Node(self._free_name(name, end), parent, number, end)

    def _free_name(self, name: str, end: bool) -> str:
        free, count = name, 1
        while free in self._names:
            count += 1
            free = f"{name}_{count}"
        if free != name and not end:
            self.notes.append(f"a second joint {name!r} is called {free!r}")
        self._names.add(free)
        return free

    def _enter(self, number: int, tokens: list[str]) -> None:
        if self._declared is None:
            raise self.lines.error(number, "an opening brace that belongs to no joint")
        self._open.append(len(self.nodes))
        self.nodes.append(self._declared)
        self._declared = None
        if len(self._open) > MAX_DEPTH:
            raise self.lines.error(number, f"joints are nested more than {MAX_DEPTH} deep")

    def _leave(self, number: int, tokens: list[str]) -> None:
        node = self._current(number, "a closing brace")
        if node.offset is None:
            raise self.lines.error(node.line, f"{node.name!r} has no OFFSET")
        self._open.pop()

    def _offset(self, number: int, tokens: list[str]) -> None:
        node = self._current(number, "OFFSET")
        if len(tokens) != 4:
            raise self.lines.error(number, f"OFFSET has {len(tokens) - 1} values, it needs 3")
        if node.offset is not None:
            raise self.lines.error(number, f"{node.name!r} has a second OFFSET")
        node.offset = [self.lines.number(number, token) for token in tokens[1:]]

    def _channels(self, number: int, tokens: list[str]) -> None:
        node = self._current(number, "CHANNELS")
        if node.end or node.channels is not None:
            raise self.lines.error(number, f"{node.name!r} must not have {'more' if node.channels else ''} CHANNELS")
        if len(tokens) < 2 or not re.fullmatch(r"\d+", tokens[1], flags=re.ASCII):
            raise self.lines.error(number, "CHANNELS needs a count")
        names = [token.lower() for token in tokens[2:]]
        if tokens[1] != str(len(names)):
            raise self.lines.error(number, f"CHANNELS {tokens[1]} names {len(names)} channels: {' '.join(tokens[2:])}")
        for token, name in zip(tokens[2:], names, strict=True):
            if name not in POSITION and name not in ROTATION:
                raise self.lines.error(number, f"unknown channel {token!r}; known: X, Y or Z with position or rotation")
        node.channels = names

    def _current(self, number: int, what: str) -> Node:
        if not self._open:
            raise self.lines.error(number, f"{what} outside a joint")
        return self.nodes[self._open[-1]]


_STATEMENTS = {
    "root": _Hierarchy._declare,
    "joint": _Hierarchy._declare,
    "end": _Hierarchy._declare,
    "{": _Hierarchy._enter,
    "}": _Hierarchy._leave,
    "offset": _Hierarchy._offset,
    "channels": _Hierarchy._channels,
}


def _read_motion(lines: _Lines, motion_line: int, width: int) -> tuple[Array, float]:
    """The rows (T, width) and the frame time in seconds."""
    numbered = enumerate(lines.texts[motion_line:], start=motion_line + 1)
    filled = [(number, line) for number, line in numbered if line.strip()]
    nothing = (len(lines.texts), "")
    frames_line, time_line = (*filled[:2], nothing, nothing)[:2]
    frames = int(_value(lines, *frames_line, r"frames\s*:\s*(\d+)", "Frames: N"))
    text = _value(lines, *time_line, r"frame\s*time\s*:\s*(\S+)", "Frame Time: seconds")
    frame_time = lines.number(time_line[0], text)
    if not 1e-5 <= frame_time <= 100.0:
        raise lines.error(time_line[0], f"the frame time must be 0.00001 to 100 seconds, not {text}")
    body = filled[2:]
    if frames == 0:
        raise lines.error(frames_line[0], "no frames")
    if len(body) != frames:
        raise lines.error(frames_line[0], f"Frames says {frames}, but {len(body)} rows follow")
    for number, line in body:
        count = len(line.split())
        if count != width:
            raise lines.error(number, f"row has {count} values, the channels need {width}")
    rows = np.empty((frames, width))
    for first in range(0, frames, _BLOCK):  # as text, numbers take ten times their memory
        rows[first : first + _BLOCK] = _numbers(lines, body[first : first + _BLOCK], width)
    return rows, frame_time


def _numbers(lines: _Lines, body: list[tuple[int, str]], width: int) -> Array:
    """The values of some rows, (T, width)."""
    tokens = " ".join(line for _, line in body)
    if re.fullmatch(r"[0-9eE+\-.\s]*", tokens, flags=re.ASCII):
        try:
            rows = np.array(tokens.split(), dtype=np.float64).reshape(len(body), width)
            if np.abs(rows).max(initial=0.0) <= LARGEST:
                return rows
        except ValueError:
            pass  # the slow way knows the line
    numbers = [[lines.number(number, token) for token in line.split()] for number, line in body]
    return np.array(numbers, dtype=np.float64).reshape(len(body), width)


def _value(lines: _Lines, number: int, line: str, pattern: str, what: str) -> str:
    found = re.fullmatch(pattern, line.strip(), flags=re.IGNORECASE | re.ASCII)
    if found is None:
        raise lines.error(number, f"expected {what!r}, found {line.strip()[:40]!r}")
    return found.group(1)
