"""Xsens' stream: bytes laid out by hand from the specification, axes and units, and noise."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from broken_bytes import assert_good_or_refused, damaged
from motion import kinematics
from motion import rotations as rot
from motion.retarget import Retargeter
from motion.skeleton import HUMANOID
from server.protocols import xsens_packets
from server.protocols.bodies import standing
from server.protocols.frames import PacketError, PoseFrame
from server.protocols.xsens import XsensDecoder, metres_per_unit
from server.protocols.xsens_packets import BODY, PARENTS, SEGMENTS, encode_meta, encode_pose, encode_t_pose

QUICK = settings(deadline=None, database=None, max_examples=60)
# Where the segments stand in a T-pose: metres forward, to the left, up.
STANDING = np.array([
    (0, 0, 0.96), (-0.01, 0, 1.06), (-0.01, 0, 1.17), (0, 0, 1.27), (0, 0, 1.36), (0, 0, 1.5), (0.02, 0, 1.59),
    (0, -0.03, 1.43), (0, -0.18, 1.43), (0, -0.47, 1.43), (0, -0.72, 1.43),
    (0, 0.03, 1.43), (0, 0.18, 1.43), (0, 0.47, 1.43), (0, 0.72, 1.43),
    (0, -0.08, 0.95), (0, -0.08, 0.52), (0, -0.08, 0.09), (0.14, -0.08, 0.02),
    (0, 0.08, 0.95), (0, 0.08, 0.52), (0, 0.08, 0.09), (0.14, 0.08, 0.02),
])  # fmt: skip
UPRIGHT = STANDING[:, [1, 2, 0]]
SKELETON = standing(SEGMENTS, PARENTS, np.vstack([np.zeros(3), UPRIGHT[1:] - UPRIGHT[list(PARENTS[1:])]]))


def datagram(kind, content, items=0, sample=7, character=0, index=0x80, payload=None, time=1500) -> bytes:
    size = len(content) if payload is None else payload
    return (
        b"MXTP%02d" % kind
        + struct.pack(">IBBIBBBBHH", sample, index, items, time, character, 23, 0, 0, 0, size)
        + content
    )


def segment(number, position, wxyz=(1.0, 0.0, 0.0, 0.0)) -> bytes:
    return struct.pack(">I3f4f", number, *position, *wxyz)


def segments(scale=1.0, first=1, last=23) -> bytes:
    return b"".join(segment(number, scale * STANDING[number - 1]) for number in range(first, last + 1))


def t_pose(scale=1.0, names=SEGMENTS) -> bytes:
    parts = [struct.pack(">I", len(names))]
    for name in names:
        position = scale * STANDING[SEGMENTS.index(name)] if name in SEGMENTS else (9.0, 9.0, 9.0)
        parts += [struct.pack(">I", len(name)), name.encode(), struct.pack(">3f", *position)]
    return b"".join(parts)


def pose(seed=0, number=7, skeleton=SKELETON) -> PoseFrame:
    random = np.random.default_rng(seed)
    rotations = rot.normalize(random.normal(size=(BODY, 4)))
    return PoseFrame(skeleton, random.normal(size=3), rotations, 0.25, 3.0, number, "dancer1")


def bent(seed=0) -> PoseFrame:
    """A pose a body can take: joints turned by some tens of degrees."""
    frame = pose(seed)
    frame.rotations = rot.normalize(rot.IDENTITY + 0.15 * np.random.default_rng(seed).normal(size=(BODY, 4)))
    return frame


def test_a_pose_is_read_where_its_bytes_are():
    quarter = np.sqrt(0.5)
    content = bytearray(segments())
    content[:32] = segment(1, (1.0, 2.0, 3.0), (quarter, 0, 0, quarter))  # turned to the left, about the vertical
    header, read = xsens_packets.decode(datagram(2, bytes(content), items=23, sample=9, character=2))
    assert (header.kind, header.sample, header.items, header.time, header.character) == (2, 9, 23, 1.5, 2)
    assert read.places.tolist() == list(range(23))
    assert read.positions[0].tolist() == [2.0, 3.0, 1.0]
    assert np.allclose(read.rotations[0], [0, quarter, 0, quarter], rtol=0, atol=1e-7)  # float32
    assert np.allclose(read.positions[1:], UPRIGHT[1:], rtol=0, atol=1e-7)


def test_a_body_alone_is_as_long_as_real_ones():
    assert len(encode_pose(pose())) == 760


def test_the_encoder_writes_what_the_specification_says():
    frame = PoseFrame(SKELETON, UPRIGHT[0], np.tile(rot.IDENTITY, (BODY, 1)), 1.5, 0.0, 7)
    written = encode_pose(frame)
    expected = datagram(2, segments(), items=23)
    assert written[:24] == expected[:24]
    numbers = [np.frombuffer(data, ">f4", offset=24).reshape(23, 8)[:, 1:] for data in (written, expected)]
    assert np.allclose(*numbers, rtol=0, atol=2e-7)  # float32


def test_forward_kinematics_is_the_same_on_both_sides_of_the_axes():
    random = np.random.default_rng(3)
    offsets = random.normal(size=(BODY, 3))
    turns = Rotation.random(BODY, random_state=4)  # local, in Xsens' axes
    positions, globals_ = [offsets[0]], [turns[0]]
    for joint, parent in enumerate(PARENTS[1:], start=1):
        positions.append(positions[parent] + globals_[parent].apply(offsets[joint]))
        globals_.append(globals_[parent] * turns[joint])
    wxyz = np.array([turn.as_quat()[[3, 0, 1, 2]] for turn in globals_])
    ours, rotations = xsens_packets.to_y_up(np.array(positions), wxyz)
    skeleton = standing(SEGMENTS, PARENTS, offsets[:, [1, 2, 0]])
    local = kinematics.global_to_local(skeleton, rotations)
    assert np.allclose(kinematics.global_positions(skeleton, ours[0], local), ours, rtol=0, atol=1e-12)


def test_the_axes_go_there_and_back_exactly():
    random = np.random.default_rng(0)
    positions, rotations = random.normal(size=(5, 3)), random.normal(size=(5, 4))
    for there, back in ((xsens_packets.to_y_up, xsens_packets.to_z_up), (xsens_packets.to_z_up, xsens_packets.to_y_up)):
        again = back(*there(positions, rotations))
        assert np.array_equal(again[0], positions)
        assert np.array_equal(again[1], rotations)


def test_left_is_left_and_ahead_is_ahead():
    (frame,) = XsensDecoder().feed(datagram(2, segments(), items=23), 0.0)
    rest = frame.skeleton.rest_positions
    assert rest[SEGMENTS.index("LeftHand"), 0] == pytest.approx(0.72, abs=1e-6)
    assert rest[SEGMENTS.index("RightToe"), 2] == pytest.approx(0.14, abs=1e-6)
    assert frame.skeleton.hip_height == pytest.approx(0.94, abs=1e-6)
    assert np.allclose(frame.rotations, rot.IDENTITY)


@QUICK
@given(st.integers(0, 999), st.integers(0, 2**32 - 1))
def test_what_goes_in_comes_out(seed, number):
    decoder = XsensDecoder("dancer1")
    decoder.feed(encode_t_pose(SKELETON), 0.0)
    sent = bent(seed)
    sent.number = number
    (frame,) = decoder.feed(encode_pose(sent), 3.0)
    assert np.allclose(frame.root_position, sent.root_position, rtol=0, atol=3e-7)  # float32
    assert np.allclose(rot.to_matrix(frame.rotations), rot.to_matrix(sent.rotations), rtol=0, atol=1e-6)
    assert np.allclose(frame.skeleton.offsets, SKELETON.offsets, rtol=0, atol=2e-7)
    assert (frame.number, frame.sender_time, frame.receive_time, frame.actor) == (number, 0.25, 3.0, "dancer1")


def test_without_a_t_pose_the_bones_are_measured():
    decoder = XsensDecoder()
    sent = bent(4)
    (frame,) = decoder.feed(encode_pose(sent), 0.0)
    assert np.allclose(frame.skeleton.offsets, SKELETON.offsets, rtol=0, atol=1e-6)
    again = [decoder.feed(encode_pose(bent(seed)), float(seed))[0] for seed in range(5, 9)]
    assert all(later.skeleton is frame.skeleton for later in again)


def test_measured_bones_give_way_to_other_ones_after_a_second():
    decoder = XsensDecoder()
    (first,) = decoder.feed(encode_pose(bent()), 0.0)
    longer = encode_pose(pose(skeleton=SKELETON.with_offsets(1.2 * SKELETON.offsets)))
    assert decoder.feed(longer, 0.5)[0].skeleton is first.skeleton
    assert decoder.feed(longer, 1.5)[0].skeleton.hip_height == pytest.approx(1.2 * 0.94, abs=1e-5)


def test_a_t_pose_outdoes_what_was_measured_and_may_come_again():
    decoder = XsensDecoder()
    decoder.feed(encode_pose(pose(skeleton=SKELETON.with_offsets(1.2 * SKELETON.offsets))), 0.0)
    skeletons = []
    for now in (1.0, 5.0):
        decoder.feed(datagram(13, t_pose(), index=0), now)
        skeletons.append(decoder.feed(datagram(2, segments(), items=23), now)[0].skeleton)
    assert skeletons[0] is skeletons[1]
    assert np.allclose(skeletons[0].offsets, SKELETON.offsets, rtol=0, atol=2e-7)


def test_centimetres_are_told_by_the_body():
    metres, centimetres = XsensDecoder(), XsensDecoder()
    for decoder, scale in ((metres, 1.0), (centimetres, 100.0)):
        decoder.feed(datagram(13, t_pose(scale)), 0.0)
    (one,) = metres.feed(datagram(2, segments(), items=23), 0.0)
    (other,) = centimetres.feed(datagram(2, segments(100.0), items=23), 0.0)
    assert np.allclose(one.root_position, other.root_position, rtol=0, atol=1e-6)
    assert np.allclose(one.skeleton.offsets, other.skeleton.offsets, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("length", "unit"), [(0.3, 1.0), (0.7, 1.0), (30.0, 0.01), (70.0, 0.01)])
def test_crouching_changes_no_unit(length, unit):
    assert metres_per_unit(length * UPRIGHT / np.linalg.norm(UPRIGHT[6] - UPRIGHT[0])) == unit


@pytest.mark.parametrize("scale", [0.0, 0.01, 1e4])
def test_what_is_no_body_is_refused(scale):
    with pytest.raises(PacketError, match="no body in metres or centimetres"):
        XsensDecoder().feed(datagram(2, segments(scale), items=23), 0.0)


def test_props_and_fingers_are_skipped():
    decoder = XsensDecoder()
    more = b"".join(segment(number, (9.0, 9.0, 9.0)) for number in range(24, 64))
    (frame,) = decoder.feed(datagram(2, segments() + more, items=63), 0.0)
    assert len(frame.skeleton) == 23
    assert decoder.feed(datagram(2, more, items=40, index=0x81), 0.0) == []
    assert not decoder.dropped
    decoder.feed(datagram(13, t_pose(names=("LeftCarpus", *SEGMENTS, "Sword"))), 0.0)
    (frame,) = decoder.feed(datagram(2, segments(), items=23, sample=8), 9.0)
    assert np.allclose(frame.skeleton.offsets, SKELETON.offsets, rtol=0, atol=2e-7)


def test_a_body_in_several_datagrams_is_put_together():
    decoder = XsensDecoder()
    parts = [datagram(2, segments(first=1, last=9), 9, index=0), datagram(2, segments(first=10), 14, index=0x81)]
    whole = XsensDecoder().feed(datagram(2, segments(), items=23), 0.0)[0]
    for order in (parts, parts[::-1]):
        (frame,) = [frame for part in order for frame in decoder.feed(part, 0.0)]
        assert np.array_equal(frame.rotations, whole.rotations)
        assert np.array_equal(frame.root_position, whole.root_position)
    halves = [t_pose(names=SEGMENTS[:12]), t_pose(names=SEGMENTS[12:])]
    assert [decoder.feed(datagram(13, half), 0.0) for half in halves] == [[], []]


def test_a_sample_that_lost_a_part_is_dropped():
    decoder = XsensDecoder()
    assert decoder.feed(datagram(2, segments(last=9), items=9), 0.0) == []
    (frame,) = decoder.feed(datagram(2, segments(), items=23, sample=8), 0.0)
    assert frame.number == 8
    assert decoder.dropped == {"incomplete": 1}


def test_other_characters_are_left_to_others():
    first, second = XsensDecoder(), XsensDecoder(character=1)
    for character in (0, 1):
        sent = datagram(2, segments(), items=23, character=character)
        assert len(first.feed(sent, 0.0)) == (character == 0)
        assert len(second.feed(sent, 0.0)) == (character == 1)
    assert first.dropped == second.dropped == {"other_character": 1}


def test_a_character_tells_its_name():
    decoder = XsensDecoder()
    text = b"name:Ana: la 1\xc2\xaa\n color:ff0000 \nxmid:00:15\nnothing\n"
    assert decoder.feed(datagram(12, struct.pack(">I", len(text)) + text, index=0), 0.0) == []
    assert decoder.meta == {"name": "Ana: la 1ª", "color": "ff0000", "xmid": "00:15"}
    assert xsens_packets.decode(encode_meta(decoder.meta))[1] == decoder.meta


def test_kinds_nobody_reads_are_named_unless_they_come_beside_a_pose():
    decoder = XsensDecoder()
    for kind in (1, 5, 5, 20, 21, 22, 24, 25):
        assert decoder.feed(datagram(kind, bytes(50)), 0.0) == []
    assert decoder.unknown == {"MXTP01": 1, "MXTP05": 2}


def test_points_after_a_t_pose_or_without_one_are_skipped():
    decoder = XsensDecoder()
    point = struct.pack(">hhI", 1, 1, 2) + b"pX" + struct.pack(">I3f", 0, 0, 0, 0)
    assert decoder.feed(datagram(13, struct.pack(">II", 0, 1) + point), 0.0) == []
    assert decoder.feed(datagram(13, t_pose() + struct.pack(">I", 1) + point), 0.0) == []
    (frame,) = decoder.feed(datagram(2, segments(), items=23), 0.0)
    assert np.allclose(frame.skeleton.offsets, SKELETON.offsets, rtol=0, atol=2e-7)
    assert not decoder.unknown


def test_gaps_and_restarts_are_seen():
    decoder = XsensDecoder()
    for sample in (5000, 5001, 5004, 3, 4):
        decoder.feed(datagram(2, segments(), items=23, sample=sample), 0.0)
    assert (decoder.numbering.lost, decoder.numbering.restarts) == (2, 1)


def test_an_xsens_body_stands_on_humanoid_as_it_stood():
    (frame,) = XsensDecoder().feed(datagram(2, segments(), items=23), 0.0)
    retargeter = Retargeter(frame.skeleton)
    assert retargeter.profile == "xsens"
    root, rotations = retargeter.pose(frame.root_position, frame.rotations)
    positions = kinematics.global_positions(HUMANOID, root, rotations)
    assert positions[HUMANOID.index("LeftHand"), 0] > 0.5
    assert np.abs(positions[:, 1] - HUMANOID.rest_positions[:, 1]).max() < 0.12  # other legs, another neck


def test_other_skeletons_are_not_sent():
    with pytest.raises(ValueError, match="Xsens' 23 segments, not 'Hips'"):
        encode_pose(PoseFrame(HUMANOID, np.zeros(3), np.tile(rot.IDENTITY, (22, 1)), 0.0, 0.0, 0))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1e30, 2e5])
@pytest.mark.parametrize("place", range(7))
def test_impossible_numbers_are_refused(bad, place):
    numbers = [*STANDING[5], 1.0, 0.0, 0.0, 0.0]
    numbers[place] = bad
    if place >= 3 and np.isfinite(bad):
        numbers[3:] = [0.0] * 4
    content = segments(last=5) + segment(6, numbers[:3], numbers[3:]) + segments(first=7)
    with pytest.raises(PacketError, match=r"segment Neck: \["):
        XsensDecoder().feed(datagram(2, content, items=23), 0.0)


def test_a_place_far_away_is_refused():
    content = b"".join(segment(number, STANDING[number - 1] + [2000.0, 0, 0]) for number in range(1, 24))
    with pytest.raises(PacketError, match=r"sample 7: with its pelvis at \[0\.0, .*\] it is beyond 1000 m"):
        XsensDecoder().feed(datagram(2, content, items=23), 0.0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "0 bytes; the header alone has 24"),
        (bytes(9000), "9000 bytes; no MXTP datagram is longer than 8192"),
        (b"MXTQ02" + bytes(18), "begins with b'MXTQ02', not MXTP and two digits"),
        (b"MXTP-2" + bytes(18), "begins with b'MXTP-2'"),
        (datagram(2, segments(), items=24), "736 bytes after the header, which tells of 736 and of 24 segments of 32"),
        (datagram(2, segments(), items=23, payload=700), "736 bytes after the header, which tells of 700"),
        (datagram(2, segments()[:-1], items=23), "735 bytes"),
        (datagram(2, segment(0, (0, 0, 0)), items=1), r"segments \[0\] are not numbers from 1 to 255"),
        (datagram(2, 2 * segment(4, (0, 0, 0)), items=2), r"segments \[4, 4\] are not .* each once"),
        (datagram(2, segment(2**32 - 1, (0, 0, 0)), items=1), r"segments \[4294967295\]"),
        (datagram(12, b"\0\0"), "the length of the text takes 4 bytes at byte 24, 2 are left"),
        (datagram(12, b"\xff\xff\xff\xffabc"), "the text claims 4294967295 bytes at byte 28, 3 are left"),
        (datagram(13, b""), "the number of segments takes 4 bytes at byte 24, 0 are left"),
        (datagram(13, b"\xff\xff\xff\xff"), "a T-pose of 4294967295 segments at byte 24; 255 is the most"),
        (datagram(13, b"\0\0\0\1\0\0\0\x09Pelv"), "the name of segment 0 claims 9 bytes at byte 32, 4 are left"),
        (datagram(13, t_pose()[:-1]), "the position of segment 22, 'LeftToe', takes 12 bytes at byte .* 11 are left"),
        (datagram(13, t_pose()[:-4] + b"\x7f\xc0\0\0"), r"segment LeftToe: \(.*nan\) is no position"),
        (datagram(13, t_pose()[:-12] + b"\x7f\xc0\0\0" + bytes(8)), r"segment LeftToe: \(nan"),
    ],
)
def test_a_packet_error_says_what_and_where(data, message):
    with pytest.raises(PacketError, match=message):
        xsens_packets.decode(data)


@settings(QUICK, max_examples=200)
@given(st.binary(max_size=120), st.integers(0, 4))
def test_noise_raises_nothing_but_packet_error(noise, items):
    for data in (noise, datagram(2, noise, items), datagram(12, noise), datagram(13, noise), b"MXTP" + noise):
        assert_good_or_refused(XsensDecoder(), data)


@settings(QUICK, max_examples=300)
@given(
    st.data(), st.sampled_from([datagram(2, segments(), items=23), encode_t_pose(SKELETON), encode_meta({"a": "b"})])
)
def test_damaged_datagrams_raise_nothing_but_packet_error(data, good):
    decoder = XsensDecoder()
    assert_good_or_refused(decoder, damaged(data, good))
    assert_good_or_refused(decoder, datagram(2, segments(), items=23))
