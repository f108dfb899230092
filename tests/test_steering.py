"""A whole show that is steered while it dances: another preset, cues, and peers who send more than anybody should."""

import json
import shutil
import socket
import struct
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from motion.bvh import write_bvh
from motion.load import load_humanoid
from server import preset as presets
from server.app import Show
from server.clock import MonotonicClock
from server.desk import Desk
from server.params import Changes
from server.preset import PresetError
from server.preset_control import Control as Settings
from server.protocols.frames import PoseFrame
from server.receivers.bvh_player import BvhPlayer
from server.show import build_pipeline
from server.steering import Steering
from server.tick import Tick

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "presets/demo.yaml"
MATCH, DUET = (str(ROOT / f"presets/models/{name}.onnx") for name in ("salsa_match", "salsa_duet"))


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a show with a short take and free ports under a name, some keys changed."""
    write_bvh(tmp_path / "take.bvh", load_humanoid(ROOT / "presets/clips/demo_dancer.bvh").clip[:300])

    def write(name: str, model: str = MATCH, **changes: Any) -> Path:
        data = yaml.safe_load(DEMO.read_text()) | {
            "dancers": {"dancer1": {"receive": "bvh", "file": "take.bvh"}},
            "partners": {"partner1": {"dancer": "dancer1", "model": model}},
            "outputs": [{"send": "zmq", "bind": "tcp://127.0.0.1:*"}],
            "control": {"port": 0},
            "stage_page": "off",
        }
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(data | changes))
        return tmp_path / f"{name}.yaml"

    return write


class Peer:
    """A running show, and a socket that speaks to its control port."""

    def __init__(self, path: Path) -> None:
        self.show = Show(presets.load(path), path)
        assert self.show.steering is not None
        self.steering = self.show.steering
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", self.steering.control.port))
        self.socket.settimeout(10.0)
        self.show.start()
        assert self.show.tick.first_pose.wait(timeout=10.0)

    def ask(self, address: str, *arguments: object) -> tuple[str, list[Any]]:
        self.socket.send(message(address, *arguments))
        return self.said()

    def said(self) -> tuple[str, list[Any]]:
        answer = OscMessage(self.socket.recv(65536))
        return answer.address, list(answer.params)

    def close(self) -> None:
        self.show.close()
        self.socket.close()


@pytest.fixture
def started() -> Iterator[Callable[[Path], Peer]]:
    peers: list[Peer] = []

    def start(path: Path) -> Peer:
        peers.append(Peer(path))
        return peers[-1]

    yield start
    for peer in peers:
        peer.close()


def message(address: str, *arguments: object) -> bytes:
    builder = OscMessageBuilder(address)
    for argument in arguments:
        builder.add_arg(argument)
    return builder.build().dgram


def test_another_preset_takes_over_while_the_show_dances(
    write: Callable[..., Path], started: Callable[[Path], Peer]
) -> None:
    write("act2", DUET, seed=7)
    peer = started(write("act1"))
    assert peer.ask("/show/preset", "act2", 0.1) == ("/reply/show/preset", ["act2 takes over, in 0.1 s"])
    before = peer.show.tick.stats.counts["ticks"]
    while peer.show.tick.pipeline.partners["partner1"].model != "salsa_duet" or peer.show.tick.pipeline.crossing:
        assert peer.show.tick.stats.counts["ticks"] < before + 600
    query = peer.steering.query
    assert query is not None
    with urllib.request.urlopen(f"http://127.0.0.1:{query.port}/show/preset?VALUE") as response:
        assert json.loads(response.read()) == {"VALUE": ["act2"]}
    assert peer.show.report.figures()["partners"]["partner1"]["model"] == "salsa_duet"
    assert peer.show.tick.pipeline.faults == 0


def test_a_preset_that_needs_other_sockets_is_refused_by_key(
    write: Callable[..., Path], started: Callable[[Path], Peer]
) -> None:
    write("act2", dancers={"dancer1": {"receive": "bvh", "file": "take.bvh", "loop": False}}, clock={"fps": 50})
    peer = started(write("act1"))
    said, (_, why) = peer.ask("/show/preset", "act2")
    assert said == "/error"
    assert "clock.fps is 50.0, in the show 60.0" in why
    assert "dancers.dancer1.loop is False, in the show True" in why


def test_a_preset_that_is_not_there_is_refused(write: Callable[..., Path], started: Callable[[Path], Peer]) -> None:
    peer = started(write("act1"))
    for arguments, why in [
        (("act9",), "no preset 'act9'; there are: act1"),
        (("../act1",), "no preset '../act1'; there are: act1"),
        ((), "takes the name of a preset; there are: act1"),
        (("act1", 1e9), "takes 0 to 60 seconds"),
        ((3,), "takes the name of a preset"),
    ]:
        said, (_, text) = peer.ask("/show/preset", *arguments)
        assert said == "/error"
        assert why in text


def test_no_message_names_a_folder(
    write: Callable[..., Path], started: Callable[[Path], Peer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    peer = started(write("act1"))
    before = sorted(tmp_path.rglob("*"))
    for address in ("/show/record", "/show/replay", "/show/preset", "/player/load"):
        for name in ("../act1", str(tmp_path / "act1.yaml"), "..", "recordings/../act1"):
            assert peer.ask(address, name)[0] == "/error"
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(shutil.which("oscsend") is None, reason="liblo's oscsend is not installed")
def test_a_program_of_another_house_gives_a_cue(write: Callable[..., Path], started: Callable[[Path], Peer]) -> None:
    peer = started(write("act1", cues=[{"name": "calm", "still": True}, {"name": "end", "freeze": True}]))
    where = ["oscsend", "127.0.0.1", str(peer.steering.control.port)]
    subprocess.run([*where, "/cue/go"], check=True)
    subprocess.run([*where, "/cue/go", "s", "end"], check=True)
    subprocess.run([*where, "/partner1/energy", "f", "1.5"], check=True)
    before = peer.show.tick.stats.counts["ticks"]
    while peer.ask("/partner1/energy")[1] != [1.5]:  # obeyed at the next tick
        assert peer.show.tick.stats.counts["ticks"] < before + 600
    assert peer.steering.desk.cues.position == 2
    assert peer.show.tick.pipeline.frozen


def test_a_cue_switches_the_preset(write: Callable[..., Path], started: Callable[[Path], Peer]) -> None:
    write("act2", DUET)
    cues = [{"name": "calm", "params": {"partner1/energy": 0.8}, "seconds": 3}, {"preset": "act2", "seconds": 0.5}]
    peer = started(write("act1", cues=cues))
    assert [peer.ask("/cue/go")[1] for _ in range(2)] == [[1, "1 calm"], [2, "2"]]
    assert peer.ask("/show/preset?")[0] == "/error"  # the next thing said: a cue answers once
    assert peer.show.report.figures()["cue"] == "2"
    assert peer.show.report.figures()["preset"] == "act2"


def test_a_cue_whose_preset_is_refused_does_not_move_the_list(
    write: Callable[..., Path], started: Callable[[Path], Peer]
) -> None:
    act2 = write("act2", DUET)
    peer = started(write("act1", cues=[{"preset": "act2"}, {"still": True}]))
    act2.unlink()
    said, (address, why) = peer.ask("/cue/go")
    assert (said, address) == ("/error", "/cue/go")
    assert "no preset 'act2'" in why
    assert peer.ask("/cue/current")[1] == [0, "none"]


def test_ai_toolboxs_player_messages_steer_the_recording(
    write: Callable[..., Path], started: Callable[[Path], Peer]
) -> None:
    peer = started(write("act1"))
    asked = [("load", "take"), ("fps", 30), ("start_frame", 100), ("end_frame", 200), ("frame", 150), ("stop",)]
    said = [peer.ask(f"/player/{order}", *arguments) for order, *arguments in asked]
    assert [texts[0].removeprefix("dancer1 ") for _, texts in said] == [
        "plays take.bvh, frames 0..299 at 60 fps",
        "plays 30 frames a second",
        "plays frames 100..299",
        "plays frames 100..200",
        "goes to frame 150",
        "stands at frame 150",
    ]
    assert peer.ask("/mocap/seqframerange", 10, 20, "dancer1")[1] == ["dancer1 plays frames 10..20"]
    assert peer.ask("/mocap/seqindex", 0)[1][0].startswith("dancer1 plays take.bvh")
    assert peer.ask("/player/start")[1][0].startswith("dancer1 goes on at frame")
    assert "no recording '../take'" in peer.ask("/player/load", "../take")[1][1]
    assert "they are 0..0" in peer.ask("/mocap/seqindex", 9)[1][1]
    assert "takes a whole number" in peer.ask("/player/frame", 0.5)[1][1]


def test_a_button_that_calibrates_is_pressed_and_let_go(
    write: Callable[..., Path], started: Callable[[Path], Peer]
) -> None:
    suit = {"dancer1": {"receive": "bvh", "file": "take.bvh", "stages": ["retarget", "calibrate"]}}
    peer = started(write("act1", dancers=suit))
    assert peer.ask("/show/calibrate", 1.0) == ("/reply/show/calibrate", ["calibrates dancer1: t_pose"])
    peer.socket.send(message("/show/calibrate", 0.0))
    assert peer.ask("/show/calibrate", "off") == ("/reply/show/calibrate", ["calibrates dancer1: off"])


def test_the_control_page_lists_every_address(write: Callable[..., Path], started: Callable[[Path], Peer]) -> None:
    page = (ROOT / "docs/control.md").read_text(encoding="utf-8")
    addresses = {node.address for node in started(write("act1", cues=[{"reset": True}])).steering.desk.nodes()}
    told = {address for address in addresses if address.split("/")[1] not in ("partner1", "1")}
    assert [address for address in sorted(told - {"/cue/1"}) if f"`{address}`" not in page] == []


def test_cues_that_cannot_be_given_are_refused_before_the_show(write: Callable[..., Path]) -> None:
    write("act2", DUET)
    write("other", clock={"fps": 50})
    cues = [
        {"params": {"partner1/energi": 1.0, "partner1/energy": 7.0}},
        {"preset": "act3"},
        {"preset": "other"},
        {"preset": "act2"},
        {"params": {"partner1/variety": 0.1, "*/stillness": 1}},
    ]
    path = write("act1", cues=cues)
    with pytest.raises(PresetError) as refused:
        Show(presets.load(path), path)
    keys = ["cues.0.params.partner1/energi", "cues.0.params.partner1/energy", "cues.1.preset", "cues.2.preset"]
    assert [fault.removeprefix(f"{path}: ").partition(": ")[0] for fault in refused.value.faults] == keys
    assert "7 is not in 0.5..1.5" in refused.value.faults[1]
    assert "there are: act1, act2, other" in refused.value.faults[2]


def dance(frames: list[PoseFrame], bother: bool) -> tuple[np.ndarray, dict[str, int]]:
    """The partner's poses (T, J, 4), as a tick dances them while peers send what nobody should, or not."""
    poses: list[np.ndarray] = []
    changes = Changes()
    pipeline = build_pipeline(presets.load(DEMO), DEMO, 1)
    tick = Tick(pipeline, [], [], changes, MonotonicClock(), 60.0, follow=True)
    steering = Steering(Settings(port=0), Desk(changes, lambda: tick.pipeline), "show")
    steering.start()
    done = threading.Event()
    peers = [threading.Thread(target=flood, args=(steering, done)) for _ in range(bother)]
    peers += [threading.Thread(target=call, args=(steering, done)) for _ in range(bother)]
    for peer in peers:
        peer.start()
    for frame in frames:
        tick.arrive("dancer1", frame)
        poses.append(tick.way_out.latest["partner1"].rotations)
    done.set()
    for peer in peers:
        peer.join()
    steering.close()
    counts = dict(steering.control.counts)
    assert tick.stats.counts["ticks"] == len(frames)
    return np.array(poses), counts


def flood(steering: Steering, done: threading.Event) -> None:
    """As fast as the system takes them."""
    element = message("/nobody/knob", 0.5)
    bundle = b"#bundle\0" + struct.pack(">Q", 1) + (struct.pack(">i", len(element)) + element) * 200
    rubbish = [
        message("/nobody/knob", 0.5),
        message("/partner1/energy", "x" * 60_000),
        message("/show/" + "y" * 4000),
        message("/show/preset", "z" * 4000),
        bundle,
        b"\xff" * 1000,
        b"",
        message("/error", "x"),
    ]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        while not done.is_set():
            for datagram in rubbish:
                peer.sendto(datagram, ("127.0.0.1", steering.control.port))


def call(steering: Steering, done: threading.Event) -> None:
    assert steering.query is not None
    peers: list[socket.socket] = []
    while not done.is_set():
        peers.append(socket.socket())
        peers[-1].setblocking(False)
        peers[-1].connect_ex(("127.0.0.1", steering.query.port))
        if len(peers) > 200:
            peers.pop(0).close()
    for peer in peers:
        peer.close()


def test_nothing_a_peer_sends_stops_or_changes_a_tick() -> None:
    clip = load_humanoid(ROOT / "presets/clips/demo_dancer.bvh").clip[:240]
    frames = list(BvhPlayer(clip, 60.0, loop=False).frames())
    undisturbed, _ = dance(frames, bother=False)
    poses, counts = dance(frames, bother=True)
    assert np.array_equal(poses, undisturbed)
    assert counts["refused"] > 0
    assert counts["garbage"] > 0
    assert counts.get("internal_error", 0) == 0
