"""VMC: when a frame is whole, and what a hostile or careless sender can do."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motion import rotations as rot
from motion.skeleton import HUMANOID
from server.protocols import osc
from server.protocols.frames import PacketError
from server.protocols.vmc import BONE, FRAME_TIMEOUT, OK, ROOT, TIME, VmcDecoder, VmcEncoder
from vmc_messages import STILL, assert_same, bundle, decoded, messages_of, pose, split

# How one frame's messages may be ordered. Time first, time last, in the middle of nowhere, or none.
ORDERS = {
    "time last": lambda body, time: [*body, time],
    "time first": lambda body, time: [time, *body],
    "time first, root last": lambda body, time: [time, *body[1:], body[0]],
    "bones reversed": lambda body, time: [*body[::-1], time],
}


@pytest.mark.parametrize("pieces", [1, 2, 3, 4, 24])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("period", [0.0015, 0.008])  # a burst within the 2 ms, and 120 fps
def test_every_order_and_split_gives_each_frame_once(order, pieces, period):
    sent = [pose(seed, float(seed)) for seed in range(5)]
    decoder = VmcDecoder()
    frames = []
    for number, frame in enumerate(sent):
        _, *body, time = messages_of(frame)
        for piece, datagram in enumerate(split(ORDERS[order](body, time), pieces)):
            frames += decoder.feed(datagram, number * period + piece * 10e-6)
    frames += decoder.flush(1.0)
    assert len(frames) == len(sent)
    for frame, original in zip(frames, sent, strict=True):
        assert_same(frame, original)


@pytest.mark.parametrize("order", ORDERS)
def test_a_sender_that_is_flushed_every_frame_keeps_its_times(order):
    decoder = VmcDecoder()
    for seed in range(4):
        sent = pose(seed, float(seed))
        _, *body, time = messages_of(sent)
        (frame,) = [*decoder.feed(bundle(ORDERS[order](body, time)), seed), *decoder.flush(seed + FRAME_TIMEOUT)]
        assert_same(frame, sent)


def test_unbundled_messages_make_the_same_frames():
    sent = [pose(seed, float(seed)) for seed in range(3)]
    encoder = VmcEncoder(bundle=False)
    frames = decoded(datagram for frame in sent for datagram in encoder.encode(frame))
    for frame, original in zip(frames, sent, strict=True):
        assert_same(frame, original)


def test_without_a_time_a_repeated_bone_closes_the_frame():
    bodies = [bundle(messages_of(pose(seed))[1:-1]) for seed in range(3)]
    frames = decoded(bodies, flush=False)
    assert [frame.sender_time for frame in frames] == [None, None]


def test_without_a_time_the_last_frame_is_closed_by_flush_and_not_early():
    decoder = VmcDecoder()
    assert decoder.feed(bundle(messages_of(pose())[1:-1]), 10.0) == []
    assert decoder.flush(decoder.deadline - 1e-6) == []
    (frame,) = decoder.flush(decoder.deadline)
    assert (frame.receive_time, decoder.deadline) == (10.0, None)


def test_a_lost_datagram_of_bones_leaves_them_where_they_were():
    first, second = pose(1, 1.0), pose(2, 2.0)
    encoder, decoder = VmcEncoder(), VmcDecoder()
    decoded(encoder.encode(first), decoder)
    (frame,) = decoded(encoder.encode(second)[1:], decoder)
    came = [message[1][0] for message in osc.parse(encoder.encode(second)[1]) if message[0] == BONE]
    for joint, name in enumerate(HUMANOID.names):
        source = second if name in came else first
        assert rot.angle(frame.rotations[joint], source.rotations[joint]) < 1e-6


def test_a_frame_that_takes_too_long_comes_whole_at_its_end():
    sent = [pose(1, 1.0), pose(2, 2.0)]
    decoder = VmcDecoder()
    frames = []
    for number, frame in enumerate(sent):
        early, late = split(messages_of(frame)[1:], 2)
        frames += decoder.feed(early, number * 0.016)
        frames += decoder.flush(number * 0.016 + FRAME_TIMEOUT)
        frames += decoder.feed(late, number * 0.016 + 0.005)
    assert [frame.sender_time for frame in frames] == [None, 1.0, None, 2.0]
    for frame, original in zip(frames[1::2], sent, strict=True):
        assert_same(frame, original)


@pytest.mark.parametrize("root_first", [True, False])
@pytest.mark.parametrize("with_time", [True, False])
@pytest.mark.parametrize("pieces", [1, 2])
def test_each_frame_has_its_own_root(root_first, with_time, pieces):
    decoder = VmcDecoder()
    frames = []
    for number in range(1, 4):
        root = (ROOT, ("root", -float(number), *STILL[1:]))
        hips_and_head = [(BONE, ("Hips", *STILL)), (BONE, ("Head", *STILL))]
        body = [root, *hips_and_head] if root_first else [*hips_and_head, root]
        for datagram in split([*body, *([(TIME, (1.0 * number,))] if with_time else [])], pieces):
            frames += decoder.feed(datagram, number * 0.001)
    frames += decoder.flush(1.0)
    assert [frame.root_position[0] for frame in frames] == [1.0, 2.0, 3.0]


def test_fingers_and_eyes_are_ignored_and_strangers_counted():
    decoder = VmcDecoder()
    names = ["LeftThumbProximal", "RightLittleDistal", "LeftEye", "Jaw", "leftThumbMetacarpal", "Tail", "Tail"]
    assert decoded([bundle([(BONE, (name, *STILL)) for name in names])], decoder) == []
    assert decoder.unknown == {"Tail": 2}


def test_inventing_names_does_not_fill_the_memory():
    decoder = VmcDecoder()
    for number in range(500):
        decoder.feed(osc.encode(BONE, f"bone{number}" * 50, *STILL), 0.0)
    assert len(decoder.unknown) < 70
    assert sum(decoder.unknown.values()) == 500


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ((0.0, math.nan, 0.0, 0.0, 0.0, 0.0, 1.0), "not_finite"),
        ((0.0, 1.0, 0.0, math.inf, 0.0, 0.0, 1.0), "not_finite"),
        ((0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0), "zero_rotation"),
        ((0.0, 1e30, 0.0, 0.0, 0.0, 0.0, 1.0), "out_of_range"),
    ],
)
def test_a_frame_with_impossible_numbers_is_dropped_and_forgotten(bad, reason):
    decoder = VmcDecoder()
    decoded(VmcEncoder().encode(pose(1)), decoder)
    assert decoded([osc.encode(BONE, "Hips", *bad)], decoder) == []
    assert decoder.dropped == {reason: 1}
    (frame,) = decoded([osc.encode(BONE, "LeftHand", *STILL)], decoder)
    assert np.allclose(frame.root_position, pose(1).root_position, atol=1e-6)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ((BONE, ("Hips", 1.0)), "bad_arguments"),
        ((BONE, ("Hips", "0", 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)), "bad_arguments"),
        ((BONE, (1.0, *STILL)), "bad_arguments"),
        ((TIME, ()), "bad_arguments"),
        ((ROOT, ("root", *STILL[:-1])), "bad_arguments"),
        ((ROOT, ("root", math.nan, *STILL[1:])), "root_not_finite"),
        ((TIME, (math.nan,)), "time_out_of_range"),
    ],
)
def test_wrong_arguments_cost_only_their_own_message(message, reason):
    decoder = VmcDecoder()
    (frame,) = decoded([bundle([message, (BONE, ("Head", *STILL))])], decoder)
    assert decoder.dropped == {reason: 1}
    assert frame.sender_time is None


def test_extra_arguments_and_other_addresses_are_ignored():
    decoder = VmcDecoder()
    strangers = [("/VMC/Ext/Blend/Val", ("Joy", 1.0)), ("/VMC/Ext/Hmd/Pos", ("hmd", *STILL)), ("/other", (1, None))]
    root = (ROOT, ("root", *STILL, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0))
    (frame,) = decoded([bundle([*strangers, root, (BONE, ("Head", *STILL, 5)), (TIME, (3, 4))])], decoder)
    assert (frame.sender_time, decoder.dropped, decoder.unknown) == (3.0, {}, {})


def test_garbage_is_a_packet_error_and_costs_no_frame():
    decoder = VmcDecoder()
    decoder.feed(osc.encode(BONE, "Head", *STILL), 10.0)
    with pytest.raises(PacketError):
        decoder.feed(b"garbage!", 20.0)
    assert len(decoder.flush(20.0)) == 1


hostile = st.tuples(
    st.sampled_from([OK, BONE, TIME, ROOT, "/VMC/Ext/Blend/Apply"]),
    st.lists(st.sampled_from(["Hips", "Head", "root", "Tail"]) | st.floats(width=32) | st.integers(0, 9), max_size=9),
)


@settings(deadline=None, database=None, max_examples=100)
@given(st.lists(st.lists(hostile, min_size=1, max_size=6), max_size=6))
def test_whatever_arrives_frames_are_finite_and_unit(datagrams):
    decoder = VmcDecoder()
    for now, messages in enumerate(datagrams):
        for frame in decoder.feed(bundle([(address, tuple(args)) for address, args in messages]), now):
            assert np.isfinite(frame.root_position).all()
            assert np.allclose(np.linalg.norm(frame.rotations, axis=-1), 1.0)
