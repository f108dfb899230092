"""A preset's outputs: what opens, what leaves in whose axes and how often, and what is refused before the show."""

import json
import re
import socket
import struct
from collections.abc import Callable
from contextlib import closing, contextmanager
from pathlib import Path
from typing import get_args

import msgpack
import numpy as np
import pytest
import yaml
import zmq

from motion import rotations as rot
from motion.axes import PROFILES
from motion.bvh import read_bvh
from motion.skeleton import HUMANOID
from server import preset
from server.outputs import Divider, close_outputs, open_outputs
from server.preset import Preset, PresetError
from server.preset_outputs import Profile, Quantity, RotateOrder
from server.protocols import osc, packed
from server.protocols.ai_toolbox import QUANTITIES
from server.protocols.frames import PoseFrame
from server.protocols.touchdesigner import ROTATE_ORDERS

DEMO = Path(__file__).resolve().parents[1] / "presets/demo.yaml"
ZMQ = {"send": "zmq", "bind": "tcp://127.0.0.1:*"}


def show(*outputs: dict, **changes) -> Preset:
    data = yaml.safe_load(DEMO.read_text()) | {"stage_page": "off", "outputs": list(outputs)} | changes
    return preset.parse(data, DEMO)


def pose(number: int = 0, actor: str = "partner1", receive_time: float = 0.0) -> PoseFrame:
    random = np.random.default_rng(3)
    rotations = rot.normalize(random.normal(size=(len(HUMANOID), 4)))
    return PoseFrame(HUMANOID, random.normal(size=3), rotations, float(number), receive_time, number, actor)


@contextmanager
def received(output: dict, frames: list[PoseFrame]):
    """The messages of some frames that went through one UDP output of a preset."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as stage:
        stage.bind(("127.0.0.1", 0))
        stage.settimeout(5.0)
        opened = open_outputs(show({"actor": "partner1", "port": stage.getsockname()[1]} | output))
        try:
            (actor_output,), _ = opened
            for frame in frames:
                actor_output.send(frame)
            datagrams = [stage.recvfrom(2048) for _ in range(actor_output.sender.counts["datagrams"])]
        finally:
            close_outputs(*opened)
    assert len({source for _, source in datagrams}) == 1
    assert all(len(datagram) <= 1472 for datagram, _ in datagrams)
    yield [message for datagram, _ in datagrams for message in osc.parse(datagram)]


@pytest.mark.parametrize(
    ("output", "hips"),
    [
        ({}, lambda p: p),
        ({"profile": "unity"}, lambda p: p * [-1, 1, 1]),
        ({"profile": "unreal"}, lambda p: 100 * p[[2, 0, 1]] * [1, -1, 1]),
        ({"profile": "unreal", "unit": "m"}, lambda p: p[[2, 0, 1]] * [1, -1, 1]),
        ({"profile": "blender", "unit": "mm"}, lambda p: 1000 * p[[0, 2, 1]] * [1, -1, 1]),
    ],
)
def test_a_profile_is_in_the_numbers(output: dict, hips: Callable):
    frame = pose()
    with received({"send": "touchdesigner", "channels": ["hips:t"]} | output, [frame]) as messages:
        numbers = [args[0] for address, args in messages if ":" in address]
    assert numbers == pytest.approx(hips(frame.root_position), rel=1e-6)
    with received({"send": "ai_toolbox", "index": "off", "quantities": ["pos_local"]} | output, [frame]) as messages:
        ((address, numbers),) = messages
    assert address == "/mocap/joint/pos_local"
    assert numbers[:3] == pytest.approx(hips(frame.root_position), rel=1e-6)


@pytest.mark.parametrize("send", ["vmc", "touchdesigner", "ai_toolbox"])
def test_every_nth_frame_leaves(send):
    with received({"send": send, "every": 3}, [pose(number) for number in range(7)]) as messages:
        first = messages[0]
    assert sum(address == first[0] for address, _ in messages) == 3


def test_the_time_leaves_exactly_once_a_frame():
    with received({"send": "vmc", "fps": 50}, [pose(n, receive_time=n / 100) for n in range(10)]) as messages:
        times = [args[0] for address, args in messages if address == "/VMC/Ext/T"]
    assert times == [0.0, 2.0, 4.0, 6.0, 8.0]


@pytest.mark.parametrize(
    ("source", "wanted"), [(120.0, 60.0), (120.0, 100.0), (120.0, 30.0), (59.94, 60.0), (100.0, 24.0)]
)
def test_a_stream_is_thinned_to_a_rate_whatever_its_jitter(source, wanted):
    times = (np.arange(4000) + np.random.default_rng(0).uniform(-0.1, 0.1, size=4000)) / source
    divider = Divider(fps=wanted)
    taken = [time for time in times.tolist() if divider.take(time)]
    assert len(taken) == pytest.approx(4000 / source * min(wanted, source), rel=0.003)
    assert max(np.diff(taken)) < 1.0 / wanted + 1.3 / source


def test_a_rate_survives_silence_and_a_clock_that_falls_back():
    divider = Divider(fps=10)
    times = [0.0, 0.05, 0.1, 9.0, 9.05, 9.1, 1.0, 1.05, 1.1]
    assert [time for time in times if divider.take(time)] == [0.0, 0.1, 9.0, 9.1, 1.0, 1.1]


def test_an_avatars_offsets_leave_for_its_output_alone(tmp_path):
    bones = {"hips": {"node": 0}, "leftFoot": {"node": 1}, "head": {"node": 2}}
    nodes = [
        {"children": [1, 2], "translation": [0, 1.2, 0]},
        {"translation": [0.1, -1.1, 0]},
        {"translation": [0, 0.5, 0]},
    ]
    text = json.dumps({"nodes": nodes, "extensions": {"VRMC_vrm": {"humanoid": {"humanBones": bones}}}}).encode()
    text += b" " * (-len(text) % 4)
    file = tmp_path / "avatar.vrm"
    file.write_bytes(b"glTF" + struct.pack("<3I", 2, 20 + len(text), len(text)) + b"JSON" + text)
    with received({"send": "vmc", "vrm_file": str(file)}, [pose()]) as messages:
        offsets = {args[0]: args[1:4] for address, args in messages if address == "/VMC/Ext/Bone/Pos"}
    assert set(offsets) == {"Hips", "LeftFoot", "Head"}
    assert offsets["LeftFoot"] == pytest.approx((-0.1, -1.1, 0.0))
    file.write_bytes(b"PK\3\4 a zip" + bytes(100))
    with pytest.raises(ValueError, match=r"outputs\.0\.vrm_file: .*avatar\.vrm: no binary glTF"):
        open_outputs(show({"send": "vmc", "actor": "partner1", "vrm_file": str(file)}))


def test_a_bvh_output_writes_what_is_sent(tmp_path):
    outputs = open_outputs(show({"send": "bvh", "actor": "partner1", "file": str(tmp_path / "take.bvh"), "every": 2}))
    for number in range(6):  # the demo expects 60 frames a second, so every second one makes 30
        outputs[0][0].send(pose(number, receive_time=number / 30))
        outputs[0][0].rehearse(pose(number))
    close_outputs(*outputs)
    (file,) = tmp_path.glob("take-*.bvh")
    clip, _ = read_bvh(file, 1.0)
    assert (len(clip), clip.fps) == (6, pytest.approx(30.0))


def test_one_message_a_tick_has_all_actors_in_the_axes_asked_for():
    _, publishers = outputs = open_outputs(show(ZMQ | {"format": "msgpack", "profile": "unreal", "every": 2}, ZMQ))
    assert [publisher.packed for publisher in publishers] == [True, False]
    frames = [pose(1, "dancer1"), pose(1, "partner1")]
    try:
        with zmq.Context() as context, context.socket(zmq.SUB) as plain, context.socket(zmq.SUB) as raw:
            for subscriber, publisher in ((raw, publishers[0]), (plain, publishers[1])):
                subscriber.setsockopt(zmq.LINGER, 0)
                subscriber.subscribe(b"")
                subscriber.connect(publisher.sender.endpoint)
                while not subscriber.poll(5):
                    publisher.send_poses(frames, 7, 1.0)
                    publisher.send_stats(packed.encode_stats({}))
            read = msgpack.unpackb(plain.recv())
            assert not plain.getsockopt(zmq.RCVMORE)
            assert raw.recv()[:8] == packed.POSE_TOPIC
        skipped = publishers[1].sender.counts["messages"]
        for _ in range(4):
            publishers[1].send_poses(frames, 8, 1.0)
        assert publishers[1].sender.counts["messages"] == skipped + 2
    finally:
        close_outputs(*outputs)
    assert (read["profile"], read["unit"], read["tick"]) == ("unreal", "cm", 7)
    assert [(actor["name"], actor["partner"]) for actor in read["actors"]] == [("dancer1", False), ("partner1", True)]
    x, y, z = frames[0].root_position
    assert read["actors"][0]["root"] == pytest.approx([100 * z, -100 * x, 100 * y])


VMC = {"send": "vmc", "actor": "partner1"}
TD = {"send": "touchdesigner", "actor": "partner1"}


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ([VMC | {"profile": "blender"}], "outputs.0.profile: 'blender': VMC has Unity's axes by its specification"),
        ([VMC | {"unit": "cm"}], "outputs.0.unit: 'cm': VMC has metres by its specification"),
        ([VMC | {"vrm": 2}], "outputs.0.vrm: '2' is not one of 0, 1"),
        ([VMC | {"vrm_file": "none.vrm"}], "outputs.0.vrm_file: no file"),
        ([VMC | {"every": 2, "fps": 30}], "outputs.0.fps: 30: every: 2 says the rate already"),
        ([VMC | {"every": 0}], "outputs.0.every: 0"),
        (
            [ZMQ | {"profile": "unity"}],
            "outputs.0.format: 'packed': packed poses are raw, in metres; use format: msgpack",
        ),
        ([ZMQ | {"format": "json"}], "outputs.0.format: 'json' is not one of packed, msgpack"),
        (
            [TD | {"profile": "maya"}],
            "outputs.0.profile: 'maya' is not one of raw, unity, touchdesigner, unreal, blender",
        ),
        ([TD | {"channels": ["hip:tx"]}], "no channel 'hip:tx'; joints: hips, spine"),
        ([TD | {"channels": "hips:tx"}], "must be a list; write [hips:tx]"),
        ([TD | {"channels": [5]}], "outputs.0.channels.0: 5: input should be a valid string"),
        ([TD | {"channels": []}], "outputs.0.channels: []: must name at least one"),
        ([TD | {"rotate_order": "xyx"}], "outputs.0.rotate_order: 'xyx' is not one of xyz, xzy"),
        (
            [TD, TD | {"actor": "dancer1"}],
            "outputs.1.port: 127.0.0.1:7000 has outputs.0 already; give each actor a person",
        ),
        ([{"send": "ai_toolbox", "actor": "partner1", "quantities": ["euler"]}], "'euler' is not one of rot_local"),
        (
            [{"send": "ai_toolbox", "actor": a, "index": "off"} for a in ("partner1", "dancer1")],
            "give each actor an index",
        ),
        ([{"send": "bvh", "actor": "nobody", "file": "a.bvh"}], "outputs.0.actor: 'nobody' is not one of dancer1"),
        ([{"send": "bvh", "actor": "partner1"}], "outputs.0.file: is missing"),
        ([{"send": "bvh", "actor": "partner1", "file": "a", "profile": "unity"}], "BVH is right-handed with Y up"),
    ],
)
def test_what_cannot_be_sent_is_refused_before_the_show(outputs, message):
    with pytest.raises(PresetError) as error:
        show(*outputs)
    (fault,) = error.value.faults
    assert message in fault


@pytest.mark.parametrize(
    ("choices", "known"), [(Profile, PROFILES), (Quantity, QUANTITIES), (RotateOrder, ROTATE_ORDERS)]
)
def test_a_presets_choices_are_what_there_is(choices, known):
    assert set(get_args(choices)) == set(known)


def test_the_page_needs_packed_poses():
    with pytest.raises(PresetError, match="stage_page: the page listens"):
        show(ZMQ | {"format": "msgpack"}, stage_page={"port": 8080})


def test_one_actor_may_leave_twice_for_one_place_at_two_rates():
    td = show(
        TD | {"channels": ["hips:t"]}, TD | {"channels": ["*:r"], "every": 4}, TD | {"actor": "dancer1", "person": 2}
    )
    assert [output.person for output in td.outputs] == [1, 1, 2]


def test_files_of_outputs_start_at_the_presets_folder():
    (output,) = show({"send": "bvh", "actor": "partner1", "file": "takes/a.bvh"}).outputs
    assert output.file == DEMO.parent / "takes/a.bvh"


PAGE = (DEMO.parents[1] / "docs/wire-out.md").read_text(encoding="utf-8")


def test_the_pages_example_is_a_preset(tmp_path):
    example = yaml.safe_load(re.search(r"```yaml\n(.*?)```", PAGE, re.S)[1])["outputs"]
    (tmp_path / example[0]["vrm_file"]).write_bytes(b"")
    example[0]["vrm_file"] = str(tmp_path / example[0]["vrm_file"])
    assert {output.send for output in show(*example).outputs} == {"vmc", "touchdesigner", "ai_toolbox", "zmq", "bvh"}


@pytest.mark.parametrize("profile", PROFILES)
def test_the_pages_formulas_are_the_axes(profile):
    position, rotation, unit = re.search(rf"^\| `{profile}` \| \((.*)\) \| \((.*)\) \| (m|cm) \|$", PAGE, re.M).groups()
    numbers = {"x": 1.0, "y": 2.0, "z": 3.0, "w": 4.0} | {"-x": -1.0, "-y": -2.0, "-z": -3.0, "-w": -4.0}
    axes = PROFILES[profile]
    assert axes.unit == unit
    mapped = axes.in_unit("m").positions(np.array([1.0, 2.0, 3.0])).tolist()
    assert mapped == [numbers[axis] for axis in position.split(", ")]
    mapped = axes.rotations(np.array([1.0, 2.0, 3.0, 4.0])).tolist()
    assert mapped == [numbers[axis] for axis in rotation.split(", ")]
