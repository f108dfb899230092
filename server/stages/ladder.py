"""What dances when a partner's model does not: a lighter model, the dancer's own dance a little later, or stillness.

A model that raises, or says what is no number, again and again within half a second, or of which the tick says that it
is late, leaves the stage to the next rung; until then the last good pose is held. It is tried again unseen, later and
later while that fails; when it has danced well for half a second, it fades in. Every change of rung is a fade, and the
rungs below begin where the partner stands.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import replace
from typing import Protocol

import numpy as np

from motion import rotations as rot
from motion.ground_frames import facing
from motion.manifest import Param
from motion.skeleton import Array
from server.params import Knobs
from server.protocols.frames import PoseFrame
from server.stages import Stage
from server.stages.blend import Blend
from server.stages.stillness import standing
from server.stages.turns import eased
from server.stages.walk import Walk, at_once, walk

FULL, LIGHT, FOLLOW, STILL = RUNGS = ("full", "light", "follow", "still")
AUTO, LATE = "auto", "late"
FAULTS, WITHIN = 3, 0.5  # so many, within so many seconds, are too many
FIRST_TRY, LAST_TRY = 1.0, 30.0  # seconds until a model is tried again, and at most
PROVES = 0.5  # seconds that it must dance well, unseen
DOWN_SECONDS, UP_SECONDS = 0.5, 1.0  # of a fade
DELAY = 0.4  # seconds, of the dancer's dance
_EARLY = 1e-6  # seconds: sums of frame times are not exact


class Ladder:
    """A stage in the model's place. light: another model, if there is one.

    rung: who dances, one of RUNGS; forced: because somebody wants it so; why: it is not the full model, in words.
    faults: of models; last_fault: the newest one in words, empty when this frame had none; holds: shows the last pose.
    """

    def __init__(self, full: Stage, light: Stage | None = None) -> None:
        self._models = {FULL: full} | ({LIGHT: light} if light is not None else {})
        self.rungs = (*self._models, FOLLOW, STILL)
        own = {param.name for param in full.params}
        others = light.params if light is not None else ()
        self.params: tuple[Param, ...] = (*full.params, *(param for param in others if param.name not in own))
        self.rung, self.why, self.forced = FULL, "", False
        self.faults, self.last_fault, self.holds = 0, "", False
        self._simple: dict[str, _Rung] = {FOLLOW: Echo(), STILL: _Stand()}
        self._falls = 0
        self._faults: deque[float] = deque()  # seconds at which the model that dances failed
        self._now = self._next_try = self._climbed = 0.0
        self._wait, self._well = FIRST_TRY, 0.0  # until the next try; how long the one that is tried has danced well
        self._shown: PoseFrame | None = None
        self._left: str | PoseFrame | None = None  # what fades out: a rung that dances on, or the last pose of one
        self._fade, self._blend = 0.0, Blend()

    @property
    def latency(self) -> float:
        """Seconds, of the model."""
        return float(getattr(self._models[FULL], "latency", 0.0))

    @property
    def ahead(self) -> float:
        """Seconds that the model predicts by itself."""
        return float(getattr(self._models[FULL], "ahead", 0.0))

    @property
    def counts(self) -> Counter[str]:
        return Counter(getattr(self._models[FULL], "counts", {})) + Counter(falls=self._falls)

    def reset(self) -> None:
        """The models start over; what the audience sees goes on."""
        for model in self._models.values():
            model.reset()

    def tell(self, word: str) -> bool:
        """A rung: stays there until AUTO. LATE: whoever dances, or is tried, is too slow. False for another word."""
        if word == AUTO:
            self.forced, self._next_try, self._wait = False, self._now, FIRST_TRY
        elif word == LATE:
            if not self.forced and (self._is_trying or self.rung in self._models):
                self._give_up("late")
        elif word in self.rungs:
            self.forced = True
            self._go(word, "as told", self.rung)
        else:
            return False
        return True

    def step(self, frame: PoseFrame, dt: float, params: Knobs) -> PoseFrame:
        """Raises what the model raises while nobody has danced yet."""
        return at_once(self.walk(frame, dt, params))

    def walk(self, frame: PoseFrame, dt: float, params: Knobs) -> Walk[PoseFrame]:
        """As `step`."""
        self._now += dt
        self.last_fault = ""
        for simple in self._simple.values():
            simple.see(frame, dt)
        pose = yield from self._dance(self.rung, frame, dt, params)
        self.holds = pose is None
        if pose is None:
            assert self._shown is not None
            pose = self._shown.at_the_time_of(frame)
        if self.rung != FULL and self._left != FULL and not self.forced and self._now >= self._next_try:
            yield from self._try_out(frame, dt, params)
        self._shown = yield from self._faded(pose, frame, dt, params)
        return self._shown

    @property
    def _is_trying(self) -> bool:
        return self._well > 0.0

    def _dance(self, rung: str, frame: PoseFrame, dt: float, params: Knobs) -> Walk[PoseFrame | None]:
        """A rung's pose; None for a model's that failed, which starts over."""
        if rung in self._simple:
            return self._simple[rung].pose(frame)
        try:
            pose = yield from walk(self._models[rung], frame, dt, params)
            if not math.isfinite(float(pose.rotations.sum() + pose.root_position.sum())):
                raise ArithmeticError(f"non-finite pose in frame {frame.number}")
        except Exception as error:  # a model may raise anything
            self._models[rung].reset()
            if self._shown is None:
                raise
            self.faults, self.last_fault = self.faults + 1, f"{type(error).__name__}: {error}"
            if rung == self.rung:
                self._fault(self.last_fault)
            return None
        return pose

    def _fault(self, why: str) -> None:
        """Of the model that dances."""
        self._faults.append(self._now)
        while self._faults[0] < self._now - WITHIN:
            self._faults.popleft()
        if len(self._faults) >= FAULTS and not self.forced:
            self._give_up(why)

    def _give_up(self, why: str) -> None:
        """Whoever is tried goes on trying later; if nobody is, whoever dances leaves the stage."""
        if not self._is_trying and self._now - self._climbed > LAST_TRY:
            self._wait = FIRST_TRY  # it was well for long
        self._next_try, self._wait = self._now + self._wait, min(2.0 * self._wait, LAST_TRY)
        if self._is_trying:
            self._well = 0.0
            return
        self._falls += 1
        self._go(self.rungs[self.rungs.index(self.rung) + 1], why, self._shown)

    def _try_out(self, frame: PoseFrame, dt: float, params: Knobs) -> Walk[None]:
        """The full model dances unseen, and comes back when it has danced well."""
        self._well += dt
        if (yield from self._dance(FULL, frame, dt, params)) is None:
            self._give_up(self.why)
        elif self._well >= PROVES:
            self._climbed = self._now
            self._go(FULL, "", self.rung)

    def _go(self, rung: str, why: str, left: str | PoseFrame | None) -> None:
        self.why, self._well = why, 0.0
        if rung == self.rung:
            return
        self._left, self._fade, self.rung = left, 0.0, rung
        self._faults.clear()
        self._blend.forget()
        if self._shown is not None and rung in self._simple:
            self._simple[rung].begin(self._shown)

    def _faded(self, pose: PoseFrame, frame: PoseFrame, dt: float, params: Knobs) -> Walk[PoseFrame]:
        """The pose on its way from what has left the stage."""
        left = self._left
        if left is None or self._shown is None:
            return pose
        self._fade += dt / (UP_SECONDS if self.rung == FULL else DOWN_SECONDS)
        before = (yield from self._dance(left, frame, dt, params)) if isinstance(left, str) else left
        if before is None:
            self._left = before = self._shown
        if self._fade >= 1.0:
            self._left = None
            return pose
        share = float(eased(self._fade))
        return self._blend.between(before.at_the_time_of(frame), pose.root_position, pose.rotations, share)


class _Rung(Protocol):
    def see(self, frame: PoseFrame, dt: float) -> None:
        """The dancer, every frame."""

    def begin(self, shown: PoseFrame) -> None:
        """From the pose that is shown."""

    def pose(self, frame: PoseFrame) -> PoseFrame: ...


class Echo:
    """The dancer of DELAY seconds ago, on the spot where the partner is and turned as they are."""

    def __init__(self) -> None:
        self._past: deque[tuple[float, PoseFrame]] = deque()
        self._now = 0.0
        self._turn: Array = rot.IDENTITY
        self._from = self._to = np.zeros(3)  # of the dancer, of the partner, on the floor

    def see(self, frame: PoseFrame, dt: float) -> None:
        self._now += dt
        self._past.append((self._now, frame))
        while len(self._past) > 1 and self._past[1][0] <= self._now - DELAY + _EARLY:
            self._past.popleft()

    def begin(self, shown: PoseFrame) -> None:
        dancer = self._at(0.0)
        self._turn = rot.yaw(float(facing(shown.rotations[0])) - float(facing(dancer.rotations[0])))
        floor = np.array([1.0, 0.0, 1.0])
        self._from, self._to = dancer.root_position * floor, shown.root_position * floor

    def pose(self, frame: PoseFrame, later: float = 0.0) -> PoseFrame:
        """later: seconds since the dancer's newest frame."""
        dancer = self._at(later)
        rotations = dancer.rotations.copy()
        rotations[0] = rot.multiply(self._turn, rotations[0])
        root = self._to + rot.rotate(self._turn, dancer.root_position - self._from)
        return replace(frame, root_position=root, rotations=rotations)

    def _at(self, later: float) -> PoseFrame:
        moment, found = self._now - DELAY + later + _EARLY, self._past[0][1]
        for time, frame in tuple(self._past) if later else ():  # a watchdog may ask while the tick goes on
            if time > moment:
                break
            found = frame
        return found


class _Stand:
    """At rest, on the spot where the partner is."""

    def __init__(self) -> None:
        self._rest: tuple[Array, Array] | None = None

    def see(self, frame: PoseFrame, dt: float) -> None: ...

    def begin(self, shown: PoseFrame) -> None:
        self._rest = standing(shown)

    def pose(self, frame: PoseFrame) -> PoseFrame:
        root, rotations = self._rest or standing(frame)
        return replace(frame, root_position=root, rotations=rotations)
