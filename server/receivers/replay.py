"""A recording as the dancers: its packets through the receivers' own decoders, its turns through the show's own tick.

One thread goes through the records in order and is the only one that acts, so what took turns live takes the same turns
again. Times are the recording's, to the bit; only when a record's moment has come is told by this machine's clock.
What leaves is compared with what left then.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from server.params import ControlChange
from server.protocols.frames import PoseFrame
from server.receivers import Fed
from server.recording import Recording
from server.records import Flush, Frame, Lost, Packet, Pose
from server.turn import Turn

SPIN_SECONDS = 0.0003  # a sleeper is woken late, so the last part of a wait is spun


class Stage(Protocol):
    """What is replayed on: the tick."""

    def arrive(self, dancer: str, frame: PoseFrame) -> None: ...

    def hold_the_silent(self, now: float) -> None: ...

    def beat(self, now: float, since: float) -> None: ...


class ReplayClock:
    """The recording's time, running on at `speed`; at speed 0 it stands between records. Begins with the first one."""

    def __init__(self, start: float, speed: float) -> None:
        self.began: float | None = None  # the first moment that was reached
        self._moment, self._speed = start, speed
        self._since = time.perf_counter()
        self._closing = threading.Event()

    def now(self) -> float:
        return self._moment + (time.perf_counter() - self._since) * self._speed

    def sleep_until(self, deadline: float, punctual: bool = True) -> None:
        self.reach(deadline)

    def reach(self, moment: float) -> bool:
        """Waits for a record's moment; False when the replay was closed meanwhile."""
        if self.began is None:
            self.began, self._since = moment, time.perf_counter()
            self._moment = moment
        if self._speed == 0.0:
            self._moment = moment
            return not self._closing.is_set()
        if self._closing.wait(max((moment - self.now()) / self._speed - SPIN_SECONDS, 0.0)):
            return False
        while self.now() < moment:
            pass
        return True

    def here(self, moment: float) -> float:
        """What this machine's clock says at a moment of the recording. Not at speed 0."""
        return self._since + (moment - self._moment) / self._speed

    def close(self) -> None:
        self._closing.set()

    @property
    def closed(self) -> bool:
        return self._closing.is_set()

    @property
    def seconds(self) -> float:
        """Of the recording that have passed."""
        return 0.0 if self.began is None else self.now() - self.began


class Replay:
    """A recording on its way through a show.

    speed: 1 as it was, 2 twice as fast, 0 as fast as it goes. foretell: hears what workers answered in the turn that
    comes. obey: takes the control changes of the turn that comes; OSError and ValueError say why it cannot.
    counts: poses `same` and `different`, `no_frame` for turns whose frame was not there, records `lost`.
    first_difference, fault: for people, empty while there is none.
    """

    def __init__(
        self,
        recording: Recording,
        speed: float,
        foretell: Callable[[Iterable[bool]], None],
        obey: Callable[[ControlChange], None],
    ) -> None:
        self.recording = recording
        self.clock = ReplayClock(recording.about.clock, speed)
        self.counts: Counter[str] = Counter()
        self.first_difference = self.fault = ""
        self.finished = False
        self._foretell, self._obey = foretell, obey
        self._coming: defaultdict[str, deque[PoseFrame]] = defaultdict(deque)  # decoded, until their turn
        self._danced: deque[PoseFrame] = deque()  # in the turn before, not compared yet

    def came(self, dancer: str, frame: PoseFrame) -> None:
        """A receiver's decoder has made a frame."""
        self._coming[dancer].append(frame)

    def turn(self, turn: Turn, frame: PoseFrame | None, poses: Sequence[PoseFrame]) -> None:
        """The tick tells what it has danced."""
        self._danced = deque(poses)

    def run(self, tick: Stage, receivers: Mapping[str, Fed]) -> None:
        """All of it; returns at its end or when closed."""
        for record in self.recording:
            match record:
                case Packet(dancer, receive_time, _, data):
                    if self.clock.reach(receive_time) and dancer in receivers:
                        receivers[dancer].take(memoryview(data), record.source, receive_time)
                case Flush(dancer, now):
                    if self.clock.reach(now) and dancer in receivers:
                        receivers[dancer].flush(now)
                case Frame(frame):
                    self.came(frame.actor, frame)
                case Turn():
                    if self.clock.reach(record.now):
                        self._take(record, tick)
                case Pose(_, pose):
                    self._compare(pose)
                case Lost(records):
                    self.counts["lost"] += records
            if self.clock.closed:
                return
        self.finished = True

    def figures(self) -> dict[str, Any]:
        """What the show says of it."""
        return {
            "folder": str(self.recording.folder),
            "seconds": round(self.clock.seconds, 1),
            "length": None,
            "paused": False,
            "same": self.counts["same"],
            "different": self.counts["different"],
        }

    def summary(self) -> str:
        """What a person reads at the end."""
        counts, folder = self.counts, self.recording.folder
        danced = counts["same"] + counts["different"]
        lines = [f"{folder}: {counts['same']} of {danced} poses are the recorded ones, bit for bit"]
        if self.first_difference:
            lines.append(f"the first that is not: {self.first_difference}")
        if self.fault:
            lines.append(self.fault)
        if counts["no_frame"]:
            lines.append(f"{counts['no_frame']} turns found no frame: what the recording has of them did not decode")
        if counts["lost"]:
            lines.append(f"{counts['lost']} records had been lost, because the disk did not keep up")
        if self.finished and self.recording.damage:
            lines.append(self.recording.damage)
        return "\n".join(lines)

    def _take(self, turn: Turn, tick: Stage) -> None:
        self._danced.clear()
        self._foretell(turn.answers)
        for change in turn.changes:
            try:
                self._obey(change)
            except (OSError, ValueError) as error:
                self.fault = self.fault or f"{change.name} {change.value} could not be obeyed: {error}"
        match turn.cause:
            case "arrive":
                frame = self._frame(turn)
                if frame is None:
                    self.counts["no_frame"] += 1
                else:
                    tick.arrive(turn.dancer, frame)
            case "hold":
                tick.hold_the_silent(turn.now)
            case "beat":
                tick.beat(turn.now, turn.since)

    def _frame(self, turn: Turn) -> PoseFrame | None:
        """The frame whose turn this is; those before it had theirs among the records that were lost."""
        coming = self._coming[turn.dancer]
        while coming:
            frame = coming.popleft()
            if (frame.number, frame.receive_time) == (turn.number, turn.now):
                return frame
        return None

    def _compare(self, recorded: PoseFrame) -> None:
        danced = self._danced.popleft() if self._danced else None
        if danced is not None and _bits(danced) == _bits(recorded):
            self.counts["same"] += 1
            return
        self.counts["different"] += 1
        seconds = recorded.receive_time - (self.clock.began or 0.0)
        self.first_difference = self.first_difference or f"{recorded.actor}, {seconds:.3f} s from the beginning"


def _bits(pose: PoseFrame) -> tuple[object, ...]:
    numbers = pose.root_position.tobytes(), pose.rotations.tobytes()
    return pose.actor, pose.number, pose.sender_time, pose.receive_time, *numbers
