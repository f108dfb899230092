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

import math
import threading
import time
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
from server.worker import Answers

HELD_FPS = 60.0
PATIENCE = 0.8  # of a frame's time: after that a pose that does not come is stood in for
_EARLY = 1e-6  # seconds


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
        self.notice: bytes | None = None  # a stats message that waits for the next tick to send it
        self.all_outputs: list[ActorOutput | Publisher | ReadingOutput] = [*outputs, *publishers, *reading_outputs]
        self._publishers, self._reading_outputs = publishers, reading_outputs
        self._outputs: dict[str, list[ActorOutput]] = {}
        for output in outputs:
            self._outputs.setdefault(output.actor, []).append(output)
        self.clock = clock
        self._changes = changes
        self._witnesses, self._answers = witnesses, answers
        self._obeyed: list[ControlChange] = []  # in this turn
        self._danced: list[PoseFrame] = []
        self._successors: SimpleQueue[Successor] = SimpleQueue()
        self._fps, self._follows, self._delay = fps, follow, delay
        self._rehearsal = Rehearsal(twin, self._outputs) if twin is not None else None
        self._lateness: dict[str, Lateness] | None = {} if judges else None  # by partner
        self._turn = threading.Lock()
        self._sending = threading.Lock()  # who has it may send: in a turn the tick, or the watchdog meanwhile
        self._busy_since: float | None = None  # when the pipeline was asked for the pose that has not come yet
        self._left: dict[str, float] = {}  # when an actor's pose was sent last
        self._stood_in: dict[str, float] = {}  # for whom in this turn, and when
        self._turn_ended = threading.Event()
        self._latest: dict[str, PoseFrame] = {}
        self._running = True
        self.last_fault = ""  # the first fault of an output, for people
        self.last_error: Exception | None = None  # the first fault of our own

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
            self._busy_since = None
        with self._sending:
            self._publish()
        self.stats.pipeline.add(thinking)
        self.stats.rate_out.tick(self.clock.now())
        self.stats.counts["ticks"] += 1

    def _dance(self, arrivals: Sequence[tuple[str, PoseFrame]]) -> float:
        """Dancers' frames and all answers to them leave. Returns the seconds that the pipeline took."""
        thinking, poses = 0.0, self.pipeline.step_together(arrivals)
        while True:
            self._busy_since = started = self.clock.now()
            pose = next(poses, None)
            with self._sending:
                self._busy_since, now = None, self.clock.now()
                if pose is not None:
                    self._leave(pose, now)
            thinking += now - started
            if pose is None:
                return thinking
            self.stats.spent(pose.actor, now - started)
            self._judge(pose.actor, now - started)
            self._danced.append(pose)
            if not self.first_pose.is_set() and pose.actor in self.pipeline.partners:
                self.first_pose.set()

    def _leave(self, pose: PoseFrame, now: float) -> None:
        """Sends a pose, unless a later one was sent in its stead."""
        self._left[pose.actor] = now
        if pose.receive_time > self._stood_in.pop(pose.actor, -math.inf):
            self._send(pose)

    def _send(self, pose: PoseFrame) -> None:
        for output in self._outputs.get(pose.actor, ()):
            self._guarded(output, output.send, pose)
        self._latest[pose.actor] = pose

    def stand_in(self, now: float) -> float:
        """The watchdog's: where a turn is stuck, whoever has not left for too long is stood in for.

        Returns when to look again. What is sent so is not of the turn: a recording has what was danced.
        """
        since, period = self._busy_since, 1.0 / self._fps
        if since is None:
            return max(now, max(self._left.values(), default=now) + period) + PATIENCE * period
        if now < since + PATIENCE * period - _EARLY:
            return since + PATIENCE * period
        with self._sending:
            if self._busy_since != since or self.pipeline.frozen:
                return now + PATIENCE * period
            sent = False
            for name, line in self.pipeline.partners.items():
                patience = period if name in self._stood_in else (1.0 + PATIENCE) * period
                pose = line.stand_in(now) if now - self._left.get(name, now) > patience - _EARLY else None
                if pose is not None:
                    self._left[name] = self._stood_in[name] = now
                    self._send(pose)
                    self.stats.counts["stood_in"] += 1
                    sent = True
            if sent:
                self._publish()
        return now + period

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
                with self._sending:
                    self._give_notice()
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
        for reading in self.pipeline.readings():
            for output in self._reading_outputs:
                self._guarded(output, output.send, reading)
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
            self._rehearsal = Rehearsal(successor.twin, self._outputs)
        for gone in self._latest.keys() - self.pipeline.dancers.keys() - self.pipeline.partners.keys():
            del self._latest[gone]
        for publisher in self._publishers:
            publisher.partners = frozenset(self.pipeline.partners)
        self.stats.counts["switches"] += 1

    def _publish(self) -> None:
        poses, sent = list(self._latest.values()), time.time()
        if poses:
            for publisher in self._publishers:
                self._guarded(publisher, publisher.send_poses, poses, self.stats.counts["ticks"], sent)
        self._give_notice()

    def _give_notice(self) -> None:
        notice, self.notice = self.notice, None
        if notice is not None:
            for publisher in self._publishers:
                self._guarded(publisher, publisher.send_stats, notice)

    def _survive(self, work: Callable[..., None], *what: Any) -> None:
        """Nothing may end this thread while the show runs: a fault of ours is counted, the first one is kept."""
        try:
            work(*what)
        except Exception as error:
            self.stats.counts["tick_faults"] += 1
            self.last_fault = self.last_fault or f"tick: {type(error).__name__}: {error}"
            self.last_error = self.last_error or error

    def _guarded(self, output: ActorOutput | Publisher | ReadingOutput, send: Callable[..., None], *what: Any) -> None:
        try:
            send(*what)
        except Exception as error:  # a fault of one output must not silence the others
            self.stats.counts["output_faults"] += 1
            self.last_fault = self.last_fault or f"{output.label}: {type(error).__name__}: {error}"
