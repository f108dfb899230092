"""Every suit a preset can name, over real sockets: the dance arrives as it was danced."""

import contextlib
import time
from pathlib import Path
from queue import Empty, SimpleQueue

import numpy as np
import pytest

from benchmarks.suit import PROTOCOLS
from motion import kinematics
from motion.bvh import write_bvh
from motion.clip import Clip
from motion.load import load_humanoid
from motion.skeleton import HUMANOID
from server.inputs import Listener, open_inputs
from server.preset import Preset, PresetError, parse
from server.protocols import msgpack_poses, packed
from server.protocols.frames import PoseFrame
from server.receivers.udp import UdpReceiver
from server.senders.zmq import ZmqSender
from server.stages.retarget import Retarget

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 10.0
CENTIMETRE = 0.01


def show(dancers: dict[str, dict[str, object]], folder: Path = ROOT / "presets") -> Preset:
    partners = {"partner1": {"dancer": next(iter(dancers)), "model": str(ROOT / "presets/models/salsa_duet.onnx")}}
    preset = {"format": 1, "dancers": dancers, "partners": partners, "control": "off", "stage_page": "off"}
    return parse(preset, folder / "show.yaml")


@pytest.fixture(scope="module")
def dance() -> list[PoseFrame]:
    clip = load_humanoid(ROOT / "presets/clips/demo_dancer.bvh").clip[300:330]
    return [
        PoseFrame(HUMANOID, root, rotations, n / 60, 0.0, n, "suit")
        for n, (root, rotations) in enumerate(zip(clip.root_positions, clip.rotations, strict=True))
    ]


def stand(frames: list[PoseFrame]) -> np.ndarray:
    """Where HUMANOID's joints are, (frames, J, 3)."""
    retarget = Retarget()
    frames = [retarget.step(frame, 1 / 60, {}) for frame in frames]
    return np.array([kinematics.global_positions(HUMANOID, f.root_position, f.rotations) for f in frames])


def heard(arrived: SimpleQueue, count: int) -> list[PoseFrame]:
    end, frames = time.monotonic() + PATIENCE, []
    with contextlib.suppress(Empty):
        while len(frames) < count:
            frames.append(arrived.get(timeout=max(end - time.monotonic(), 0.001)))
    return frames


CAMERAS = {"mediapipe", "openpose"}
SUITS = sorted(set(PROTOCOLS) - CAMERAS - {"zmq"})


def danced_in(protocol: str, dance: list[PoseFrame]) -> np.ndarray:
    """Where the joints are of a dance that came over a socket in a suit's own format."""
    arrived: SimpleQueue[PoseFrame] = SimpleQueue()
    preset = show({"dancer1": {"receive": protocol.removesuffix("_lz4"), "port": 0}})
    receiver = open_inputs(preset, {"dancer1": Listener(arrived.put)})["dancer1"]
    assert isinstance(receiver, UdpReceiver)
    with contextlib.closing(receiver), contextlib.ExitStack() as stack:
        receiver.start()
        send = PROTOCOLS[protocol]("127.0.0.1", receiver.port, "Ada", stack)
        frames = []
        for frame in dance:  # one by one: a frame without an end of its own is closed by the next, or a moment later
            send(frame)
            frames += heard(arrived, 1)
    assert len(frames) == len(dance), (receiver.counts, receiver.last_packet_error, receiver.first_error)
    assert {frame.actor for frame in frames} == {"dancer1"}
    assert receiver.others == []
    return stand(frames)


@pytest.mark.parametrize("protocol", SUITS)
def test_a_dance_in_any_suit_is_the_dance(protocol, dance):
    apart = np.linalg.norm(danced_in(protocol, dance) - stand(dance), axis=-1)
    assert apart.max() < 1.5 * CENTIMETRE


@pytest.mark.parametrize("protocol", sorted(CAMERAS))
def test_a_dance_before_a_camera_is_the_dance_around_the_hips(protocol, dance):
    """Where the room is, a picture does not say: poses are compared from the hips."""
    seen, danced = danced_in(protocol, dance), stand(dance)
    apart = np.linalg.norm((seen - seen[:, :1]) - (danced - danced[:, :1]), axis=-1)
    assert np.median(apart) < 1.0 * CENTIMETRE
    assert apart.max() < 8.0 * CENTIMETRE


@pytest.mark.parametrize(("form", "encode"), [("packed", packed.encode), ("msgpack", msgpack_poses.encode)])
def test_a_publisher_of_either_format_is_heard(form, encode, dance):
    arrived: SimpleQueue[PoseFrame] = SimpleQueue()
    with contextlib.closing(ZmqSender("tcp://127.0.0.1:*")) as sender:
        source = {"receive": "zmq", "connect": sender.endpoint, "actor": "suit", "format": form}
        receiver = open_inputs(show({"dancer1": source}), {"dancer1": Listener(arrived.put)})["dancer1"]
        with contextlib.closing(receiver):
            receiver.start()
            frames: list[PoseFrame] = []
            while not frames and receiver.counts["dropped_packet"] == 0:  # a subscription takes a moment
                sender.send(encode([dance[0]], 0, 0.0))
                with contextlib.suppress(Empty):
                    frames.append(arrived.get(timeout=0.05))
    np.testing.assert_allclose(stand(frames), stand(dance[:1]), atol=1e-5)


@pytest.mark.parametrize(
    ("dancers", "sends"),
    [
        ({"ada": {"receive": "xsens", "character": 0}, "bo": {"receive": "xsens", "character": 1}}, "xsens"),
        ({"ada": {"receive": "rokoko", "profile": "Ada"}, "bo": {"receive": "rokoko", "profile": "Bo"}}, "rokoko"),
        ({"ada": {"receive": "ai_toolbox", "number": 0}, "bo": {"receive": "ai_toolbox", "number": 1}}, "ai_toolbox"),
    ],
)
def test_people_of_one_stream_share_its_port(dancers, sends, dance):
    arrived: SimpleQueue[PoseFrame] = SimpleQueue()
    preset = show(dancers)
    port = preset.dancers["ada"].port
    try:
        receivers = open_inputs(preset, {name: Listener(arrived.put) for name in dancers})
    except OSError:
        pytest.skip(f"port {port} is taken on this machine")
    with contextlib.ExitStack() as stack:
        for receiver in receivers.values():
            stack.callback(receiver.close)
            receiver.start()
        send = PROTOCOLS[sends]("127.0.0.1", port, "Ada", stack)
        for frame in dance[:5]:
            send(frame)
        frames = heard(arrived, 5)
    assert {frame.actor for frame in frames} == {"ada"}
    assert receivers["bo"].counts["packets"] >= 5
    assert receivers["bo"].counts["frames"] == 0


@pytest.mark.parametrize(
    ("dancers", "says"),
    [
        ({"a": {"receive": "mocopi"}, "b": {"receive": "mocopi"}}, "dancers.b.port: 127.0.0.1:12351 is taken by"),
        ({"a": {"receive": "xsens"}, "b": {"receive": "xsens"}}, "dancers.b.character: 127.0.0.1:9763 is taken by"),
        (
            {"a": {"receive": "xsens", "character": 1}, "b": {"receive": "xsens", "character": 1}},
            "two dancers at one port need two different ones",
        ),
        (
            {"a": {"receive": "xsens", "character": 1}, "b": {"receive": "mocopi", "port": 9763}},
            "dancers.b.port: 127.0.0.1:9763 is taken by dancers.a",
        ),
        ({"a": {"receive": "ai_toolbox", "axes": "up"}}, "dancers.a.axes: 'up' is not one of y_up, z_up"),
        ({"a": {"receive": "ai_toolbox", "skeleton_file": "none.bvh"}}, "dancers.a.skeleton_file: no file"),
        ({"a": {"receive": "xsens", "character": 256}}, "dancers.a.character: 256"),
    ],
)
def test_dancers_that_cannot_be_heard_are_refused_with_the_key(dancers, says):
    with pytest.raises(PresetError, match=r"show\.yaml") as caught:
        show(dancers)
    assert says in str(caught.value)


def test_a_skeleton_file_says_whose_joints_ai_toolbox_sends(dance, tmp_path):
    clip = Clip(HUMANOID, 60.0, np.zeros((2, 3)), np.tile([0.0, 0.0, 0.0, 1.0], (2, 22, 1)))
    write_bvh(tmp_path / "suit.bvh", clip)
    arrived: SimpleQueue[PoseFrame] = SimpleQueue()
    preset = show({"dancer1": {"receive": "ai_toolbox", "port": 0, "skeleton_file": "suit.bvh"}}, tmp_path)
    receiver = open_inputs(preset, {"dancer1": Listener(arrived.put)})["dancer1"]
    assert isinstance(receiver, UdpReceiver)
    with contextlib.closing(receiver), contextlib.ExitStack() as stack:
        receiver.start()
        send = PROTOCOLS["ai_toolbox"]("127.0.0.1", receiver.port, "Ada", stack)
        send(dance[0])
        frames = heard(arrived, 1)
    np.testing.assert_allclose(stand(frames), stand(dance[:1]), atol=CENTIMETRE)


def test_a_skeleton_file_that_is_none_is_named(tmp_path):
    (tmp_path / "broken.bvh").write_text("HIERARCHY")
    preset = show({"dancer1": {"receive": "ai_toolbox", "port": 0, "skeleton_file": "broken.bvh"}}, tmp_path)
    with pytest.raises(ValueError, match=r"dancers\.dancer1\.skeleton_file: .*broken\.bvh"):
        open_inputs(preset, {"dancer1": Listener(print)})
