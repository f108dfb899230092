"""Poses to BVH text: a hierarchy, then a row a frame. Metres as they come, rotations ZXY in degrees.

In parts, because a show writes rows for hours: `header` with its count of frames, then as many `rows` as there are.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from motion import rotations as rot
from motion.clip import Clip
from motion.skeleton import Array, Skeleton


def write_bvh(path: str | Path, clip: Clip, decimals: int = 7) -> None:
    """Write a clip as BVH: metres, ZXY rotations in degrees; a joint named `{parent}_end` becomes an End Site.

    decimals: of every value of the motion; 4 are a tenth of a millimetre and make a third less of a file.
    """
    text = header(clip.skeleton, clip.fps, str(len(clip)))
    text += rows(clip.skeleton, clip.root_positions, clip.rotations, decimals)
    Path(path).write_text(text, encoding="utf-8")


def header(skeleton: Skeleton, fps: float, frames: str) -> str:
    """All lines before the rows. frames: how many rows will follow, as it shall stand there."""
    order = _in_order(skeleton)
    lines = ["HIERARCHY"]
    open_joints: list[int] = []

    def close_until(parent: int) -> None:
        while open_joints and open_joints[-1] != parent:
            open_joints.pop()
            lines.append("\t" * len(open_joints) + "}")

    for joint in order:
        close_until(skeleton.parents[joint])
        outer, inner = "\t" * len(open_joints), "\t" * (len(open_joints) + 1)
        end = _is_end(skeleton, joint)
        kind = "End Site" if end else f"{'JOINT' if joint else 'ROOT'} {skeleton.names[joint]}"
        offset = "OFFSET " + " ".join(f"{value:.8f}" for value in skeleton.offsets[joint])
        lines += [f"{outer}{kind}", f"{outer}{{", f"{inner}{offset}"]
        if end:
            lines.append(f"{outer}}}")
            continue
        turns = "Zrotation Xrotation Yrotation"
        lines.append(f"{inner}CHANNELS " + (f"3 {turns}" if joint else f"6 Xposition Yposition Zposition {turns}"))
        open_joints.append(joint)
        if joint not in skeleton.parents:
            lines += [f"{inner}End Site", f"{inner}{{", f"{inner}\tOFFSET 0.0 0.0 0.0", f"{inner}}}"]
    close_until(-1)
    lines += ["MOTION", f"Frames: {frames}", f"Frame Time: {1.0 / fps:.10f}"]
    return "\n".join(lines) + "\n"


def rows(skeleton: Skeleton, root_positions: Array, rotations: Array, decimals: int = 7) -> str:
    """A line for each of T frames. root_positions: (T, 3). rotations: (T, J, 4) local."""
    moving = [joint for joint in _in_order(skeleton) if not _is_end(skeleton, joint)]
    degrees = np.degrees(rot.to_euler("ZXY", rotations[:, moving])).reshape(len(rotations), -1)
    values = np.concatenate([root_positions, degrees], axis=1)
    row = " ".join([f"%.{decimals}f"] * values.shape[1]) + "\n"
    return "".join(row % tuple(frame) for frame in values.tolist())


def _in_order(skeleton: Skeleton) -> list[int]:
    """The joints as a file lists them: each with all that hangs on it before the next."""
    children: list[list[int]] = [[] for _ in skeleton.names]
    for joint, parent in enumerate(skeleton.parents[1:], start=1):
        children[parent].append(joint)
    order, waiting = list[int](), [0]
    while waiting:
        order.append(waiting.pop())
        waiting += reversed(children[order[-1]])
    return order


def _is_end(skeleton: Skeleton, joint: int) -> bool:
    name, parent = skeleton.names[joint], skeleton.parents[joint]
    return parent >= 0 and name.startswith(f"{skeleton.names[parent]}_end") and joint not in skeleton.parents
