"""BVH files: text -> Clip in metres, and back. This file alone knows `bvhio`.

Rules: the text is checked first, with line numbers, because bvhio 1.5.4 never returns on a file without MOTION and
takes rows of the wrong width in silence. What is unambiguous is read (CRLF, UTF-16, comma decimals, comments, any
letter case); what is broken is refused by a BvhError naming file, line and reason. bvhio then reads the hierarchy;
the rows are read by numpy in float64 (bvhio: float32, 100 times slower, and blind to repeated axes as in ZYZ).
Position channels replace OFFSET, they do not add to it. A joint that is not the root keeps the median of its position
channels as its offset. End Sites become joints named `{parent}_end`.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import bvhio
import numpy as np

from motion import rotations as rot
from motion.clip import Clip
from motion.scale import body_scale
from motion.skeleton import Array, Skeleton


class BvhError(ValueError):
    """A BVH file is broken: `walk.bvh:412: row has 97 values, the channels need 96`."""


def read_bvh(path: str | Path, scale: str | float = "auto") -> tuple[Clip, str]:
    """Read a BVH file into metres, Y up. Returns the clip and a sentence on what was assumed.

    scale: metres per file unit, or "auto" to find it from the body's height. Raises BvhError, OSError.
    """
    path = Path(path)
    text = _Text(path)
    nodes, motion_line, notes = _read_hierarchy(text)
    rows, frame_time = _read_motion(text, motion_line, sum(len(n.channels) for n in nodes))
    nodes = nodes[: next((k for k, n in enumerate(nodes) if k and n.parent < 0), len(nodes))]  # the first root's
    offsets = _offsets_by_bvhio(nodes)
    positions, rotations = _decode(nodes, offsets, rows)
    clip, more = _to_clip(nodes, offsets, positions, rotations, 1.0 / frame_time)
    metres, scale_note = body_scale(clip, scale)
    skeleton = clip.skeleton.with_offsets(clip.skeleton.offsets * metres)
    clip = Clip(skeleton, clip.fps, clip.root_positions * metres, clip.rotations)
    return clip, "; ".join([scale_note, *notes, *more])


def write_bvh(path: str | Path, clip: Clip) -> None:
    """Write a clip as BVH: metres, ZXY rotations in degrees; a joint named `{parent}_end` becomes an End Site."""
    skeleton = clip.skeleton
    ends = {j for j, name in enumerate(skeleton.names) if j and _is_end(skeleton, j)}
    children: list[list[int]] = [[] for _ in skeleton.names]
    for joint, parent in enumerate(skeleton.parents[1:], start=1):
        children[parent].append(joint)
    lines, order = ["HIERARCHY"], []

    def write_joint(joint: int, indent: str) -> None:
        offset = "OFFSET " + " ".join(f"{v:.8f}" for v in skeleton.offsets[joint])
        if joint in ends:
            lines.extend([f"{indent}End Site", f"{indent}{{", f"{indent}\t{offset}", f"{indent}}}"])
            return
        order.append(joint)
        channels = "3 Zrotation Xrotation Yrotation"
        if joint == 0:
            channels = "6 Xposition Yposition Zposition Zrotation Xrotation Yrotation"
        kind = "JOINT" if joint else "ROOT"
        lines.extend([f"{indent}{kind} {skeleton.names[joint]}", f"{indent}{{", f"{indent}\t{offset}"])
        lines.append(f"{indent}\tCHANNELS {channels}")
        for child in children[joint]:
            write_joint(child, indent + "\t")
        if not children[joint]:
            inner = indent + "\t"
            lines.extend([f"{inner}End Site", f"{inner}{{", f"{inner}\tOFFSET 0.0 0.0 0.0", f"{inner}}}"])
        lines.append(f"{indent}}}")

    write_joint(0, "")
    lines.extend(["MOTION", f"Frames: {len(clip)}", f"Frame Time: {1.0 / clip.fps:.10f}"])
    degrees = np.degrees(rot.to_euler("ZXY", clip.rotations[:, order])).reshape(len(clip), -1)
    values = np.concatenate([clip.root_positions, degrees], axis=1)
    row = " ".join(["%.7f"] * values.shape[1])
    lines.extend(row % tuple(frame) for frame in values)
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


# ---------------------------------------------------------------------------------------------- text and its structure

MAX_DEPTH = 250  # bvhio recurses; a body has some 20 joints from hip to fingertip
_POSITION = {"xposition": 0, "yposition": 1, "zposition": 2}
_ROTATION = {"xrotation": 0, "yrotation": 1, "zrotation": 2}
_BOMS = [(b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")]


@dataclass
class _Node:
    name: str
    parent: int
    line: int
    end: bool = False
    offset: list[float] | None = None
    channels: list[str] = field(default_factory=list)
    channel_line: int = 0


class _Text:
    """The file's lines, decoded, and its errors. Lines are counted from 1 as editors do."""

    def __init__(self, path: Path) -> None:
        self.path = path
        data = path.read_bytes()
        encoding = next((name for bom, name in _BOMS if data.startswith(bom)), None)
        if encoding:
            text = data.decode(encoding, errors="replace")
        else:
            try:
                text = data.decode("utf-8")
            except UnicodeDecodeError:
                text = data.decode("latin-1")
        self.lines = [_without_comment(line) for line in text.splitlines()]
        if not any(line.strip() for line in self.lines):
            raise self.error(1, "the file is empty")

    def error(self, line: int, reason: str) -> BvhError:
        return BvhError(f"{self.path.name}:{line}: {reason}")

    def number(self, line: int, token: str) -> float:
        try:
            value = float(token.replace(",", ".") if token.count(",") == 1 else token)
        except ValueError:
            raise self.error(line, f"{token!r} is not a number") from None
        if not np.isfinite(value):
            raise self.error(line, f"{token!r} is not a finite number")
        return value


def _without_comment(line: str) -> str:
    stripped = line.lstrip()
    return "" if stripped.startswith(("#", "//")) else line


def _read_hierarchy(text: _Text) -> tuple[list[_Node], int, list[str]]:
    """The nodes of every root in file order, the line of MOTION, and notes."""
    nodes: list[_Node] = []
    open_nodes: list[int] = []
    notes: list[str] = []
    awaiting: _Node | None = None  # declared, its brace not yet seen
    started = False
    for number, tokens in _statements(text):
        keyword = tokens[0].lower()
        if not started:
            if keyword != "hierarchy":
                raise text.error(number, f"a BVH file begins with HIERARCHY, not {tokens[0]!r}")
            started = True
        elif keyword == "{":
            if awaiting is None:
                raise text.error(number, "an opening brace that belongs to no joint")
            nodes.append(awaiting)
            open_nodes.append(len(nodes) - 1)
            awaiting = None
            if len(open_nodes) > MAX_DEPTH:
                raise text.error(number, f"joints are nested more than {MAX_DEPTH} deep")
        elif awaiting is not None:
            raise text.error(number, f"{awaiting.name!r} needs an opening brace before {tokens[0]!r}")
        elif keyword == "}":
            if not open_nodes:
                raise text.error(number, "a closing brace too many")
            node = nodes[open_nodes.pop()]
            if node.offset is None:
                raise text.error(node.line, f"{node.name!r} has no OFFSET")
        elif keyword in ("root", "joint", "end"):
            parent = open_nodes[-1] if open_nodes else -1
            if (keyword == "root") != (parent < 0):
                raise text.error(number, f"{tokens[0]} stands {'inside' if parent >= 0 else 'outside'} a joint")
            if parent >= 0 and nodes[parent].end:
                raise text.error(number, f"{tokens[0]} inside an End Site")
            end = keyword == "end"
            name = f"{nodes[parent].name}_end" if end else " ".join(tokens[1:])
            if not name:
                raise text.error(number, f"{tokens[0]} without a name")
            awaiting = _Node(_unique(name, nodes, notes, quiet=end), parent, number, end)
        elif keyword == "offset":
            node = _open_node(text, nodes, open_nodes, number, tokens[0])
            if len(tokens) != 4:
                raise text.error(number, f"OFFSET has {len(tokens) - 1} values, it needs 3")
            node.offset = [text.number(number, token) for token in tokens[1:]]
        elif keyword == "channels":
            node = _open_node(text, nodes, open_nodes, number, tokens[0])
            node.channels, node.channel_line = _channels(text, number, tokens), number
        elif keyword == "motion":
            if open_nodes:
                node = nodes[open_nodes[-1]]
                raise text.error(number, f"MOTION begins while {node.name!r} of line {node.line} is still open")
            if not nodes:
                raise text.error(number, "no ROOT before MOTION")
            roots = [node.name for node in nodes if node.parent < 0]
            if len(roots) > 1:
                notes.append(f"{len(roots)} roots, only the first is read: {', '.join(roots)}")
            return nodes, number, notes
        else:
            raise text.error(number, f"unexpected {tokens[0]!r} in the hierarchy")
    raise text.error(len(text.lines), "no MOTION section")


def _statements(text: _Text):  # type: ignore[no-untyped-def]
    """(line number, tokens) with every brace a statement of its own."""
    for number, line in enumerate(text.lines, start=1):
        for part in re.split(r"(?<!\S)([{}])(?!\S)", line):
            if part.strip():
                yield number, part.split()


def _open_node(text: _Text, nodes: list[_Node], open_nodes: list[int], number: int, keyword: str) -> _Node:
    if not open_nodes:
        raise text.error(number, f"{keyword} outside a joint")
    return nodes[open_nodes[-1]]


def _channels(text: _Text, number: int, tokens: list[str]) -> list[str]:
    if len(tokens) < 2 or not tokens[1].isdigit():
        raise text.error(number, "CHANNELS needs a count")
    names = [token.lower() for token in tokens[2:]]
    if int(tokens[1]) != len(names):
        raise text.error(number, f"CHANNELS {tokens[1]} names {len(names)} channels: {' '.join(tokens[2:])}")
    for token, name in zip(tokens[2:], names, strict=True):
        if name not in _POSITION and name not in _ROTATION:
            raise text.error(number, f"unknown channel {token!r}; known: X, Y, Z with position or rotation")
    return names


def _unique(name: str, nodes: list[_Node], notes: list[str], quiet: bool) -> str:
    taken = {node.name for node in nodes}
    if name not in taken:
        return name
    free = next(f"{name}_{k}" for k in range(2, len(nodes) + 3) if f"{name}_{k}" not in taken)
    if not quiet:
        notes.append(f"a second joint {name!r} is called {free!r}")
    return free


# ----------------------------------------------------------------------------------------------------------- motion rows


def _read_motion(text: _Text, motion_line: int, width: int) -> tuple[Array, float]:
    """The rows (T, width) and the frame time in seconds."""
    lines = ((number, line) for number, line in enumerate(text.lines[motion_line:], start=motion_line + 1))
    filled = [(number, line) for number, line in lines if line.strip()]
    frames = int(_header(text, filled, 0, r"frames\s*:\s*(\d+)\s*$", "Frames: N", motion_line))
    frame_time_text = _header(text, filled, 1, r"frame\s+time\s*:\s*(\S+)\s*$", "Frame Time: seconds", motion_line)
    frame_time = text.number(filled[1][0], frame_time_text)
    if not frame_time > 0:
        raise text.error(filled[1][0], f"the frame time must be positive, not {frame_time_text}")
    body = filled[2:]
    if frames == 0 or not body:
        raise text.error(filled[0][0], "no frames")
    if len(body) != frames:
        raise text.error(filled[0][0], f"Frames says {frames}, but {len(body)} rows follow")
    if "," in body[0][1]:
        body = [(number, line.replace(",", ".")) for number, line in body]
    for number, line in body:
        if len(line.split()) != width:
            raise text.error(number, f"row has {len(line.split())} values, the channels need {width}")
    try:
        rows = np.array(" ".join(line for _, line in body).split(), dtype=np.float64).reshape(frames, width)
    except ValueError:
        rows = np.full((1, 1), np.nan)
    if not np.isfinite(rows).all():
        for number, line in body:
            for token in line.split():
                text.number(number, token)
    return rows, frame_time


def _header(text: _Text, filled: list[tuple[int, str]], place: int, pattern: str, what: str, motion_line: int) -> str:
    number, line = filled[place] if place < len(filled) else (motion_line, "")
    found = re.match(pattern, line.strip(), flags=re.IGNORECASE)
    if not found:
        raise text.error(number, f"expected {what!r}, found {line.strip()[:40]!r}")
    return found.group(1)


# -------------------------------------------------------------------------------------------------------------- decoding


def _offsets_by_bvhio(nodes: list[_Node]) -> Array:
    """(J, 3) offsets as bvhio reads them from the same hierarchy in its strictest spelling."""
    lines = ["HIERARCHY"]
    depth_of: list[int] = []
    for place, node in enumerate(nodes):
        depth = depth_of[node.parent] + 1 if node.parent >= 0 else 0
        for open_depth in range(depth_of[-1] if depth_of else -1, depth - 1, -1):
            lines.append("\t" * open_depth + "}")
        depth_of.append(depth)
        tab = "\t" * depth
        offset = " ".join(repr(v) for v in node.offset or [])
        lines += [f"{tab}{'JOINT' if place else 'ROOT'} J{place}", f"{tab}{{", f"{tab}\tOFFSET {offset}"]
        lines.append(f"{tab}\tCHANNELS {len(node.channels)} {' '.join(node.channels)}")
    lines += ["\t" * depth + "}" for depth in range(depth_of[-1], -1, -1)]
    lines += ["MOTION", "Frames: 0", "Frame Time: 1.0", ""]
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.bvh"
        plain.write_text("\n".join(lines), encoding="ascii")
        joints = [joint for joint, _, _ in bvhio.readAsBvh(str(plain), loadKeyFrames=False).Root.layout()]
    offsets = {joint.Name: [joint.Offset.x, joint.Offset.y, joint.Offset.z] for joint in joints}
    return np.array([offsets[f"J{place}"] for place in range(len(nodes))])


def _decode(nodes: list[_Node], offsets: Array, rows: Array) -> tuple[Array, Array]:
    """Per joint: translation (T, J, 3) in file units and local rotation (T, J, 4), in each joint's own channel order."""
    frames, joints = len(rows), len(nodes)
    positions = np.broadcast_to(offsets, (frames, joints, 3)).copy()
    turns = max(sum(c in _ROTATION for c in node.channels) for node in nodes)
    half_angles = np.zeros((turns, frames, joints))
    axes = np.zeros((turns, joints), dtype=np.intp)
    column = 0
    for joint, node in enumerate(nodes):
        turn = 0
        for channel in node.channels:
            if channel in _POSITION:
                positions[:, joint, _POSITION[channel]] = rows[:, column]
            else:
                half_angles[turn, :, joint] = np.radians(rows[:, column]) / 2
                axes[turn, joint] = _ROTATION[channel]
                turn += 1
            column += 1
    rotations = np.broadcast_to(rot.IDENTITY, (frames, joints, 4)).copy()
    for half_angle, axis in zip(half_angles, axes, strict=True):
        single = np.zeros((frames, joints, 4))
        single[:, np.arange(joints), axis] = np.sin(half_angle)
        single[..., 3] = np.cos(half_angle)
        rotations = rot.multiply(rotations, single)
    return positions, rot.normalize(rotations)


def _to_clip(
    nodes: list[_Node], offsets: Array, positions: Array, rotations: Array, fps: float
) -> tuple[Clip, list[str]]:
    """Fold moving joints above the hips into the root; freeze the other joints' translations."""
    notes: list[str] = []
    root_positions, root_rotations, first = positions[:, 0], rotations[:, 0], 0
    size = float(np.abs(offsets).sum(axis=0).max()) or 1.0
    while True:
        below = [k for k, node in enumerate(nodes) if node.parent == first and not node.end]
        moves = len(below) == 1 and np.ptp(positions[:, below[0]], axis=0).max() > 1e-3 * size
        if not moves:
            break
        notes.append(f"{nodes[first].name!r} is folded into {nodes[below[0]].name!r}, which carries the motion")
        root_positions = root_positions + rot.rotate(root_rotations, positions[:, below[0]])
        root_rotations = rot.multiply(root_rotations, rotations[:, below[0]])
        first = below[0]
    kept = [first] + [k for k in range(first + 1, len(nodes)) if nodes[k].parent >= first]
    place = {k: new for new, k in enumerate(kept)}
    still = np.median(positions[:, kept], axis=0)
    stretch = np.ptp(positions[:, kept[1:]], axis=0).max(initial=0.0)
    if stretch > 1e-2 * size:
        notes.append("moving offsets below the root are frozen at their median")
    still[0] = offsets[first]
    skeleton = Skeleton(
        tuple(nodes[k].name for k in kept), tuple(-1 if k == first else place[nodes[k].parent] for k in kept), still
    )
    local = rotations[:, kept].copy()
    local[:, 0] = root_rotations
    return Clip(skeleton, fps, np.array(root_positions), local), notes


def _is_end(skeleton: Skeleton, joint: int) -> bool:
    return skeleton.names[joint].startswith(f"{skeleton.names[skeleton.parents[joint]]}_end")
