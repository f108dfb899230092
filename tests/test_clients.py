"""The scripts and patches of clients/, run as far as they run outside the programs they are made for."""

import importlib.util
import json
import re
from contextlib import closing
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from pythonosc.osc_packet import OscPacket
from scipy.spatial.transform import Rotation

from motion import rotations as rot
from motion.skeleton import HUMANOID
from server.protocols import packed
from server.protocols.ai_toolbox import AiToolboxEncoder
from server.protocols.frames import PoseFrame
from server.protocols.touchdesigner import joint_name
from server.protocols.vmc import VmcEncoder
from server.senders.zmq import ZmqSender

CLIENTS = Path(__file__).resolve().parents[1] / "clients"
RANDOM = np.random.default_rng(3)


def script(path: str) -> ModuleType:
    """A script as its program loads it: by its file, knowing nothing of this project."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, CLIENTS / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("folder", sorted(path.name for path in CLIENTS.iterdir() if path.is_dir()))
def test_every_readme_has_five_steps_a_picture_and_what_to_look_at(folder: str):
    text = (CLIENTS / folder / "README.md").read_text()
    steps = re.findall(r"^(\d)\. ", text, re.MULTILINE)
    assert steps[:5] == list("12345")
    assert len(steps) % 5 == 0
    assert "```mermaid" in text
    _, table = text.split("## When nothing moves")
    for fault in ("mirrored", "turned by 180°", "floats", "irewall"):
        assert fault in table
    for file in re.findall(r"`(\w+\.(?:py|cs|pd|maxpat))`", text):
        assert (
            list(CLIENTS.rglob(file)) or list(CLIENTS.parent.glob(f"{file}")) or list(CLIENTS.parent.glob(f"*/{file}"))
        )


def pose(actor: str, number: int = 7) -> PoseFrame:
    rotations = rot.normalize(RANDOM.normal(size=(len(HUMANOID), 4)))
    return PoseFrame(HUMANOID, RANDOM.normal(size=3), rotations, None, 0.0, number, actor)


def test_touchdesigner_channels_are_the_packed_poses():
    chop = script("touchdesigner/poses_chop.py")
    dancer, partner = pose("anna"), pose("bob", 8)
    found = chop.channels(*chop.decode(packed.encode([dancer, partner], 5, 0.0, {"bob"})))
    assert len(found) == 1 + 2 * (2 + 3 + 3 * len(HUMANOID))
    assert found["frame"] == 5.0
    assert (found["p1/partner"], found["p2/partner"], found["p2/id"]) == (0.0, 1.0, 8.0)
    assert np.allclose([found[f"p2/hips:t{axis}"] for axis in "xyz"], partner.root_position)
    for joint, name in enumerate(chop.JOINTS):
        degrees = [found[f"p2/{name}:r{axis}"] for axis in "xyz"]
        turned = Rotation.from_euler("xyz", degrees, degrees=True)  # about X first, fixed axes: Rz Ry Rx
        assert (turned * Rotation.from_quat(partner.rotations[joint]).inv()).magnitude() < 1e-5  # float32


def test_touchdesigner_scripts_name_joints_as_the_output_does():
    chop = script("touchdesigner/poses_chop.py")
    assert [joint_name(name) for name in HUMANOID.names] == chop.JOINTS
    found = chop.channels(1, [("anna", False, 1, np.zeros(3), rot.normalize(np.ones((22, 4))))], ["wrist_l"])
    assert list(found) == ["frame", "p1/id", "p1/partner", "p1/wrist_l:rx", "p1/wrist_l:ry", "p1/wrist_l:rz"]


def test_touchdesigner_refuses_another_topic_and_version():
    chop = script("touchdesigner/poses_chop.py")
    with pytest.raises(ValueError, match="reads"):
        chop.decode(b"stats/0\0" + bytes(32))


class ScriptChop:
    """What TouchDesigner hands to the callbacks of a Script CHOP, as far as ours ask it."""

    def __init__(self, address: str, joints: str) -> None:
        self.par = SimpleNamespace(
            Address=SimpleNamespace(eval=lambda: address), Joints=SimpleNamespace(eval=lambda: joints)
        )
        self.values: dict[str, list[float]] = {}
        self.numSamples = 0

    def clear(self) -> None:
        self.values.clear()

    def appendChan(self, name: str) -> list[float]:
        self.values[name] = [0.0] * self.numSamples
        return self.values[name]


def test_the_script_chop_shows_the_newest_pose_of_a_publisher_and_keeps_it():
    chop = script("touchdesigner/poses_chop.py")
    frame = pose("anna")
    with closing(ZmqSender("tcp://127.0.0.1:*")) as sender:
        operator = ScriptChop(sender.endpoint, "hips")
        chop.onCook(operator)
        assert operator.values == {}
        with closing(chop.sockets[sender.endpoint]) as subscriber:
            while not subscriber.poll(20):  # the subscription is on its way
                sender.send(packed.encode([frame], 5, 0.0))
            chop.onCook(operator)
            shown = dict(operator.values)
            assert np.allclose([shown[f"p1/hips:t{axis}"][0] for axis in "xyz"], frame.root_position)
            while subscriber.poll(20):
                subscriber.recv()
            chop.onCook(operator)
            assert operator.values == shown


class Table:
    def __init__(self) -> None:
        self.rows: list[list] = []
        self.clear, self.appendRow = self.rows.clear, self.rows.append


def test_the_osc_in_dat_gets_whole_vmc_frames_in_touchdesigners_axes():
    dat, table = script("touchdesigner/vmc_dat.py"), Table()
    operator = SimpleNamespace(parent=lambda: SimpleNamespace(op={dat.TABLE: table}.get))
    frame = pose("anna")
    messages = [one.message for datagram in VmcEncoder().encode(frame) for one in OscPacket(datagram).messages]
    for number, message in enumerate(messages):
        assert table.rows == []
        dat.onReceiveOSC(operator, number, "", b"", 0.0, message.address, message.params, None)
    header, *rows = table.rows
    assert header == dat.HEADER
    assert [row[0] for row in rows] == list(HUMANOID.names)
    numbers = np.array([row[1:] for row in rows])
    assert np.allclose(numbers[0, :3], frame.root_position)
    assert np.allclose(numbers[1:, :3], HUMANOID.offsets[1:], atol=1e-6)
    assert np.allclose(numbers[:, 3:], frame.rotations, atol=1e-6)


def test_the_max_patch_is_whole_and_routes_what_is_sent():
    patch = json.loads((CLIENTS / "max/poses.maxpat").read_text())["patcher"]
    boxes = {box["box"]["id"]: box["box"] for box in patch["boxes"]}
    assert len(boxes) == len(patch["boxes"])
    for line in (line["patchline"] for line in patch["lines"]):
        (source, outlet), (target, inlet) = line["source"], line["destination"]
        assert outlet < boxes[source]["numoutlets"]
        assert inlet < boxes[target]["numinlets"]
    texts = [box.get("text", "") for box in boxes.values()]
    routed = {word for text in texts if text.startswith("route /") for word in text.split()[1:]}
    frame = pose("anna")
    datagrams = [*VmcEncoder().encode(frame), *AiToolboxEncoder(HUMANOID).encode(frame)]
    assert routed <= {one.message.address for datagram in datagrams for one in OscPacket(datagram).messages}
    assert len(routed) == 4
    assert any(text.split()[1:] == ["Hips", "LeftHand", "RightHand"] for text in texts)
