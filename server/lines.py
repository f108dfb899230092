"""One dancer's stages and one partner's: what a pose passes through, and what is left of it when something fails.

A stage that raises costs a frame its actor's progress, never the tick: the last good pose is held, the fault is
counted, and a partner's models start over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from server.params import Knobs
from server.protocols.effort import Shares
from server.protocols.frames import PoseFrame
from server.stages import Stage
from server.stages.calibrate import Calibrate
from server.stages.effort import EffortMeter
from server.stages.follow import Follow
from server.stages.forecast import Forecast
from server.stages.ladder import Ladder
from server.stages.sample import Sample
from server.stages.understudy import Understudy
from server.stages.upsample import Upsample
from server.stages.walk import Walk
from server.timeline import FrameTimer

PartnerState = Literal["waiting", "dancing", "holding"]
Seen = tuple[PoseFrame, float] | None  # a dancer as the server sees them, and seconds since then; None: not to be seen


class DancerLine:
    """The stages of one dancer, shared by all of their partners.

    calibrate: the stage that does, None without it. upsample: who makes a pose for every beat from the frames of a slow
    suit (`key`), None where the frames are the poses. meter: who reads their effort, if anybody does.
    """

    def __init__(
        self,
        name: str,
        stages: Sequence[Stage],
        fps: float,
        upsample: Upsample | None = None,
        meter: EffortMeter | None = None,
    ) -> None:
        self.name, self.meter = name, meter
        self.faults = 0
        self.last_fault = ""
        self.calibrate = next((stage for stage in stages if isinstance(stage, Calibrate)), None)
        self.forecast = next((stage for stage in stages if isinstance(stage, Forecast)), None)
        self.upsample = upsample
        self._stages = stages
        self._last: PoseFrame | None = None  # the newest pose of a beat
        self._timer, self._key_timer = FrameTimer(1.0 / fps), FrameTimer(1.0 / fps)

    def key(self, frame: PoseFrame) -> None:
        """A frame has come that is not danced at once."""
        if self.upsample is None:
            return
        seen = self._seen(frame, self._key_timer.step(frame), {})
        if seen is None:
            return
        try:
            self.upsample.key(seen)
        except Exception as error:  # the beats go on with the keys before
            self._note(error)

    def step(self, frame: PoseFrame, params: Knobs) -> Seen:
        """The dancer as the server sees them and the seconds since the frame before; None when a stage refused it."""
        dt = self._timer.step(frame)
        if self.upsample is not None and len(self.upsample.keys):
            pose = self._of_beat(self.upsample, frame)
            return None if pose is None else (pose, dt)
        seen = self._seen(frame, dt, params)
        return None if seen is None else (seen, dt)

    def _of_beat(self, upsample: Upsample, frame: PoseFrame) -> PoseFrame | None:
        """The dancer at a beat between keys; the last good pose where that fails, None while there has been none."""
        try:
            self._last = replace(upsample.at(frame), actor=self.name)
        except Exception as error:  # one dancer's fault is not everybody's
            self._note(error)
            self._last = None if self._last is None else self._last.at_the_time_of(frame)
        return self._last

    @property
    def reading(self) -> Shares | None:
        """What the meter has read last; None without one, and while there is nothing to be read."""
        return None if self.meter is None else self.meter.reading

    def _note(self, error: Exception) -> None:
        self.faults += 1
        self.last_fault = f"{type(error).__name__}: {error}"

    def _seen(self, frame: PoseFrame, dt: float, params: Knobs) -> PoseFrame | None:
        try:
            for stage in self._stages:
                frame = stage.step(frame, dt, params)
        except Exception as error:  # whatever a suit sends, the show goes on
            self._note(error)
            return None
        self.last_fault = ""
        return replace(frame, actor=self.name)


class PartnerLine:
    """The stages of one partner, and the pose it falls back on.

    model, device: what dances, for people. half_life: of params, by knob, where it is not to be their own. meter: who
    reads this partner's own effort; follow: who moves the dials by the dancer's.
    """

    def __init__(
        self,
        name: str,
        dancer: str,
        stages: Sequence[Stage],
        model: str = "",
        device: str = "",
        half_life: Mapping[str, float] | None = None,
        meter: EffortMeter | None = None,
        follow: Follow | None = None,
    ) -> None:
        self.name, self.dancer = name, dancer
        self.model, self.device = model, device
        self.meter, self.follow = meter, follow
        self.state: PartnerState = "waiting"
        self.last_fault = ""
        self._faults = 0  # of stages
        self.stages = stages
        self.sample = next((stage for stage in stages if isinstance(stage, Sample)), None)
        self.ladder = next((stage for stage in stages if isinstance(stage, Ladder)), None)
        given = [param for stage in stages for param in stage.params]
        self.params = tuple(
            replace(p, name=f"{name}/{p.name}", half_life=(half_life or {}).get(p.name, p.half_life))
            for p in (follow.beside(given) if follow is not None else given)
        )
        self._last: PoseFrame | None = None
        self._understudy = Understudy()

    def walk(self, frame: PoseFrame, dt: float, params: Knobs, frozen: bool) -> Walk[PoseFrame | None]:
        """The partner's pose for this frame of the dancer; None while there has been none yet."""
        if frozen and self._last is not None:
            return self.hold(frame)
        self._understudy.see(frame, dt)
        try:
            pose = frame
            for stage in self.stages:
                if stage is self.ladder:  # within it are the models
                    pose = yield from self.ladder.walk(pose, dt, params)
                else:
                    pose = stage.step(pose, dt, params)
        except Exception as error:  # a stage may raise anything; the audience sees the last good pose
            self._fail(error)
            return self.hold(frame)
        self.state, self.last_fault = "dancing", ""
        if self.ladder is not None and self.ladder.last_fault:
            self.state, self.last_fault = "holding" if self.ladder.holds else "dancing", self.ladder.last_fault
        self._last = replace(pose, actor=self.name)
        return self._last

    def rest(self) -> None:
        """The pose has left, and so have all others: time for what it did not need."""
        if self.sample is None:
            return
        try:
            self.sample.rest()
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._faults += 1
        self.last_fault = f"{type(error).__name__}: {error}"
        self.reset()

    def reset(self) -> None:
        for stage in self.stages:
            stage.reset()

    def stand_in(self, now: float) -> PoseFrame | None:
        """A pose at `now`, while the one for the newest frame does not come; any thread may ask. None while there has
        been none yet.
        """
        return None if self._last is None else self._understudy.pose(self._last, now)

    @property
    def faults(self) -> int:
        """Of the stages, and of the models on the ladder."""
        return self._faults + (0 if self.ladder is None else self.ladder.faults)

    @property
    def seen(self) -> bool:
        """Whether there has been a pose."""
        return self._last is not None

    @property
    def latency(self) -> float:
        """Seconds from a dancer's frame to this partner's answer to it, the computing aside."""
        return sum(float(getattr(stage, "latency", 0.0)) for stage in self.stages)

    @property
    def ahead(self) -> float:
        """Seconds of the latency that the model predicts: so much later than the dancer's frame the answer belongs."""
        return sum(float(getattr(stage, "ahead", 0.0)) for stage in self.stages)

    @property
    def counts(self) -> dict[str, int]:
        """What the stages have counted."""
        return {reason: n for stage in self.stages for reason, n in getattr(stage, "counts", {}).items()}

    def hold(self, frame: PoseFrame) -> PoseFrame | None:
        """The last good pose with this frame's times; None while there has been none."""
        if self._last is None:
            return None
        self.state = "holding"
        return self._last.at_the_time_of(frame)
