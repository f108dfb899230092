"""From a dancer's frame to everybody's pose: the ordered stages, plain synchronous Python.

No sockets, no threads, no wall clock: the live tick and the offline render step the very same object, so the same
frames give the same poses. A stage that raises costs a frame its partner's progress, never the tick: the last good
pose is held, the fault is counted, and the models start over.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from motion.manifest import Param
from server.params import ControlChange, Knobs, Params, Setting
from server.protocols.frames import PoseFrame
from server.stages import Stage
from server.stages.blend import Blend
from server.stages.calibrate import Calibrate
from server.stages.forecast import Forecast
from server.stages.sample import Sample
from server.stages.sample_wishes import PLACE
from server.stages.turns import eased
from server.stages.upsample import Upsample
from server.timeline import FrameTimer

PartnerState = Literal["waiting", "dancing", "holding"]
Seen = tuple[PoseFrame, float] | None  # a dancer as the server sees them, and seconds since then; None: not to be seen


class DancerLine:
    """The stages of one dancer, shared by all of their partners.

    calibrate: the stage that does, None without it. upsample: who makes a pose for every beat from the frames of a slow
    suit (`key`), None where the frames are the poses.
    """

    def __init__(self, name: str, stages: Sequence[Stage], fps: float, upsample: Upsample | None = None) -> None:
        self.name = name
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
            self._last = None if self._last is None else _at_the_time_of(self._last, frame)
        return self._last

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

    model, device: what dances, for people. half_life: of params, by knob, where it is not to be their own.
    """

    def __init__(
        self,
        name: str,
        dancer: str,
        stages: Sequence[Stage],
        model: str = "",
        device: str = "",
        half_life: Mapping[str, float] | None = None,
    ) -> None:
        self.name, self.dancer = name, dancer
        self.model, self.device = model, device
        self.state: PartnerState = "waiting"
        self.faults = 0
        self.last_fault = ""
        self.stages = stages
        self.sample = next((stage for stage in stages if isinstance(stage, Sample)), None)
        self.params = tuple(
            replace(p, name=f"{name}/{p.name}", half_life=(half_life or {}).get(p.name, p.half_life))
            for stage in stages
            for p in stage.params
        )
        self._last: PoseFrame | None = None

    def step(self, frame: PoseFrame, dt: float, params: Knobs, frozen: bool) -> PoseFrame | None:
        """The partner's pose for this frame of the dancer; None while there has been none yet."""
        if frozen and self._last is not None:
            return self.hold(frame)
        try:
            pose = frame
            for stage in self.stages:
                pose = stage.step(pose, dt, params)
        except Exception as error:  # a model may raise anything; the audience sees the last good pose
            self.faults += 1
            self.last_fault = f"{type(error).__name__}: {error}"
            self.reset()
            return self.hold(frame)
        self.state, self.last_fault = "dancing", ""
        self._last = replace(pose, actor=self.name)
        return self._last

    def reset(self) -> None:
        for stage in self.stages:
            stage.reset()

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
        return _at_the_time_of(self._last, frame)


def _at_the_time_of(pose: PoseFrame, frame: PoseFrame) -> PoseFrame:
    return replace(pose, sender_time=frame.sender_time, receive_time=frame.receive_time, number=frame.number)


class _Crossing:
    """The way from the poses of the show before to those of the one that takes over, which time tells by frames."""

    def __init__(self, old: Pipeline, seconds: float) -> None:
        self.old = old
        self._seconds, self._elapsed = seconds, 0.0
        self._last: float | None = None  # when the newest frame came
        self._blends = {name: Blend() for name in old.partners}
        self.before: dict[str, PoseFrame] = {}  # the old show's newest, by actor

    @property
    def over(self) -> bool:
        return self._elapsed >= self._seconds

    def advance(self, frame: PoseFrame) -> None:
        if self._last is not None:
            self._elapsed += max(frame.receive_time - self._last, 0.0)
        self._last = frame.receive_time

    def between(self, after: PoseFrame) -> PoseFrame:
        """A pose of the new show on its way there; one who did not dance in the old one is there at once."""
        before = self.before.get(after.actor)
        if before is None:
            return after
        share = float(eased(self._elapsed / self._seconds))
        pose = self._blends[after.actor].between(before, after.root_position, after.rotations, share)
        return replace(after, root_position=pose.root_position, rotations=pose.rotations)


class Pipeline:
    """Every line of a show and its params. `start` holds the preset's values of params, by full name."""

    def __init__(
        self, dancers: Sequence[DancerLine], partners: Sequence[PartnerLine], start: Mapping[str, Setting] | None = None
    ) -> None:
        self.dancers = {line.name: line for line in dancers}
        self.partners = {line.name: line for line in partners}
        self.frozen = False
        self.params = Params((param for line in partners for param in line.params), start)
        self._crossing: _Crossing | None = None

    def take_over(self, old: Pipeline, seconds: float) -> None:
        """This show goes on from another one of the same dancers: who dances in both goes over to it in some seconds.

        Until then the partners of both are stepped, and the old show is this one's own. Its dancers are taken over as
        they are, and it stays frozen if it was.
        """
        self.dancers, self.frozen = old.dancers, old.frozen
        seen = any(line.seen for line in old.partners.values())
        self._crossing = _Crossing(old, seconds) if seconds > 0.0 and seen else None

    @property
    def crossing(self) -> bool:
        """Whether the show before is still to be seen."""
        return self._crossing is not None

    def key(self, dancer: str, frame: PoseFrame) -> None:
        """A frame of a dancer that will be danced at the beats after it."""
        self.dancers[dancer].key(frame)

    def step(self, dancer: str, frame: PoseFrame) -> Iterator[PoseFrame]:
        """One frame of one dancer: yields each partner's pose as soon as it is there, then the dancer's own."""
        seen = self.dancers[dancer].step(frame, {})
        yield from self._poses(dancer, frame, seen)
        if seen is not None:
            yield seen[0]

    def _poses(self, dancer: str, frame: PoseFrame, seen: Seen) -> Iterator[PoseFrame]:
        """The partners' that are to be seen."""
        crossing = self._crossing
        if crossing is None:
            return self._answers(dancer, frame, seen)
        for pose in crossing.old._poses(dancer, frame, seen):
            crossing.before[pose.actor] = pose
        if not self.frozen:
            crossing.advance(frame)
        if crossing.over:
            self._crossing = None
        return (crossing.between(pose) for pose in self._answers(dancer, frame, seen))

    def _answers(self, dancer: str, frame: PoseFrame, seen: Seen) -> Iterator[PoseFrame]:
        """The dancer's partners."""
        for line in [line for line in self.partners.values() if line.dancer == dancer]:
            if seen is None:
                pose = line.hold(frame)
            else:
                self.params.advance(seen[1], line.name)
                pose = line.step(seen[0], seen[1], self.params.of(line.name), self.frozen)
            if pose is not None:
                yield pose

    def apply(self, change: ControlChange) -> bool:
        """Obeys a control change; False when it names nothing here, is no number or one number too many."""
        value = change.value
        place = change.name.partition("/")[0]
        if place == "calibrate":
            return isinstance(value, str) and self._calibrate(change.name, value, change.seconds)
        if PLACE in change.name:
            if isinstance(value, str):
                return False
            return self._wish(change.name, value if isinstance(value, tuple) else (value,))
        if place != "show":
            try:
                self.params.set(change.name, value, change.seconds)
            except (KeyError, ValueError):
                return False
            return True
        if isinstance(value, str | tuple) or not math.isfinite(value):
            return False
        if change.name == "show/freeze":
            self.frozen = value >= 0.5
            if self._crossing is not None:
                self._crossing.old.frozen = self.frozen
        elif change.name == "show/reset":
            if value >= 0.5:  # pads send 1 on press and 0 on release
                for line in self.partners.values():
                    line.reset()
        else:
            return False
        return True

    def _wish(self, name: str, numbers: tuple[float, ...]) -> bool:
        """Tells what is wanted of poses to one partner's sampler, or to all; whether any took it."""
        partner, _, wish = name.rpartition(PLACE)
        taken = [
            line.sample.wishes.obey(PLACE + wish, numbers)
            for line in self.partners.values()
            if line.sample is not None and partner in ("", "*/", f"{line.name}/")
        ]
        return any(taken)

    def _calibrate(self, name: str, kind: str, seconds: float) -> bool:
        place, _, dancer = name.partition("/")
        line = self.dancers.get(dancer)
        if place != "calibrate" or line is None or line.calibrate is None:
            return False
        match kind:
            case "off":
                line.calibrate.forget()
            case "t_pose" | "first_frame":
                line.calibrate.begin(kind, seconds)
            case _:
                return False
        return True

    @property
    def table(self) -> list[Param]:
        return list(self.params.table.values())

    @property
    def faults(self) -> int:
        return sum(d.faults for d in self.dancers.values()) + sum(p.faults for p in self.partners.values())
