"""The hot loop. It acts on a dancer's frame or on a deadline; whoever holds its turn owns the pipeline and the outputs.

follow: a frame is danced the moment it arrives, in the thread that received it: handing it to another thread cost 60 µs
to wake it and as much again because it woke on another core. Frames of several dancers take turns; after a hiccup of
the machine the socket's buffer holds what came meanwhile, and it is danced in order, a fraction of a millisecond each.
fps: the tick thread makes one step a deadline, on each dancer's pose at that moment.
Whatever changes what is danced happens within a turn, and every turn is told to the `witnesses`: a recording has them.
A partner whose model is too slow is told so (`judges`), and a lighter dance takes its place (`stages.ladder`).
A dancer whose frames stop is carried on and then held still by the tick thread (`timeline`); their partner comes to
rest by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Any

from server.clock import Clock, Pacer
from server.lateness import Lateness
from server.outputs import ActorOutput, Publisher, ReadingOutput
from server.params import Changes, ControlChange
from server.pipeline import Pipeline
from server.protocols.frames import PoseFrame
from server.rehearsal import Rehearsal
from server.stages.ladder import LATE
from server.stats import Rate, Stats
from server.timeline import BRIDGE_SECONDS, Timeline
from server.turn import Turn, Witness
from server.way_out import WayOut
from server.worker import Answers

HELD_FPS = 60.0


@dataclass(frozen=True)
class Successor:
    """A show that is ready to take over from the one that dances: the same dancers and outputs, other partners."""

    name: str
    pipeline: Pipeline
    twin: Pipeline | None  # to rehearse with
    seconds: float


class Tick:
    """Call `arrive` from receivers, `run` in the tick thread, `stop` from anywhere."""

    def __init__(
        self,
        pipeline: Pipeline,
        outputs: Sequence[ActorOutput],
        publishers: Sequence[Publisher],
        changes: Changes | None,
        clock: Clock,
        fps: float,
        follow: bool,
        delay: float = 0.0,
        twin: Pipeline | None = None,
        bridge: float = BRIDGE_SECONDS,
        witnesses: Sequence[Witness] = (),
        answers: Answers | None = None,
        reading_outputs: Sequence[ReadingOutput] = (),
        judges: bool = False,
    ) -> None:
        self.pipeline = pipeline
        self.stats = Stats()
        self.timelines: Mapping[str, Timeline] = {name: Timeline(bridge) for name in pipeline.dancers}
        self.stats.rates_in = {name: Rate() for name in pipeline.dancers}
        self.first_pose = threading.Event()  # set when a partner has left for the first time
        self.clock = clock
        self.way_out = WayOut(outputs, publishers, reading_outputs, clock, self.stats, 1.0 / fps)
        self._changes = changes
        self._witnesses, self._answers = witnesses, answers
        self._obeyed: list[ControlChange] = []  # in this turn
        self._danced: list[PoseFrame] = []
        self._successors: SimpleQueue[Successor] = SimpleQueue()
        self._fps, self._follows, self._delay = fps, follow, delay
        self._rehearsal = Rehearsal(twin, self.way_out.by_actor) if twin is not None else None
        self._lateness: dict[str, Lateness] | None = {} if judges else None  # by partner
        self._turn = threading.Lock()
        self._turn_ended = threading.Event()
        self._running = True
        self.first_error: Exception | None = None  # the first fault of our own

    def arrive(self, dancer: str, frame: PoseFrame) -> None:
        """A receiver's thread brings a frame; in follow mode it dances it at once."""
        with self._turn:
            tick = self.stats.counts["ticks"]
            if self.timelines[dancer].put(frame):
                self.stats.rates_in[dancer].tick(frame.receive_time)
                if self._follows:
                    self.step([(dancer, frame)])
                    self.stats.latency.add(self.clock.now() - frame.receive_time)
                else:
                    self.pipeline.key(dancer, frame)
            self._tell(Turn("arrive", tick, frame.receive_time, dancer, frame.number), frame)

    def rehearse(self, dancer: str, frame: PoseFrame) -> None:
        """A receiver's thread has time before the next frame is due."""
        if self._rehearsal is not None:
            self._rehearsal.run(dancer, frame)

    def wait_for_rest(self, timeout: float) -> None:
        """Any thread with work that can wait: comes back when a turn has ended and the next is furthest away."""
        self._turn_ended.clear()
        self._turn_ended.wait(timeout)

    def succeed(self, successor: Successor) -> None:
        """Any thread: at the next tick this show takes over."""
        self._successors.put(successor)

    def stop(self) -> None:
        self._running = False

    def run(self) -> None:
        """Dances until stopped."""
        if self._follows:
            self._follow()
        else:
            self._keep_rate()

    def step(self, arrivals: Sequence[tuple[str, PoseFrame]]) -> None:
        """One tick: control changes, the pipeline, the outputs, the figures."""
        self._obey()
        try:
            thinking = self._dance(arrivals)
        finally:
            self.way_out.wait_no_more()
        self.way_out.publish()
        self.stats.pipeline.add(thinking)
        self.stats.rate_out.tick(self.clock.now())
        self.stats.counts["ticks"] += 1

    def _dance(self, arrivals: Sequence[tuple[str, PoseFrame]]) -> float:
        """Dancers' frames and all answers to them leave. Returns the seconds that the pipeline took."""
        thinking, poses = 0.0, self.pipeline.step_together(arrivals)
        while True:
            started = self.way_out.wait()
            pose = next(poses, None)
            spent = self.way_out.leave(pose) - started
            thinking += spent
            if pose is None:
                return thinking
            self.stats.spent(pose.actor, spent)
            self._judge(pose.actor, spent)
            self._danced.append(pose)
            if not self.first_pose.is_set() and pose.actor in self.pipeline.partners:
                self.first_pose.set()

    def stand_in(self, now: float) -> float:
        """The watchdog's: see `WayOut.stand_in`."""
        return self.way_out.stand_in(now, self.pipeline)

    def _judge(self, actor: str, spent: float) -> None:
        """A partner whose model is too slow leaves it to the ladder, from the next turn on: a recording has that."""
        if self._lateness is None or self._changes is None or actor not in self.pipeline.partners:
            return
        if self._lateness.setdefault(actor, Lateness(1.0 / self._fps)).spent(spent):
            self._changes.put(ControlChange(f"ladder/{actor}", LATE))

    def _follow(self) -> None:
        """Frames are danced as they arrive; what is left to do is to watch for silence."""
        pacer = Pacer(self.clock, HELD_FPS, punctual=False)
        while self._running:
            pacer.wait()
            self._survive(self.hold_the_silent, self.clock.now())

    def _keep_rate(self) -> None:
        pacer, started = Pacer(self.clock, self._fps), self.clock.now()
        while self._running:
            now = pacer.wait()
            self.stats.counts["late"] = pacer.skipped
            self._survive(self.beat, now, now - started)

    def beat(self, now: float, since: float) -> None:
        """Steps on each dancer's pose at a deadline, `since` seconds after the first one."""
        with self._turn:
            tick = self.stats.counts["ticks"]
            poses = ((name, timeline.at(now - self._delay)) for name, timeline in self.timelines.items())
            self.step([(name, replace(p, receive_time=now, sender_time=since)) for name, p in poses if p])
            self.stats.latency.add(self.clock.now() - now)
            self._tell(Turn("beat", tick, now, since=since))

    def hold_the_silent(self, now: float) -> None:
        """Steps on for each dancer whose next frame does not come: first their movement is carried on, then held."""
        with self._turn:
            tick = self.stats.counts["ticks"]
            silent = self._silent(now)
            if silent:
                self.step(silent)
            else:
                self._obey()
                self.way_out.notify()
            if silent or self._obeyed:
                self._tell(Turn("hold", tick, now))

    def _silent(self, now: float) -> list[tuple[str, PoseFrame]]:
        silent = []
        for name, timeline in self.timelines.items():
            newest = timeline.newest
            pose = timeline.at(now) if newest is not None and timeline.overdue(now) > 0.0 else None
            if newest is not None and pose is not None:
                sender_time = newest.sender_time
                if sender_time is not None:
                    sender_time += now - newest.receive_time
                silent.append((name, replace(pose, receive_time=now, sender_time=sender_time)))
        return silent

    def _tell(self, turn: Turn, frame: PoseFrame | None = None) -> None:
        """The turn is over: poses have left, and what is not for them has its time."""
        self.way_out.tell(self.pipeline.readings())
        changes, danced = tuple(self._obeyed), self._danced
        self._obeyed, self._danced = [], []
        answers = self._answers.take() if self._answers is not None else ()
        if changes or answers:
            turn = replace(turn, changes=changes, answers=answers)
        for witness in self._witnesses:
            witness.turn(turn, frame, danced)
        self._turn_ended.set()

    def _obey(self) -> None:
        while not self._successors.empty():
            self._take_over(self._successors.get_nowait())
        if self._changes is not None:
            for change in self._changes.take():
                self._obeyed.append(change)
                if not self.pipeline.apply(change):
                    self.stats.counts["unknown_control"] += 1

    def _take_over(self, successor: Successor) -> None:
        successor.pipeline.take_over(self.pipeline, successor.seconds)
        self.pipeline = successor.pipeline
        self._obeyed.append(ControlChange("show/preset", successor.name, successor.seconds))
        if successor.twin is not None:
            self._rehearsal = Rehearsal(successor.twin, self.way_out.by_actor)
        self.way_out.take_over(self.pipeline)
        self.stats.counts["switches"] += 1

    def _survive(self, work: Callable[..., None], *what: Any) -> None:
        """Nothing may end this thread while the show runs: a fault of ours is counted, the first one is kept."""
        try:
            work(*what)
        except Exception as error:
            self.stats.fault("tick_faults", "tick", error)
            self.first_error = self.first_error or error
