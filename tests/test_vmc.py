"""VMC: when a frame is whole, whose axes it has, and what a hostile or careless sender can do."""

import math
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motion import kinematics
from motion import rotations as rot
from motion.skeleton import HUMANOID, Skeleton
from server.protocols import osc
from server.protocols.frames import PacketError, PoseFrame
from server.protocols.vmc import BONE, FRAME_TIMEOUT, OK, ROOT, TIME, VmcDecoder, VmcEncoder

FLOAT32 = 2e-7  # half a float32 step at 1.0 is 6e-8; a product of two roundings reaches 1.3e-7
STILL = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)


def pose(seed=0, sender_time=1.25, skeleton=HUMANOID, **changes) -> PoseFrame:
    random = np.random.default_rng(seed)
    rotations = rot.normalize(random.normal(size=(len(skeleton), 4)))
    frame = {"sender_time": sender_time, "receive_time": 0.0, "number": 1} | changes
    return PoseFrame(skeleton, random.normal(size=3), rotations, **frame)


def messages_of(frame) -> list[osc.Message]:
    return [message for datagram in VmcEncoder().encode(frame) for message in osc.parse(datagram)]


def bundle(messages) -> bytes:
    return osc.Template(messages, limit=65507).fill(np.empty(0))[0]


def decoded(datagrams, decoder=None, flush=True) -> list[PoseFrame]:
    decoder = decoder or VmcDecoder("dancer1")
    frames = [frame for datagram in datagrams for frame in decoder.feed(datagram, 10.0)]
    return frames + (decoder.flush(10.0 + FRAME_TIMEOUT) if flush else [])


def assert_same(frame, sent):
    assert np.abs(frame.root_position - sent.root_position).max() < 4 * FLOAT32  # metres of a few
    assert rot.angle(frame.rotations, sent.rotations).max() < 1e-6
    assert frame.sender_time == sent.sender_time


# How one frame's messages may be ordered. Time first, time last, in the middle of nowhere, or none.
ORDERS = {
    "time last": lambda body, time: [*body, time],
    "time first": lambda body, time: [time, *body],
    "time first, root last": lambda body, time: [time, *body[1:], body[0]],
    "bones reversed": lambda body, time: [*body[::-1], time],
}


def split(messages, pieces) -> list[bytes]:
    parts = np.array_split(np.arange(len(messages)), pieces)
    return [bundle([messages[n] for n in part]) for part in parts]


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


def test_bones_never_sent_stand_at_rest():
    (frame,) = decoded([osc.encode(BONE, "LeftHand", *STILL[:3], 1.0, 0.0, 0.0, 0.0)])
    others = [joint for joint, name in enumerate(HUMANOID.names) if name != "LeftHand"]
    assert (frame.rotations[others] == rot.IDENTITY).all()
    assert np.allclose(frame.root_position, HUMANOID.offsets[0], atol=FLOAT32)


@settings(deadline=None, database=None, max_examples=50)
@given(st.floats(width=32, min_value=-1e9, max_value=1e9))
def test_a_time_comes_back_with_the_same_bits(time):
    sent = VmcEncoder().encode(pose(sender_time=time))
    (frame,) = decoded(sent)
    assert sent[-1].endswith(struct.pack(">f", time))
    assert VmcEncoder().encode(frame)[-1].endswith(struct.pack(">f", time))


def test_without_a_sender_time_seconds_since_the_start_go_out():
    encoder = VmcEncoder(start_time=100.0)
    frame = pose(sender_time=None, receive_time=102.5)
    assert osc.parse(encoder.encode(frame)[-1])[-1] == (TIME, (2.5,))


def test_our_left_is_unitys_left_and_a_raised_hand_is_up():
    """Unity: the left arm points to -X, and -90 degrees about Z lift it (left-handed axes)."""
    half = math.sqrt(0.5)
    rotations = np.tile(rot.IDENTITY, (len(HUMANOID), 1))
    raised = HUMANOID.index("LeftUpperArm")
    rotations[raised] = rot.from_euler("z", [math.pi / 2])
    frame = PoseFrame(HUMANOID, HUMANOID.offsets[0], rotations, 0.0, 0.0, 0)
    hand = kinematics.global_positions(HUMANOID, frame.root_position, rotations)[HUMANOID.index("LeftHand")]
    assert hand[1] > 1.8
    bones = {args[0]: args[1:] for address, args in messages_of(frame) if address == BONE}
    assert bones["LeftUpperArm"][3:] == pytest.approx((0.0, 0.0, -half, half), abs=1e-7)
    assert bones["LeftLowerArm"][0] < 0.0 < bones["RightLowerArm"][0]


def test_unitys_bent_knee_puts_the_foot_behind():
    half = math.sqrt(0.5)
    (frame,) = decoded([osc.encode(BONE, "LeftLowerLeg", 0.0, 0.0, 0.0, half, 0.0, 0.0, half)])
    feet = kinematics.global_positions(HUMANOID, frame.root_position, frame.rotations)
    assert feet[HUMANOID.index("LeftFoot"), 2] < -0.3
    assert feet[HUMANOID.index("LeftFoot"), 0] > 0.0


def test_the_root_moves_and_turns_the_hips():
    half = math.sqrt(0.5)
    root = (ROOT, ("root", 1.0, 0.0, 2.0, 0.0, half, 0.0, half))  # Unity turns +90 about Y: +Z becomes +X
    hips = (BONE, ("Hips", 0.0, 1.0, 0.5, 0.0, 0.0, 0.0, 1.0))
    (frame,) = decoded([bundle([root, hips])])
    assert np.allclose(frame.root_position, [-1.5, 1.0, 2.0], atol=1e-6)
    assert np.allclose(rot.rotate(frame.rotations[0], [0.0, 0.0, 1.0]), [-1.0, 0.0, 0.0], atol=1e-6)


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


def test_names_in_vrm_spelling_are_the_same_bones():
    turned = (0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0)
    (frame,) = decoded([osc.encode(BONE, "leftUpperArm", *turned)])
    assert abs(frame.rotations[HUMANOID.index("LeftUpperArm"), 1]) == pytest.approx(1.0)


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


def short_body(scale=0.8) -> Skeleton:
    return HUMANOID.with_offsets(HUMANOID.offsets * scale)


def test_the_senders_bone_lengths_become_the_frames_skeleton():
    (frame,) = decoded(VmcEncoder(short_body()).encode(pose(skeleton=short_body())))
    assert np.allclose(frame.skeleton.offsets[1:], short_body().offsets[1:], atol=FLOAT32)
    assert frame.skeleton.hip_height == pytest.approx(short_body().hip_height, abs=1e-6)


def test_the_skeleton_is_one_object_until_the_lengths_change():
    decoder, encoder = VmcDecoder(), VmcEncoder()
    first, again = (decoded(encoder.encode(pose(seed, float(seed))), decoder)[0].skeleton for seed in (1, 2))
    stretched = HUMANOID.with_offsets(HUMANOID.offsets * 1.1)
    datagrams = VmcEncoder(stretched).encode(pose(3, 3.0, stretched))
    (other,) = [frame for datagram in datagrams for frame in decoder.feed(datagram, 20.0)]
    assert first is again
    assert np.allclose(other.skeleton.offsets[1:], stretched.offsets[1:], atol=FLOAT32)


def test_a_sender_that_tells_no_lengths_gets_the_humanoid():
    (frame,) = decoded([bundle([(BONE, (name, *STILL)) for name in HUMANOID.names])])
    assert frame.skeleton.offsets is HUMANOID.offsets or (frame.skeleton.offsets == HUMANOID.offsets).all()


@pytest.mark.parametrize("missing", [["UpperChest"], ["Chest", "UpperChest"], ["Neck"], ["LeftShoulder", "Neck"]])
def test_a_body_without_optional_bones_keeps_its_size(missing):
    """VRM: a bone left out adds its offset to the next one's."""
    positions = HUMANOID.rest_positions
    kept = [name for name in HUMANOID.names if name not in missing]
    messages = []
    for name in kept:
        parent = HUMANOID.parents[HUMANOID.index(name)]
        while parent >= 0 and HUMANOID.names[parent] not in kept:
            parent = HUMANOID.parents[parent]
        x, y, z = positions[HUMANOID.index(name)] - (positions[parent] if parent >= 0 else 0.0)
        messages.append((BONE, (name, -float(x), float(y), float(z), 0.0, 0.0, 0.0, 1.0)))
    (frame,) = decoded([bundle(messages)])
    joints = [HUMANOID.index(name) for name in kept]
    assert np.allclose(frame.skeleton.rest_positions[joints], positions[joints], atol=1e-6)


def test_a_frame_goes_out_as_the_specification_asks():
    datagrams = VmcEncoder().encode(pose())
    messages = [message for datagram in datagrams for message in osc.parse(datagram)]
    assert [address for address, _ in messages] == [OK, ROOT, *[BONE] * len(HUMANOID), TIME]
    assert [args[0] for _, args in messages[2:-1]] == list(HUMANOID.names)
    assert messages[0][1] == (1,)
    assert {type(arg) for _, args in messages for arg in args} == {int, float, str}
    assert all(len(datagram) <= 1472 and datagram[8:16] == osc.IMMEDIATE for datagram in datagrams)


def test_unbundled_every_message_is_a_datagram():
    datagrams = VmcEncoder(bundle=False).encode(pose())
    assert [len(osc.parse(datagram)) for datagram in datagrams] == [1] * 25
    assert not any(datagram.startswith(b"#bundle") for datagram in datagrams)


def test_a_skeleton_unity_does_not_know_is_refused_by_name():
    with pytest.raises(ValueError, match=r"partner1.*no bone named tail"):
        VmcEncoder(Skeleton(("Hips", "tail"), (-1, 0), np.zeros((2, 3))), "partner1")


def test_a_frame_with_other_joints_is_refused():
    with pytest.raises(ValueError, match="other joints"):
        VmcEncoder().encode(pose(skeleton=Skeleton(("Hips", "Spine"), (-1, 0), np.zeros((2, 3)))))
