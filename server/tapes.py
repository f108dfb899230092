"""A show's recorder, and the recording it replays if it does: all that the show itself has to know of either.

With a replay the show's clock, seed, dancers and workers' answers are the recording's, so its poses are, too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from server import variants
from server.about import about_show, mark
from server.calibrations import Calibrations
from server.clock import Clock, MonotonicClock
from server.errands import Arguments, Command, Listing
from server.inputs import Listener, open_inputs
from server.params import ControlChange
from server.preset import Preset
from server.preset_dancers import BvhDancer
from server.protocols.frames import PoseFrame
from server.receivers import Fed, Receiver
from server.receivers.playback import Playback
from server.receivers.replay import Replay
from server.recorder import Recorder
from server.recording import Recording, names
from server.stages.worker import Worker
from server.tick import Tick
from server.turn import Witness
from server.worker import Answers, threaded

RECORDINGS = Path("recordings")  # where `/show/record start` records a show that was started without --record


class Tapes:
    """seed: the one asked for, if any, else the recording's. folder: where recordings are, for who steers the show.

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
        self._preset, self._path, self._recording, self._folder = preset, path, recording, folder or RECORDINGS
        self._playback: Playback | None = None
        given = None
        self._first_seed, self._asked = preset.seed if seed is None else seed, seed
        if recording is not None:
            _check_dancers(recording, preset)
            given = recording.about.calibrated
            if seed in (None, recording.about.seed):
                self._first_seed = recording.about.seed
                self._asked = self._first_seed if recording.about.seed_asked else None
        self.calibrations = Calibrations(preset, path, given)
        self.answers = Answers(replaying=recording is not None)
        self.worker: Worker = self.answers.heard_by(threaded)
        self.clock: Clock = MonotonicClock()
        self.replay: Replay | None = None
        if recording is not None:
            self.replay = Replay(recording, speed, self.answers.foretell, obey)
            self.clock = self.replay.clock
        asked = self._asked is not None
        self._about = partial(about_show, preset, path, self._first_seed, asked, self.calibrations, self.clock.now)
        self.recorder = Recorder(self._about)
        self.witnesses: list[Witness] = [self.recorder] if self.replay is None else [self.recorder, self.replay]

    def seed_of(self, preset: Preset) -> int:
        """What a preset of the show is danced by: its own seed, unless one was asked for."""
        if preset is self._preset:
            return self._first_seed
        return preset.seed if self._asked is None else self._asked

    def take_over(self, preset: Preset, path: Path) -> None:
        """A preset is about to take over: a recording that runs has it from now on. Raises OSError for a lost file."""
        if self.recorder.folder is not None:
            self.recorder.take_over(mark(preset, path))

    def listeners(self, tick: Tick, rehearses: bool) -> dict[str, Listener]:
        """Who hears the dancers: the tick, and in a replay the replay, which knows when their turn is."""
        arrive = partial(self._hear, tick) if self.replay is None else self.replay.came
        return {
            name: Listener(
                partial(arrive, name),
                partial(tick.rehearse, name) if rehearses else None,
                None if isinstance(dancer, BvhDancer) else self.recorder.tap(name),
            )
            for name, dancer in self._preset.dancers.items()
        }

    def _hear(self, tick: Tick, dancer: str, frame: PoseFrame) -> None:
        if dancer not in self.recorder.played:
            tick.arrive(dancer, frame)

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
        """Ends whatever is being played."""
        if self.replay is not None:
            self.replay.clock.close()
        self._end_playback()

    def differences(self) -> list[str]:
        """Why a replay need not give the recorded poses; empty when it must."""
        if self._recording is None:
            return []
        about = self._recording.about
        there = []
        for name in dict.fromkeys(successor.name for successor in about.successors):
            path = self._path.parent / name
            with contextlib.suppress(OSError, ValueError):
                there.append(mark(variants.load(path), path))
        return about.differences(self._about(False).model_copy(update={"successors": tuple(there)}))

    def figures(self) -> dict[str, Any]:
        """For the stats message."""
        playing = self.replay or self._playback
        return {"recording": self.recorder.figures(), "replay": playing.figures() if playing else None}

    def commands(self, tick: Tick) -> dict[str, Command]:
        """`/show/record` and `/show/replay`. Which folder is not for the network to say."""
        listing = Listing(self._folder, names)
        return {
            "show/record": Command(
                self._record,
                "start: records the show from now on; stop: ends that, and says where the recording is",
                "s",
                lambda: ("start", "stop"),
                lambda: str(self.recorder.folder or ""),
            ),
            "show/replay": Command(
                partial(self._play, tick),
                "a recording's name: its dancers come instead of the live ones; start: the newest; stop: live again",
                "s",
                lambda: ("start", "stop", *self._over(listing())),
                lambda: str(self._playback.recording.folder.name if self._playback else ""),
            ),
            "show/seek": Command(self._seek, "seconds of the recording that is replayed to go to", "f"),
            "show/pause": Command(self._pause, "1: the recording that is replayed stands; 0: it goes on", "i"),
        }

    def _record(self, arguments: Arguments) -> str:
        match arguments:
            case ("start",) | (1 | True,):
                return f"records to {self.recorder.start(self._folder)}"
            case ("stop",) | (0 | False,):
                return self.recorder.stop()
            case _:
                raise ValueError("takes start or stop")

    def _play(self, tick: Tick, arguments: Arguments) -> str:
        there = self._over(names(self._folder))
        match arguments:
            case ("stop",) | (0 | False,):
                if not self._end_playback():
                    raise ValueError("nothing is being replayed")
                return "the live dancers again"
            case ("start",) | (1 | True,) if there:
                name = there[-1]
            case (str(name),) if name in there:
                pass
            case _:
                raise ValueError(f"takes stop, start or a recording's name; there are: {', '.join(there) or 'none'}")
        if self.replay is not None:
            raise ValueError("this show is a replay already")
        self._end_playback()
        recording = Recording(self._folder / name)
        _check_dancers(recording, self._preset)
        packets = {n: dancer for n, dancer in self._preset.dancers.items() if not isinstance(dancer, BvhDancer)}
        heard = {n: Listener(partial(tick.arrive, n)) for n in packets}
        receivers = open_inputs(self._preset.model_copy(update={"dancers": packets}), heard, listens=False)
        fed = {n: receiver for n, receiver in receivers.items() if isinstance(receiver, Fed)}
        self._playback = Playback(recording, tick.arrive, fed, self._played)
        self.recorder.played = self._playback.dancers
        self._playback.start()
        return f"replays {recording.folder}"

    def _seek(self, arguments: Arguments) -> str:
        seconds = arguments[0] if arguments else None
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise ValueError(f"takes seconds, not {str(seconds)[:40]!r}")
        playback = self._played_now()
        playback.seek(float(seconds))
        return f"goes on at {seconds:.1f} s of {playback.length:.1f}"

    def _pause(self, arguments: Arguments) -> str:
        on = arguments[0] if arguments else 1
        if not isinstance(on, int | float):
            raise ValueError(f"takes 1 or 0, not {str(on)[:40]!r}")
        self._played_now().pause(on >= 0.5)
        return "stands" if on >= 0.5 else "goes on"

    def _played_now(self) -> Playback:
        if (playback := self._playback) is None:
            raise ValueError("nothing is being replayed; /show/replay start plays the newest recording")
        return playback

    def _end_playback(self) -> bool:
        """Whether there was one."""
        playback = self._playback
        if playback is not None:
            playback.close()
        return playback is not None

    def _over(self, recordings: list[str]) -> list[str]:
        """All but the one that runs."""
        running = self.recorder.folder
        return [name for name in recordings if running is None or name != running.name]

    def _played(self) -> None:
        self._playback, self.recorder.played = None, frozenset()


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
