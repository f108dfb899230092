"""The whole show with the shipped model: live over real sockets, offline, and refused before it begins."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
import zmq

import run_server
from motion import kinematics
from motion.bvh import write_bvh
from motion.clip import Clip
from motion.load import load_humanoid
from motion.manifest import METADATA_KEY
from motion.skeleton import HUMANOID
from server import preset as presets
from server.clock import FakeClock, MonotonicClock
from server.lines import DancerLine, PartnerLine
from server.outputs import ActorOutput
from server.pipeline import Pipeline
from server.protocols import packed
from server.protocols.frames import PoseFrame
from server.protocols.vmc import VmcDecoder, VmcEncoder
from server.receivers.bvh_player import BvhPlayer
from server.receivers.udp import UdpReceiver
from server.render import render
from server.senders.udp import UdpSender
from server.show import build_pipeline
from server.stages.safety import Safety
from server.tick import Tick

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "presets/demo.yaml"
MODEL = ROOT / "presets/models/salsa_duet.onnx"


@pytest.fixture(scope="module")
def take() -> Clip:
    """Five seconds of the demo dancer."""
    return load_humanoid(ROOT / "presets/clips/demo_dancer.bvh").clip[:300]


@pytest.fixture
def preset_file(tmp_path: Path, take: Clip) -> Callable[..., Path]:
    """Writes the demo preset with a short take, free ports and some keys changed."""
    write_bvh(tmp_path / "take.bvh", take)

    def write(**changes: Any) -> Path:
        data = yaml.safe_load(DEMO.read_text())
        data["dancers"]["dancer1"]["file"] = str(tmp_path / "take.bvh")
        data["partners"]["partner1"]["model"] = str(MODEL)
        data["outputs"] = [{"send": "zmq", "bind": "tcp://127.0.0.1:*"}]
        data |= {"control": {"port": 0}, "stage_page": "off"} | changes
        (tmp_path / "show.yaml").write_text(yaml.safe_dump(data))
        return tmp_path / "show.yaml"

    return write


def pipeline(seed: int = 1) -> Pipeline:
    return build_pipeline(presets.load(DEMO), DEMO, seed)


def dance(show: Pipeline, frames: list[PoseFrame]) -> list[PoseFrame]:
    return [pose for frame in frames for pose in show.step("dancer1", frame) if pose.actor == "partner1"]


def joints(poses: list[PoseFrame]) -> np.ndarray:
    roots, rotations = np.array([p.root_position for p in poses]), np.array([p.rotations for p in poses])
    return kinematics.global_positions(HUMANOID, roots, rotations)


def test_the_live_server_gives_the_poses_of_the_offline_pipeline(take: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same datagrams through sockets, threads and the tick, and straight through the pipeline: the same bytes."""
    # A machine that stalls between two datagrams must look neither like a silent suit nor like a frame cut short.
    monkeypatch.setattr("server.timeline.PATIENCE_SECONDS", float("inf"))
    monkeypatch.setattr("server.protocols.vmc.FRAME_TIMEOUT", 10.0)
    suit = VmcEncoder(HUMANOID)
    datagrams = [suit.encode(frame) for frame in BvhPlayer(take, 120.0, loop=False).frames()]
    stage = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    stage.bind(("127.0.0.1", 0))
    stage.settimeout(5.0)
    output = ActorOutput("partner1", VmcEncoder, UdpSender("127.0.0.1", stage.getsockname()[1]), "VMC")
    tick = Tick(pipeline(), [output], [], None, MonotonicClock(), 120.0, follow=True)
    receiver = UdpReceiver(partial(VmcDecoder, "dancer1"), "127.0.0.1", 0, lambda frame: tick.arrive("dancer1", frame))
    thread = Thread(target=tick.run)
    receiver.start()
    thread.start()
    live = []
    for frame in datagrams:
        for datagram in frame:
            stage.sendto(datagram, ("127.0.0.1", receiver.port))
        live.append([stage.recv(65536) for _ in frame])
    tick.stop()
    thread.join()
    receiver.close()
    output.close()
    stage.close()

    decoder, encoder, show = VmcDecoder("dancer1"), VmcEncoder(HUMANOID), pipeline()
    seen = [frame for group in datagrams for datagram in group for frame in decoder.feed(datagram, 0.0)]
    assert live == [encoder.encode(pose) for pose in dance(show, seen)]


def test_a_render_is_the_same_bit_for_bit(preset_file: Callable[..., Path], tmp_path: Path) -> None:
    path = preset_file()
    files = [(tmp_path / f"partner{n}.bvh", tmp_path / f"dancer{n}.bvh") for n in (1, 2)]
    for partner, dancer in files:
        list(render(build_pipeline(presets.load(path), path), tmp_path / "take.bvh", 60.0, partner, dancer))
    assert files[0][0].read_bytes() == files[1][0].read_bytes()
    assert files[0][1].read_bytes() == files[1][1].read_bytes()
    assert len(load_humanoid(files[0][0]).clip) == len(load_humanoid(files[0][1]).clip) == 300


def test_another_seed_is_another_partner(take: Clip) -> None:
    frames = list(BvhPlayer(take, 60.0, loop=False).frames())
    difference = np.linalg.norm(joints(dance(pipeline(1), frames)) - joints(dance(pipeline(2), frames)), axis=-1)
    assert difference[60:].mean() >= 0.05


def test_the_partner_dances_near_the_dancer_and_on_the_floor(take: Clip) -> None:
    frames = list(BvhPlayer(take, 60.0, loop=False).frames())
    positions = joints(dance(pipeline(), frames))
    apart = np.linalg.norm((positions[:, 0] - take.root_positions)[:, [0, 2]], axis=-1)
    assert 0.3 < np.median(apart) < 1.5
    lowest = positions[:, :, 1].min(axis=1)
    assert lowest.min() > -0.06
    assert lowest.max() < 0.12


def test_what_a_recording_does_later_changes_nothing_before(take: Clip, tmp_path: Path) -> None:
    """Reading, retargeting, playing and dancing a whole file: any of them could look ahead."""
    roots, rotations = (np.concatenate([a[:150], a[:149:-1]]) for a in (take.root_positions, take.rotations))
    for name, clip in (("as_it_was", take), ("turned_back", Clip(HUMANOID, take.fps, roots, rotations))):
        write_bvh(tmp_path / f"{name}.bvh", clip)
        list(render(pipeline(), tmp_path / f"{name}.bvh", 60.0, tmp_path / f"{name}_partner.bvh"))
    one, other = (load_humanoid(tmp_path / f"{name}_partner.bvh").clip for name in ("as_it_was", "turned_back"))
    same = [np.array_equal(a.rotations, b.rotations) for a, b in zip(one, other, strict=True)]
    assert same == [True] * 150 + [False] * 150


def test_a_silent_dancers_partner_is_held_while_others_dance(take: Clip) -> None:
    clock, poses = FakeClock(), list(BvhPlayer(take, 60.0, loop=False).frames())
    lines = [DancerLine(f"dancer{n}", [], 60.0) for n in (1, 2)]
    partners = [PartnerLine(f"partner{n}", f"dancer{n}", [Safety()]) for n in (1, 2)]
    tick = Tick(Pipeline(lines, partners), [], [], None, clock, 60.0, follow=True)
    tick.arrive("dancer2", replace(poses[0], receive_time=0.0))
    for frame in poses[:40]:
        clock.advance(1 / 60)
        tick.arrive("dancer1", replace(frame, receive_time=clock.now()))
    before = tick.stats.counts["ticks"]
    tick.hold_the_silent(clock.now())
    assert tick.stats.counts["ticks"] == before + 1
    assert tick.timelines["dancer2"].state(clock.now()) == "stale"


def test_work_that_can_wait_begins_when_a_turn_has_ended(take: Clip) -> None:
    poses = BvhPlayer(take, 60.0, loop=False).frames()
    tick = Tick(Pipeline([DancerLine("dancer1", [], 60.0)], []), [], [], None, FakeClock(), 60.0, follow=True)
    began: list[int] = []

    def report() -> None:
        tick.wait_for_rest(60.0)
        began.append(tick.stats.counts["ticks"])

    tick.arrive("dancer1", next(poses))  # one that ended before anybody waited does not count
    waiting = Thread(target=report)
    waiting.start()
    while waiting.is_alive():
        tick.arrive("dancer1", next(poses))
        waiting.join(0.01)
    assert began[0] >= 2


def test_a_fault_of_a_beat_is_counted_and_the_next_beat_comes(take: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    line = DancerLine("dancer1", [], 60.0)
    tick = Tick(Pipeline([line], []), [], [], None, FakeClock(), 60.0, follow=False)
    tick.arrive("dancer1", replace(next(BvhPlayer(take, 60.0).frames()), receive_time=0.0))
    beats: list[float] = []

    def at(time: float) -> None:
        beats.append(time)
        if len(beats) == 3:
            tick.stop()
        raise ValueError("no pose")

    monkeypatch.setattr(tick.timelines["dancer1"], "at", at)
    tick.run()
    assert tick.stats.counts["tick_faults"] == len(beats) == 3
    assert tick.stats.first_fault == "tick: ValueError: no pose"


def relabelled(path: Path, change: Callable[[dict[str, Any]], None] | None) -> Path:
    """The shipped model with its label changed, or without one."""
    model = onnx.load(MODEL)
    label = json.loads(next(entry.value for entry in model.metadata_props if entry.key == METADATA_KEY))
    del model.metadata_props[:]
    if change is not None:
        change(label)
        onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(label)})
    onnx.save(model, path)
    return path


def rename_a_joint(label: dict[str, Any]) -> None:
    label["skeleton"]["names"][5] = "Skull"


def partner_with(model: Path, **settings: Any) -> dict[str, Any]:
    return {"partners": {"partner1": {"dancer": "dancer1", "model": str(model), **settings}}}


def refusal(path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What run_server says of a show that cannot begin."""
    assert run_server.main([str(path), "--seconds", "0.1"]) == 2
    return capsys.readouterr().err


def test_a_model_without_a_label_is_refused(
    preset_file: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = preset_file(**partner_with(relabelled(tmp_path / "plain.onnx", None)))
    assert "plain.onnx carries no manifest" in refusal(path, capsys)


def test_a_model_for_another_skeleton_is_refused(
    preset_file: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = preset_file(**partner_with(relabelled(tmp_path / "other.onnx", rename_a_joint)))
    assert "another skeleton" in (said := refusal(path, capsys))
    assert "Head, Skull" in said


def test_a_file_that_is_no_model_is_refused(
    preset_file: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "noise.onnx").write_bytes(b"not a model")
    assert "noise.onnx is not a model" in refusal(preset_file(**partner_with(tmp_path / "noise.onnx")), capsys)


def test_a_param_the_model_has_not_is_refused(
    preset_file: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    said = refusal(preset_file(**partner_with(MODEL, params={"wildness": 1.0})), capsys)
    assert "partners.partner1.params.wildness" in said
    assert "variety" in said


def test_a_port_in_use_is_named(preset_file: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        path = preset_file(dancers={"dancer1": {"receive": "vmc", "port": port}})
        assert f"port {port} on 127.0.0.1 is in use (dancer 'dancer1')" in refusal(path, capsys)


def test_a_recording_that_is_cut_off_is_refused(
    preset_file: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = preset_file()
    whole = (tmp_path / "take.bvh").read_text()
    (tmp_path / "take.bvh").write_text(whole[: len(whole) // 2])
    assert "take.bvh:" in refusal(path, capsys)


def test_the_command_shows_a_duet_and_ends_cleanly(preset_file: Callable[..., Path], tmp_path: Path) -> None:
    """As a user runs it: a process of its own, a real subscriber, Ctrl-C."""
    endpoint = f"ipc://{tmp_path}/show"
    path = preset_file(outputs=[{"send": "zmq", "bind": endpoint}])
    environment = os.environ | {"PYTHONWARNINGS": "error", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run_server.py"), str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
        subscriber.setsockopt(zmq.RCVTIMEO, 15_000)
        subscriber.subscribe(packed.POSE_TOPIC)
        subscriber.connect(endpoint)
        messages = [packed.decode(subscriber.recv()) for _ in range(30)]
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=10)
    assert process.returncode == 0, errors
    assert errors == ""
    assert "dancer1" in said
    assert {pose.actor for pose in messages[-1][0]} == {"dancer1", "partner1"}
    assert messages[-1][1].partners == {"partner1"}
