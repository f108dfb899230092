"""Puts the dancer's pose, on whatever skeleton the suit sends, on the skeleton the models know."""

from __future__ import annotations

from dataclasses import replace

from motion.manifest import Param
from motion.retarget import Retargeter
from motion.skeleton import HUMANOID, Skeleton
from server.params import Knobs
from server.protocols.frames import PoseFrame


class Retarget:
    """Any skeleton with known joint names onto HUMANOID; made anew when the sender's skeleton changes."""

    params: tuple[Param, ...] = ()

    def __init__(self) -> None:
        self._source: Skeleton | None = None
        self._retargeter: Retargeter | None = None

    def reset(self) -> None:
        """Bone lengths outlive a reset: they belong to the suit, not to the moment."""

    def step(self, frame: PoseFrame, dt: float, params: Knobs) -> PoseFrame:
        if frame.skeleton is HUMANOID:
            return frame
        if self._retargeter is None or frame.skeleton is not self._source:
            self._retargeter = Retargeter(frame.skeleton, HUMANOID)
            self._source = frame.skeleton
        root_position, rotations = self._retargeter.pose(frame.root_position, frame.rotations)
        return replace(frame, skeleton=HUMANOID, root_position=root_position, rotations=rotations)
