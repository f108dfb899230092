"""The labelling page in a browser and as a command: clicks and keys reach the file, what cannot begin is refused."""

import csv
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from browsing import browse, tell
from made_up_takes import made_up_clip
from motion.bvh import write_bvh
from server.stage_view.opening import Stage
from training import evaluate_report, label, labels
from training.label_page import REACTION, Page

SETS = ("--set", "time=low,medium,high", "--set", "space=direct,indirect")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("takes")
    for name in ("a", "b"):
        write_bvh(folder / f"{name}.bvh", made_up_clip(3.0, 30.0))
    return folder


class Browser:
    """A page on a free port, a viewer who clicks and presses keys, and a clock."""

    def __init__(self, *arguments: str) -> None:
        self.session, others = label.begin(label.parse([*arguments]))
        self.server = Stage("127.0.0.1", 0)
        self.page, self.now = Page(self.server, self.session, others), 0.0
        self._viewer = browse(self.server)

    def click(self, name: str) -> None:
        button = self.page.buttons[name]
        self._ask({"type": "GuiUpdateMessage", "uuid": button._impl.uuid, "updates": {"value": True}})

    def press(self, key: str) -> None:
        (uuid,) = (each._impl.uuid for each in self.page.commands.values() if each.hotkey == key)
        self._ask({"type": "CommandTriggerMessage", "uuid": uuid})

    def drag(self, value: float) -> None:
        place = self.page.place._impl.uuid
        self._ask({"type": "GuiUpdateMessage", "uuid": place, "updates": {"value": value}})

    def turn(self, seconds: float) -> None:
        self.now += seconds
        self.page.turn(self.now)

    def body(self) -> np.ndarray:
        return self.server.scene.get_handle_by_name("/stage/limbs").batched_positions.copy()

    def told(self) -> str:
        return self.page.head.content + self.page.agreement.content

    def close(self) -> None:
        self._viewer.close()
        self.server.stop()

    def _ask(self, message: dict) -> None:
        """Sends it and lets the page obey, a person's time after the last."""
        tell(self._viewer, message)
        end = time.monotonic() + 5.0
        while not self.page.asked:
            assert time.monotonic() < end
        self.turn(REACTION + 0.1)


@pytest.fixture
def open_page(recordings: Path, tmp_path: Path) -> Iterator[Callable[..., Browser]]:
    opened = []

    def start(*arguments: str) -> Browser:
        given = arguments or (str(recordings), *SETS[:2], "--labels", str(tmp_path / "labels.csv"), "--drop-first", "0")
        opened.append(Browser(*given))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


def test_buttons_and_keys_write_and_undo(open_page: Callable[..., Browser], tmp_path: Path) -> None:
    page = open_page()
    page.press("Z")
    assert "nothing to undo" in page.told()
    page.click("time/low")
    page.press("3")
    assert [each.label for each in labels.read(tmp_path / "labels.csv")] == ["low", "high"]
    assert "<b>2 of 4</b>" in page.told()
    assert "low 1, medium 0, high 1" in page.told()
    page.press("Z")
    assert [each.label for each in labels.read(tmp_path / "labels.csv")] == ["low"]
    page.press("X")
    assert "1 cannot be told" in page.told()
    page.press("P")
    page.press("P")
    assert page.page.buttons["time/low"].color != page.page.buttons["time/high"].color


def test_a_double_click_is_one_click(open_page: Callable[..., Browser], tmp_path: Path) -> None:
    page = open_page()
    page.click("time/low")
    page.now -= REACTION  # the next one comes at once
    page.click("time/low")
    assert len(labels.read(tmp_path / "labels.csv")) == 1
    page.click("time/low")
    assert len(labels.read(tmp_path / "labels.csv")) == 2


def test_the_window_is_danced_round_and_round_until_it_is_paused(open_page: Callable[..., Browser]) -> None:
    page = open_page()
    poses = []
    for _ in range(120):
        page.turn(1 / 30)
        poses.append(page.body())
    assert not np.array_equal(poses[0], poses[20])
    assert sum(np.array_equal(pose, poses[0]) for pose in poses) >= 2
    page.press("space")
    still = page.body()
    page.turn(0.3)
    assert np.array_equal(page.body(), still)
    page.drag(0.0)
    first = page.body()
    page.press("B")
    page.turn(0.3)
    assert not np.array_equal(page.body(), first)


def test_the_end_is_said_and_nobody_is_on_stage(open_page: Callable[..., Browser]) -> None:
    page = open_page()
    for _ in range(4):
        page.click("time/low")
    assert page.server.scene.get_handle_by_name("/stage/limbs") is None
    assert "<b>4 of 4</b>" in page.told()
    page.click("undo")
    assert page.server.scene.get_handle_by_name("/stage/limbs") is not None


def test_what_cannot_be_written_is_said_and_not_counted(open_page: Callable[..., Browser], tmp_path: Path) -> None:
    page = open_page()
    (tmp_path / "labels.csv").write_text("take,start,end,label set,label\n")
    page.click("time/low")
    assert "another program has changed" in page.told()
    assert "<b>0 of 4</b>" in page.told()


def test_the_page_tells_agreement_with_oneself_and_with_others(
    open_page: Callable[..., Browser], recordings: Path, tmp_path: Path
) -> None:
    mine, others = tmp_path / "ada.csv", tmp_path / "ben.csv"
    shared = (str(recordings), *SETS[:2], "--drop-first", "0")
    ben = open_page(*shared, "--labels", str(others))
    for each in ("low", "high", "low", "high"):
        ben.click(f"time/{each}")
    ada = open_page(*shared, "--labels", str(mine), "--others", str(others), "--repeat", "1")
    for each in ("low", "high", "low", "low", *["low"] * 4):
        ada.click(f"time/{each}")
    assert "ben.csv, time: kappa 0.50, 75 % equal of 4" in ada.told()
    assert "with yourself, time: kappa 0.00" in ada.told()
    assert ada.session.card is None


def blind(folder: Path) -> Path:
    for name in ("000", "001"):
        write_bvh(folder / f"{name}.bvh", made_up_clip(1.0, 30.0))
    for file, said in (("blind.csv", ("", "")), ("key.csv", ("low", "high"))):
        with open(folder / file, "w", newline="", encoding="utf-8") as text:
            rows = [(f"{clip:03}.bvh", "time", each) for clip, each in enumerate(said)]
            csv.writer(text).writerows([("clip", "label set", "label"), *rows])
    return folder


def test_blind_clips_have_no_names_and_the_evaluation_reads_what_was_said(
    open_page: Callable[..., Browser], tmp_path: Path
) -> None:
    folder = blind(tmp_path)
    page = open_page("--blind", str(folder), *SETS[:2])
    assert ".bvh" not in page.told()
    page.press("1")
    page.press("1")
    assert evaluate_report.agreement(folder / "blind.csv", folder / "key.csv") == 50.0
    assert open_page("--blind", str(folder), *SETS[:2]).session.card is None


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert label.main([*arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


def test_what_is_asked_for_wrongly_is_told(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    takes, out = str(recordings), ("--labels", str(tmp_path / "labels.csv"))
    for arguments, said in (
        ([takes], "--set is missing"),
        ([takes, "--set", "time="], "--set 'time=' must be a name and two labels or more"),
        ([takes, "--set", "time=low,low"], "two labels or more that differ"),
        ([takes, *SETS[:2], *SETS[:2]], "--set time stands there twice"),
        ([*SETS], "name one folder"),
        ([takes, "--blind", takes, *SETS], "name one folder"),
        ([str(tmp_path), *SETS, *out], "has no recordings; formats: .bvh, .fbx, .npz"),
        ([str(tmp_path / "none"), *SETS, *out], "none is no folder"),
        ([takes, *SETS, *out, "--window", "1"], "a window of 1 frames must have 2 or more"),
        ([takes, *SETS, *out, "--window", "900"], "b.bvh: 80 frames at 30 fps are shorter than a window, 900"),
        ([takes, *SETS, *out, "--repeat", "2"], "--repeat 2 must be from 0 to 1"),
        ([takes, *SETS, *out, "--count", "0"], "--count 0 must be 1 or more"),
        ([takes, *SETS, "--labels", str(tmp_path)], "is a folder; --labels names a CSV file"),
        ([takes, *SETS, "--labels", str(tmp_path / "no" / "labels.csv")], "there is no folder"),
        (["--agreement", str(tmp_path / "ada.csv")], "ada.csv"),
    ):
        assert said in refused(capsys, *arguments)


def test_files_of_others_must_be_of_the_same_kind(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    form = tmp_path / "form.csv"
    form.write_text("clip,label set,label\n")
    own = ("--labels", str(tmp_path / "labels.csv"))
    assert "has clip, not take, start, end" in refused(capsys, str(recordings), *SETS, *own, "--others", str(form))


def test_a_file_that_cannot_be_written_is_told(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "x" * 249 + ".csv"  # there is no room for what is written beside it
    said = refused(capsys, str(recordings), *SETS, "--labels", str(tmp_path / name))
    assert f"{name} cannot be written: File name too long" in said


def test_a_taken_port_is_said_plainly(recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = ("--labels", str(tmp_path / "labels.csv"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = refused(capsys, str(recordings), *SETS, *own, "--port", port)
    assert f"cannot open the page on 127.0.0.1:{port}" in said


def test_the_command_serves_the_page_and_ends_on_sigterm(recordings: Path, tmp_path: Path) -> None:
    out = ("--labels", str(tmp_path / "labels.csv"), "--port", "0")
    command = [sys.executable, "-m", "training.label", str(recordings), *SETS, *out]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as started:
        assert "0 of 4 windows are labelled" in started.stdout.readline()
        with urllib.request.urlopen(started.stdout.readline().split()[0], timeout=5) as response:
            assert response.status == 200
        started.send_signal(signal.SIGTERM)
        assert started.wait(timeout=10) == 0
        assert started.stderr.read() == ""
