"""The command around a show: what it refuses, with one clear line and exit code 2, and what it says of the page."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import run_server
from command_line import refusal
from server import preset as presets
from server.app import Show
from server.dry_run import dry_run
from server.lines import DancerLine, PartnerLine
from server.page_command import from_here
from server.page_process import PageProcess
from server.params import Knobs
from server.pipeline import Pipeline
from server.protocols.frames import PoseFrame
from server.terminal import StatusPrinter

ROOT = Path(__file__).resolve().parents[1]
TAKE = ROOT / "presets/clips/demo_dancer.bvh"


@pytest.fixture
def preset_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a show that hears a suit on free ports, with some keys changed."""

    def write(**changes: Any) -> Path:
        partner = {"dancer": "dancer1", "model": str(ROOT / "presets/models/salsa_duet.onnx")}
        data = {"format": 1, "dancers": {"dancer1": {"receive": "vmc", "port": 0}}, "partners": {"partner1": partner}}
        data |= {"outputs": [{"send": "zmq", "bind": "tcp://127.0.0.1:*"}], "control": {"port": 0}}
        (tmp_path / "show.yaml").write_text(yaml.safe_dump(data | {"stage_page": "off"} | changes))
        return tmp_path / "show.yaml"

    return write


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"control": {"host": "no.such.invalid", "port": 1, "allow": ["10.0.0.1"]}},
            "no.such.invalid:1: .*; set control.host to an address",
        ),
        ({"outputs": [{"send": "zmq", "bind": "ipc:///no/such"}]}, "publish on 'ipc:///no/such': .*; set the output"),
        ({"outputs": [{"send": "vmc", "actor": "partner1", "host": "no.such.invalid"}]}, "no.such.invalid:39539: "),
        ({"dancers": {"dancer1": {"receive": "vmc", "allow": ["here"]}}}, r"dancer1.allow: \['here'\]: 'here' must"),
    ],
)
def test_what_cannot_be_opened_is_named_with_the_presets_file(
    preset_file: Callable[..., Path], capsys: pytest.CaptureFixture[str], changes: dict[str, Any], message: str
) -> None:
    path = preset_file(**changes)
    assert re.match(f"{path}: .*{message}", refusal(capsys, path, "--seconds", 0.1))


def test_a_recording_of_an_unknown_body_is_named_with_its_key(
    preset_file: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = TAKE.read_text().replace("Hips", "Middle").splitlines()
    motion = start.index("MOTION")
    body = [*start[:motion], "MOTION", "Frames: 1", start[motion + 2], start[motion + 3], ""]
    (tmp_path / "odd.bvh").write_text("\n".join(body))
    path = preset_file(dancers={"dancer1": {"receive": "bvh", "file": "odd.bvh"}})
    said = refusal(capsys, path, "--seconds", 0.1)
    assert said.startswith(f"{path}: dancers.dancer1.file: {tmp_path / 'odd.bvh'}: no joint for Hips")


def test_a_page_that_cannot_listen_is_refused(
    preset_file: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = preset_file(stage_page={"port": 0})
    proxy = ("--page-behind-proxy", "https://stage.example.org")
    said = refusal(capsys, path, "--seconds", 0.1, "--page-host", "no.such.invalid", *proxy)
    assert "no.such.invalid:0: " in said
    assert "set stage_page.host (--page-host)" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--page-port", "99999"], "--page-port: '99999' is not a port: 1 to 65535, or 0"),
        (["--page-host", "0.0.0.0"], "the page asks nobody who they are; put a proxy with a login before it"),
        (["--page-behind-proxy", "proxy"], "--page-behind-proxy: 'proxy' must be the address that people open"),
        (["--page-host", "a..b"], "--page-host: 'a..b' must be a host or an address"),
        (["--seconds", "-1"], "--seconds: '-1' is not a number of seconds above 0"),
        (["--render", "out.bvh"], "--render needs --input TAKE.bvh"),
        (["--input", TAKE], "go with --render OUT.bvh"),
        (["--input", "none.bvh", "--render", "out.bvh"], "--input: no file none.bvh"),
        (["--input", TAKE, "--render", "none/out.bvh"], "--render: cannot write none/out.bvh: No such file"),
        (["--input", TAKE, "--render", TAKE], f"--render: {TAKE} is the file of --input; name another one"),
        (["--input", TAKE, "--render", "out.bvh", "--render-dancer", "."], "--render-dancer: cannot write .: "),
    ],
)
def test_an_option_that_cannot_be_obeyed_is_refused_at_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[object],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in refusal(capsys, *arguments)
    assert list(tmp_path.iterdir()) == []  # nothing is left behind


def test_a_page_that_ends_is_started_again_and_one_that_always_does_is_left_alone(
    preset_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("server.app.signal.signal", lambda *_: None)
    monkeypatch.setattr("server.app.NOTICE_SECONDS", 0.01)
    monkeypatch.setattr("server.page_process.REST_SECONDS", 0.0)
    path = preset_file(stage_page={"port": 0})
    say = StatusPrinter(as_json=True, in_place=False)
    with closing(Show(presets.load(path), path)) as show:

        def heard(figures: dict[str, Any]) -> None:
            say(figures)
            if "without it" in figures["page_fault"]:
                show.stop()

        ends = [sys.executable, "-c", "raise SystemExit(3)"]
        monkeypatch.setattr(show, "_open_page", lambda: setattr(show, "_page", PageProcess(ends, {})))
        show.tick.first_pose.set()
        show.run(30.0, heard)
    assert capsys.readouterr().err.splitlines() == [
        "the stage page has ended (exit code 3) and is started again",
        "the stage page has ended 3 times (exit code 3); the show goes on without it",
    ]


@pytest.mark.parametrize(
    ("address", "reached"),
    [
        ("tcp://0.0.0.0:39550", "tcp://127.0.0.1:39550"),
        ("0.0.0.0:9002", "127.0.0.1:9002"),
        ("tcp://10.0.0.0:39550", "tcp://10.0.0.0:39550"),
        ("ipc:///tmp/show", "ipc:///tmp/show"),
    ],
)
def test_the_page_reaches_a_show_that_listens_everywhere(address: str, reached: str) -> None:
    assert from_here(address) == reached


def test_a_show_is_tried_out_and_ends(preset_file: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_server.main([str(preset_file()), "--check"]) == 0
    said = capsys.readouterr().out
    assert "dances   partner1 with dancer1: salsa_duet on cpu" in said
    assert re.search(r"125 frames: a tick takes [0-9.]+ ms \(p50\), [0-9.]+ \(p99\), of 16\.7; ready\n$", said)
    assert "Ctrl-C" not in said


def test_a_show_whose_port_is_taken_is_not_ready(
    preset_file: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = preset_file()
    with closing(Show(presets.load(path), path)) as there:
        port = there._receivers["dancer1"].port  # type: ignore[attr-defined]
        taken = preset_file(dancers={"dancer1": {"receive": "vmc", "port": port}})
        assert f"port {port} on 127.0.0.1 is in use" in refusal(capsys, taken, "--check")


class Lost:
    """A stage that raises, or one that forgets where it is."""

    params = ()

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    def reset(self) -> None: ...

    def step(self, frame: PoseFrame, dt: float, params: Knobs) -> PoseFrame:
        if self._error is not None:
            raise self._error
        return replace(frame, root_position=np.full(3, np.nan))


@pytest.mark.parametrize(
    ("error", "faults"),
    [
        (ArithmeticError("no way"), ("partner1: 7 faults; ArithmeticError: no way", "partner1: never danced")),
        (None, ("partner1: never danced",)),
    ],
)
def test_who_does_not_dance_is_named(error: Exception | None, faults: tuple[str, ...]) -> None:
    pipeline = Pipeline([DancerLine("dancer1", [], 60.0)], [PartnerLine("partner1", "dancer1", [Lost(error)])])
    assert dry_run(pipeline, 60.0, 2 / 60).faults == faults


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no such signal here")
def test_a_terminal_that_is_closed_ends_no_show(preset_file: Callable[..., Path]) -> None:
    options = ["--seconds", "5", "--log-format", "json"]
    command = [sys.executable, str(ROOT / "run_server.py"), str(preset_file()), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as show:
        assert show.stdout is not None
        assert json.loads(show.stdout.readline())["show"] == "show"
        show.stdout.close()
        show.send_signal(signal.SIGHUP)
        assert show.wait(timeout=30) == 0
