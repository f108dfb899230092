"""Recording and replay: the same bits on every path through a show, and what is left of one that was cut off."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
import zmq

import exporters.recording
from command_line import refusal
from made_up_records import about
from motion.bvh import write_bvh
from motion.clip import Clip
from motion.load import load_humanoid
from motion.skeleton import HUMANOID
from server import preset as presets
from server.app import Show
from server.clock import FakeClock
from server.params import Changes, ControlChange
from server.preset import PresetError
from server.protocols import packed
from server.protocols.osc_messages import encode
from server.protocols.vmc import VmcEncoder
from server.receivers.bvh_player import BvhPlayer
from server.receivers.replay import Replay
from server.recorder import Recorder
from server.recording import RECORDS, SHOW, Recording
from server.records import Frame, Lost, Packet, Pose
from server.senders.udp import UdpSender
from server.senders.zmq import ZmqSender
from server.show import build_pipeline
from server.stages.worker import Run, inline
from server.tick import Tick
from server.turn import Turn
from server.worker import Answers
from tests.window_models import window_model

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "presets/models/salsa_duet.onnx"
PATIENCE = 20.0  # seconds; a busy machine may be slow


@pytest.fixture(scope="module")
def take() -> Clip:
    """Five seconds of the demo dancer."""
    return load_humanoid(ROOT / "presets/clips/demo_dancer.bvh").clip[:300]


@pytest.fixture
def preset_file(tmp_path: Path, take: Clip) -> Callable[..., Path]:
    """Writes a small show on free ports, with some keys changed."""
    write_bvh(tmp_path / "take.bvh", take)

    def write(name: str = "show", **changes: Any) -> Path:
        partner = {"dancer": "dancer1", "model": str(MODEL)}
        data = {"format": 1, "dancers": {"dancer1": {"receive": "bvh", "file": "take.bvh"}}}
        data |= {"partners": {"partner1": partner}, "outputs": [], "control": {"port": 0}, "stage_page": "off"}
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(data | changes))
        return tmp_path / f"{name}.yaml"

    return write


def until(happened: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


def recorded(path: Path, perform: Callable[[Show], None], **options: Any) -> Recording:
    """A show that is recorded while `perform` does something with it."""
    folder = path.parent / "tapes"
    with closing(Show(presets.load(path), path, record=folder, **options)) as show:
        show.start()
        perform(show)
    assert show.recorded.startswith(str(folder))
    return Recording(folder)


def replayed(path: Path, recording: Recording, speed: float = 0.0, **options: Any) -> Replay:
    with closing(Show(presets.load(path), path, replay=recording, speed=speed, **options)) as show:
        assert show.tapes.differences() == []
        show.start()
        assert show.tapes.replay is not None
        assert show._stopping.wait(PATIENCE)
        return show.tapes.replay


def of(kind: type, recording: Recording) -> list[Any]:
    return [record for record in recording if isinstance(record, kind)]


# A show and its replay.


def test_the_demo_is_danced_again_bit_for_bit(preset_file: Callable[..., Path]) -> None:
    path = preset_file()

    def steer(show: Show) -> None:
        with closing(UdpSender("127.0.0.1", show.steering.control.port)) as pad:
            for ticks, address, value in ((5, "/partner1/energy", 1.4), (12, "/partner1/smoothing", 0.2)):
                until(lambda ticks=ticks: show.tick.stats.counts["ticks"] >= ticks)
                pad.send([encode(address, value)])
            for ticks, address in ((20, "/show/freeze"), (24, "/show/freeze"), (28, "/show/reset")):
                until(lambda ticks=ticks: show.tick.stats.counts["ticks"] >= ticks)
                pad.send([encode(address, 1.0 * (ticks != 24))])
        until(lambda: show.tick.stats.counts["ticks"] >= 40)

    recording = recorded(path, steer, seed=7)
    changes = [change.name for turn in of(Turn, recording) for change in turn.changes]
    assert changes == ["partner1/energy", "partner1/smoothing", "show/freeze", "show/freeze", "show/reset"]
    assert recording.damage == ""
    replay = replayed(path, recording)
    assert (replay.counts["same"], replay.counts["different"]) == (len(of(Pose, recording)), 0)
    assert replay.counts["same"] >= 80
    arrivals = [turn for turn in of(Turn, recording) if turn.cause == "arrive"]
    assert len(of(Frame, recording)) == len(arrivals)  # a file's frames come in no packets


def stream(show: Show, takes: list[Clip], frames: int) -> None:
    """Suits send as fast as they are heard, fall silent, and go on, while knobs are turned."""
    receivers = list(show._receivers.values())
    suits = [VmcEncoder(HUMANOID) for _ in takes]
    senders = [UdpSender("127.0.0.1", receiver.port) for receiver in receivers]
    players = [BvhPlayer(clip, 120.0, loop=False).frames() for clip in takes]
    changes = show._changes
    for half in range(2):
        for number in range(frames // 2):
            heard = receivers[0].counts["packets"]
            for suit, sender, player in zip(suits, senders, players, strict=True):
                sender.send(suit.encode(next(player)))
            until(lambda heard=heard: receivers[0].counts["packets"] >= heard + 2)
            if number % 20 == 0:
                changes.put(ControlChange("partner1/energy", 0.5 + number / 100))
        ticks = show.tick.stats.counts["ticks"]
        until(lambda ticks=ticks: show.tick.stats.counts["ticks"] >= ticks + 15)  # held while they are silent
        changes.put(ControlChange("show/freeze", 1.0 - half))
    for sender in senders:
        sender.close()


@pytest.mark.parametrize("clock", [{"follow": "dancer", "fps": 120}, {"fps": 120}, {"fps": 60, "delay_ms": 30}])
def test_two_suits_are_danced_again_bit_for_bit(
    preset_file: Callable[..., Path], take: Clip, clock: dict[str, Any]
) -> None:
    suits = {f"dancer{n}": {"receive": "vmc", "port": 0} for n in (1, 2)}
    partners = {f"partner{n}": {"dancer": f"dancer{n}", "model": str(MODEL)} for n in (1, 2)}
    path = preset_file(dancers=suits, partners=partners, clock=clock)

    recording = recorded(path, lambda show: stream(show, [take, take[100:]], frames=80))
    assert {packet.sender.partition(":")[0] for packet in of(Packet, recording)} == {"127.0.0.1"}
    assert {turn.cause for turn in of(Turn, recording)} == {"arrive", "hold" if "follow" in clock else "beat"}
    replay = replayed(path, recording)
    assert replay.counts["different"] == 0, replay.first_difference
    assert replay.counts["same"] == len(of(Pose, recording)) >= 120  # four actors' ticks while suits are silent
    assert replay.counts["no_frame"] == 0


def test_a_publishers_poses_are_danced_again_bit_for_bit(preset_file: Callable[..., Path], take: Clip) -> None:
    with closing(ZmqSender("tcp://127.0.0.1:*")) as publisher:
        path = preset_file(dancers={"dancer1": {"receive": "zmq", "connect": publisher.endpoint}})

        def perform(show: Show) -> None:
            for frame in BvhPlayer(take, 60.0).frames():
                publisher.send(packed.encode([replace(frame, actor="solo")], frame.number, 0.0))
                time.sleep(0.001)  # a conflating subscriber keeps the newest
                if show.tick.stats.counts["ticks"] > 60:
                    return

        recording = recorded(path, perform)
    assert len(of(Packet, recording)) > 30
    replay = replayed(path, recording)
    assert replay.counts["different"] == 0, replay.first_difference
    assert replay.counts["same"] == len(of(Pose, recording)) > 100


def switch(show: Show) -> None:
    until(lambda: show.tick.stats.counts["ticks"] >= 10)
    with closing(UdpSender("127.0.0.1", show.steering.control.port)) as pad:
        pad.send([encode("/show/preset", "other", 0.25)])
    until(lambda: show.tick.stats.counts["switches"])
    ticks = show.tick.stats.counts["ticks"]
    until(lambda: show.tick.stats.counts["ticks"] >= ticks + 20)


@pytest.mark.parametrize("options", [{}, {"seed": 3}])
def test_a_preset_that_took_over_does_so_again_with_the_seed_it_had(
    preset_file: Callable[..., Path], options: dict[str, int]
) -> None:
    path = preset_file()
    preset_file("other", seed=5)
    recording = recorded(path, switch, **options)
    switches = [change for turn in of(Turn, recording) for change in turn.changes]
    assert switches == [ControlChange("show/preset", "other", 0.25)]
    for again in ({}, {"seed": recording.about.seed}):
        replay = replayed(path, recording, **again)
        assert replay.counts["different"] == 0, replay.first_difference


def test_a_preset_that_took_over_and_is_another_one_now_is_told_before_a_replay(
    preset_file: Callable[..., Path],
) -> None:
    path = preset_file()
    model = path.parent / "other.onnx"
    model.write_bytes(MODEL.read_bytes())
    partner = {"dancer": "dancer1", "model": "other.onnx"}
    other = preset_file("other", partners={"partner1": partner})
    recording = recorded(path, switch)
    assert [mark.name for mark in recording.about.successors] == ["other.yaml"]

    def told() -> list[str]:
        with closing(Show(presets.load(path), path, replay=recording)) as show:
            return show.tapes.differences()

    assert told() == []
    model.write_bytes((ROOT / "presets/models/salsa_match.onnx").read_bytes())
    assert told() == [
        "preset other.yaml: partners.partner1.model: other.onnx is another file than the recorded other.onnx"
    ]
    preset_file("other", partners={"partner1": partner | {"params": {"counter": 1.0}}})
    assert told()[0] == "preset other.yaml is not the text that was recorded (other.yaml)"
    other.unlink()
    assert told() == ["preset other.yaml, which took over, is not there or cannot be shown"]
    with closing(Show(presets.load(path), path, replay=recording, speed=0.0)) as show:
        show.start()
        assert show._stopping.wait(PATIENCE)
    assert "show/preset other could not be obeyed: no preset" in show.tapes.replay.summary()


def test_a_disk_that_is_full_when_a_preset_takes_over_ends_the_recording_and_not_the_show(
    preset_file: Callable[..., Path],
) -> None:
    path = preset_file()
    preset_file("other", seed=5)

    def perform(show: Show) -> None:
        (show.tapes.recorder.folder / f"{SHOW}.new").mkdir()  # nothing can be written there
        switch(show)
        assert "the recording has ended: " in show.report.figures()["recording"]["fault"]

    assert recorded(path, perform).about.successors == ()


def test_what_a_dancer_was_calibrated_by_is_recorded(preset_file: Callable[..., Path], take: Clip) -> None:
    path = preset_file(
        dancers={"dancer1": {"receive": "bvh", "file": "take.bvh", "calibration": {"at": "first_frame"}}}
    )

    def dance(show: Show) -> None:
        until(lambda: show.tick.stats.counts["ticks"] >= 30)
        show.tapes.calibrations.save_changed()

    recorded(path, dance)
    kept = path.with_suffix(".calibration.json")
    before = kept.read_bytes()
    recording = recorded(path, dance)
    assert recording.about.calibrated.keys() == {"dancer1"}
    kept.write_text(json.dumps({"format": 1, "dancers": {}}))
    assert replayed(path, recording).counts["different"] == 0
    assert kept.read_bytes() != before  # a replay leaves the file alone


def test_a_late_answer_of_a_worker_is_as_late_again(preset_file: Callable[..., Path], take: Clip) -> None:
    """A worker that answers when it likes, and in the replay at once: what it was when asked decides."""
    window_model(preset_file().parent / "noise.onnx", "noise")
    path = preset_file(partners={"partner1": {"dancer": "dancer1", "model": "noise.onnx"}}, clock={"fps": 60})
    frames = list(BvhPlayer(take[:200], 60.0, loop=False).frames())

    class Slow(Future[Any]):
        """Done when asked for the third time."""

        asked = 0

        def done(self) -> bool:
            self.asked += 1
            return self.asked >= 3

    def slow() -> Run:
        run = inline()

        def work(what: Callable[[], Any]) -> Future[Any]:
            future = Slow()
            future.set_result(run(what).result())
            return future

        return work

    answers = Answers()
    pipeline = build_pipeline(presets.load(path), path, 1, answers.heard_by(slow))
    recorder = Recorder(about)
    folder = recorder.start(path.parent / "tapes")
    tick = Tick(pipeline, [], [], None, FakeClock(), 60.0, follow=True, witnesses=[recorder], answers=answers)
    for frame in frames:
        tick.arrive("dancer1", frame)
    recorder.stop()
    assert pipeline.partners["partner1"].counts["late_windows"] > 10

    again = Answers(replaying=True)
    replay = Replay(Recording(folder), 0.0, again.foretell, Changes().put)
    pipeline = build_pipeline(presets.load(path), path, 1, again.heard_by(inline))
    tick = Tick(pipeline, [], [], None, replay.clock, 60.0, follow=True, witnesses=[replay], answers=again)
    replay.run(tick, {})
    assert (replay.counts["same"], replay.counts["different"]) == (2 * len(frames), 0)


def test_a_replay_keeps_the_recordings_time(preset_file: Callable[..., Path]) -> None:
    path = preset_file()
    recording = recorded(path, lambda show: until(lambda: show.tick.stats.counts["ticks"] >= 60))
    turns = of(Turn, recording)
    seconds = turns[-1].now - turns[0].now
    began = time.perf_counter()
    replay = replayed(path, recording, speed=4.0)
    assert time.perf_counter() - began >= seconds / 4.0
    assert replay.counts["different"] == 0


def test_another_seed_is_told_to_differ_and_does(preset_file: Callable[..., Path]) -> None:
    path = preset_file()
    recording = recorded(path, lambda show: until(lambda: show.tick.stats.counts["ticks"] >= 20))
    with closing(Show(presets.load(path), path, seed=2, replay=recording, speed=0.0)) as show:
        assert show.tapes.differences() == ["seed 2 here, 1 in the recording"]
        show.start()
        assert show._stopping.wait(PATIENCE)
    assert show.tapes.replay.counts["different"] > 0
    assert "partner1, " in show.tapes.replay.summary()


def test_a_recording_that_begins_later_says_that_it_is_not_whole(preset_file: Callable[..., Path]) -> None:
    path = preset_file()
    folder = path.parent / "tapes"
    with closing(Show(presets.load(path), path)) as show:
        show.start()
        until(lambda: show.tick.stats.counts["ticks"] >= 5)
        first = show.tapes.recorder.start(folder)
        with pytest.raises(ValueError, match="already; stop that first"):
            show.tapes.recorder.start(folder)
        until(lambda: show.tapes.recorder.counts["records"] >= 16)
        assert str(first) in show.tapes.recorder.stop()
        second = show.tapes.recorder.start(folder)
    assert first != second
    assert Recording(first).about.differences(Recording(second).about)[0] == (
        "the recording began in the middle of a show"
    )
    assert len(of(Turn, Recording(first))) >= 4


def test_a_recordings_dancers_dance_in_a_show_that_goes_on(preset_file: Callable[..., Path], take: Clip) -> None:
    path = preset_file(dancers={"dancer1": {"receive": "vmc", "port": 0}})
    first = recorded(path, lambda show: stream(show, [take], frames=40))
    said: list[str] = []

    def rehearse(show: Show) -> None:
        ask = show.steering.desk.commands["show/replay"].run
        with pytest.raises(
            ValueError, match=f"takes stop, start or a recording's name; there are: {first.folder.name}$"
        ):
            ask(("../else",))
        said.append(ask(("start",)))
        assert show.report.figures()["replay"]["folder"] == str(first.folder)
        ticks = len([turn for turn in of(Turn, first) if turn.cause == "arrive"])
        until(lambda: show.tick.stats.counts["ticks"] >= ticks)
        until(lambda: show.tapes.figures()["replay"] is None)
        with pytest.raises(ValueError, match="nothing is being replayed"):
            ask(("stop",))
        stream(show, [take], frames=20)  # the live dancer is heard again

    second = recorded(path, rehearse)
    assert said == [f"replays {first.folder}"]
    assert second.folder != first.folder
    assert len(of(Frame, second)) >= 40
    assert len(of(Packet, second)) >= 40
    replay = replayed(path, second)
    assert replay.counts["different"] == 0, replay.first_difference


# Killed, full, slow.


def show_process(path: Path, *arguments: str, limit: int | None = None) -> subprocess.Popen[str]:
    """run_server on a preset; limit: how large a file it may write, in bytes, as a full disk would have it."""
    program = "import sys, run_server; sys.exit(run_server.main(sys.argv[1:]))"
    if limit is not None:
        program = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); {program}"
    command = [sys.executable, "-c", program, str(path), "--record", str(path.parent / "tapes"), *arguments]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_killed_show_has_lost_no_more_than_its_last_second(preset_file: Callable[..., Path]) -> None:
    with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
        endpoint = f"ipc://{preset_file().parent}/poses"
        path = preset_file(outputs=[{"send": "zmq", "bind": endpoint}])
        subscriber.setsockopt(zmq.RCVTIMEO, int(1000 * PATIENCE))
        subscriber.subscribe(packed.POSE_TOPIC)
        subscriber.connect(endpoint)
        process = show_process(path)
        tick = 0
        while tick < 90:  # a second and a half
            tick = packed.decode(subscriber.recv())[1].tick
        process.send_signal(signal.SIGKILL)
        process.communicate()
    recording = Recording(path.parent / "tapes")
    assert of(Pose, recording)[-1].tick >= tick - 60
    assert recording.damage
    assert replayed(path, recording).counts["different"] == 0


def test_a_full_disk_ends_the_recording_and_not_the_show(preset_file: Callable[..., Path]) -> None:
    process = show_process(preset_file(), "--seconds", "1.5", limit=100_000)
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert errors.startswith("the recording has ended: ")
    assert errors.count("File too large") == 1
    recording = Recording(preset_file().parent / "tapes")
    assert len(of(Pose, recording)) > 50
    assert "do not read" in recording.damage
    assert (recording.folder / RECORDS).stat().st_size == 100_000
    assert f"{recording.folder}: " in said


def test_a_disk_that_is_full_already_is_refused(preset_file: Callable[..., Path]) -> None:
    path = preset_file(dancers={"dancer1": {"receive": "vmc", "port": 0}})
    process = show_process(path, "--seconds", "0.1", limit=100)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert re.search("show.yaml: cannot record to .*/tapes: File too large; name a folder with room", errors)
    assert list((path.parent / "tapes").iterdir()) == []


def test_what_the_disk_does_not_keep_up_with_is_counted_and_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.recorder.WRITE_SECONDS", 3600.0)
    monkeypatch.setattr("server.recorder.MOST_WAITING", 3)
    recorder = Recorder(about)
    folder = recorder.start(tmp_path)
    for number in range(8):
        recorder.turn(Turn("hold", number, 0.0), None, [])
    assert "5 were lost" in recorder.stop()
    assert [type(record) for record in Recording(folder)] == [Turn, Turn, Turn, Lost]


# Refused.


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--speed", "1"], "--speed goes with --replay DIR"),
        (["--replay", "none"], "no folder none; name one that --record wrote"),
        (["--replay", "."], "no recording in .: neither it nor a folder in it has a show.json"),
        (["--replay", ".", "--speed", "-1"], "'-1' is not a speed: 1 as it was, 2 twice as fast, 0 as fast as it goes"),
        (["--record", "show.yaml"], "cannot record to show.yaml: "),
        (["--record", "x", "--render", "x.bvh"], "--record and --replay go with a show, not with --render"),
    ],
)
def test_what_cannot_be_recorded_or_replayed_is_refused(
    preset_file: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in refusal(capsys, preset_file(), *arguments, "--seconds", 0.1)


@pytest.mark.parametrize(
    ("dancers", "said"),
    [
        ({"solo": {"receive": "vmc", "port": 0}}, "has a dancer 'dancer1', the preset has: solo"),
        ({"dancer1": {"receive": "mocopi", "port": 0}}, "dancers.dancer1 receives mocopi; .* came for them as vmc"),
    ],
)
def test_a_recording_of_other_dancers_is_refused(
    preset_file: Callable[..., Path], dancers: dict[str, Any], said: str
) -> None:
    path = preset_file(dancers={"dancer1": {"receive": "vmc", "port": 0}})
    recording = recorded(path, lambda show: None)
    partner = {"dancer": next(iter(dancers)), "model": str(MODEL)}
    path = preset_file("other", dancers=dancers, partners={"partner1": partner})
    with pytest.raises(PresetError, match=said):
        Show(presets.load(path), path, replay=recording)


# To BVH.


def test_a_recording_becomes_bvh_at_an_even_rate(
    preset_file: Callable[..., Path], tmp_path: Path, take: Clip, capsys: pytest.CaptureFixture[str]
) -> None:
    path = preset_file()
    recording = recorded(path, lambda show: until(lambda: show.tick.stats.counts["ticks"] >= 40))
    assert exporters.recording.main([str(tmp_path / "tapes"), "--out", str(tmp_path / "bvh")]) == 0
    danced = [record.frame for record in of(Pose, recording) if record.frame.actor == "partner1"]
    clip = load_humanoid(tmp_path / "bvh/partner1.bvh").clip
    assert len(clip) == round(60.0 * (danced[-1].sender_time - danced[0].sender_time)) + 1
    np.testing.assert_allclose(clip.root_positions[-1], danced[-1].root_position, atol=1e-5)  # BVH's decimals
    assert "dancer1.bvh: " in capsys.readouterr().out
    assert exporters.recording.main([str(tmp_path / "bvh"), "--out", str(tmp_path / "bvh")]) == 2
