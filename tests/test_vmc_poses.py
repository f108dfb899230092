"""VMC: whose axes, times and bone lengths a pose has, and what goes out."""

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
from server.protocols.frames import PoseFrame
from server.protocols.vmc import BONE, OK, ROOT, TIME, VmcDecoder, VmcEncoder
from vmc_messages import FLOAT32, STILL, bundle, decoded, messages_of, pose


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


def test_names_in_vrm_spelling_are_the_same_bones():
    turned = (0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0)
    (frame,) = decoded([osc.encode(BONE, "leftUpperArm", *turned)])
    assert abs(frame.rotations[HUMANOID.index("LeftUpperArm"), 1]) == pytest.approx(1.0)


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


def hand() -> Skeleton:
    """A wrist and a thumb, as VRM 1.0 names them."""
    names = ("Hips", "LeftHand", "LeftThumbMetacarpal", "LeftThumbProximal", "LeftThumbDistal")
    return Skeleton(names, (-1, 0, 1, 2, 3), 0.1 * np.ones((5, 3)))


@pytest.mark.parametrize(
    ("vrm", "thumb"), [(0, ["Proximal", "Intermediate", "Distal"]), (1, ["Metacarpal", "Proximal", "Distal"])]
)
def test_thumbs_have_the_names_of_the_receivers_vrm(vrm, thumb):
    frame = pose(skeleton=hand())
    bones = [args for datagram in VmcEncoder(vrm=vrm).encode(frame) for _, args in osc.parse(datagram)[2:-1]]
    assert [name for name, *_ in bones] == ["Hips", "LeftHand", *(f"LeftThumb{bone}" for bone in thumb)]
    np.testing.assert_allclose([args[4:] for args in bones], frame.rotations * [1, -1, -1, 1], atol=1e-7)


def test_a_frame_with_other_joints_goes_out_or_is_refused_by_name():
    encoder = VmcEncoder(actor="partner1")
    two = Skeleton(("Hips", "Spine"), (-1, 0), np.zeros((2, 3)))
    assert len(osc.parse(encoder.encode(pose(skeleton=two))[0])) == 5
    with pytest.raises(ValueError, match=r"partner1.*no bone named tail"):
        encoder.encode(pose(skeleton=Skeleton(("Hips", "tail"), (-1, 0), np.zeros((2, 3)))))
