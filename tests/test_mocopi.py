"""mocopi: bytes laid out by hand from Sony's description, real datagrams, and noise."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broken_bytes import assert_good_or_refused, damaged
from motion import rotations as rot
from motion.retarget import Retargeter
from motion.skeleton import Skeleton
from server.protocols import mocopi
from server.protocols.frames import PacketError, PoseFrame

QUICK = settings(deadline=None, database=None, max_examples=60)
OFFSETS = np.float32(np.random.default_rng(5).uniform(-0.3, 0.3, (27, 3)))
BODY = Skeleton(mocopi.BONES, mocopi.PARENTS, OFFSETS)


def tlv(tag, *payload) -> bytes:
    body = b"".join(payload)
    return len(body).to_bytes(4, "little") + tag + body


HEAD = tlv(b"head", tlv(b"ftyp", b"sony motion format"), tlv(b"vrsn", b"\x01"))
SNDF = tlv(b"sndf", tlv(b"ipad", bytes(8)), tlv(b"rcvp", b"\x3f\x30"))
IDENTITY = (0.0, 0.0, 0.0, 1.0)


def bone(number, place, extra=b"") -> bytes:
    tran = tlv(b"tran", struct.pack("<7f", *place))
    return tlv(b"btdt", extra, tlv(b"bnid", number.to_bytes(2, "little")), tran)


def told(number, parent, offset=(0, 0, 0)) -> bytes:
    place = struct.pack("<7f", *IDENTITY, *offset)
    return tlv(
        b"bndt", tlv(b"bnid", struct.pack("<H", number)), tlv(b"pbid", struct.pack("<H", parent)), tlv(b"tran", place)
    )


def fram(bones, number=7, time=1.5, more=b"") -> bytes:
    opening = tlv(b"fnum", struct.pack("<I", number)), tlv(b"time", struct.pack("<f", time))
    return HEAD + SNDF + tlv(b"fram", *opening, more, tlv(b"btrs", *bones))


def bones(extra=b"") -> list[bytes]:
    return [bone(number, (*IDENTITY, *OFFSETS[number]), extra) for number in range(27)]


def pose(seed=0, number=7) -> PoseFrame:
    random = np.random.default_rng(seed)
    rotations = rot.normalize(random.normal(size=(27, 4)))
    return PoseFrame(BODY, random.normal(size=3), rotations, 0.25 * seed, 3.0, number, "dancer1")


def test_a_frame_is_read_where_its_bytes_are():
    places = [(*IDENTITY, *OFFSETS[number]) for number in range(27)]
    places[3] = (0.6, 0.0, 0.0, -0.8, *OFFSETS[3])
    places[0] = (0.0, 0.0, 1.0, 0.0, 0.5, 0.75, -2.0)
    packet = mocopi.decode(fram([bone(*numbered) for numbered in enumerate(places)]))
    assert (packet.number, packet.time, packet.unix_time, packet.ids) == (7, 1.5, None, tuple(range(27)))
    assert np.allclose(packet.places, places, rtol=0, atol=1e-7)  # float32
    assert packet.places[0].tolist() == [0.0, 0.0, 1.0, 0.0, 0.5, 0.75, -2.0]


def test_a_skeleton_is_read_where_its_bytes_are():
    bones = told(0, 0xFFFF, (0, 1, 0)), told(19, 0, (0.5, 0, 0)), told(99, 19, (0, 0, 2))
    packet = mocopi.decode(HEAD + SNDF + tlv(b"skdf", tlv(b"bons", *bones)))
    assert packet.ids == (0, 19, 99)
    assert (packet.skeleton.names, packet.skeleton.parents) == (("root", "l_up_leg", "bone_99"), (-1, 0, 1))
    assert packet.skeleton.offsets.tolist() == [[0, 1, 0], [0.5, 0, 0], [0, 0, 2]]


def test_the_lengths_are_those_of_real_datagrams():
    assert len(mocopi.encode_skeleton(BODY)) == 1821
    assert len(mocopi.encode_frame(pose())) == 1591


def test_real_datagrams_are_understood_and_written_again_byte_for_byte(shared):
    skeleton, sent = ((shared / f"data/streams/mocopi/sample_{kind}.bin").read_bytes() for kind in ("skdf", "fram"))
    decoder = mocopi.MocopiDecoder()
    assert decoder.feed(skeleton, 0.0) == []
    (frame,) = decoder.feed(sent, 0.0)
    assert frame.skeleton.hip_height == pytest.approx(0.9326, abs=1e-4)
    sender, port = sent[59:67], int.from_bytes(sent[75:77], "little")
    assert mocopi.encode_frame(frame, mocopi.decode(sent).unix_time, sender, port) == sent
    retargeter = Retargeter(frame.skeleton)
    assert retargeter.profile == "mocopi"
    root, _ = retargeter.pose(frame.root_position, frame.rotations)
    assert root[1] == pytest.approx(0.91, abs=0.03)  # somebody who stands upright


def test_a_left_arm_is_to_the_left(shared):
    skeleton = mocopi.decode((shared / "data/streams/mocopi/sample_skdf.bin").read_bytes()).skeleton
    assert skeleton.rest_positions[skeleton.index("l_hand"), 0] > 0.5
    assert skeleton.rest_positions[skeleton.index("l_toes"), 2] > 0.0


@QUICK
@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_what_goes_in_comes_out(seed, number):
    decoder = mocopi.MocopiDecoder("dancer1")
    decoder.feed(mocopi.encode_skeleton(BODY), 0.0)
    sent = pose(seed % 1000, number)
    (frame,) = decoder.feed(mocopi.encode_frame(sent), 3.0)
    assert np.allclose(frame.root_position, sent.root_position, rtol=0, atol=3e-7)  # float32
    assert np.allclose(frame.rotations, sent.rotations, rtol=0, atol=2e-7)
    assert np.array_equal(frame.skeleton.offsets, BODY.offsets)
    assert (frame.number, frame.sender_time, frame.receive_time, frame.actor) == (
        number,
        sent.sender_time,
        3.0,
        "dancer1",
    )


def test_parts_nobody_knows_are_skipped_wherever_they_stand():
    plain = mocopi.decode(fram(bones()))
    strange = tlv(b"abcd", bytes(6))
    newer = mocopi.decode(strange + fram([strange, *bones(extra=strange)], more=tlv(b"tmcd", bytes(6))) + strange)
    assert newer.ids == plain.ids
    assert np.array_equal(newer.places, plain.places)


def test_a_frame_before_the_skeleton_has_its_own_offsets():
    decoder = mocopi.MocopiDecoder()
    (early,) = decoder.feed(fram(bones()), 0.0)
    assert (early.skeleton.names, early.skeleton.parents) == (mocopi.BONES, mocopi.PARENTS)
    assert np.array_equal(early.skeleton.offsets[1:], OFFSETS[1:])
    decoder.feed(mocopi.encode_skeleton(BODY), 0.0)
    (late,) = decoder.feed(fram(bones()), 0.0)
    assert np.array_equal(late.skeleton.offsets, OFFSETS)


def test_a_skeleton_that_comes_again_changes_nothing():
    decoder = mocopi.MocopiDecoder()
    frames = []
    for _ in range(2):
        decoder.feed(mocopi.encode_skeleton(BODY), 0.0)
        frames += decoder.feed(fram(bones()), 0.0)
    assert frames[0].skeleton is frames[1].skeleton


def test_bones_in_another_order_find_their_joints():
    decoder = mocopi.MocopiDecoder()
    decoder.feed(mocopi.encode_skeleton(BODY), 0.0)
    sent = pose()
    ordered = [bone(n, (*sent.rotations[n], *(OFFSETS[n] if n else sent.root_position))) for n in range(27)]
    (frame,) = decoder.feed(fram([*ordered[::-1], bone(40, (*IDENTITY, 0, 0, 0))]), 0.0)
    assert np.allclose(frame.rotations, sent.rotations, rtol=0, atol=2e-7)  # float32
    assert np.allclose(frame.root_position, sent.root_position, rtol=0, atol=3e-7)
    assert decoder.unknown == {"bone_40": 1}


def test_gaps_and_restarts_are_seen():
    decoder = mocopi.MocopiDecoder()
    for number in (5000, 5001, 5004, 5003, 5005, 0, 1):
        decoder.feed(fram(bones(), number), 0.0)
    assert (decoder.numbering.lost, decoder.numbering.restarts) == (1, 1)


def test_a_time_that_is_none_is_told_as_none():
    decoder = mocopi.MocopiDecoder()
    (frame,) = decoder.feed(fram(bones(), time=float("nan")), 0.0)
    assert frame.sender_time is None
    assert decoder.dropped == {"time_out_of_range": 1}


def test_a_datagram_without_motion_is_counted():
    decoder = mocopi.MocopiDecoder()
    assert decoder.feed(HEAD + SNDF, 0.0) == []
    assert decoder.dropped == {"no_motion": 1}


def test_a_frame_with_a_bone_missing_names_it():
    decoder = mocopi.MocopiDecoder()
    with pytest.raises(PacketError, match="frame 7 has 26 bones that are not Sony's 27"):
        decoder.feed(fram(bones()[:-1]), 0.0)
    decoder.feed(mocopi.encode_skeleton(BODY), 0.0)
    with pytest.raises(PacketError, match="frame 7: no bone r_toes among its 26"):
        decoder.feed(fram(bones()[:-1]), 0.0)


def listed(*parents) -> bytes:
    return HEAD + tlv(b"skdf", tlv(b"bons", *(told(*numbered) for numbered in enumerate(parents))))


@pytest.mark.parametrize("strange", [b"", tlv(b"abcd")], ids=["as Sony writes it", "with a part more"])
@pytest.mark.parametrize(
    ("place", "message"),
    [
        ((*IDENTITY, float("nan"), 0, 0), r"l_up_leg: .*nan, 0\.0, 0\.0\] is no"),
        ((*IDENTITY, 0, float("inf"), 0), "l_up_leg: .*inf"),
        ((*IDENTITY, 0, 0, 1e4), r"10000\.0\] is no rotation and position within 1000 m"),
        ((0, 0, 0, 0, 0, 0, 0), "l_up_leg"),
    ],
)
def test_impossible_numbers_are_refused(place, message, strange):
    with pytest.raises(PacketError, match=message):
        mocopi.decode(fram([*bones(strange)[:19], bone(19, place, strange)]))


@pytest.mark.parametrize(
    ("datagram", "message"),
    [
        (b"", "no part 'head' in 0 bytes"),
        (b"\0" * 7, "7 bytes too many in the datagram at byte 0"),
        (b"\xff\xff\xff\xffhead", "part head in the datagram claims 4294967295 bytes at byte 8, 0 left"),
        (bytes(9000), "9000 bytes; no mocopi datagram is longer than 4096"),
        (tlv(b"head", tlv(b"ftyp", b"other")), "head/ftyp is b'other'"),
        (tlv(b"head", tlv(b"vrsn", b"\x01")), "no part ftyp in head; it has vrsn"),
        (HEAD + tlv(b"fram"), "no part fnum in fram; it has none"),
        (HEAD + tlv(b"fram", tlv(b"fnum", b"\0\0")), "part fnum in fram has 2 bytes, not 4"),
        (fram([]), "no btdt in the 0 bytes"),
        (fram([*bones(), bones()[0]]), "bone root comes 2 times"),
        (fram([tlv(b"btdt", tlv(b"bnid", b"\0\0"))]), "no part tran in btdt 0 at byte"),
        (fram([tlv(b"btdt", tlv(b"bnid", b"\0\0"), tlv(b"tran", bytes(24)))]), "part tran in btdt 0 .* has 24 bytes"),
        (fram([bone(number, (*IDENTITY, 0, 0, 0)) for number in range(65)]), "more than 64 bones at byte"),
        (listed(), "no bndt in the 0 bytes"),
        (listed(3), "the first bone, root, has parent 3, not 65535"),
        (listed(0xFFFF, 0xFFFF), "bone torso_1 has parent 65535, which does not stand before it"),
        (listed(0xFFFF, 2, 0), "bone torso_1 has parent 2, which does not stand before it"),
        (listed(0xFFFF, 1), "bone torso_1 has parent 1"),
    ],
)
def test_a_packet_error_says_what_and_where(datagram, message):
    with pytest.raises(PacketError, match=message):
        mocopi.decode(datagram)


@settings(QUICK, max_examples=200)
@given(st.binary(max_size=120))
def test_noise_raises_nothing_but_packet_error(noise):
    for datagram in (noise, HEAD + noise, HEAD + tlv(b"fram", noise), HEAD + tlv(b"skdf", tlv(b"bons", noise))):
        assert_good_or_refused(mocopi.MocopiDecoder(), datagram)


@settings(QUICK, max_examples=200)
@given(st.data(), st.sampled_from([mocopi.encode_skeleton(BODY), fram(bones()), fram(bones(tlv(b"abcd")))]))
def test_damaged_datagrams_raise_nothing_but_packet_error(data, good):
    decoder = mocopi.MocopiDecoder()
    assert_good_or_refused(decoder, damaged(data, good))
    assert_good_or_refused(decoder, fram(bones()))
