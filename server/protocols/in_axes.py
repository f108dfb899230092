"""A pose in another program's axes and unit, for the formats that have none of their own. Numbers only."""

from __future__ import annotations

from dataclasses import replace

from motion.axes import Axes
from motion.skeleton import Skeleton
from server.protocols.frames import PoseFrame


class InAxes:
    """Frames of one output, mapped; a skeleton is mapped once and stays one object. Not for two threads at once."""

    def __init__(self, axes: Axes) -> None:
        self._axes = axes
        self._known: tuple[Skeleton, Skeleton] | None = None

    def __call__(self, frame: PoseFrame) -> PoseFrame:
        known = self._known
        if known is None or known[0] is not frame.skeleton:
            known = self._known = (frame.skeleton, self._axes.skeleton(frame.skeleton))
        root, rotations = self._axes.positions(frame.root_position), self._axes.rotations(frame.rotations)
        return replace(frame, skeleton=known[1], root_position=root, rotations=rotations)
