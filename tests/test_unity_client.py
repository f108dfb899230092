"""The Unity receiver as it stands in clients/unity, compiled and run: its avatar stands where our kinematics say."""

import shutil
import socket
import subprocess
from contextlib import closing

import numpy as np
import pytest

from benchmarks.interop import unity
from motion import kinematics
from motion import rotations as rot
from motion.skeleton import HUMANOID
from server.protocols.frames import PoseFrame
from server.protocols.osc import encode, parse
from server.protocols.vmc import BONE, ROOT, TIME, VmcEncoder

ANY_REST = rot.normalize(np.random.default_rng(5).normal(size=(len(HUMANOID), 4)))
SCALE = 1.25
LARGER = HUMANOID.with_offsets(HUMANOID.offsets * SCALE)


@pytest.fixture(scope="module")
def play(tmp_path_factory):
    """Runs the receiver over commands: the lines it prints."""
    missing = [name for name in unity.NEEDS if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: apt-get install mono-mcs mono-runtime")
    program = unity.compile_player(tmp_path_factory.mktemp("unity"))

    def run(*commands: str) -> list[str]:
        text = "\n".join(commands) + "\n"
        done = subprocess.run(["mono", program], input=text, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return run


def frames(count: int, bundle: bool = True) -> list[tuple[PoseFrame, list[str]]]:
    """Poses, and the commands that send them."""
    random = np.random.default_rng(0)
    encoder = VmcEncoder(bundle=bundle)
    made = []
    for number in range(count):
        rotations = rot.normalize(random.normal(size=(len(HUMANOID), 4)))
        frame = PoseFrame(HUMANOID, random.normal(size=3), rotations, number / 64, 0.0, number)
        made.append((frame, [f"datagram {datagram.hex()}" for datagram in encoder.encode(frame)]))
    return made


def joints(frame: PoseFrame) -> np.ndarray:
    return kinematics.global_positions(HUMANOID, frame.root_position, frame.rotations)


@pytest.mark.parametrize("bundle", [True, False])
def test_an_avatar_with_any_bone_axes_stands_as_we_say(play, bundle: bool):
    sent = frames(10, bundle)
    lines = play(*unity.avatar(HUMANOID, ANY_REST), *(command for _, commands in sent for command in commands))
    assert [line.split()[:3] for line in lines] == [["pose", str(n + 1), f"{n / 64:.9g}"] for n in range(10)]
    for line, (frame, _) in zip(lines, sent, strict=True):
        assert np.allclose(unity.positions(line, HUMANOID), joints(frame), atol=2e-5)  # measured 6e-6, float32


def test_a_larger_avatar_takes_larger_steps_from_where_it_stands(play):
    (frame, commands), *_ = frames(1)
    turn = "avatar 10 0 0 0 1 0 0"  # ten metres to Unity's right, back to front
    (line,) = play(turn, *unity.avatar(LARGER, ANY_REST), *commands)
    expected = SCALE * joints(frame) * [-1.0, 1.0, -1.0] + [-10.0, 0.0, 0.0]
    assert np.allclose(unity.positions(line, LARGER), expected, atol=5e-5)  # measured 9e-6, float32


def test_the_senders_bone_lengths_can_be_taken_over(play):
    (frame, commands), *_ = frames(1)
    (line,) = play("set useSenderBoneLengths true", *unity.avatar(LARGER, ANY_REST), *commands)
    assert np.allclose(unity.positions(line, LARGER), joints(frame), atol=2e-5)


def test_the_root_moves_the_whole_avatar_and_steps_on_the_spot_stay_there(play):
    (frame, commands), *_ = frames(1)
    root = encode(ROOT, "root", 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0)
    again = [f"datagram {encode(TIME, 1.0).hex()}"]
    bone = encode(BONE, "LeftEye", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)  # opens a frame
    moved = [*commands, f"datagram {root.hex()}", f"datagram {bone.hex()}", *again]
    *_, line = play(*unity.avatar(HUMANOID, ANY_REST), *moved)
    expected = joints(frame) * [-1.0, 1.0, -1.0] + [-1.0, 0.0, 0.0]
    assert np.allclose(unity.positions(line, HUMANOID), expected, atol=2e-5)
    *_, line = play("set moveThroughSpace false", *unity.avatar(HUMANOID, ANY_REST), *commands)
    assert np.allclose(unity.positions(line, HUMANOID)[0], [0.0, frame.root_position[1], 0.0], atol=2e-5)


def test_a_lost_datagram_costs_its_bones_one_frame(play):
    (first, one), (second, (lost, *two)) = frames(2)
    _, last = play(*unity.avatar(HUMANOID, ANY_REST), *one, *two)
    held = {args[0] for address, args in parse(bytes.fromhex(lost.split()[1])) if address == BONE}
    rotations = np.where([[name in held] for name in HUMANOID.names], first.rotations, second.rotations)
    assert {"Hips"} < held < set(HUMANOID.names)
    expected = kinematics.global_positions(HUMANOID, first.root_position, rotations)
    assert np.allclose(unity.positions(last, HUMANOID), expected, atol=2e-5)


def test_a_bone_that_is_no_number_is_left_where_it_was(play):
    (frame, commands), *_ = frames(1)
    broken = [
        encode(BONE, "LeftHand", *([float("nan")] * 7)),
        encode(BONE, "LeftHand", *([0.0] * 7)),
        encode(BONE, "LeftHand", 0.0, 0.0, 0.0, "no", 0.0, 0.0, 1.0),
        encode(BONE, "Tail", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0),
        encode(BONE),
        encode(TIME, "now"),
        encode(TIME, 2.0),
    ]
    lines = play(*unity.avatar(HUMANOID, ANY_REST), *commands, *(f"datagram {one.hex()}" for one in broken))
    assert len(lines) == 1
    assert np.allclose(unity.positions(lines[0], HUMANOID), joints(frame), atol=2e-5)


def test_an_avatar_that_is_no_humanoid_is_said_and_stands_still(play):
    (_, commands), *_ = frames(1)
    stood, fault, port, *_ = play("animal", *unity.avatar(HUMANOID, ANY_REST), *commands, "fault", "listen")
    assert np.allclose(unity.positions(stood, HUMANOID)[0], HUMANOID.offsets[0])
    assert fault == "fault the avatar of avatar is no Humanoid: model, Rig, Animation Type, Humanoid"
    assert port == "port 0"


def test_a_port_that_somebody_has_is_said(play):
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as other:
        other.bind(("", 0))
        port = other.getsockname()[1]
        lines = play(f"set port {port}", *unity.avatar(HUMANOID, ANY_REST), "listen")
    assert lines[0] == "port 0"
    assert f"UDP port {port} cannot be had" in lines[1]


def test_no_bytes_stop_it(play):
    commands = [command for _, commands in frames(3) for command in commands]
    *_, last = play(*unity.avatar(HUMANOID, ANY_REST), *commands, "garbage 20000")
    read, broken = (int(word) for word in last.split()[1::2])
    assert read == 20000 + len(commands)
    assert broken > 0
