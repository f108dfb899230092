"""Softer movements: the partner eases towards the newest pose, half of the way in each half-life."""

from __future__ import annotations

from dataclasses import replace

from motion import rotations as rot
from motion.manifest import Param
from server.params import Knobs
from server.protocols.frames import PoseFrame


class Smooth:
    """`smoothing`: the half-life in seconds; 0 is as the model dances. It delays by about 1.4 half-lives."""

    params: tuple[Param, ...] = (Param("smoothing", 0.0, 0.0, 1.0, 0.1, "half-life of the easing, seconds; 0: none"),)

    def __init__(self) -> None:
        self._last: PoseFrame | None = None

    def reset(self) -> None:
        """What the audience saw stays where the next pose is eased from."""

    def step(self, frame: PoseFrame, dt: float, params: Knobs) -> PoseFrame:
        half_life = params["smoothing"]
        if half_life == 0.0:
            self._last = None
            return frame
        last = self._last or frame
        share = 1.0 - 0.5 ** (dt / half_life)
        self._last = replace(
            frame,
            root_position=last.root_position + share * (frame.root_position - last.root_position),
            rotations=rot.slerp(last.rotations, frame.rotations, share),
        )
        return self._last
