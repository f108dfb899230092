"""Depth for points that have none: a bone that looks shorter than it is points towards the camera or away from it.

A picture does not say which of the two. Nose and toes tell on which side the body faces, so which hip and shoulder is
nearer; every other bone is taken as people mostly hold it: knees and forearms ahead, shins and elbows behind, the head
ahead of the trunk. So a leg or an arm stretched behind comes out ahead. Going on as a bone went before was tried: it
is wrong more often, and for longer. Lengths are HUMANOID's at the size of the seen body.
"""

from __future__ import annotations

import numpy as np

from motion.keypoint_body import POINTS, REST, ROWS, SIDES, BodySizes, Bools, believable
from motion.skeleton import Array

SETTLE_HALF_LIFE = 0.05  # seconds: depth is uncertain where a bone lies in the picture's plane, and must not tremble
FACING = 0.04  # metres a nose or toes must stick out sideways to tell which side is nearer


class DepthLift:
    """Fills in the third coordinate of one person's points, frame by frame."""

    def __init__(self) -> None:
        self._sizes = BodySizes(flat=True)
        self._depths: Array | None = None  # of every bone's end over its start

    def lift(self, points: Array, seen: Bools, dt: float) -> Array:
        """points (25, 2 or 3) in the order of POINTS, seen by a camera that looks along -Z; with z, (25, 3).

        seen (25,): which to believe. The hips' middle gets z = 0. A bone that is not seen keeps its depth.
        """
        flat, seen = believable(points[:, :2], seen)
        hidden = (~seen).astype(np.float64)
        self._sizes.note(ROWS @ flat, (ROWS != 0.0) @ hidden == 0.0, dt)
        lengths = self._sizes.overall * _LENGTHS
        bones = _BONES @ flat
        told = (_BONES != 0.0) @ hidden == 0.0
        depths = np.sqrt(np.maximum(lengths**2 - np.einsum("ij,ij->i", bones, bones), 0.0))
        first = self._depths is None
        before = np.zeros(len(depths)) if self._depths is None else self._depths
        depths *= self._signs(bones, told, before)
        share = 1.0 if first else 1.0 - 0.5 ** (dt / SETTLE_HALF_LIFE)
        self._depths = np.where(told, before + share * (depths - before), before)
        return np.column_stack([flat, _CHAINS @ self._depths])

    def _signs(self, bones: Array, told: Bools, before: Array) -> Array:
        """+1 for a bone whose end is nearer to the camera than its start, else -1."""
        ahead = float(bones[_POINTERS, 0][told[_POINTERS]].sum()) / self._sizes.overall
        if abs(ahead) > FACING:  # turned to the picture's right, the left side is farther away
            side = -np.sign(ahead)
        else:
            side = 1.0 if before[_LINES].sum() > 0.0 else -1.0
        hips = bones[_HIP_LINE, 0] / (self._sizes.overall * _LENGTHS[_HIP_LINE])
        facing = np.clip(hips, -1.0, 1.0)  # 1 to the camera, -1 away from it
        turned = side * np.sqrt(1.0 - facing**2)
        signs = np.where(_USUAL @ (turned, facing) < 0.0, -1.0, 1.0)
        signs[_LINES] = side
        return signs


def _bones() -> tuple[list[str], Array, Array]:
    """Names, every bone as weights of the points (bones, points), and every point's depth as a sum of bones'."""
    at = dict(zip(POINTS, np.eye(len(POINTS)), strict=True))
    middle = {name: 0.5 * (at["Left" + name] + at["Right" + name]) for name in ("Hip", "Shoulder", "Ear")}
    names, rows = [], []
    chain: dict[str, dict[str, float]] = {"Hip middle": {}}

    def add(name: str, start: str, ends: dict[str, float], row: Array) -> None:
        names.append(name)
        rows.append(row)
        for end, sign in ends.items():
            chain[end] = {**chain[start], name: sign}

    add("trunk", "Hip middle", {"Shoulder middle": 1.0}, middle["Shoulder"] - middle["Hip"])
    add("neck", "Shoulder middle", {"Ear middle": 1.0}, middle["Ear"] - middle["Shoulder"])
    for line in ("Hip", "Shoulder", "Ear"):
        row = at["Left" + line] - middle[line]
        add(f"{line} line", f"{line} middle", {"Left" + line: 1.0, "Right" + line: -1.0}, row)
    add("Nose", "Ear middle", {"Nose": 1.0}, at["Nose"] - middle["Ear"])
    for side in SIDES:
        add(side + "Eye", "Ear middle", {side + "Eye": 1.0}, at[side + "Eye"] - middle["Ear"])
        for start, end in (
            ("Shoulder", "Elbow"),
            ("Elbow", "Wrist"),
            ("Wrist", "Index"),
            ("Wrist", "Pinky"),
            ("Hip", "Knee"),
            ("Knee", "Ankle"),
            ("Ankle", "Heel"),
            ("Ankle", "Toe"),
        ):
            add(side + end, side + start, {side + end: 1.0}, at[side + end] - at[side + start])
    chains = np.array([[chain[point].get(name, 0.0) for name in names] for point in POINTS])
    return names, np.array(rows), chains


_NAMES, _BONES, _CHAINS = _bones()
_LENGTHS = np.linalg.norm(_BONES @ REST, axis=-1)
_HIP_LINE = _NAMES.index("Hip line")
_LINES = np.array([name.endswith(" line") for name in _NAMES])
_POINTERS = np.array([k for k, name in enumerate(_NAMES) if name == "Nose" or name.endswith("Toe")])
_OUT_AND_AHEAD = {
    "Elbow": (0.5, -1.0),
    "Wrist": (-0.5, 1.0),
    "Knee": (0.0, 1.0),
    "Ankle": (0.0, -1.0),
    "Heel": (0.0, -1.0),
}


def _usual() -> Array:
    """How each bone mostly points to the left and ahead, (bones, 2)."""
    table = []
    for name in _NAMES:
        side = next((side for side in SIDES if name.startswith(side)), "")
        out, ahead = _OUT_AND_AHEAD.get(name.removeprefix(side), (0.0, 1.0))
        table.append((out if side == "Left" else -out, ahead))
    return np.array(table)


_USUAL = _usual()
