"""Ahead of the music or behind it: reads the model ahead where it can, or echoes what it danced up to two seconds ago.

One knob, one place in time. The place moves to where the knob stands at no more than half a second a second, and no
sooner than it can gain that speed, so a change is seen as a dance a little faster or slower and never as a jump. At
zero, and where it has not been anywhere else for a while, the partner's frames pass untouched.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import replace

from motion import rotations as rot
from motion.manifest import Param
from server.params import Knobs
from server.protocols.frames import PoseFrame
from server.stages import Stage
from server.stages.walk import Walk, at_once, walk

LONGEST_ECHO = 2.0  # seconds
FASTEST = 0.5  # seconds a second: the partner dances at half speed to fall behind, at one and a half to catch up
EASE_SECONDS = 0.25  # from rest to the fastest; twice that from there to rest
_THERE = 1e-4  # seconds
LEAD = "lead"  # the condition of models that can read ahead, in seconds


class Anticipation:
    """Around a partner stage: `anticipation` > 0 is seconds read ahead, < 0 seconds of echo, 0 as it comes.

    A model's own param `lead` becomes the positive half of the knob, from where it stands by default.
    """

    def __init__(self, partner: Stage) -> None:
        self.partner = partner
        self._lead = next((param for param in partner.params if param.name == LEAD), None)
        ahead = self._lead.high - self._lead.default if self._lead else 0.0
        can = "read ahead, or an echo" if self._lead else "an echo: this model does not read ahead"
        self.params = (
            *(param for param in partner.params if param is not self._lead),
            Param("anticipation", 0.0, -LONGEST_ECHO, ahead, 0.0, f"seconds {can} of what was danced so long ago"),
        )
        self._place = self._speed = 0.0  # where it is, on the knob's scale, and how fast that changes
        self._time = 0.0
        self._previous: PoseFrame | None = None  # what the partner danced last: an echo begins between that and this
        self._danced: deque[tuple[float, PoseFrame]] = deque()  # from just before the moment that is echoed on

    @property
    def latency(self) -> float:
        """Seconds: the partner's own, and the echo."""
        return float(getattr(self.partner, "latency", 0.0)) + max(-self._place, 0.0)

    @property
    def ahead(self) -> float:
        """Seconds that the model predicts by itself."""
        return float(getattr(self.partner, "ahead", 0.0))

    @property
    def counts(self) -> Mapping[str, int]:
        counted: Mapping[str, int] = getattr(self.partner, "counts", {})
        return counted

    def reset(self) -> None:
        """The model starts over; what the audience sees does not jump, so the echo goes on."""
        self.partner.reset()

    def step(self, frame: PoseFrame, dt: float, params: Knobs) -> PoseFrame:
        return at_once(self.walk(frame, dt, params))

    def walk(self, frame: PoseFrame, dt: float, params: Knobs) -> Walk[PoseFrame]:
        wanted = params["anticipation"]
        if wanted != self._place or self._speed != 0.0:
            self._move(wanted, dt)
        if self._lead is not None:
            params = {**params, LEAD: self._lead.default + max(self._place, 0.0)}
        pose = yield from walk(self.partner, frame, dt, params)
        if self._place < 0.0 or self._danced:
            pose = self._echo(pose, dt)
        else:
            self._previous = pose
        return pose

    def _move(self, wanted: float, dt: float) -> None:
        away = wanted - self._place
        # Slower in time to stop there: v^2 = 2 a s, with half of what it may gain speed by.
        speed = math.copysign(min(FASTEST, math.sqrt(abs(away) * FASTEST / EASE_SECONDS)), away)
        change = FASTEST * dt / EASE_SECONDS
        self._speed += min(max(speed - self._speed, -change), change)
        self._place += self._speed * dt
        if abs(wanted - self._place) < _THERE or (wanted - self._place) * away < 0.0:
            self._place, self._speed = wanted, 0.0

    def _echo(self, pose: PoseFrame, dt: float) -> PoseFrame:
        """The pose of `-place` seconds ago, between the two frames around that moment."""
        danced, previous = self._danced, self._previous or pose
        self._previous = pose
        if self._place >= 0.0:
            danced.clear()
            return pose
        if not danced:
            self._time = 0.0
            danced.append((0.0, previous))
        self._time += dt
        danced.append((self._time, pose))
        moment = self._time + self._place
        while len(danced) > 1 and danced[1][0] <= moment:
            danced.popleft()
        time, before = danced[0]
        if len(danced) == 1 or moment <= time:
            return before.at_the_time_of(pose)
        later, after = danced[1]
        share = (moment - time) / (later - time)
        return replace(
            pose,
            root_position=before.root_position + share * (after.root_position - before.root_position),
            rotations=rot.slerp(before.rotations, after.rotations, share),
        )
