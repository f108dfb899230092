"""What is measured of the stage page: in a browser, and by those who read its messages as a browser does."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from benchmarks import viewers
from benchmarks.processes import PROC, command_of, cpu_seconds, family
from browsing import browse
from motion import rotations as rot
from motion.load import load_humanoid
from motion.skeleton import HUMANOID
from server import preset as presets
from server.protocols.frames import PoseFrame
from server.receivers.bvh_player import BvhPlayer
from server.stage_view.opening import Stage
from server.stage_view.scene import Scene

PRESETS = Path(__file__).resolve().parents[1] / "presets"


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage("127.0.0.1", 0)
    yield stage
    stage.stop()


def moved(metres: float) -> list[PoseFrame]:
    rotations = np.tile(rot.IDENTITY, (len(HUMANOID), 1))
    return [PoseFrame(HUMANOID, HUMANOID.offsets[0] + metres, rotations, 0.0, 0.0, 0, "dancer1")]


def test_a_viewer_reads_what_a_browser_is_shown(stage: Stage) -> None:
    scene = Scene(stage)
    scene.show(moved(0.0), (), 0.03)
    with closing(browse(stage)) as browser:
        told = viewers.read(browser.recv(timeout=5.0))
        assert any(message.get("name") == viewers.BODIES for message in told)
        scene.show(moved(0.5), (), 0.03)
        while not any(told["name"] == viewers.BODIES for told in told if "updates" in told):
            told = viewers.read(browser.recv(timeout=5.0))


def test_a_message_that_is_longer_than_it_says_is_refused(stage: Stage) -> None:
    with closing(browse(stage)) as browser:
        message = browser.recv(timeout=5.0)
    assert viewers.read(message)
    with pytest.raises(ValueError, match="its own figures make"):
        viewers.read(message + b"more")


def test_viewers_of_a_page_are_counted_each_by_itself(stage: Stage) -> None:
    scene = Scene(stage)
    with viewers.looking(stage.get_port(), 3) as counts:
        before, end = np.array(counts[::2]), time.monotonic() + 10.0
        for step in range(1, 1000):
            scene.show(moved(0.01 * step), (), 0.03)
            time.sleep(0.02)
            if (np.array(counts[::2]) > before + 2).all():
                break
            assert time.monotonic() < end, list(counts)
        assert (np.array(counts[1::2]) > 1000).all()


@pytest.mark.slow
def test_a_show_is_measured_with_those_who_look_on() -> None:
    path = PRESETS / "live_vmc.yaml"
    player = BvhPlayer(load_humanoid(PRESETS / "clips/demo_dancer.bvh").clip, 120.0, loop=True)
    figures = viewers.look_on(path, presets.load(path), player, 2, 2.0)
    assert figures["pictures_fps_least"] > 1.0
    assert figures["wire_p99_ms"] > 0.0


def test_medians_are_told_of_what_every_round_has() -> None:
    turns = [{"a": 1.0, "b": 3.0}, {"a": 5.0, "b": None}, {"a": 2.0, "b": 4.0}]
    assert viewers.report_of(turns) == {"a": 2.0, "b": None}


@pytest.mark.skipif(not PROC.is_dir(), reason="no /proc")
def test_what_a_process_and_its_children_compute_is_known() -> None:
    work = "import sys; sum(range(10**7)); print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", work], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert {os.getpid(), child.pid} <= family(os.getpid())
        assert family(child.pid) == {child.pid}
        assert "sum(range" in command_of(child.pid)
        spent = cpu_seconds([child.pid])
        assert spent is not None
        assert 0.05 < spent < 30.0
    assert child.pid not in family(os.getpid())
    assert cpu_seconds([child.pid]) == 0.0


def test_somebody_is_seen_and_moves_in_a_real_browser() -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    page = pytest.importorskip("benchmarks.page")
    with page.showing(PRESETS / "demo.yaml") as address, sync_api.sync_playwright() as playwright:
        try:
            figures = page.opened(playwright, "software", address, (640, 400), 1.0)
        except SystemExit as error:
            pytest.skip(str(error)) if "no Chromium" in str(error) else pytest.fail(str(error))
    assert 0.1 < figures["first_picture_s"] < page.PATIENCE
    assert 0.0 < figures["updates_fps"] <= figures["pictures_fps"] + 0.01
    assert figures["canvas"].partition("x")[0].isdigit()
