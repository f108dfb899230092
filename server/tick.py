"""The hot loop. One thread owns the pipeline and every output; it acts on a dancer's frame or on a deadline.

follow: a frame acts the moment it arrives. After a hiccup of the machine the waiting frames are danced in order, which
takes a fraction of a millisecond each; only one that has waited longer than `STALE_WAIT_SECONDS`, with newer ones
behind it, is dropped and counted, because a partner that answers late is worse than one that skips.
fps: one step a deadline, on each dancer's pose at that moment.
A dancer whose frames stop is held still; their partner comes to rest by itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from queue import Empty, SimpleQueue

from server.clock import Clock, Pacer
from server.outputs import ActorOutput, Publisher
from server.params import ControlChange
from server.pipeline import Pipeline
from server.protocols.frames import PoseFrame
from server.stats import Rate, Stats
from server.timeline import Timeline

STALE_WAIT_SECONDS = 0.1
GAP_SECONDS = 0.1  # a dancer silent for longer is held still
HELD_FPS = 60.0


class Tick:
    """Call `arrive` from receivers, `run` in the tick thread, `stop` from anywhere."""

    def __init__(
        self,
        pipeline: Pipeline,
        outputs: Sequence[ActorOutput],
        publishers: Sequence[Publisher],
        changes: SimpleQueue[ControlChange] | None,
        clock: Clock,
        fps: float,
        follow: bool,
        delay: float = 0.0,
    ) -> None:
        self.pipeline = pipeline
        self.stats = Stats()
        self.timelines: Mapping[str, Timeline] = {name: Timeline() for name in pipeline.dancers}
        self.stats.rates_in = {name: Rate() for name in pipeline.dancers}
        self.first_pose = threading.Event()  # set when a partner has left for the first time
        self.notice: bytes | None = None  # a stats message that waits for the next tick to send it
        self.output_labels = [output.label for output in outputs] + [publisher.label for publisher in publishers]
        self._publishers = publishers
        self._outputs: dict[str, list[ActorOutput]] = {}
        for output in outputs:
            self._outputs.setdefault(output.actor, []).append(output)
        self._changes, self._clock = changes, clock
        self._fps, self._follows, self._delay = fps, follow, delay
        self._arrivals: SimpleQueue[tuple[str, PoseFrame]] = SimpleQueue()
        self._latest: dict[str, PoseFrame] = {}
        self._running = True
        self.last_fault = ""  # the first fault of an output, for people

    def arrive(self, dancer: str, frame: PoseFrame) -> None:
        """A receiver's thread brings a frame."""
        if self.timelines[dancer].put(frame):
            self.stats.rates_in[dancer].tick(frame.receive_time)
            if self._follows:
                self._arrivals.put((dancer, frame))

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
        thinking = 0.0
        for dancer, frame in arrivals:
            poses = self.pipeline.step(dancer, frame)
            while True:
                started = self._clock.now()
                pose = next(poses, None)
                thinking += self._clock.now() - started
                if pose is None:
                    break
                for output in self._outputs.get(pose.actor, ()):
                    self._send(output, pose)
                self._latest[pose.actor] = pose
                if not self.first_pose.is_set() and pose.actor in self.pipeline.partners:
                    self.first_pose.set()
        self._publish()
        self.stats.pipeline.add(thinking)
        self.stats.rate_out.tick(self._clock.now())
        self.stats.counts["ticks"] += 1

    def _send(self, output: ActorOutput, pose: PoseFrame) -> None:
        try:
            output.send(pose)
        except Exception as error:  # a fault of one output must not silence the others
            self.stats.counts["output_faults"] += 1
            self.last_fault = self.last_fault or f"{output.label}: {type(error).__name__}: {error}"

    def _follow(self) -> None:
        while self._running:
            try:
                dancer, frame = self._arrivals.get(timeout=1.0 / HELD_FPS)
            except Empty:
                self._hold_the_silent()
                continue
            waited = self._clock.now() - frame.receive_time
            if waited > STALE_WAIT_SECONDS and not self._arrivals.empty():
                self.stats.counts["dropped"] += 1
                continue
            self.step([(dancer, frame)])
            self.stats.latency.add(self._clock.now() - frame.receive_time)

    def _keep_rate(self) -> None:
        pacer = Pacer(self._clock, self._fps)
        while self._running:
            now = pacer.wait()
            self.stats.counts["late"] = pacer.skipped
            moment = now - self._delay
            poses = ((name, timeline.at(moment)) for name, timeline in self.timelines.items())
            self.step([(name, replace(pose, receive_time=now, sender_time=now)) for name, pose in poses if pose])

    def _hold_the_silent(self) -> None:
        """Steps on with the last frame of each dancer who has fallen silent."""
        now = self._clock.now()
        silent = []
        for name, timeline in self.timelines.items():
            frame = timeline.newest
            if frame is not None and now - frame.receive_time > GAP_SECONDS:
                sender_time = frame.sender_time
                if sender_time is not None:
                    sender_time += now - frame.receive_time
                silent.append((name, replace(frame, receive_time=now, sender_time=sender_time)))
        if silent:
            self.step(silent)
        else:
            self._obey()
            self._publish()

    def _obey(self) -> None:
        while self._changes is not None and not self._changes.empty():
            if not self.pipeline.apply(self._changes.get_nowait()):
                self.stats.counts["unknown_control"] += 1

    def _publish(self) -> None:
        notice, self.notice = self.notice, None
        if not self._publishers:
            return
        poses, sent = list(self._latest.values()), time.time()
        for publisher in self._publishers:
            if poses:
                publisher.send_poses(poses, self.stats.counts["ticks"], sent)
            if notice is not None:
                publisher.send_stats(notice)
