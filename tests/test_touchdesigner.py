"""TouchDesigner: which channels go out under which names, and that they are the pose."""

import numpy as np
import pytest
from pythonosc.osc_bundle import OscBundle
from scipy.spatial.transform import Rotation

from motion import kinematics
from motion import rotations as rot
from motion.skeleton import HUMANOID, Skeleton
from server.protocols import osc
from server.protocols.frames import PoseFrame
from server.protocols.touchdesigner import CHANNELS, ROTATE_ORDERS, TouchDesignerEncoder, chosen_channels, joint_name


def pose(number=0, receive_time=0.0, skeleton=HUMANOID) -> PoseFrame:
    random = np.random.default_rng(3)
    rotations = rot.normalize(random.normal(size=(len(skeleton), 4)))
    return PoseFrame(skeleton, random.normal(size=3), rotations, None, receive_time, number)


def sent(frame=None, **options) -> dict[str, tuple[float, ...]]:
    """address: arguments, in the order sent."""
    return channels_of(TouchDesignerEncoder(**options), frame or pose())


def channels_of(encoder: TouchDesignerEncoder, frame: PoseFrame) -> dict[str, tuple[float, ...]]:
    messages = [message for datagram in encoder.encode(frame) for message in osc.parse(datagram)]
    assert len({address for address, _ in messages}) == len(messages)
    return dict(messages)


def test_names_are_those_of_its_own_skeletons():
    names = ["hips", "spine", "chest", "upper_chest", "neck", "head"]
    for side in ("l", "r"):
        names += [f"{joint}_{side}" for joint in ("clavicle", "shoulder", "elbow", "wrist")]
    for side in ("l", "r"):
        names += [f"{joint}_{side}" for joint in ("hip", "knee", "ankle", "foot")]
    assert [joint_name(name) for name in HUMANOID.names] == names
    assert [joint_name(name) for name in ("LeftEye", "RightThumbProximal", "Jaw")] == [
        "eye_l",
        "thumb_proximal_r",
        "jaw",
    ]


def test_every_channel_is_one_float_of_one_address():
    channels = sent(person=2)
    joints = [f"/p2/{joint_name(name)}:{channel}" for name in HUMANOID.names for channel in CHANNELS]
    assert list(channels) == ["/p2/tracked", "/p2/id", *joints, "/frame"]
    assert all(len(args) == 1 and isinstance(args[0], float) for args in channels.values())
    assert channels["/p2/id"] == (2.0,)
    datagrams = TouchDesignerEncoder().encode(pose())
    assert len(datagrams) == 3
    assert all(len(datagram) <= 1472 and datagram[8:16] == osc.IMMEDIATE for datagram in datagrams)


@pytest.mark.parametrize("world", [True, False])
@pytest.mark.parametrize("order", ROTATE_ORDERS)
def test_the_channels_are_the_pose(order, world):
    """SciPy's small letters: turns about fixed axes, the first letter first."""
    frame, channels = pose(), sent(rotate_order=order, world=world)
    numbers = np.array([channels[f"/p1/{joint_name(n)}:{c}"][0] for n in HUMANOID.names for c in CHANNELS]).reshape(
        -1, 6
    )
    places = np.vstack([frame.root_position, HUMANOID.offsets[1:]])
    turns = frame.rotations
    if world:
        places = kinematics.global_positions(HUMANOID, frame.root_position, frame.rotations)
        turns = kinematics.local_to_global(HUMANOID, frame.rotations)
    assert np.allclose(numbers[:, :3], places, atol=1e-6)
    back = Rotation.from_euler(order, numbers[:, 3:][:, ["xyz".index(axis) for axis in order]], degrees=True).as_quat()
    assert rot.angle(back, turns).max() < 1e-4  # float32 degrees, near a gimbal lock


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["hips:tx"], ["hips:tx"]),
        (["head:r", "hips:t"], ["hips:tx", "hips:ty", "hips:tz", "head:rx", "head:ry", "head:rz"]),
        (["*:ty"], [f"{joint_name(name)}:ty" for name in HUMANOID.names]),
        (["knee_?:rx"], ["knee_l:rx", "knee_r:rx"]),
        (["neck", "neck:tx"], [f"neck:{channel}" for channel in CHANNELS]),
    ],
)
def test_only_the_channels_asked_for_go_out(patterns, expected):
    assert list(sent(channels=patterns)) == ["/p1/tracked", "/p1/id", *(f"/p1/{name}" for name in expected), "/frame"]
    everything, some = sent(), sent(channels=patterns)
    assert all(everything[address] == value for address, value in some.items())


@pytest.mark.parametrize("pattern", ["hip:tx", "hips:w", "", "Hips:tx"])
def test_a_channel_that_is_none_is_refused_with_the_choices(pattern):
    with pytest.raises(ValueError, match=rf"no channel '{pattern}'; joints: hips, spine.*channels: tx, ty"):
        chosen_channels([pattern])


def test_an_unknown_rotate_order_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="no rotate order 'xyx'; choose from xyz, xzy"):
        TouchDesignerEncoder(rotate_order="xyx")


def test_flat_all_channels_are_one_message():
    everything, flat = sent(channels=["*:r"]), sent(channels=["*:r"], flat=True)
    assert list(flat) == ["/p1/tracked", "/p1/id", "/p1/pose", "/frame"]
    assert flat["/p1/pose"] == tuple(args[0] for address, args in everything.items() if ":" in address)


def test_an_actor_without_new_frames_is_not_tracked():
    encoder = TouchDesignerEncoder()
    frames = [pose(1, 10.0), pose(1, 10.05), pose(1, 10.2), pose(2, 10.3)]
    assert [channels_of(encoder, frame)["/p1/tracked"] for frame in frames] == [(1.0,), (1.0,), (0.0,), (1.0,)]


def test_frame_numbers_a_float_cannot_hold_begin_again():
    encoder = TouchDesignerEncoder()
    assert [channels_of(encoder, pose(n))["/frame"] for n in (7, 2**24 - 1, 2**24, 2**40 + 5)] == [
        (7.0,),
        (2.0**24 - 1,),
        (0.0,),
        (5.0,),
    ]


def test_another_house_reads_the_same_channels():
    read = [
        (m.address, tuple(m.params)) for datagram in TouchDesignerEncoder().encode(pose()) for m in OscBundle(datagram)
    ]
    assert dict(read) == sent()


def test_unbundled_every_message_is_a_datagram():
    assert len(TouchDesignerEncoder(bundle=False).encode(pose())) == 22 * 6 + 3


def test_another_skeleton_gets_its_own_channels():
    encoder = TouchDesignerEncoder(channels=["*:tx"])
    other = Skeleton(("Hips", "LeftEye"), (-1, 0), np.ones((2, 3)))
    assert list(channels_of(encoder, pose(skeleton=other)))[2:-1] == ["/p1/hips:tx", "/p1/eye_l:tx"]
