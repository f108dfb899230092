"""What can happen to a show's process and those beside it: killed, told to end, started twice. Real processes."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from itertools import cycle, islice, takewhile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from benchmarks.live import dance, free_ports, serving
from motion import rotations as rot
from motion.ground_frames import facing
from motion.load import load_humanoid
from motion.skeleton import HUMANOID
from server.page_process import REST_SECONDS, PageProcess
from server.protocols.frames import PoseFrame
from server.protocols.vmc import VmcDecoder, VmcEncoder
from server.receivers.bvh_player import BvhPlayer
from server.recording import Recording

ROOT = Path(__file__).resolve().parents[1]
PRESETS = ROOT / "presets"
FPS = 60.0
PATIENCE = 60.0  # seconds, of a busy machine: how long a start takes is for `benchmarks.restart` to say


@pytest.fixture(scope="module")
def frames() -> list[PoseFrame]:
    return list(islice(BvhPlayer(load_humanoid(PRESETS / "clips/demo_dancer.bvh").clip, FPS).frames(), 240))


class Suit:
    """Sends frames over VMC, sixty a second, whether anybody hears them or not; `wear` puts on others."""

    def __init__(self, port: int, frames: list[PoseFrame]) -> None:
        self._port, self._frames = port, cycle(frames)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def wear(self, frames: list[PoseFrame]) -> None:
        self._frames = cycle(frames)

    def close(self) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        encoder, number = VmcEncoder(), 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            while not self._ending.wait(1.0 / FPS):
                number += 1
                for datagram in encoder.encode(replace(next(self._frames), sender_time=number / FPS, number=number)):
                    out.sendto(datagram, ("127.0.0.1", self._port))


class Stage:
    """Hears an actor over VMC."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(PATIENCE)
        self.port = self._socket.getsockname()[1]
        self._decoder = VmcDecoder("actor")

    def pose(self) -> PoseFrame:
        """The next one that comes."""
        while True:
            for frame in self._decoder.feed(memoryview(self._socket.recv(65536)), 0.0):
                return frame

    def empty(self) -> None:
        """Forgets what has come."""
        self._socket.setblocking(False)
        try:
            while self._socket.recv(65536):
                pass
        except BlockingIOError:
            self._socket.settimeout(PATIENCE)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def stages() -> Iterator[Callable[[], Stage]]:
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(Stage()))


@contextmanager
def running(path: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(ROOT / "run_server.py"), str(path), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as show:
        assert show.stdout is not None
        while "Ctrl-C stops" not in (line := show.stdout.readline()):
            assert line, "the server did not start"
        try:
            yield show
        finally:
            show.kill()


def written(folder: Path, port: int, dancer: Stage, partner: Stage, **changes: Any) -> Path:
    """A show of a dancer in a suit, whose T-pose calibrates."""
    data = {
        "format": 1,
        "clock": {"follow": "dancer", "fps": FPS},
        "dancers": {"dancer1": {"receive": "vmc", "port": port, "calibration": {"at": "t_pose"}}},
        "partners": {"partner1": {"dancer": "dancer1", "model": str(PRESETS / "models/salsa_match.onnx")}},
        "outputs": [
            {"send": "vmc", "actor": actor, "port": stage.port}
            for actor, stage in (("dancer1", dancer), ("partner1", partner))
        ],
        "control": "off",
        "stage_page": "off",
    }
    path = folder / "show.yaml"
    path.write_text(yaml.safe_dump(data | changes))
    return path


def test_a_server_that_is_killed_and_started_again_goes_on_as_it_was_calibrated(
    tmp_path: Path, frames: list[PoseFrame], stages: Callable[[], Stage]
) -> None:
    turned = rot.yaw(1.2)  # how the suit believes to stand

    def crooked(frame: PoseFrame) -> PoseFrame:
        rotations = frame.rotations.copy()
        rotations[0] = rot.multiply(turned, rotations[0])
        return replace(frame, rotations=rotations, root_position=rot.rotate(turned, frame.root_position))

    rest = np.tile(rot.IDENTITY, (len(HUMANOID), 1))
    t_pose = crooked(replace(frames[0], rotations=rest, root_position=HUMANOID.offsets[0]))
    (port,) = free_ports(1)
    dancer, partner = stages(), stages()
    path = written(tmp_path, port, dancer, partner)
    kept = path.with_suffix(".calibration.json")
    with closing(Suit(port, [t_pose])) as suit:
        with running(path) as show:
            while not kept.exists():
                partner.pose()
            show.kill()
            assert show.wait(PATIENCE) != 0
        suit.wear([crooked(frames[0])])  # who stands like this is measured by nobody
        dancer.empty(), partner.empty()
        with running(path):
            heading = float(facing(dancer.pose().rotations[0]))
            assert np.isfinite(partner.pose().root_position).all()
    assert abs(heading - float(facing(frames[0].rotations[0]))) < 0.01


@pytest.mark.skipif(os.name != "posix", reason="ended at once there")
def test_a_show_that_is_told_to_end_sends_to_the_last_and_leaves_a_whole_recording(
    tmp_path: Path, frames: list[PoseFrame], stages: Callable[[], Stage]
) -> None:
    (port,) = free_ports(1)
    partner = stages()
    path = written(tmp_path, port, stages(), partner)
    with closing(Suit(port, frames)), running(path, "--record", str(tmp_path / "tapes")) as show:
        for _ in range(30):
            partner.pose()
        show.send_signal(signal.SIGTERM)
        said, _ = show.communicate(timeout=PATIENCE)
        assert show.returncode == 0
    (tape,) = (tmp_path / "tapes").iterdir()
    assert f"{tape}: " in said
    recording = Recording(tape)
    assert sum(1 for _ in recording) > 30
    assert recording.damage == ""


def test_two_servers_of_two_presets_dance_beside_each_other(frames: list[PoseFrame]) -> None:
    heard: set[int] = set()
    until_both_did = takewhile(lambda _: heard != {0, 1}, frames)
    with (
        serving(PRESETS / "live_vmc.yaml", ["vmc"], 1, 20.0) as one,
        serving(PRESETS / "live_mocopi.yaml", ["mocopi"], 1, 20.0) as other,
    ):
        assert one.pid != other.pid
        dance(until_both_did, [*one.lanes, *other.lanes], 20.0, heard=lambda place, *_: heard.add(place))
    assert heard == {0, 1}


def test_a_page_that_is_killed_is_there_again() -> None:
    now = 0.0
    page = PageProcess([sys.executable, "-c", "input()"], dict(os.environ), lambda: now)
    with closing(page):
        killed = page.pid
        assert page.look() == ""
        os.kill(killed, signal.SIGTERM)
        while not (said := page.look()):
            time.sleep(0)
        assert said.endswith("and is started again")
        now = REST_SECONDS
        page.look()
        assert page.look() == ""
        assert page.pid != killed
