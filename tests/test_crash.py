"""Crash reports: what is in them, that the last second replays, and that nothing else comes of a fault."""

import json
import threading
from collections import deque
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import run_server
from motion import rotations as rot
from motion.skeleton import HUMANOID
from server import crash, recorder
from server import preset as presets
from server.app import Show
from server.clock import FakeClock
from server.protocols.frames import PoseFrame
from server.protocols.vmc import VmcEncoder
from server.receivers import Fed
from server.recorder import KEPT_SECONDS, MOST_KEPT, Recorder
from server.recording import About, Recording
from server.records import Packet, Pose
from server.turn import Turn

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def preset_file(tmp_path: Path) -> Path:
    """A show that hears a suit on a free port."""
    partner = {"dancer": "dancer1", "model": str(ROOT / "presets/models/salsa_duet.onnx")}
    data = {
        "format": 1,
        "seed": 1,
        "dancers": {"dancer1": {"receive": "vmc", "port": 0}},
        "partners": {"partner1": partner},
        "outputs": [{"send": "zmq", "bind": "tcp://127.0.0.1:*"}],
        "control": "off",
        "stage_page": "off",
    }
    (tmp_path / "show.yaml").write_text(yaml.safe_dump(data))
    return tmp_path / "show.yaml"


def about(whole: bool = True) -> About:
    return About(
        begun="", clock=0.0, whole=whole, preset="", text="", seed=1, fps=60.0, files={}, versions={}, dancers={}
    )


def standing(number: int, moment: float) -> PoseFrame:
    rotations = np.tile(rot.IDENTITY, (len(HUMANOID), 1))
    root = HUMANOID.offsets[0] + np.array([0.001 * number, 0.0, 0.0])
    return PoseFrame(HUMANOID, root, rotations, moment, moment, number, "dancer1")


def danced(show: Show, frames: int) -> None:
    """A suit's datagrams, as if they came just now."""
    encoder = VmcEncoder()
    receiver: Fed = show._receivers["dancer1"]  # type: ignore[assignment]
    for number in range(frames):
        for datagram in encoder.encode(standing(number, number / 60.0)):
            receiver.take(memoryview(datagram), ("127.0.0.1", 40000), show.tick.clock.now())


def told(folder: Path) -> dict[str, Any]:
    (report,) = folder.glob(f"*/{crash.REPORT}")
    return json.loads(report.read_text())


def test_a_show_that_breaks_off_leaves_what_it_was_and_a_second_that_dances_again(
    preset_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def dance_and_break(show: Show, *_: object) -> None:
        danced(show, 30)
        show.report.figures()
        raise ZeroDivisionError("the floor is gone")

    monkeypatch.setattr(Show, "run", dance_and_break)
    folder = tmp_path / "crashes"
    assert run_server.main([str(preset_file), "--crash-reports", str(folder)]) == 1
    said = capsys.readouterr().err
    assert "dance_and_break" in said
    assert f"the show: ZeroDivisionError: the floor is gone; {folder}" in said
    report = told(folder)
    assert report["error"] == "ZeroDivisionError: the floor is gone"
    assert any("dance_and_break" in line for line in report["traceback"])
    assert report["preset"] == "show.yaml"
    assert report["versions"]["numpy"] == np.__version__
    assert report["figures"]["ticks"] >= 29
    recording = Recording(folder)
    assert sum(isinstance(record, Packet) for record in recording) >= 30
    assert recording.damage == ""
    monkeypatch.undo()
    with closing(Show(presets.load(preset_file), preset_file, replay=recording, speed=0.0)) as again:
        again.start()
        assert again._stopping.wait(30.0)
        assert again.tapes.replay is not None
        assert again.tapes.replay.counts["different"] == 0  # the whole show was within the second
        assert again.tapes.replay.counts["same"] >= 58


def test_a_thread_that_ends_by_a_fault_is_reported_and_the_hook_before_is_called(
    preset_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda ended: heard.append(ended.thread.name))
    before = threading.excepthook
    with closing(Show(presets.load(preset_file), preset_file, crashes=tmp_path / "crashes")) as show:
        show.start()
        fallen = threading.Thread(target=lambda: [][0], name="extra")
        fallen.start()
        fallen.join()
    report = told(tmp_path / "crashes")
    assert report["where"] == "thread extra"
    assert report["error"].startswith("IndexError")
    assert heard == ["extra"]
    assert threading.excepthook is before


def test_a_fault_that_the_show_survives_is_reported_once(preset_file: Path, tmp_path: Path) -> None:
    with closing(Show(presets.load(preset_file), preset_file, crashes=tmp_path / "crashes")) as show:
        show.tick._survive(lambda: {}["no such key"])
        for _ in range(3):
            show._tell_of_faults()
            show.tick._survive(lambda: {}["no such key"])
    report = told(tmp_path / "crashes")
    assert (report["where"], report["error"]) == ("tick", "KeyError: 'no such key'")


def test_a_receivers_own_fault_is_reported(preset_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Show(presets.load(preset_file), preset_file, crashes=tmp_path / "crashes")) as show:
        monkeypatch.setattr(show.tick.pipeline, "step", lambda *_: 1 / 0)
        danced(show, 2)
        show._tell_of_faults()
    assert told(tmp_path / "crashes")["error"] == "ZeroDivisionError: division by zero"


def test_where_nothing_can_be_written_the_show_goes_on_and_says_so(
    preset_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "crashes").write_text("a file")
    with closing(Show(presets.load(preset_file), preset_file, crashes=tmp_path / "crashes")) as show:
        show.tick._survive(lambda: 1 / 0)
        show._tell_of_faults()
    assert "ZeroDivisionError: division by zero; no report of it: cannot record to" in caplog.text


def test_what_is_told_is_told_though_the_last_second_cannot_be_written(preset_file: Path, tmp_path: Path) -> None:
    with closing(Show(presets.load(preset_file), preset_file, crashes=tmp_path / "crashes")) as show:
        text = preset_file.read_text()
        preset_file.unlink()
        show.crashed(ValueError("broken"))
        preset_file.write_text(text)
    assert told(tmp_path / "crashes")["recording"].startswith("none: FileNotFoundError")


def test_a_show_reports_so_many_faults_at_most(preset_file: Path, tmp_path: Path) -> None:
    with closing(Show(presets.load(preset_file), preset_file, crashes=tmp_path / "crashes")) as show:
        for number in range(20):
            show.crashed(ValueError(str(number)))
    assert len(list((tmp_path / "crashes").iterdir())) == crash.MOST_REPORTS


def test_a_second_is_kept_and_no_more(tmp_path: Path) -> None:
    clock, tapes = FakeClock(), Recorder(about)
    tap = tapes.tap("dancer1")
    for number in range(600):
        moment = clock.now()
        tap.packet(b"frame %d" % number, ("127.0.0.1", 1), moment)
        tapes.turn(Turn("arrive", number, moment, "dancer1", number), None, [standing(number, moment)])
        clock.sleep_until(moment + 1.0 / 120.0)
    tapes.save_last_second(tmp_path)
    records = list(Recording(tmp_path))
    packets = [record for record in records if isinstance(record, Packet)]
    assert packets[-1].data == b"frame 599"
    assert 119 <= len(packets) <= 122
    assert packets[-1].receive_time - packets[0].receive_time <= KEPT_SECONDS + 1e-6
    assert sum(isinstance(record, Pose) for record in records) == len(packets)
    assert Recording(tmp_path).about.clock == packets[0].receive_time


def test_a_flood_without_a_turn_keeps_so_many_and_none_that_is_long() -> None:
    tapes = Recorder(about)
    tap = tapes.tap("dancer1")
    for _ in range(2 * MOST_KEPT):
        tap.packet(b"x", ("127.0.0.1", 1), 0.0)
    tap.packet(bytes(recorder.LONGEST_KEPT + 1), ("127.0.0.1", 1), 0.0)
    kept: deque[Any] = tapes._last
    assert len(kept) == MOST_KEPT
    assert max(len(packet.data) for _, packet in kept) == 1


@pytest.mark.parametrize("going_back", [False, True])
def test_a_turn_before_the_last_one_takes_nothing_out(going_back: bool) -> None:
    tapes = Recorder(about)
    first = Turn("beat", 0, 10.0)
    tapes.turn(first, None, [])
    tapes.turn(replace(first, tick=1, now=5.0 if going_back else 10.5), None, [])
    assert len(tapes._last) == 2
