"""From a dancer's frame to everybody's pose: the ordered stages, plain synchronous Python.

No sockets, no threads, no wall clock: the live tick and the offline render step the very same object, so the same
frames give the same poses. What each actor's stages are, and what happens where one raises, is in `lines`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from motion.manifest import Param
from server.lines import DancerLine, PartnerLine, Seen
from server.params import ControlChange, Params, Setting
from server.protocols.effort import Reading
from server.protocols.frames import PoseFrame
from server.stages.blend import Blend
from server.stages.effort import EffortMeter
from server.stages.sample_wishes import PLACE
from server.stages.turns import eased
from server.stages.walk import Walk, at_once, together


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

    def step_together(self, arrivals: Sequence[tuple[str, PoseFrame]]) -> Iterator[PoseFrame]:
        """Frames of several dancers at one moment: as `step` of each, but partners of one model have one run of it."""
        if len(arrivals) == 1 or self._crossing is not None:
            for dancer, frame in arrivals:
                yield from self.step(dancer, frame)
            return
        seen = [(dancer, frame, self.dancers[dancer].step(frame, {})) for dancer, frame in arrivals]
        asked = [(dancer, line, frame, at) for dancer, frame, at in seen for line in self._partners_of(dancer)]
        poses = together([self._answer(line, frame, at) for _, line, frame, at in asked])
        for dancer, _, at in seen:
            yield from (pose for (whose, *_), pose in zip(asked, poses, strict=True) if whose == dancer and pose)
            yield from self._own(dancer, at)
        for dancer, _ in arrivals:
            self._rest(dancer)

    def step(self, dancer: str, frame: PoseFrame) -> Iterator[PoseFrame]:
        """One frame of one dancer: yields each partner's pose as soon as it is there, then the dancer's own."""
        seen = self.dancers[dancer].step(frame, {})
        yield from self._poses(dancer, frame, seen)
        yield from self._own(dancer, seen)
        self._rest(dancer)

    def _own(self, dancer: str, seen: Seen) -> Iterator[PoseFrame]:
        """The dancer's pose."""
        meter = self.dancers[dancer].meter
        if seen is not None:
            yield seen[0]
            if meter is not None:
                meter.see(*seen)

    def _rest(self, dancer: str) -> None:
        """Everybody's pose has left."""
        if self._crossing is not None:
            self._crossing.old._rest(dancer)
        for partner in self.partners.values():
            if partner.dancer == dancer:
                partner.rest()

    def readings(self) -> Iterator[Reading]:
        """When the poses have left: what the meters that were due have read, which counts from the next frame on."""
        for name, meter in self.meters.items():
            try:
                is_new = meter.read()
            except Exception:  # a meter may be out of order; the show goes on without
                meter.reset()
                meter.faults += 1
                continue
            if is_new and meter.reading is not None:
                yield Reading(name, meter.reading)

    @property
    def meters(self) -> dict[str, EffortMeter]:
        """By actor."""
        lines: list[DancerLine | PartnerLine] = [*self.dancers.values(), *self.partners.values()]
        return {line.name: line.meter for line in lines if line.meter is not None}

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
        for line in self._partners_of(dancer):
            pose = at_once(self._answer(line, frame, seen))
            if pose is not None:
                yield pose

    def _answer(self, line: PartnerLine, frame: PoseFrame, seen: Seen) -> Walk[PoseFrame | None]:
        """One partner's."""
        if seen is None:
            return line.hold(frame)
        self.params.advance(seen[1], line.name)
        knobs = self.params.of(line.name)
        if line.follow is not None:
            knobs = line.follow.knobs(knobs, self.dancers[line.dancer].reading, seen[1])
        pose = yield from line.walk(seen[0], seen[1], knobs, self.frozen)
        if pose is not None and line.meter is not None:
            line.meter.see(pose, seen[1])
        return pose

    def _partners_of(self, dancer: str) -> list[PartnerLine]:
        return [line for line in self.partners.values() if line.dancer == dancer]

    def apply(self, change: ControlChange) -> bool:
        """Obeys a control change; False when it names nothing here, is no number or one number too many."""
        value = change.value
        place, _, whose = change.name.partition("/")
        if place == "calibrate":
            return isinstance(value, str) and self._calibrate(whose, value, change.seconds)
        if place == "ladder":
            return isinstance(value, str) and self._climb(whose, value)
        if PLACE in change.name:
            return not isinstance(value, str) and self._wish(
                change.name, value if isinstance(value, tuple) else (value,)
            )
        if place == "show":
            return not isinstance(value, str | tuple) and math.isfinite(value) and self._press(whose, value >= 0.5)
        try:
            self.params.set(change.name, value, change.seconds)
        except (KeyError, ValueError):
            return False
        return True

    def _press(self, button: str, pressed: bool) -> bool:
        """Pads send 1 on press and 0 on release."""
        match button:
            case "freeze":
                self.frozen = pressed
                if self._crossing is not None:
                    self._crossing.old.frozen = pressed
            case "reset":
                for line in self.partners.values() if pressed else ():
                    line.reset()
            case _:
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

    def _climb(self, partner: str, word: str) -> bool:
        """Tells a partner's ladder, or with * everybody's; whether any took it."""
        lines = [line for line in self.partners.values() if partner in ("*", line.name)]
        return any([line.ladder.tell(word) for line in lines if line.ladder is not None])

    def _calibrate(self, dancer: str, kind: str, seconds: float) -> bool:
        line = self.dancers.get(dancer)
        if line is None or line.calibrate is None:
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
