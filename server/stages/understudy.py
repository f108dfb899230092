"""Stands in for a partner whose model is stuck: from the pose that was shown last into the dancer's own dance."""

from __future__ import annotations

from dataclasses import replace

from server.protocols.frames import PoseFrame
from server.stages.blend import Blend
from server.stages.ladder import DOWN_SECONDS, Echo
from server.stages.turns import eased


class Understudy:
    """`see` is the tick's; `pose` may be asked by another thread while the tick waits for the model."""

    def __init__(self) -> None:
        self._echo, self._blend = Echo(), Blend()
        self._newest: PoseFrame | None = None
        self._from: PoseFrame | None = None

    def see(self, frame: PoseFrame, dt: float) -> None:
        """The dancer, before the model is asked."""
        self._echo.see(frame, dt)
        self._newest = frame

    def pose(self, shown: PoseFrame, now: float) -> PoseFrame:
        """shown: the partner's last pose; now: on the clock of receive_time."""
        newest = self._newest or shown
        if self._from is not shown:
            self._from = shown
            self._echo.begin(shown)
            self._blend.forget()
        later = max(now - newest.receive_time, 0.0)
        echo = self._echo.pose(shown, later)
        share = float(eased(later / DOWN_SECONDS))
        pose = self._blend.between(shown, echo.root_position, echo.rotations, share)
        sent = None if newest.sender_time is None else newest.sender_time + later
        return replace(pose, receive_time=now, sender_time=sent, number=newest.number)
