"""The interop script's own judgement, and the clients that are quick to ask. The others: `benchmarks/interop.sh`."""

import json
import shutil
import struct
import sys
from contextlib import closing

import numpy as np
import pytest

from benchmarks.interop import __main__ as interop
from benchmarks.interop import capture
from benchmarks.interop.clients import CLIENTS, Client, missing, read_own
from benchmarks.interop.vrm import vrm
from motion import rotations as rot
from motion.skeleton import HUMANOID
from server.protocols.ai_toolbox import AiToolboxEncoder
from server.protocols.frames import PoseFrame
from server.protocols.vmc import VmcEncoder
from server.senders.udp import UdpSender

FRAMES = 25  # 50 kB: they fit into any socket's buffer, however late its reader

# A client in ten lines. It leaves out the frames whose time is in its second argument.
RECEIVER = """
import socket, sys
from pythonosc.osc_packet import OscPacket
door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
door.bind(("127.0.0.1", int(sys.argv[1])))
print("ready", flush=True)
while True:
    for one in OscPacket(door.recv(65536)).messages:
        address, args = one.message.address, one.message.params
        if address.endswith("Bone/Pos"):
            print("bone", args[0], flush=True)
        elif address.endswith("/T") and str(args[0]) not in sys.argv[2:]:
            print("time", args[0], flush=True)
"""


def client(*left_out: str) -> Client:
    return Client((), lambda scratch, port: [sys.executable, "-c", RECEIVER, str(port), *left_out], read_own)


def send(ports: dict[str, int], reference: int) -> None:
    random = np.random.default_rng(0)
    encoders = {name: encoder_of(CLIENTS.get(name, client())) for name in ports}
    plain = VmcEncoder()
    for number in range(FRAMES):
        rotations = rot.normalize(random.normal(size=(len(HUMANOID), 4)))
        frame = PoseFrame(HUMANOID, random.normal(size=3), rotations, number / 64, 0.0, number)
        for name, port in ports.items():
            with closing(UdpSender("127.0.0.1", port)) as sender:
                sender.send(encoders[name].encode(frame))
        with closing(UdpSender("127.0.0.1", reference)) as sender:
            sender.send(plain.encode(frame))


def encoder_of(client: Client):
    if client.output["send"] == "ai_toolbox":
        return AiToolboxEncoder(HUMANOID)
    return VmcEncoder(bundle=client.output.get("bundle", True))


@pytest.fixture
def quick(monkeypatch):
    """Without tshark, which takes seconds to begin."""
    monkeypatch.setattr(capture.os, "geteuid", lambda: 1)


@pytest.mark.usefixtures("quick")
def test_a_client_that_gets_every_frame_is_ok_and_one_that_loses_some_is_not(tmp_path):
    figures = interop.run({"whole": client(), "lossy": client("0.25", "0.015625")}, tmp_path, send)
    assert figures["whole"] == {
        "sent": FRAMES,
        "received": FRAMES,
        "bones": FRAMES * len(HUMANOID),
        "poses_compared": None,
        "error_mm": None,
        "verdict": "ok",
    }
    assert figures["lossy"]["received"] == FRAMES - 2
    assert "frames lost" in figures["lossy"]["verdict"]


@pytest.mark.usefixtures("quick")
def test_a_client_that_does_not_begin_is_no_end_of_the_others(tmp_path):
    dies = Client((), lambda scratch, port: [sys.executable, "-c", "raise SystemExit('no licence')"], read_own)
    absent = Client((), lambda scratch, port: ["no-such-program"], read_own)
    figures = interop.run({"whole": client(), "dies": dies, "absent": absent}, tmp_path, send)
    assert figures["whole"]["verdict"] == "ok"
    assert figures["dies"]["verdict"].startswith("ended by itself: no licence, frames lost")
    assert "no-such-program" in figures["absent"]["verdict"]


@pytest.mark.parametrize("names", [("Pure Data, VMC", "Pure Data, AI-Toolbox"), ("clients/unity under mono",)])
@pytest.mark.usefixtures("quick")
def test_a_client_gets_every_frame(tmp_path, names: tuple[str, ...]):
    chosen = {name: CLIENTS[name] for name in names}
    lacking = sorted({need for one in chosen.values() for need in missing(one, tmp_path)})
    if lacking:
        pytest.skip(f"{', '.join(lacking)} not installed; benchmarks/interop.sh names the packages")
    figures = interop.run(chosen, tmp_path, send)
    assert {name: (one["received"], one["verdict"]) for name, one in figures.items()} == dict.fromkeys(
        names, (FRAMES, "ok")
    )


def test_tshark_finds_every_datagram_whole_and_short_enough(tmp_path):
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed: apt-get install tshark")
    with closing(interop.Reference()) as reference, capture.watching(tmp_path, [reference.port]) as file:
        if file is None:
            pytest.skip("tshark may not listen here: it needs root")
        send({}, reference.port)
    figures = capture.figures(file, [], reference.port, FRAMES)
    assert figures == {
        "sent": FRAMES,
        "received": FRAMES,
        "datagrams": 2 * FRAMES,
        "longest_bytes": 1416,
        "malformed": 0,
        "verdict": "ok",
    }


def test_the_avatar_is_gltf_with_every_bone_of_the_skeleton():
    file = vrm(HUMANOID)
    magic, version, length, size, kind = struct.unpack_from("<4sIII4s", file)
    document = json.loads(file[20 : 20 + size])
    bones = document["extensions"]["VRMC_vrm"]["humanoid"]["humanBones"]
    assert (magic, version, length, kind) == (b"glTF", 2, len(file), b"JSON")
    for name, offset in zip(HUMANOID.names, HUMANOID.offsets, strict=True):
        node = document["nodes"][bones[name[0].lower() + name[1:]]["node"]]
        assert node["name"] == name
        assert np.allclose(node["translation"], offset)


def test_what_a_client_lacks_is_named(tmp_path):
    lacking = missing(CLIENTS["three-vrm in Chromium"], tmp_path)
    assert {"npm:osc", "npm:@pixiv/three-vrm"} <= set(lacking)
    (tmp_path / "node_modules/osc").mkdir(parents=True)
    assert "npm:osc" not in missing(CLIENTS["three-vrm in Chromium"], tmp_path)
