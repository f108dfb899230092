"""A camera as the dancer: MediaPipe's and OpenPose's datagrams as senders write them, real landmarks, and noise."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pythonosc.osc_bundle_builder import OscBundleBuilder
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from benchmarks.suit_cameras import points_of
from broken_bytes import assert_good_or_refused, damaged
from keypoint_takes import demo
from motion import rotations as rot
from motion.keypoint_body import POINTS, REST
from motion.kinematics import global_positions
from motion.skeleton import HUMANOID
from server.protocols.camera import AXES, View
from server.protocols.frames import PacketError
from server.protocols.mediapipe import LANDMARKS, MediapipeDecoder
from server.protocols.openpose import BODY_25, OpenPoseDecoder

QUICK = settings(deadline=None, database=None, max_examples=60)
DT = 1.0 / 30.0
# MediaPipe 0.10.14 (model "full") on scikit-image's photograph of an astronaut, NASA's and in the public domain: she
# faces the camera and is seen down to the waist. x y z visibility of world and of picture landmarks.
PHOTOGRAPH = {
    "Nose": ((0.062, -0.606, -0.281, 1.0), (0.428, 0.253, -0.914, 1.0)),
    "LeftEar": ((0.124, -0.640, -0.158, 1.0), (0.520, 0.243, -0.522, 1.0)),
    "RightEar": ((-0.028, -0.633, -0.171, 1.0), (0.372, 0.211, -0.553, 1.0)),
    "LeftShoulder": ((0.199, -0.451, -0.065, 1.0), (0.595, 0.503, -0.249, 1.0)),
    "RightShoulder": ((-0.123, -0.457, -0.114, 1.0), (0.215, 0.467, -0.417, 1.0)),
    "LeftHip": ((0.117, 0.017, 0.008, 0.1), (0.475, 0.976, 0.019, 0.1)),
    "RightHip": ((-0.117, -0.025, -0.006, 0.1), (0.237, 1.038, -0.016, 0.1)),
}


def message(address, *numbers) -> OscMessage:
    builder = OscMessageBuilder(address)
    for number in numbers:
        builder.add_arg(number)
    return builder.build()


def osc(address, *numbers) -> bytes:
    return message(address, *numbers).dgram


def floats(rows) -> list[float]:
    return [float(number) for number in np.ravel(rows)]


def rows_of(points, names, others=(0.0, 0.0, 0.0), confidence=1.0) -> np.ndarray:
    """Our points (25, 3) as a detector's rows (names, 4), in the picture's axes."""
    rows = np.array([[*others, 0.0]] * len(names))
    for name, point in zip(POINTS, points * AXES["picture"], strict=True):
        if name in names:
            rows[names.index(name)] = (*point, confidence)
    return rows


def world(points) -> np.ndarray:
    hips = points[[POINTS.index("LeftHip"), POINTS.index("RightHip")]].mean(axis=0)
    return rows_of(points - hips, LANDMARKS)


def picture(points, height=2.5, aspect=4 / 3) -> np.ndarray:
    """As a camera two and a half metres high sees it, with landmarks from 0 to 1."""
    rows = rows_of(points, LANDMARKS)
    rows[:, :3] = rows[:, :3] / height * (1 / aspect, 1.0, 1 / aspect) + (0.5, 0.9, 0.0)
    return rows


def mediapipe(rows, address="/mediapipe/pose") -> bytes:
    return osc(address, *floats(rows))


def openpose(*people, ids=None, field="pose_keypoints_2d") -> bytes:
    objects = [{"person_id": [-1 if ids is None else ids[n]], field: floats(rows)} for n, rows in enumerate(people)]
    return json.dumps({"version": 1.3, "people": objects}).encode()


def flat(points, pixels=400.0, at=(960.0, 1000.0)) -> np.ndarray:
    """OpenPose's rows x y c in pixels."""
    rows = rows_of(points * pixels, list(BODY_25))[:, [0, 1, 3]]
    rows[rows[:, 2] > 0.0, :2] += at
    return rows


def only(frames):
    (frame,) = frames
    return frame


def joints(frame) -> np.ndarray:
    return global_positions(frame.skeleton, frame.root_position, frame.rotations)


def take(count=90) -> tuple[np.ndarray, np.ndarray]:
    """Points and joints of a dance at 30 frames a second."""
    clip = demo()[: 2 * count : 2]
    return points_of(clip.root_positions, clip.rotations), global_positions(
        HUMANOID, clip.root_positions, clip.rotations
    )


def apart(a, b) -> np.ndarray:
    """Centimetres between joints, seen from the hips."""
    return 100.0 * np.linalg.norm((a - a[:, :1]) - (b - b[:, :1]), axis=-1)


def played(decoder, datagrams) -> np.ndarray:
    return np.array([joints(only(decoder.feed(data, 5.0 + n * DT))) for n, data in enumerate(datagrams)])


def test_names_stand_where_the_detectors_documents_have_them():
    left = {7: "Ear", 2: "Eye", 11: "Shoulder", 13: "Elbow", 15: "Wrist", 17: "Pinky", 19: "Index", 23: "Hip"}
    left |= {25: "Knee", 27: "Ankle", 29: "Heel", 31: "Toe"}
    assert {place: LANDMARKS[place] for place in left} == {place: f"Left{name}" for place, name in left.items()}
    assert [LANDMARKS[place] for place in (0, 5, 8, 12, 28, 32)] == [
        *("Nose", "RightEye", "RightEar", "RightShoulder", "RightAnkle", "RightToe")
    ]
    right = {2: "Shoulder", 3: "Elbow", 4: "Wrist", 9: "Hip", 10: "Knee", 11: "Ankle", 17: "Ear", 22: "Toe", 24: "Heel"}
    assert {place: BODY_25[place] for place in right} == {place: f"Right{name}" for place, name in right.items()}
    assert [BODY_25[place] for place in (0, 1, 5, 8, 14, 18, 19, 21)] == [
        *("Nose", "Neck", "LeftShoulder", "MidHip", "LeftAnkle", "LeftEar", "LeftToe", "LeftHeel")
    ]
    assert (len(LANDMARKS), len(BODY_25)) == (33, 25)


def test_a_dance_comes_through_world_landmarks():
    points, wanted = take()
    found = played(MediapipeDecoder(), [mediapipe(world(frame)) for frame in points])
    assert np.median(apart(found, wanted)) < 0.4  # centimetres: what the fit itself loses
    assert np.abs(found[:, 0, [0, 2]]).max() < 1e-6  # no place in the room
    assert np.abs(found[10:, :, 1].min(axis=1)).max() < 0.06


def test_a_dance_comes_through_a_picture_and_moves_in_the_room():
    points, wanted = take()
    found = played(MediapipeDecoder(), [mediapipe(picture(frame)) for frame in points])
    assert np.median(apart(found, wanted)) < 1.0
    assert np.ptp(found[30:, 0, 0]) == pytest.approx(np.ptp(wanted[30:, 0, 0]), rel=0.05, abs=0.01)


def test_who_faces_the_camera_faces_ahead():
    frame = only(MediapipeDecoder("dancer1").feed(mediapipe(world(REST)), 2.0))
    assert np.allclose(frame.rotations, rot.IDENTITY, atol=1e-6)
    assert (frame.actor, frame.number, frame.receive_time, frame.sender_time) == ("dancer1", 1, 2.0, None)
    assert frame.skeleton.names == HUMANOID.names
    assert joints(frame)[HUMANOID.index("LeftHand"), 0] > 0.3


@pytest.mark.parametrize("landmarks", [0, 1], ids=["world", "image"])
def test_a_photograph_of_somebody_who_faces_the_camera(landmarks):
    rows = np.zeros((33, 4))
    for name, both in PHOTOGRAPH.items():
        rows[LANDMARKS.index(name)] = both[landmarks]
    decoder = MediapipeDecoder(view=View(aspect=1.0))
    frame = only(decoder.feed(mediapipe(rows), 0.0))
    ahead = rot.rotate(frame.rotations[0], np.array([0.0, 0.0, 1.0]))
    assert decoder._kind == ("world", "image")[landmarks]
    assert ahead[2] > 0.85  # turned a little to their right, as on the picture
    found = joints(frame)
    assert found[HUMANOID.index("LeftUpperArm"), 0] > 0.0 > found[HUMANOID.index("RightUpperArm"), 0]
    assert found[HUMANOID.index("Head"), 1] > found[HUMANOID.index("LeftUpperArm"), 1] > 1.0  # it stands


def test_a_mirrored_picture_is_put_right():
    points, _ = take(20)
    turned = rot.rotate(rot.yaw(0.7), points)
    plain = played(MediapipeDecoder(), [mediapipe(world(frame)) for frame in turned])
    selfie = []
    for frame in turned:
        rows = world(frame) * (-1.0, 1.0, 1.0, 1.0)
        names = [name.replace("Left", "R!").replace("Right", "Left").replace("R!", "Right") for name in LANDMARKS]
        selfie.append(mediapipe(rows[[LANDMARKS.index(name) for name in names]]))
    assert np.allclose(played(MediapipeDecoder(view=View(mirror=True)), selfie), plain, atol=1e-5)  # float32


@pytest.mark.parametrize("axes", AXES)
def test_other_axes_are_told(axes):
    points, _ = take(5)
    plain = played(MediapipeDecoder(), [mediapipe(world(frame)) for frame in points])
    signs = np.array([*AXES["picture"], 1.0]) * (*AXES[axes], 1.0)
    other = [mediapipe(world(frame) * signs) for frame in points]
    assert np.allclose(played(MediapipeDecoder(view=View(axes=axes)), other), plain, atol=1e-5)  # float32


def test_a_camera_that_looks_down_is_set_upright():
    down = rot.from_euler("X", np.array([0.35]))  # from the stage's axes to those of a camera tilted down
    frame = only(MediapipeDecoder(view=View(tilt=np.degrees(0.35))).feed(mediapipe(world(rot.rotate(down, REST))), 0.0))
    assert np.allclose(frame.rotations, rot.IDENTITY, atol=1e-5)


@pytest.mark.parametrize("flag", [1, 1.0], ids=["as an int", "as a float"])
def test_cansiks_message_says_first_whether_somebody_is_there(flag):
    decoder = MediapipeDecoder()
    rows = floats(picture(REST))
    assert len(decoder.feed(osc("/mediapipe/pose", flag, *rows), 0.0)) == 1
    assert decoder.feed(osc("/mediapipe/pose", type(flag)(0), *rows), 0.1) == []
    assert decoder.feed(osc("/mediapipe/pose", 0), 0.2) == []
    assert decoder.dropped == {"nobody": 2}


def test_landmarks_without_visibility_are_all_believed():
    assert only(MediapipeDecoder().feed(osc("/pose", *floats(world(REST)[:, :3])), 0.0)).number == 1


@pytest.mark.parametrize("address", ["/pose/7", "/mediapipe/p7", "/person_7/landmarks", "/a/Body7/b"])
def test_a_number_in_the_address_is_the_persons(address):
    assert len(MediapipeDecoder(person=7).feed(mediapipe(world(REST), address), 0.0)) == 1
    decoder = MediapipeDecoder(person=8)
    assert decoder.feed(mediapipe(world(REST), address), 0.0) == []
    assert decoder.unknown == {"person 7": 1}


def test_the_first_who_comes_stays_the_dancer_while_there():
    decoder = MediapipeDecoder()
    bundle = OscBundleBuilder(0)
    for number in (2, 1):
        bundle.add_content(message(f"/pose/{number}", *floats(world(REST))))
    both = bundle.build().dgram
    assert [len(decoder.feed(mediapipe(world(REST), f"/pose/{n}"), t)) for n, t in ((1, 0.0), (2, 0.5))] == [1, 0]
    assert len(decoder.feed(both, 0.9)) == 1
    assert [len(decoder.feed(mediapipe(world(REST), "/pose/2"), t)) for t in (1.8, 2.0, 2.1)] == [0, 1, 1]
    assert decoder.unknown == {"person 2": 3}


def test_what_is_no_body_is_named():
    decoder = MediapipeDecoder()
    assert decoder.feed(osc("/pose/left_wrist", 0.1, 0.2), 0.0) == []
    assert decoder.unknown == {"/pose/left_wrist": 1}
    with pytest.raises(PacketError, match=r"/pose has 75 arguments; a person is 33 landmarks .*132 numbers"):
        decoder.feed(osc("/pose", *([0.5] * 75)), 0.0)
    with pytest.raises(PacketError, match="/pose has 132 arguments"):
        decoder.feed(osc("/pose", *(["left"] * 132)), 0.0)


def test_low_visibility_is_not_believed():
    rows = world(REST)
    arm = [LANDMARKS.index(name) for name in ("LeftElbow", "LeftWrist")]
    rows[arm, :3], rows[arm, 3] = 9.0, 0.4
    plain = only(MediapipeDecoder().feed(mediapipe(world(REST)), 0.0))
    held = only(MediapipeDecoder().feed(mediapipe(rows), 0.0))
    assert np.allclose(held.rotations, plain.rotations, atol=1e-6)
    bold = only(MediapipeDecoder(view=View(visibility=0.3)).feed(mediapipe(rows), 0.0))
    assert rot.angle(bold.rotations, plain.rotations).max() > 0.5


def test_nobody_to_be_seen_is_counted():
    decoder = MediapipeDecoder()
    assert decoder.feed(mediapipe(world(REST) * (1, 1, 1, 0)), 0.0) == []
    assert decoder.feed(mediapipe(np.full((33, 4), np.nan)), 0.0) == []
    assert decoder.dropped == {"not_visible": 2}


def test_who_is_a_mile_away_is_not_on_stage():
    decoder = OpenPoseDecoder(view=View(scale=1.0))
    rows = rows_of(np.add(REST, (2000.0, 0.0, 0.0)), list(BODY_25))
    assert decoder.feed(openpose(rows, field="pose_keypoints_3d"), 0.0) == []
    assert decoder.dropped == {"out_of_range": 1}


def test_after_a_pause_somebody_else_is_measured_anew():
    decoder = MediapipeDecoder()
    for n in range(40):
        decoder.feed(mediapipe(world(REST)), n * DT)
    child = only(decoder.feed(mediapipe(world(0.7 * REST)), 10.0))
    assert child.skeleton.hip_height == pytest.approx(0.7 * HUMANOID.hip_height, rel=0.05)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"axes": "z_up"}, "no axes 'z_up'; choose from picture, y_up, unity"),
        ({"scale": 0.0}, "scale must be 'auto' or a positive number, not 0.0"),
        ({"scale": "metres"}, "scale must be 'auto' or a positive number, not 'metres'"),
        ({"aspect": 0.0}, "aspect must be .* not 0.0"),
        ({"tilt": 100.0}, "tilt must be from -90 to 90 degrees, not 100.0"),
        ({"visibility": 1.5}, "visibility must be from 0 to 1, not 1.5"),
    ],
)
def test_a_view_that_is_none_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        View(**options)


def test_landmarks_that_are_none_are_refused():
    with pytest.raises(ValueError, match="no landmarks 'pixels'; choose from auto, world, image"):
        MediapipeDecoder(landmarks="pixels")


def test_openposes_3d_is_a_pose():
    points, wanted = take()
    rows = [rows_of(1000.0 * frame, list(BODY_25)) for frame in points]  # millimetres
    by_json = played(OpenPoseDecoder(), [openpose(body, field="pose_keypoints_3d") for body in rows])
    by_osc = played(OpenPoseDecoder(), [osc("/openpose/0", *floats(body)) for body in rows])
    hands = HUMANOID.both_sides("Hand")
    assert np.median(apart(by_json, wanted)) < 0.6
    assert np.abs(by_json - by_osc).max() < 1e-4  # float32 of millimetres
    assert np.percentile(apart(by_json, wanted)[:, hands], 95) < 3.0


@pytest.mark.parametrize("keypoint_scale", ["pixels", "0 to 1", "-1 to 1"])
def test_openposes_2d_is_right_in_the_picture(keypoint_scale):
    points, wanted = take()
    datagrams = []
    for frame in points:
        rows = flat(frame)
        if keypoint_scale != "pixels":
            rows[:, :2] /= (1440.0, 1080.0)
        if keypoint_scale == "-1 to 1":
            rows[:, :2] = 2.0 * rows[:, :2] - 1.0
        rows[rows[:, 2] == 0.0] = 0.0
        datagrams.append(openpose(rows))
    found = played(OpenPoseDecoder(), datagrams)
    assert np.percentile(apart(found * (1, 1, 0), wanted * (1, 1, 0)), 95) < 4.0
    assert np.ptp(found[30:, 0, 0]) == pytest.approx(np.ptp(wanted[30:, 0, 0]), rel=0.1, abs=0.02)


def test_who_is_seen_from_the_waist_up_stands_on_the_stage_too():
    rows = flat(REST)
    legs = [place for place, name in enumerate(BODY_25) if name.endswith(("Hip", "Knee", "Ankle", "Heel", "Toe"))]
    rows[legs] = 0.0
    frame = only(OpenPoseDecoder().feed(openpose(rows), 0.0))
    assert np.allclose(joints(frame), HUMANOID.rest_positions, atol=0.05)


def test_people_without_ids_are_told_apart_by_their_place():
    decoder = OpenPoseDecoder()
    mine, other = flat(REST), flat(1.3 * REST, at=(300.0, 1000.0))
    first = only(decoder.feed(openpose(mine, other), 0.0))
    second = only(decoder.feed(openpose(other, mine), 0.1))
    assert np.allclose(second.root_position, first.root_position, atol=1e-6)
    assert decoder.unknown == {"person 1": 1, "person 0": 1}
    assert decoder.feed(openpose(), 0.2) == []
    assert decoder.dropped == {"nobody": 1}


def test_people_with_ids_are_chosen_by_them():
    decoder = OpenPoseDecoder(person=4)
    near, far = flat(REST), flat(REST, at=(300.0, 1000.0))
    assert len(decoder.feed(openpose(near, far, ids=[9, 4]), 0.0)) == 1
    assert decoder.feed(openpose(near, ids=[9]), 0.1) == []
    assert decoder.unknown == {"person 9": 2}


def test_the_toes_of_a_foot_point_between_big_and_small_toe():
    rows = rows_of(REST, list(BODY_25))
    big, small = BODY_25.index("LeftToe"), BODY_25.index("LeftSmallToe")
    rows[small] = rows[big] + (0.08, 0.0, 0.0, 0.0)
    yaws = []
    for confidence in (1.0, 0.0):
        rows[small, 3] = confidence
        found = joints(only(OpenPoseDecoder().feed(openpose(rows, field="pose_keypoints_3d"), 0.0)))
        foot = found[HUMANOID.index("LeftToes")] - found[HUMANOID.index("LeftFoot")]
        yaws.append(np.arctan2(foot[0], foot[2]))
    assert yaws == pytest.approx([np.arctan(0.04 / 0.23), 0.0], abs=1e-3)


@pytest.mark.parametrize(
    ("datagram", "message"),
    [
        (b"{", "1 bytes that are no JSON"),
        (b"{}", "people is None, not a list of at most"),
        (b'{"people": 3}', "people is 3, not a list"),
        (b'{"people": [' + b"1," * 40 + b"1]}", "people is list of 41"),
        (b'{"people": [1]}', r"people\[0\] is 1, not an object"),
        (b'{"people": [{"a": 1}]}', r"people\[0\] has neither pose_keypoints_3d nor pose_keypoints_2d; it has a"),
        (b'{"people": [{"pose_keypoints_2d": [1]}]}', r"pose_keypoints_2d is list of 1, not a list of 75 numbers"),
        (b'{"people": ' + b"[" * 30000, "no JSON"),
        (b"{" + b" " * 40000 + b"}", "40002 bytes of JSON; this reads 32768 at most"),
        (osc("/op", *([0.5] * 70)), r"/op has 70 arguments; a person is 25 keypoints .* 75 or 100 numbers"),
    ],
)
def test_a_packet_error_says_what_and_where(datagram, message):
    with pytest.raises(PacketError, match=message):
        OpenPoseDecoder().feed(datagram, 0.0)


def test_a_word_among_openposes_numbers_is_named():
    body = floats(flat(REST))
    body[7] = "left"
    with pytest.raises(PacketError, match=r"people\[0\]\.pose_keypoints_2d\[7\] is 'left', not a number"):
        OpenPoseDecoder().feed(json.dumps({"people": [{"pose_keypoints_2d": body}]}).encode(), 0.0)
    body[7] = 10**400
    with pytest.raises(PacketError, match="has a number no float can hold"):
        OpenPoseDecoder().feed(json.dumps({"people": [{"pose_keypoints_2d": body}]}).encode(), 0.0)


GOOD = {
    MediapipeDecoder: [mediapipe(world(REST)), mediapipe(picture(REST)), osc("/p", 1, *floats(world(REST)))],
    OpenPoseDecoder: [
        openpose(flat(REST)),
        openpose(rows_of(REST, list(BODY_25)), field="pose_keypoints_3d"),
        osc("/op", *floats(flat(REST))),
    ],
}


@settings(QUICK, max_examples=200)
@given(st.binary(max_size=160), st.sampled_from(list(GOOD)))
def test_noise_raises_nothing_but_packet_error(noise, decoder):
    for datagram in (noise, b"/pose\0\0\0" + noise, b"#bundle\0" + noise, b'{"people":[' + noise):
        assert_good_or_refused(decoder(), datagram, longest=10.0)


@settings(QUICK, max_examples=200)
@given(st.data(), st.sampled_from([(kind, good) for kind, datagrams in GOOD.items() for good in datagrams]))
def test_damaged_datagrams_raise_nothing_but_packet_error(data, case):
    kind, good = case
    bad, decoder = damaged(data, good), kind()
    for place, datagram in enumerate((bad, good, bad, good)):
        assert_good_or_refused(decoder, datagram, place * DT, longest=10.0)


@QUICK
@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-30, 1.0, 1e5, 1e38]))
def test_any_numbers_are_a_pose_or_none(seed, size):
    random = np.random.default_rng(seed)
    decoders = [MediapipeDecoder(), OpenPoseDecoder()]
    for now in (0.0, 0.01, 0.02, 5.0):
        numbers = size * random.uniform(-1.0, 1.0, 132)
        numbers[random.random(132) < 0.1] = random.choice([np.nan, np.inf, 0.0])
        assert_good_or_refused(decoders[0], osc("/pose", *floats(numbers)), now)
        for count in (75, 100):
            assert_good_or_refused(decoders[1], osc("/pose", *floats(numbers[:count])), now)
