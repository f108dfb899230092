"""Rokoko JSON v3: what Studio sends is understood, what nobody should send is a PacketError and nothing else."""

import copy
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motion import kinematics
from motion import rotations as rot
from motion.retarget import Retargeter
from motion.skeleton import HUMANOID
from server.protocols import rokoko
from server.protocols.frames import PacketError, PoseFrame
from server.protocols.rokoko import SKELETON, Actor, RokokoDecoder, Scene

# Studio's T-pose as its own plug-ins tell it: w x y z, Unity's axes, five digits.
T_POSE = {
    "hip": (-1.0, 0.0, 0.0, 0.0),
    **dict.fromkeys(("spine", "chest", "neck", "head"), (0.0, 0.0, 0.0, -1.0)),
    "leftShoulder": (-0.70711, 0.0, 0.0, 0.70711),
    **dict.fromkeys(("leftUpperArm", "leftLowerArm", "leftHand"), (-0.5, -0.5, -0.5, 0.5)),
    "rightShoulder": (0.70711, 0.0, 0.0, 0.70711),
    **dict.fromkeys(("rightUpperArm", "rightLowerArm", "rightHand"), (0.5, 0.5, -0.5, 0.5)),
    **dict.fromkeys(("leftUpLeg", "leftLeg"), (0.70711, 0.0, 0.70711, 0.0)),
    **dict.fromkeys(("leftFoot", "leftToe"), (0.0, 0.0, 0.70711, -0.70711)),
    **dict.fromkeys(("rightUpLeg", "rightLeg"), (0.70711, 0.0, -0.70711, 0.0)),
    **dict.fromkeys(("rightFoot", "rightToe"), (0.0, 0.0, -0.70711, 0.70711)),
}
# What a packet looks like on the wire, but for the length of `body`.
GOLDEN = (
    b'{"version":"3,0","fps":60.0,"scene":{"timestamp":12.5,"actors":[{"name":"Ada","color":[255,255,255],'
    b'"meta":{"hasGloves":true,"hasLeftGlove":true,"hasRightGlove":true,"hasBody":true,"hasFace":true},'
    b'"dimensions":{"totalHeight":1.7,"hipHeight":0.9},"body":{%s,"leftThumbProximal":{"position":null}},'
    b'"face":{"faceId":"f","jawOpen":40.0}}],"characters":[],"props":[{"name":"cane","type":2}]}}'
)


def joint_json(name: str) -> bytes:
    w, x, y, z = T_POSE[name]
    px, py, pz = SKELETON.rest_positions[SKELETON.index(name)].tolist()
    position = {"x": -px, "y": py, "z": pz}
    return json.dumps({name: {"position": position, "rotation": {"x": x, "y": y, "z": z, "w": w}}})[1:-1].encode()


def golden() -> bytes:
    return GOLDEN % b",".join(joint_json(name) for name in reversed(SKELETON.names))


def pose(seed=0, actor="Ada") -> PoseFrame:
    random = np.random.default_rng(seed)
    rotations = rot.normalize(random.normal(size=(len(SKELETON), 4)))
    return PoseFrame(SKELETON, random.normal(size=3), rotations, 2.0, 0.0, 1, actor)


def packet(*names, **options) -> bytes:
    actors = tuple(rokoko.actor_of(pose(seed, name)) for seed, name in enumerate(names or ["Ada"]))
    return rokoko.encode(Scene(actors, 2.0, **options))


def changed(path: str, value) -> bytes:
    """A good packet with one field set, or taken away where the value is ...; path: 'scene/actors/0/name'."""
    whole = json.loads(packet())
    *above, last = (int(key) if key.isdigit() else key for key in path.split("/"))
    place = whole
    for key in above:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return json.dumps(whole).encode()


def test_the_t_pose_as_studio_sends_it_has_no_rotations():
    scene = rokoko.decode(golden())
    (actor,) = scene.actors
    assert (actor.name, actor.height, actor.hip_height, scene.time, scene.fps) == ("Ada", 1.7, 0.9, 12.5, 60.0)
    assert rot.angle(actor.rotations, np.broadcast_to(rot.IDENTITY, (21, 4))).max() < 1e-9  # 0.70711 is normalised
    assert np.abs(actor.positions - SKELETON.rest_positions).max() < 1e-12


@pytest.mark.parametrize("name", [name for name in SKELETON.names if name != "hip"])
def test_a_bone_of_the_t_pose_runs_along_its_own_minus_y(name):
    w, x, y, z = T_POSE[name]
    along = rot.rotate(rot.normalize(np.array([x, y, z, w])), np.array([0.0, -1.0, 0.0])) * rokoko.POSITION_SIGNS
    children = [n for n, parent in enumerate(SKELETON.parents) if parent >= 0 and SKELETON.names[parent] == name]
    for child in children or [SKELETON.index(name)]:
        bone = SKELETON.offsets[child]
        if not (name == "chest" and "Shoulder" in SKELETON.names[child]) and "Foot" not in SKELETON.names[child]:
            assert along @ bone / np.linalg.norm(bone) > 0.85  # HUMANOID's feet slope


def test_a_left_arm_raised_is_a_left_arm_raised():
    frame = pose()
    frame.rotations[:] = rot.IDENTITY
    frame.rotations[SKELETON.index("leftUpperArm")] = [0.0, 0.0, 0.5**0.5, 0.5**0.5]  # from +X up to +Y
    (sent,) = json.loads(rokoko.encode(Scene((rokoko.actor_of(frame),))))["scene"]["actors"]
    hand, arm = sent["body"]["leftHand"]["position"], sent["body"]["leftUpperArm"]["position"]
    assert hand["y"] - arm["y"] > 0.5
    assert hand["x"] == pytest.approx(arm["x"])
    assert arm["x"] < frame.root_position[0] * -1.0  # Unity's -X is the left of who looks along +Z


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_what_goes_in_comes_out(seed):
    sent = pose(seed)
    (frame,) = RokokoDecoder("dancer1").feed(rokoko.encode(Scene((rokoko.actor_of(sent),), 2.0)), 7.0)
    assert (frame.actor, frame.sender_time, frame.receive_time, frame.number) == ("dancer1", 2.0, 7.0, 1)
    assert np.abs(frame.root_position - sent.root_position).max() < 1e-12
    assert np.abs(frame.skeleton.offsets[1:] - SKELETON.offsets[1:]).max() < 1e-12
    assert rot.angle(frame.rotations, sent.rotations).max() < 1e-7  # an angle is the root of a cosine's error
    ours = kinematics.global_positions(frame.skeleton, frame.root_position, frame.rotations)
    theirs = kinematics.global_positions(SKELETON, sent.root_position, sent.rotations)
    assert np.abs(ours - theirs).max() < 1e-12


def test_the_bones_are_those_of_the_stream():
    tall = SKELETON.with_offsets(SKELETON.offsets * 1.2)
    frame = pose()
    sent = PoseFrame(tall, frame.root_position, frame.rotations, None, 0.0, 1)
    (got,) = RokokoDecoder().feed(rokoko.encode(Scene((rokoko.actor_of(sent),))), 0.0)
    assert np.abs(got.skeleton.offsets[1:] - tall.offsets[1:]).max() < 1e-12
    assert got.skeleton.rest_positions[:, 1].min() == pytest.approx(HUMANOID.rest_positions[:, 1].min())


def test_the_skeleton_stays_the_same_object_while_the_bones_do():
    decoder = RokokoDecoder()
    first, again, later = (decoder.feed(packet(), now)[0].skeleton for now in (0.0, 0.1, 9.0))
    assert first is again is later


def test_the_body_is_known_to_the_retargeter():
    retargeter = Retargeter(SKELETON)
    assert (retargeter.profile, retargeter.unmapped) == ("rokoko", ())


def test_somebody_is_chosen_and_kept():
    decoder = RokokoDecoder()
    first = decoder.feed(packet("Ada", "Bob"), 0.0)[0]
    assert rot.angle(first.rotations, pose(0).rotations).max() < 1e-7
    kept = decoder.feed(packet("Bob", "Ada"), 0.1)[0]
    assert rot.angle(kept.rotations, pose(1).rotations).max() < 1e-7
    assert decoder.unknown == {"Bob": 2}
    assert len(decoder.feed(packet("Bob"), 0.2)) == 1  # Ada has gone


def test_who_was_asked_for_is_waited_for():
    decoder = RokokoDecoder(person="Bob")
    assert decoder.feed(packet("Ada"), 0.0) == []
    assert rot.angle(decoder.feed(packet("Ada", "Bob"), 0.1)[0].rotations, pose(1).rotations).max() < 1e-7
    assert decoder.dropped == {"person_missing": 1}


def test_gloves_alone_are_no_body():
    decoder = RokokoDecoder(person="Bob")
    assert decoder.feed(packet("Ada", bodiless=("Bob",)), 0.0) == []
    assert decoder.dropped == {"no_body": 1}


def test_an_lz4_frame_is_the_same_packet():
    plain = Scene((rokoko.actor_of(pose()),), 2.0)
    packed = rokoko.encode(plain, compress=True)
    assert len(packed) < len(rokoko.encode(plain))
    (sent,), (got,) = rokoko.decode(rokoko.encode(plain)).actors, rokoko.decode(packed).actors
    assert np.array_equal(sent.rotations, got.rotations)
    assert np.array_equal(sent.positions, got.positions)


@pytest.mark.parametrize("version", [3, 3.0, "3,0", "3.1", "3", 4])
def test_every_spelling_of_version_3_is_read(version):
    assert len(rokoko.decode(changed("version", version)).actors) == 1


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("version", 2, "version is 2; choose JSON v3"),
        ("version", True, "version is True"),
        ("version", ..., "version is None"),
        ("trackers", [], "JSON v2.5"),
        ("scene", [], "scene is list of 0"),
        ("scene/actors", ..., "actors is None"),
        ("scene/actors", [{}] * 17, "17 people"),
        ("scene/actors/0", "Ada", r"scene.actors\[0\] is 'Ada', not an object"),
        ("scene/actors/0/name", 7, "name is 7"),
        ("scene/actors/0/body", None, "body is None"),
        ("scene/actors/0/body/leftHand", ..., "leftHand has no 'leftHand'"),
        ("scene/actors/0/body/leftHand/rotation/w", ..., "leftHand has no 'w'"),
        ("scene/actors/0/body/leftHand/position", [1, 2, 3], "leftHand is no object of numbers"),
        ("scene/actors/0/body/leftHand/rotation/w", "1", "leftHand.rotation.w is '1'"),
        ("scene/actors/0/body/leftHand/rotation/w", True, "leftHand.rotation.w is True"),
        ("scene/actors/0/body/leftHand/position/y", float("nan"), "leftHand.position.y is nan"),
        ("scene/actors/0/body/leftHand/position/y", 1001.0, "leftHand.position.y is 1001.0"),
        ("scene/actors/0/body/leftHand/position/y", 10**400, "an integer of 1329 bits"),
        ("scene/actors/0/body/hip/rotation", dict.fromkeys("xyzw", 0), "hip.rotation is zero"),
    ],
)
def test_a_wrong_field_is_named_with_its_value(path, value, says):
    with pytest.raises(PacketError, match=says):
        rokoko.decode(changed(path, value))


@pytest.mark.parametrize(
    "datagram", [b"", b"\xff\xfe", b"[" * 60000, b"null", b"[]", b"1e400", b'{"version":' + b"9" * 5000]
)
def test_what_is_no_packet_is_a_packet_error(datagram):
    with pytest.raises(PacketError):
        rokoko.decode(datagram)


@pytest.mark.parametrize("value", ["12", None, 1e300, -(10**30), float("nan"), {}])
def test_a_time_that_is_none_does_not_cost_the_pose(value):
    assert rokoko.decode(changed("scene/timestamp", value)).time is None


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(_ANYTHING, st.data())
@settings(max_examples=300, deadline=None)
def test_anything_anywhere_in_the_json_is_a_pose_or_a_packet_error(value, data):
    whole = json.loads(packet())
    place = whole
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = copy.deepcopy(value)
    assert_safe(json.dumps(whole).encode())


def test_random_and_spoiled_bytes_are_a_pose_or_a_packet_error():
    random = np.random.default_rng(1)
    scene = Scene(tuple(rokoko.actor_of(pose(seed)) for seed in range(2)), 2.0)
    goods = [np.frombuffer(rokoko.encode(scene, compress), dtype=np.uint8) for compress in (False, True)]
    for n in range(10000):
        good = goods[n % 2]
        assert_safe(random.bytes(int(random.integers(64))))
        spoiled = good[: random.integers(1, len(good))] if random.random() < 0.2 else good.copy()
        spoiled = spoiled.copy()
        places = random.integers(0, len(spoiled), size=random.integers(1, 5))
        spoiled[places] = random.integers(32, 127, size=len(places)) if random.random() < 0.8 else 0xFF
        assert_safe(spoiled.tobytes())


def assert_safe(datagram: bytes) -> None:
    decoder = RokokoDecoder()
    try:
        frames = decoder.feed(memoryview(datagram), 0.0)
    except PacketError:
        return
    for frame in frames:
        assert np.isfinite(frame.rotations).all()
        assert np.isfinite(frame.root_position).all()
        assert np.isfinite(frame.skeleton.offsets).all()


def test_another_body_is_refused():
    with pytest.raises(ValueError, match="retarget to them first"):
        rokoko.actor_of(PoseFrame(HUMANOID, np.zeros(3), np.tile(rot.IDENTITY, (22, 1)), None, 0.0, 0))


def test_an_empty_stage_is_no_fault():
    assert rokoko.decode(rokoko.encode(Scene(()))).actors == ()
    assert isinstance(rokoko.decode(packet()).actors[0], Actor)
