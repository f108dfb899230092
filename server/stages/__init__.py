"""The stages a pose passes through, by the name a preset calls them.

A stage lives in time: `reset()` forgets, `step(frame, dt, params) -> frame` makes one frame of the next. A stage may
raise; the pipeline then holds the last good pose. Stages know nothing of sockets, files or the wall clock.
"""

from __future__ import annotations

from typing import Protocol

from motion.manifest import Param
from server.params import Knobs
from server.protocols.frames import PoseFrame


class Stage(Protocol):
    params: tuple[Param, ...]  # named without the actor: the pipeline puts it in front

    def reset(self) -> None: ...

    def step(self, frame: PoseFrame, dt: float, params: Knobs) -> PoseFrame: ...
