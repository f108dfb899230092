"""Startup, run, shutdown: the one place that knows everybody.

Everything that can be refused is refused before the show, with one clear message and exit code 2. Receivers have a
thread each, the tick has one, and the main thread shows figures and waits for the end.
"""

from __future__ import annotations

import gc
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from server import variants
from server.crash import CrashReports
from server.cues import CueList
from server.desk import SWITCH, Desk
from server.errands import Command
from server.experts import Experts
from server.inputs import open_inputs
from server.ladder_command import ladder_command
from server.metrics import Metrics
from server.outputs import ActorOutput, Publisher, ReadingOutput, close_outputs, open_outputs, open_reading_outputs
from server.page_command import check_port, page_command
from server.page_process import PageProcess
from server.page_secrets import PageSecrets
from server.params import Changes, ControlChange
from server.pipeline import Pipeline
from server.player_commands import player_commands
from server.preset import Preset, PresetError
from server.preset_control import Control
from server.preset_dancers import UdpDancer
from server.preset_doors import with_this_machine
from server.protocols import packed
from server.receivers import Receiver
from server.recording import Recording
from server.report import Report
from server.show import build_pipeline
from server.stages.ladder import AUTO, RUNGS
from server.stages.worker import idle
from server.steering import Steering
from server.switch import Switch
from server.tapes import Tapes
from server.tick import Successor, Tick
from server.watchdog import Watchdog

NOTICE_SECONDS = 0.2


class Show:
    """A running show: made with everything open, then `start`, `run` until told to stop, `close`.

    path: the preset's file, named in errors. record: a folder to record in from the beginning. replay: a recording
    whose dancers come instead of the preset's, at `speed`; with its seed, if no other is asked for. crashes: where
    faults of our own are reported; nowhere when None.
    Raises PresetError for whatever cannot be had.
    """

    def __init__(
        self,
        preset: Preset,
        path: Path,
        seed: int | None = None,
        record: Path | None = None,
        replay: Recording | None = None,
        speed: float = 1.0,
        crashes: Path | None = None,
    ) -> None:
        self.preset = preset
        clock = preset.clock
        self._changes = Changes()
        try:
            self.tapes = Tapes(preset, path, seed, record, replay, speed, partial(self._obey_again, path.parent))
        except ValueError as error:
            raise PresetError([str(error)]) from error
        self._experts = Experts()
        self.recorded = ""  # where a recording is and what it has, once the show is over
        pipeline = self._pipeline(preset, path)
        twin = self._twin(preset, path) if _may_rehearse(preset) and replay is None else None
        self.outputs: list[ActorOutput] = []
        self.publishers: list[Publisher] = []
        self._reading_outputs: list[ReadingOutput] = []
        self._receivers: dict[str, Receiver] = {}
        self._page: PageProcess | None = None
        self._thread: threading.Thread | None = None
        self.steering: Steering | None = None
        self._stopping = threading.Event()
        self._watchdog: Watchdog | None = None
        self._crashes: CrashReports | None = None
        try:
            self.outputs, self.publishers = open_outputs(preset)
            self._reading_outputs = open_reading_outputs(preset)
            self.tick = Tick(
                pipeline,
                self.outputs,
                self.publishers,
                self._changes,
                self.tapes.clock,
                clock.fps,
                follow=clock.follow is not None,
                delay=clock.delay_ms / 1000.0,
                twin=twin,
                bridge=clock.bridge_ms / 1000.0,
                witnesses=self.tapes.witnesses,
                answers=self.tapes.answers,
                reading_outputs=self._reading_outputs,
                judges=replay is None,
            )
            self._watchdog = Watchdog(self.tick)
            listeners = self.tapes.listeners(self.tick, twin is not None)
            self._receivers = open_inputs(preset, listeners, listens=replay is None)
            if preset.control:
                self.steering = self._open_steering(preset.control, path)
            if preset.stage_page is not None:
                check_port(preset.stage_page)
            if record is not None:
                self.tapes.recorder.start(record)
        except PresetError:
            self.close()
            raise
        except (OSError, ValueError) as error:
            self.close()
            raise PresetError([f"{path}: {error}"]) from error
        self.report = Report(path.stem, preset, self.tick, self._receivers, self.steering, self.tapes)
        if crashes is not None:
            self._crashes = CrashReports(crashes, path.name, self.tapes.recorder, lambda: self.report.newest)
        self.metrics = Metrics(lambda: self.report.newest or self.report.figures(), self.tick.stats)

    def _pipeline(self, preset: Preset, path: Path) -> Pipeline:
        """What dances."""
        seed, stages = self.tapes.seed_of(preset), self.tapes.calibrations.stages
        return self._experts.of_show(lambda apart: build_pipeline(preset, path, seed, self.tapes.worker, stages, apart))

    def _successor(self, preset: Preset, path: Path) -> Pipeline:
        """What will dance when another preset takes over."""
        pipeline = self._pipeline(preset, path)
        self.tapes.take_over(preset, path)
        return pipeline

    def _twin(self, preset: Preset, path: Path) -> Pipeline:
        """What rehearses, and what is only looked at."""
        return build_pipeline(preset, path, self.tapes.seed_of(preset), idle)

    def _open_steering(self, settings: Control, path: Path) -> Steering:
        """The desk with every command there is. Raises PresetError for cues that cannot be given."""
        cues = CueList(self.preset.cues)
        desk = Desk(self._changes, lambda: self.tick.pipeline, cues)
        switch = Switch(self.tick, self.preset, path, self._successor, self._twin, _may_rehearse(self.preset))
        if faults := switch.check(self.preset.cues):
            raise PresetError([f"{path}: {fault}" for fault in faults])
        desk.commands[SWITCH] = switch.command()
        desk.commands["show/model"] = switch.model_command()
        desk.models = switch.models
        desk.commands |= self.tapes.commands(self.tick)
        desk.commands |= player_commands(self.preset, self._receivers)
        desk.commands["show/ladder"] = Command(
            partial(ladder_command, self._changes, lambda: self.tick.pipeline),
            "who dances: a partner if one is meant, and full, light, follow, still, or auto",
            "s",
            lambda: (*RUNGS, AUTO),
        )
        desk.commands["show/calibrate"] = Command(
            partial(self.tapes.calibrations.ask, self._changes),
            "measures dancers anew: which ones, how, in how many seconds",
            "s",
            button=True,
        )
        if self.preset.stage_page is not None:
            settings = settings.model_copy(update={"allow": with_this_machine(settings)})
        return Steering(settings, desk, f"Pas de Deux {path.stem}", lambda: self.metrics())

    def start(self) -> None:
        """Every thread runs from here on; the page's process is started once a partner has left, or after a second."""
        gc.collect()
        gc.freeze()  # what start-up made stays: the collector need not look at it during the show
        sys.setswitchinterval(0.0005)  # a thread that waits for the tick's answer gets its turn sooner
        if self._crashes is not None:
            self._crashes.listen()
        dance = partial(self.tapes.run, self.tick, self._receivers, self.stop)
        self._thread = threading.Thread(target=dance, name="tick", daemon=True)
        self._thread.start()
        if self.steering:
            self.steering.start()
        if self.tapes.replay is None:
            assert self._watchdog is not None
            self._watchdog.start()
            for receiver in self._receivers.values():
                receiver.start()

    def run(self, seconds: float | None = None, on_report: Callable[[dict[str, Any]], None] | None = None) -> None:
        """Until `stop`, SIGINT or SIGTERM, or for some seconds; `on_report` gets the figures five times a second."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self.stop())
        if hasattr(signal, "SIGHUP"):  # a closed terminal or a lost connection ends no show
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        end = time.monotonic() + seconds if seconds is not None else float("inf")
        self.tick.first_pose.wait(timeout=1.0)
        self._open_page()
        while not self._stopping.wait(NOTICE_SECONDS) and time.monotonic() < end:
            self.tick.wait_for_rest(NOTICE_SECONDS)
            try:
                self.tapes.calibrations.save_changed()
                self._experts.let_go_of_the_past(self.tick.pipeline)
                page_fault = self._page.look() if self._page is not None else ""
                figures = self.report.figures() | {"page_fault": page_fault}
                self.tick.way_out.notice = packed.encode_stats(figures)
                self._tell_of_faults()
            except Exception as error:  # figures are never worth a show
                self.tick.stats.fault("report_faults", "report", error)
                continue
            if on_report is not None:
                try:
                    on_report(figures)
                except OSError:  # the terminal is gone; the show is not for it
                    on_report = None

    def crashed(self, error: Exception) -> None:
        """The show cannot go on."""
        if self._crashes is not None:
            self._crashes.write("the show", error)

    def _tell_of_faults(self) -> None:
        """What was survived is reported, too."""
        if self._crashes is not None:
            errors = {f"dancers.{name}": getattr(each, "first_error", None) for name, each in self._receivers.items()}
            self._crashes.look({"tick": self.tick.first_error, **errors})

    def stop(self) -> None:
        self._stopping.set()

    def close(self) -> None:
        """Ends threads, sockets and the page's process. Safe to call at any stage of opening."""
        for receiver in self._receivers.values():
            receiver.close()
        if self._watchdog is not None:
            self._watchdog.close()
        if self._thread is not None and self._thread.is_alive():
            self.tapes.stop()
            self.tick.stop()
            self._thread.join(timeout=2.0)
        if self.steering is not None:
            self.steering.close()
        self._experts.close()
        self.recorded = self.tapes.recorder.close()
        close_outputs(self.outputs, self.publishers, self._reading_outputs)
        if self._crashes is not None:
            self._crashes.close()
        if self._page is not None:
            self._page.close()

    def _obey_again(self, folder: Path, change: ControlChange) -> None:
        """A replay comes to a change that was obeyed live; presets are in `folder`."""
        if change.name != SWITCH:
            self._changes.put(change)
            return
        path = folder / f"{change.value}.yaml"
        self.tick.succeed(Successor(path.stem, self._successor(variants.load(path), path), None, change.seconds))

    def _open_page(self) -> None:
        page = self.preset.stage_page
        if page is None or self._stopping.is_set():
            return
        publisher = self.publishers[0].sender
        control, token = None, ""
        if self.steering is not None:
            control, token = f"{self.steering.control.host}:{self.steering.control.port}", self.steering.token
        secrets = PageSecrets(publisher.page_keys, token)
        self._page = PageProcess(page_command(page, publisher.endpoint, control), secrets.environment())


def _may_rehearse(preset: Preset) -> bool:
    """Where every dancer's next frame can be foretold: a rehearsal must not be in the way of anybody's."""
    suits = all(isinstance(dancer, UdpDancer) for dancer in preset.dancers.values())
    return bool(preset.clock.follow and preset.clock.ready_ms and suits)
