"""Takes single-frame spikes out of a live dancer: a trailing median over at most 17 ms, so it sees no future."""

from __future__ import annotations

from dataclasses import replace

from motion.clean import TrailingMedian
from motion.manifest import Param
from server.params import Knobs
from server.protocols.frames import PoseFrame


class Deglitch:
    """The same causal cleaning the models were trained behind."""

    params: tuple[Param, ...] = ()

    def __init__(self) -> None:
        self._median = TrailingMedian()

    def reset(self) -> None:
        self._median = TrailingMedian()

    def step(self, frame: PoseFrame, dt: float, params: Knobs) -> PoseFrame:
        root_position, rotations = self._median.step(frame.root_position, frame.rotations, dt)
        return replace(frame, root_position=root_position, rotations=rotations)
