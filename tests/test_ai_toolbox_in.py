"""AI-Toolbox coming in: every dialect gives the same pose, in any order of its messages."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pythonosc.osc_message_builder import OscMessageBuilder

from motion import kinematics
from motion import rotations as rot
from motion.skeleton import HUMANOID, Skeleton
from server.protocols import osc
from server.protocols.ai_toolbox import AiToolboxEncoder
from server.protocols.ai_toolbox_in import AXES, FRAME_TIMEOUT, USUAL_FRAMES, AiToolboxDecoder
from server.protocols.frames import PacketError, PoseFrame

FLOAT32 = 1e-6  # a float32 of a few metres is 2e-7 off, and a chain of eight joints adds up
BOTH = ("rot_local", "pos_world")
PERIOD = 0.02


def pose(seed=0, skeleton=HUMANOID) -> PoseFrame:
    random = np.random.default_rng(seed)
    rotations = rot.normalize(random.normal(size=(len(skeleton), 4)))
    return PoseFrame(skeleton, random.normal(size=3), rotations, None, 0.0, 0)


def datagrams(frame, quantities=BOTH, **options) -> list[bytes]:
    return AiToolboxEncoder(frame.skeleton, quantities=quantities, **options).encode(frame)


def message(address, numbers) -> bytes:
    return osc.encode(address, *np.asarray(numbers, dtype=float).ravel().tolist())


def quantities_of(frame) -> dict[str, np.ndarray]:
    """In the project's axes, rotations w x y z."""
    world = kinematics.local_to_global(frame.skeleton, frame.rotations)
    return {
        "rot_local": np.roll(frame.rotations, 1, axis=1),
        "rot_world": np.roll(world, 1, axis=1),
        "pos_world": kinematics.global_positions(frame.skeleton, frame.root_position, frame.rotations),
        "pos_local": np.vstack([frame.root_position, frame.skeleton.offsets[1:]]),
    }


def decoded(sent, decoder=None, now=10.0) -> list[PoseFrame]:
    decoder = decoder or AiToolboxDecoder(HUMANOID, "dancer1")
    frames = [frame for datagram in sent for frame in decoder.feed(datagram, now)]
    return frames + decoder.flush(now + FRAME_TIMEOUT)


def assert_same(frame, sent, tolerance=FLOAT32) -> None:
    ours = kinematics.forward(frame.skeleton, frame.root_position, frame.rotations)
    theirs = kinematics.forward(sent.skeleton, sent.root_position, sent.rotations)
    for a, b in zip(ours, theirs, strict=True):
        assert np.abs(a - b).max() < tolerance


@pytest.mark.parametrize(
    "quantities",
    [
        ("rot_local", "pos_world"),
        ("rot_local", "pos_local"),
        ("rot_world", "pos_world"),
        ("rot_world", "pos_local"),
        ("rot_local", "pos_world", "rot_world", "pos_local"),
    ],
)
def test_every_set_of_quantities_gives_the_pose_in_any_order(quantities):
    sent = pose()
    for order in itertools.permutations(datagrams(sent, quantities)):
        (frame,) = decoded(order)
        assert_same(frame, sent)
        assert (frame.actor, frame.sender_time, frame.receive_time) == ("dancer1", None, 10.0)


def test_w_comes_first():
    half = 0.5**0.5
    turned = np.tile([1.0, 0.0, 0.0, 0.0], (22, 1))
    turned[HUMANOID.index("Head")] = [half, 0.0, half, 0.0]  # w x y z: a quarter turn about Y
    (frame,) = decoded([message("/mocap/0/joint/rot_local", turned)])
    assert np.allclose(frame.rotations[HUMANOID.index("Head")], [0.0, half, 0.0, half], rtol=0, atol=1e-7)
    assert np.array_equal(frame.root_position, HUMANOID.offsets[0])  # nobody said where


def test_what_python_osc_sends_is_read():
    builder = OscMessageBuilder("/mocap/joint/rot_world")
    for number in quantities_of(pose())["rot_world"].ravel().tolist():
        builder.add_arg(number)
    (frame,) = decoded([builder.build().dgram])
    assert rot.angle(frame.rotations, pose().rotations).max() < 2e-6


def test_the_bytes_of_one_joint():
    one = Skeleton(("root",), (-1,), np.zeros((1, 3)))
    data = b"/mocap/joint/rot_local\0\0,ffff\0\0\0" + bytes.fromhex("00000000 3f800000 00000000 00000000")
    (frame,) = decoded([data], AiToolboxDecoder(one))
    assert frame.rotations.tolist() == [[1.0, 0.0, 0.0, 0.0]]  # x


def test_qtm_sends_global_x_y_z_w_and_centimetres():
    sent, told = pose(), quantities_of(pose())
    rotations = message("/mocap/joint/rot", np.roll(told["rot_world"], -1, axis=1))
    (frame,) = decoded([message("/mocap/joint/pos", 100.0 * told["pos_world"]), rotations])
    assert_same(frame, sent)


@pytest.mark.parametrize("address", ["/mocap/joint/rot_local", "/mocap/0/joint/rot_local", "/mocap/12/joint/rot_local"])
def test_both_forms_of_address_are_read(address):
    assert len(decoded([message(address, quantities_of(pose())["rot_local"])])) == 1


@pytest.mark.parametrize("scale", [1.0, 100.0, 1000.0])
@pytest.mark.parametrize("position", ["pos_world", "pos_local"])
def test_the_unit_is_told_by_the_body(scale, position):
    sent = pose()
    (frame,) = decoded(datagrams(sent, ("rot_local", position), scale=scale))
    assert_same(frame, sent)


def test_a_unit_that_was_given_is_believed():
    decoder = AiToolboxDecoder(HUMANOID, scale=0.5)
    (frame,) = decoded(datagrams(pose()), decoder)
    assert np.abs(frame.root_position - 0.5 * pose().root_position).max() < FLOAT32


def test_the_bones_are_those_of_the_stream():
    tall = HUMANOID.with_offsets(HUMANOID.offsets * 1.1)
    (frame,) = decoded(datagrams(pose(skeleton=tall)))
    assert np.abs(frame.skeleton.offsets[1:] - tall.offsets[1:]).max() < FLOAT32


# What the sender's axes make of ours, told as the sender's tools tell it.
SENDERS = {
    "y_up": (lambda p: p, lambda q: q),
    "z_up": (lambda p: p[:, [0, 2, 1]] * [1, -1, 1], lambda q: q[:, [0, 1, 3, 2]] * [1, 1, -1, 1]),
    "z_up_x_forward": (lambda p: p[:, [2, 0, 1]], lambda q: q[:, [0, 3, 1, 2]]),
}


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("rotation", ["rot_local", "rot_world"])
def test_a_pose_in_the_senders_axes_is_the_pose(axes, rotation):
    points, turns = SENDERS[axes]
    told, sent = quantities_of(pose()), pose()
    rotations = message(f"/mocap/0/joint/{rotation}", turns(told[rotation]))
    positions = message("/mocap/0/joint/pos_world", points(told["pos_world"]))
    (frame,) = decoded([positions, rotations], AiToolboxDecoder(HUMANOID, axes=axes))
    assert_same(frame, sent)


@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(AXES)))
@settings(max_examples=100, deadline=None)
def test_the_axes_are_a_turn_and_no_mirror(seed, axes):
    """In doubles: what FK makes of converted local rotations is what the conversion makes of FK's positions."""
    decoder = AiToolboxDecoder(HUMANOID, axes=axes)
    order, signs = AXES[axes]
    theirs = pose(seed)
    convert = np.array(signs) * np.eye(3)[order].T  # a row times it is converted
    assert np.linalg.det(convert) == pytest.approx(1.0)
    turned = theirs.rotations.copy()
    turned[:, :3] = turned[:, :3] @ convert
    offsets = HUMANOID.with_offsets(HUMANOID.offsets @ convert)
    ours = kinematics.global_positions(offsets, theirs.root_position @ convert, turned)
    there = kinematics.global_positions(HUMANOID, theirs.root_position, theirs.rotations)
    assert np.abs(ours - there @ convert).max() < 1e-12
    (frame,) = decoded([message("/mocap/joint/rot_local", np.roll(theirs.rotations, 1, axis=1))], decoder)
    assert np.abs(np.abs(np.sum(frame.rotations * turned, axis=1)) - 1.0).max() < 1e-6


def test_a_frame_is_out_with_its_last_message_once_the_sender_is_known():
    decoder = AiToolboxDecoder(HUMANOID)
    decoded(datagrams(pose(0)), decoder, 0.0)
    first, last = datagrams(pose(1))
    assert decoder.feed(first, PERIOD) == []
    assert_same(decoder.feed(last, PERIOD)[0], pose(1))
    assert decoder.deadline is None


def test_every_frame_comes_once_and_together():
    decoder = AiToolboxDecoder(HUMANOID)
    frames = [frame for n in range(20) for frame in decoded(datagrams(pose(n)), decoder, n * PERIOD)]
    assert [frame.number for frame in frames] == list(range(1, 21))
    for n, frame in enumerate(frames):
        assert_same(frame, pose(n))


def test_a_lost_position_holds_its_last_and_the_next_frame_is_together_again():
    decoder = AiToolboxDecoder(HUMANOID)
    sent = [datagrams(pose(n)) for n in range(3)]
    del sent[1][1]
    _, holed, whole = (decoded(some, decoder, n * PERIOD)[0] for n, some in enumerate(sent))
    assert np.abs(holed.root_position - pose(0).root_position).max() < FLOAT32
    assert rot.angle(holed.rotations, pose(1).rotations).max() < 2e-6
    assert_same(whole, pose(2))


def test_a_frame_without_rotations_is_dropped():
    decoder = AiToolboxDecoder(HUMANOID)
    assert decoded(datagrams(pose(), ("pos_world",)), decoder) == []
    assert decoder.dropped == {"no_rotations": 1}


def test_a_quantity_that_comes_no_more_is_waited_for_no_more():
    decoder = AiToolboxDecoder(HUMANOID)
    decoded(datagrams(pose()), decoder, 0.0)
    only = datagrams(pose(1), ("rot_local",))
    for n in range(USUAL_FRAMES):
        decoded(only, decoder, (n + 1) * PERIOD)
    assert len(decoder.feed(only[0], 100.0)) == 1  # at once


def test_a_quantity_sent_twice_is_one_frame():
    decoder = AiToolboxDecoder(HUMANOID)
    rotations, positions = datagrams(pose())
    assert len(decoded([rotations, rotations, positions], decoder)) == 1
    assert decoder.dropped == {"duplicate": 1}


def test_the_next_frames_message_closes_a_frame_that_lost_one():
    decoder = AiToolboxDecoder(HUMANOID)
    decoded(datagrams(pose(0)), decoder, 0.0)
    first, second, last = datagrams(pose(1))[0], *datagrams(pose(2))
    assert decoder.feed(first, PERIOD) == []
    (holed,) = decoder.feed(second, PERIOD + 0.001)
    assert rot.angle(holed.rotations, pose(1).rotations).max() < 2e-6
    assert_same(decoder.feed(last, PERIOD + 0.001)[0], pose(2))


@pytest.mark.parametrize("lost", range(4))
@pytest.mark.parametrize("period", [0.005, 0.02])
def test_a_lost_message_never_mixes_two_frames_for_long(lost, period):
    decoder = AiToolboxDecoder(HUMANOID)
    frames = []
    for n in range(20):
        for k, datagram in enumerate(datagrams(pose(n), ("pos_local", "rot_world", "pos_world", "rot_local"))):
            now = n * period + k * 0.0003
            frames += decoder.flush(now)
            if (n, k) != (10, lost):
                frames += decoder.feed(datagram, now)
    assert len(frames) == 20
    for n in set(range(20)) - {10}:
        assert_same(frames[n], pose(n))


def test_other_people_are_counted_until_ours_is_silent():
    decoder = AiToolboxDecoder(HUMANOID)
    zero, seven = (datagrams(pose(n), number=n) for n in (0, 7))
    assert len(decoded(zero, decoder, 0.0)) == 1
    assert decoded(seven, decoder, 0.5) == []
    assert decoder.unknown == {"/mocap/7": 2}
    assert len(decoded(seven, decoder, 1.5)) == 1


def test_a_number_that_was_asked_for_is_waited_for():
    decoder = AiToolboxDecoder(HUMANOID, number=7)
    assert decoded(datagrams(pose(), number=0), decoder, 5.0) == []
    assert len(decoded(datagrams(pose(), number=7), decoder, 50.0)) == 1


def test_what_means_nothing_to_us_is_counted():
    decoder = AiToolboxDecoder(HUMANOID)
    for address in ("/mocap/0/joint/lin_vel", "/mocap/0/tracker/magnet", "/player/start"):
        decoder.feed(message(address, [1.0]), 0.0)
    assert sorted(decoder.unknown) == ["/mocap/0/joint/lin_vel", "/mocap/0/tracker/magnet", "/player/start"]


GOOD = quantities_of(pose())["rot_local"]


def spoiled(place, value) -> np.ndarray:
    numbers = GOOD.copy()
    numbers[place] = value
    return numbers


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        (GOOD[:21], r"rot_local has 84 numbers; 22 joints \(Hips ...\) need 88"),
        (spoiled((5, 2), np.nan), r"number 2 of joint 5 \(Head\) is nan"),
        (spoiled((0, 0), np.inf), r"number 0 of joint 0 \(Hips\) is inf"),
        (spoiled((5, 2), 3e38), r"number 2 of joint 5 \(Head\) is 3e\+38"),
        (spoiled(5, 0.0), r"the rotation of joint 5 is \[0.0, 0.0, 0.0, 0.0\]"),
    ],
)
def test_wrong_numbers_are_named(numbers, says):
    decoder = AiToolboxDecoder(HUMANOID)
    with pytest.raises(PacketError, match=says):
        decoder.feed(message("/mocap/0/joint/rot_local", numbers), 0.0)
    assert decoder.deadline is None


def test_a_word_among_the_numbers_is_named():
    with pytest.raises(PacketError, match="rot_local: argument 87 is 'x', not a number"):
        AiToolboxDecoder(HUMANOID).feed(osc.encode("/mocap/0/joint/rot_local", *[1.0] * 87, "x"), 0.0)


def test_a_bad_packet_costs_the_open_frame_nothing():
    decoder = AiToolboxDecoder(HUMANOID)
    rotations, positions = datagrams(pose())
    decoder.feed(rotations, 0.0)
    with pytest.raises(PacketError):
        decoder.feed(message("/mocap/0/joint/pos_world", [1.0]), 1.0)  # late: the open frame's deadline has passed
    assert len(decoder.feed(positions, 1.0)) == 1


def test_a_pose_out_of_this_world_is_dropped():
    decoder = AiToolboxDecoder(HUMANOID, scale=1.0)
    far = quantities_of(pose())["pos_world"] + 2000.0
    assert decoded([datagrams(pose())[0], message("/mocap/0/joint/pos_world", far)], decoder) == []
    assert decoder.dropped == {"out_of_range": 1}


@pytest.mark.parametrize(("options", "says"), [({"axes": "up"}, "choose from y_up, z_up"), ({"scale": -1}, "positive")])
def test_wrong_options_are_refused(options, says):
    with pytest.raises(ValueError, match=says):
        AiToolboxDecoder(HUMANOID, **options)


def test_random_and_spoiled_bytes_are_frames_or_packet_errors():
    random = np.random.default_rng(2)
    good = [datagram for scale in (1.0, 100.0) for datagram in datagrams(pose(), number=3, scale=scale)]
    decoder = AiToolboxDecoder(HUMANOID)
    for n in range(20000):
        some = bytearray(good[n % len(good)] if random.random() < 0.9 else random.bytes(int(random.integers(64))))
        if random.random() < 0.2:
            del some[random.integers(len(some) + 1) :]
        for place in random.integers(0, len(some) or 1, size=random.integers(6)):
            some[place : place + 1] = random.bytes(1)
        try:
            frames = decoder.feed(memoryview(bytes(some)), n * 0.003) + decoder.flush(n * 0.003 + 0.001)
        except PacketError:
            continue
        for frame in frames:
            assert np.isfinite(frame.rotations).all()
            assert np.isfinite(frame.root_position).all()
            assert np.isfinite(frame.skeleton.offsets).all()
