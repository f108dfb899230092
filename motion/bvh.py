"""BVH files: text -> Clip in metres, Y up; `bvh_write` is the way back. This file alone knows `bvhio`.

`bvh_text` has checked the text before bvhio sees it. bvhio reads the hierarchy, spelt the one way it accepts. The
rows are read here in float64 and all frames at once: bvhio's are float32, a repeated axis (ZYZ) gets one angle for
two there, and 2,242 frames of 43 joints take it twice as long (0.9 s against 0.45 s).
Rules: position channels replace OFFSET, unless the joints below the root hold near zero there: then they add to it.
Joints above the one that carries the motion are folded into it. Below the root a joint's offset is the median of its
position channels, where it has any. End Sites become `{parent}_end`; those without a length are left out.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motion import rotations as rot
from motion.bvh_text import POSITION, ROTATION, BvhError, Node, read_text
from motion.bvh_write import write_bvh
from motion.clip import Clip
from motion.skeleton import Array, Skeleton
from motion.units import to_metres

with warnings.catch_warnings():
    warnings.simplefilter("ignore", PendingDeprecationWarning)  # bvhio imports PyGLM by its old name
    import bvhio

__all__ = ["BvhError", "read_bvh", "write_bvh"]

_PIECE = 4096  # frames decoded at once: on the way they take ten times their memory


def read_bvh(path: str | Path, scale: str | float = "auto", skeleton: str | None = None) -> tuple[Clip, str]:
    """Read a BVH file. Returns the clip in metres, Y up, and a sentence on what was assumed.

    scale: metres per file unit, or "auto" to find it from the body's height. skeleton: the name of the ROOT to read
    where there are several; the first when None. Raises BvhError, ValueError (a scale that is none), OSError.
    """
    text = read_text(Path(path), skeleton)
    offsets = _offsets(text.nodes)
    positions, rotations = _decode(text.nodes, offsets, text.rows)
    notes = list(text.notes)
    if _relative(text.nodes, offsets, positions):
        positions = positions + np.where(_has_positions(text.nodes)[:, None], offsets, 0.0)
        notes.append("position channels are added to OFFSET")
    clip = _to_clip(text.nodes, offsets, positions, rotations, 1.0 / text.frame_time, notes)
    clip, scale_note = to_metres(clip, scale)
    return clip, "; ".join([scale_note, *notes])


def _offsets(nodes: list[Node]) -> Array:
    """(J, 3) offsets as bvhio reads them, the hierarchy spelt in its strictest form (End Sites as joints)."""
    lines, open_nodes = ["HIERARCHY"], list[int]()
    for place, node in enumerate(nodes):
        while open_nodes and open_nodes[-1] != node.parent:
            open_nodes.pop()
            lines.append("}")
        open_nodes.append(place)
        offset = " ".join(repr(value) for value in node.offset or [])
        lines += [f"{'JOINT' if place else 'ROOT'} {place}", "{", f"OFFSET {offset}", "CHANNELS 0"]
    lines += ["}"] * len(open_nodes) + ["MOTION", "Frames: 0", "Frame Time: 1.0", ""]
    with tempfile.TemporaryDirectory() as folder:
        strict = Path(folder) / "hierarchy.bvh"
        strict.write_text("\n".join(lines), encoding="ascii")
        joints = [joint for joint, _, _ in bvhio.readAsBvh(str(strict), loadKeyFrames=False).Root.layout()]
    offsets = np.zeros((len(nodes), 3))
    for joint in joints:
        offsets[int(joint.Name)] = list(joint.Offset)
    return offsets


def _decode(nodes: list[Node], offsets: Array, rows: Array) -> tuple[Array, Array]:
    """Translations (T, J, 3) in file units and local rotations (T, J, 4), each joint by its own channel order."""
    pieces = [_decode_piece(nodes, offsets, rows[first : first + _PIECE]) for first in range(0, len(rows), _PIECE)]
    return np.concatenate([piece[0] for piece in pieces]), np.concatenate([piece[1] for piece in pieces])


def _decode_piece(nodes: list[Node], offsets: Array, rows: Array) -> tuple[Array, Array]:
    shape = (len(rows), len(nodes))
    positions = np.broadcast_to(offsets, (*shape, 3)).copy()
    turns = max(sum(channel in ROTATION for channel in node.channels or []) for node in nodes)
    halves = np.zeros((turns, *shape))  # half angles of each joint's first, second, third rotation channel
    axes = np.zeros((turns, len(nodes)), dtype=np.intp)
    column = 0
    for joint, node in enumerate(nodes):
        turn = 0
        for channel in node.channels or []:
            if channel in POSITION:
                positions[:, joint, POSITION[channel]] = rows[:, column]
            else:
                halves[turn, :, joint] = np.radians(rows[:, column]) / 2
                axes[turn, joint] = ROTATION[channel]
                turn += 1
            column += 1
    rotations = np.broadcast_to(rot.IDENTITY, (*shape, 4))
    for half, axis in zip(halves, axes, strict=True):
        one = np.zeros((*shape, 4))
        one[:, np.arange(len(nodes)), axis] = np.sin(half)
        one[..., 3] = np.cos(half)
        rotations = rot.multiply(rotations, one)
    return positions, rot.normalize(rotations)


def _has_positions(nodes: list[Node]) -> NDArray[np.bool_]:
    return np.array([any(channel in POSITION for channel in node.channels or []) for node in nodes])


def _relative(nodes: list[Node], offsets: Array, positions: Array) -> bool:
    """Whether the positions of joints below the root are displacements from OFFSET (MakeHuman) and not in its place."""
    placed = np.flatnonzero(_has_positions(nodes)[1:]) + 1
    usual = np.median(positions[:, placed], axis=0)
    return bool(np.abs(usual).sum() < np.abs(usual - offsets[placed]).sum())


def _to_clip(
    nodes: list[Node], offsets: Array, positions: Array, rotations: Array, fps: float, notes: list[str]
) -> Clip:
    """Fold moving joints above the hips into the root; freeze the other joints' translations."""
    root_positions, root_rotations, first = positions[:, 0], rotations[:, 0], 0
    size = float(np.abs(offsets).sum(axis=0).max()) or 1.0
    while True:
        below = [k for k, node in enumerate(nodes) if node.parent == first and not node.end]
        if len(below) != 1 or np.ptp(positions[:, below[0]], axis=0).max() <= 1e-3 * size:
            break
        notes.append(f"{nodes[first].name!r} is folded into {nodes[below[0]].name!r}, which carries the motion")
        root_positions = root_positions + rot.rotate(root_rotations, positions[:, below[0]])
        root_rotations = rot.multiply(root_rotations, rotations[:, below[0]])
        first = below[0]
    later = [k for k in range(first + 1, len(nodes)) if nodes[k].parent >= first]
    kept = [first, *(k for k in later if not nodes[k].end or offsets[k].any())]
    if np.ptp(positions[:, kept[1:]], axis=0).max(initial=0.0) > 1e-2 * size:
        notes.append("moving offsets below the root are frozen at their median")
    still = np.median(positions[:, kept], axis=0)
    still[0] = offsets[first]
    place = {k: new for new, k in enumerate(kept)}
    parents = tuple(-1 if k == first else place[nodes[k].parent] for k in kept)
    local = rotations[:, kept]
    local[:, 0] = root_rotations
    return Clip(Skeleton(tuple(nodes[k].name for k in kept), parents, still), fps, root_positions, local)
