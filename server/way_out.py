"""The way out of the show: poses leave as they are danced, and the watchdog's instead while a turn is stuck.

Either sends, never both at once. A fault of one output is counted and silences no other.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from server.clock import Clock
from server.outputs import ActorOutput, Publisher, ReadingOutput
from server.pipeline import Pipeline
from server.protocols.effort import Reading
from server.protocols.frames import PoseFrame
from server.stats import Stats

PATIENCE = 0.8  # of a frame's time: after that a pose that does not come is stood in for
_EARLY = 1e-6  # seconds


class WayOut:
    """outputs: of one actor each; publishers: of all at once. period: seconds from frame to frame."""

    def __init__(
        self,
        outputs: Sequence[ActorOutput],
        publishers: Sequence[Publisher],
        reading_outputs: Sequence[ReadingOutput],
        clock: Clock,
        stats: Stats,
        period: float,
    ) -> None:
        self.all_outputs: list[ActorOutput | Publisher | ReadingOutput] = [*outputs, *publishers, *reading_outputs]
        self.by_actor: dict[str, list[ActorOutput]] = {}
        for output in outputs:
            self.by_actor.setdefault(output.actor, []).append(output)
        self.latest: dict[str, PoseFrame] = {}  # that was sent of each actor
        self.notice: bytes | None = None  # a stats message that waits for the next turn to send it
        self._publishers, self._reading_outputs = publishers, reading_outputs
        self._clock, self._stats, self._period = clock, stats, period
        self._sending = threading.Lock()  # who has it may send
        self._waiting_since: float | None = None  # when the pipeline was asked for the pose that has not come yet
        self._left: dict[str, float] = {}  # when an actor's pose was sent last
        self._stood_in: dict[str, float] = {}  # for whom in this turn, and when

    def wait(self) -> float:
        """From now on, which is returned, a pose is waited for."""
        self._waiting_since = now = self._clock.now()
        return now

    def leave(self, pose: PoseFrame | None) -> float:
        """It has come, None: there is no other in this turn. Sends it, unless a later one was sent in its stead.

        Returns when it came.
        """
        with self._sending:
            self._waiting_since, now = None, self._clock.now()
            if pose is not None:
                self._left[pose.actor] = now
                if pose.receive_time > self._stood_in.pop(pose.actor, -math.inf):
                    self._send(pose)
        return now

    def wait_no_more(self) -> None:
        """No pose is going to come in this turn, whatever happened."""
        self._waiting_since = None

    def publish(self) -> None:
        """To those who get all actors at once: the turn's last packets."""
        with self._sending:
            self._publish()

    def notify(self) -> None:
        """A turn without poses: only the notice leaves, if there is one."""
        with self._sending:
            self._notify()

    def tell(self, readings: Iterable[Reading]) -> None:
        """What was read of poses, once they have left."""
        for reading in readings:
            for output in self._reading_outputs:
                self._guarded(output, output.send, reading)

    def stand_in(self, now: float, pipeline: Pipeline) -> float:
        """The watchdog's: where a turn is stuck, whoever has not left for too long is stood in for.

        Returns when to look again. What is sent so is not of the turn: a recording has what was danced.
        """
        since, period = self._waiting_since, self._period
        if since is None:
            return max(now, max(self._left.values(), default=now) + period) + PATIENCE * period
        if now < since + PATIENCE * period - _EARLY:
            return since + PATIENCE * period
        with self._sending:
            if self._waiting_since != since or pipeline.frozen:
                return now + PATIENCE * period
            sent = False
            for name, line in pipeline.partners.items():
                patience = period if name in self._stood_in else (1.0 + PATIENCE) * period
                pose = line.stand_in(now) if now - self._left.get(name, now) > patience - _EARLY else None
                if pose is not None:
                    self._left[name] = self._stood_in[name] = now
                    self._send(pose)
                    self._stats.counts["stood_in"] += 1
                    sent = True
            if sent:
                self._publish()
        return now + period

    def take_over(self, pipeline: Pipeline) -> None:
        """Another show dances: who is not in it is sent no more."""
        for gone in self.latest.keys() - pipeline.dancers.keys() - pipeline.partners.keys():
            del self.latest[gone]
        for publisher in self._publishers:
            publisher.partners = frozenset(pipeline.partners)

    def _send(self, pose: PoseFrame) -> None:
        for output in self.by_actor.get(pose.actor, ()):
            self._guarded(output, output.send, pose)
        self.latest[pose.actor] = pose

    def _publish(self) -> None:
        poses, sent = list(self.latest.values()), time.time()
        if poses:
            for publisher in self._publishers:
                self._guarded(publisher, publisher.send_poses, poses, self._stats.counts["ticks"], sent)
        self._notify()

    def _notify(self) -> None:
        notice, self.notice = self.notice, None
        if notice is not None:
            for publisher in self._publishers:
                self._guarded(publisher, publisher.send_stats, notice)

    def _guarded(self, output: ActorOutput | Publisher | ReadingOutput, send: Callable[..., None], *what: Any) -> None:
        try:
            send(*what)
        except Exception as error:
            self._stats.fault("output_faults", output.label, error)
