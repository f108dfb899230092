"""A show's recorder, and the recording it replays if it does: all that the show itself has to know of either.

With a replay the show's clock, seed, dancers and workers' answers are the recording's, so its poses are, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from server.calibrations import Calibrations
from server.clock import Clock, MonotonicClock
from server.errands import Arguments, Command
from server.inputs import Listener
from server.params import ControlChange
from server.preset import Preset
from server.preset_dancers import BvhDancer
from server.receivers import Fed, Receiver
from server.receivers.replay import Replay
from server.recorder import Recorder, about_show
from server.recording import Recording
from server.stages.worker import Worker
from server.tick import Tick
from server.turn import Witness
from server.worker import Answers, threaded

RECORDINGS = Path("recordings")  # where `/show/record start` records a show that was started without --record


class Tapes:
    """seed: the one asked for, else the recording's, else None. folder: where to record when told to.

    obey: takes the control changes that a replay comes to. Raises ValueError when the preset has nobody who could take
    what a dancer of the recording was sent.
    """

    def __init__(
        self,
        preset: Preset,
        path: Path,
        seed: int | None,
        folder: Path | None,
        recording: Recording | None,
        speed: float,
        obey: Callable[[ControlChange], None],
    ) -> None:
        self._recording, self._folder = recording, folder or RECORDINGS
        given = None
        if recording is not None:
            _check_dancers(recording, preset)
            given = recording.about.calibrated
            seed = recording.about.seed if seed is None else seed
        self.seed = seed
        self.calibrations = Calibrations(preset, path, given)
        self.answers = Answers(replaying=recording is not None)
        self.worker: Worker = self.answers.heard_by(threaded)
        self.clock: Clock = MonotonicClock()
        self.replay: Replay | None = None
        if recording is not None:
            self.replay = Replay(recording, speed, self.answers.foretell, obey)
            self.clock = self.replay.clock
        first_seed = preset.seed if seed is None else seed
        self._about = partial(about_show, preset, path, first_seed, self.calibrations, self.clock.now)
        self.recorder = Recorder(self._about)
        self.witnesses: list[Witness] = [self.recorder] if self.replay is None else [self.recorder, self.replay]

    def listeners(self, preset: Preset, tick: Tick, rehearses: bool) -> dict[str, Listener]:
        """Who hears the dancers: the tick, and in a replay the replay, which knows when their turn is."""
        arrive = tick.arrive if self.replay is None else self.replay.came
        return {
            name: Listener(
                partial(arrive, name),
                partial(tick.rehearse, name) if rehearses else None,
                None if isinstance(dancer, BvhDancer) else self.recorder.tap(name),
            )
            for name, dancer in preset.dancers.items()
        }

    def run(self, tick: Tick, receivers: Mapping[str, Receiver], over: Callable[[], None]) -> None:
        """In the tick's thread: dances until stopped; at the end of a replay `over` is called."""
        if self.replay is None:
            tick.run()
            return
        try:
            self.replay.run(tick, {name: fed for name, fed in receivers.items() if isinstance(fed, Fed)})
        finally:
            over()

    def stop(self) -> None:
        if self.replay is not None:
            self.replay.close()

    def differences(self) -> list[str]:
        """Why a replay need not give the recorded poses; empty when it must."""
        return [] if self._recording is None else self._recording.about.differences(self._about(False))

    def figures(self) -> dict[str, Any]:
        """For the stats message."""
        return {"recording": self.recorder.figures(), "replay": self.replay.figures() if self.replay else None}

    def command(self) -> Command:
        """`/show/record`. Where to is not for the network to say."""
        about = "start: records the show from now on; stop: ends the recording, and says where it is"
        return Command(self._told, about, "s", lambda: ("start", "stop"), lambda: str(self.recorder.folder or ""))

    def _told(self, arguments: Arguments) -> str:
        match arguments:
            case ("start",) | (1 | True,):
                return f"records to {self.recorder.start(self._folder)}"
            case ("stop",) | (0 | False,):
                return self.recorder.stop()
            case _:
                raise ValueError("takes start or stop")


def _check_dancers(recording: Recording, preset: Preset) -> None:
    for name, receive in recording.about.dancers.items():
        dancer = preset.dancers.get(name)
        if dancer is None:
            there = ", ".join(preset.dancers)
            raise ValueError(f"{recording.folder} has a dancer {name!r}, the preset has: {there}")
        if dancer.receive != receive and receive != "bvh":  # a file's frames were recorded as they were danced
            raise ValueError(
                f"dancers.{name} receives {dancer.receive}; {recording.folder} has what came for them as {receive}"
            )
