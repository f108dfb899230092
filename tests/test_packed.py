"""The packed ZMQ format: nothing lost on the way, nothing believed that is wrong."""

import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broken_bytes import assert_good, damaged
from motion import rotations as rot
from motion.skeleton import HUMANOID, Skeleton
from server.protocols import packed
from server.protocols.frames import PacketError, PoseFrame

HEADER, RECORD = 40, 32


def pose(actor="dancer1", seed=0, sender_time=1.25, skeleton=HUMANOID) -> PoseFrame:
    random = np.random.default_rng(seed)
    rotations = rot.normalize(random.normal(size=(len(skeleton), 4)))
    return PoseFrame(skeleton, random.normal(size=3), rotations, sender_time, 0.0, 7 + seed, actor)


@pytest.mark.parametrize("actors", [0, 1, 2, 5])
def test_what_goes_in_comes_out(actors):
    sent = [pose(f"actor{n}", n, 0.5 * n if n else None) for n in range(actors)]
    frames, header = packed.decode(packed.encode(sent, 2**40, 1.5e9, {"actor1"}), receive_time=3.0)
    assert (header.tick, header.send_time, header.joints) == (2**40, 1.5e9, 22)
    assert header.partners == ({"actor1"} if actors > 1 else set())
    assert len(frames) == actors
    for frame, original in zip(frames, sent, strict=True):
        assert np.allclose(frame.root_position, original.root_position, rtol=0, atol=2e-7)  # float32
        assert np.allclose(frame.rotations, original.rotations, rtol=0, atol=1e-7)
        assert (frame.actor, frame.sender_time, frame.number, frame.receive_time) == (
            original.actor,
            original.sender_time,
            original.number,
            3.0,
        )


def test_the_bytes_are_where_the_document_says():
    frame = pose("partner1")
    message = packed.encode([frame], tick=3, send_time=4.0, partners={"partner1"})
    assert message[:8] == b"pose/00\0"
    assert struct.unpack_from("<HHHH", message, 8) == (1, HEADER, 1, 22)
    assert struct.unpack_from("<IIQd", message, 16) == (HUMANOID.topology_hash, 0, 3, 4.0)
    assert struct.unpack_from("<16sdII", message, HEADER) == (b"partner1" + bytes(8), 1.25, 7, 1)
    numbers = np.frombuffer(message, "<f4", offset=HEADER + RECORD)
    assert numbers.tolist() == np.float32([*frame.root_position, *frame.rotations.ravel()]).tolist()


@pytest.mark.parametrize("name", ["a" * 17, "ä" * 9])
def test_a_name_without_room_is_refused(name):
    with pytest.raises(ValueError, match="room for 16"):
        packed.encode([pose(name)], 0, 0.0)


def test_actors_with_other_joints_go_apart():
    other = Skeleton(("Hips",), (-1,), np.zeros((1, 3)))
    with pytest.raises(ValueError, match="'b' has other joints than 'a'"):
        packed.encode([pose("a"), pose("b", skeleton=other)], 0, 0.0)
    with pytest.raises(PacketError, match="1 joints of topology"):
        packed.decode(packed.encode([pose("b", skeleton=other)], 0, 0.0))


def test_a_longer_header_of_the_same_version_is_skipped():
    message = packed.encode([pose()], 0, 0.0)
    longer = message[:10] + struct.pack("<H", HEADER + 8) + message[12:HEADER] + bytes(8) + message[HEADER:]
    assert packed.decode(longer)[0][0].actor == "dancer1"


@settings(deadline=None, database=None, max_examples=200)
@given(st.data())
def test_damaged_messages_raise_nothing_but_packet_error(data):
    with suppress(PacketError):
        assert_good(packed.decode(damaged(data, packed.encode([pose(), pose("b", 1)], 0, 0.0)))[0])


@pytest.mark.parametrize("bits", [0x7FC00000, 0x7F800001, 0x7F800000, 0x7E967699])  # NaN, signalling, infinity, 1e38
def test_impossible_numbers_are_refused(bits):
    message = bytearray(packed.encode([pose()], 0, 0.0))
    struct.pack_into("<I", message, HEADER + RECORD, bits)
    with pytest.raises(PacketError, match="not finite"):
        packed.decode(bytes(message))


def test_a_zero_rotation_is_refused():
    message = bytearray(packed.encode([pose()], 0, 0.0))
    message[-16:] = bytes(16)
    with pytest.raises(PacketError, match="rotation zero"):
        packed.decode(bytes(message))


def test_stats_come_back_and_know_no_nan():
    stats = {"ticks": 3, "dancers": {"dancer1": {"age_ms": None}}}
    assert packed.decode_stats(packed.encode_stats(stats)) == stats
    with pytest.raises(ValueError, match="JSON"):
        packed.encode_stats({"ticks": float("nan")})


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\xff", b"[" * 100000])
def test_stats_that_are_none_are_a_packet_error(body):
    with pytest.raises(PacketError):
        packed.decode_stats(packed.STATS_TOPIC + body)
