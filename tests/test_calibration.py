"""A suit's zero set right: facing, floor, hips and every joint's rest."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motion import kinematics
from motion import rotations as rot
from motion.calibration import Calibration, CalibrationError, Wishes, measure
from motion.skeleton import HUMANOID

STANDING = np.tile(rot.IDENTITY, (22, 1))
HIPS = HUMANOID.offsets[0]
SOLES = HUMANOID.rest_positions[:, 1].min()


def joints(root, rotations):
    return kinematics.global_positions(HUMANOID, root, rotations)


def crooked(seed: int, degrees: float) -> np.ndarray:
    """Turns (22, 4) by which a suit's sensors sit beside the bones."""
    random = np.random.default_rng(seed)
    axes = random.normal(size=(22, 3))
    half = 0.5 * np.radians(degrees) * random.uniform(-1, 1, (22, 1))
    return np.concatenate([axes / np.linalg.norm(axes, axis=-1, keepdims=True) * np.sin(half), np.cos(half)], axis=-1)


def worn(rotations, beside, heading):
    """The true local rotations as a crooked suit sends them that was put on facing `heading`."""
    turned = kinematics.local_to_global(HUMANOID, rotations)
    return kinematics.global_to_local(HUMANOID, rot.multiply(rot.multiply(rot.yaw(heading), turned), beside))


@settings(deadline=None, database=None, max_examples=60)
@given(st.integers(0, 999), st.floats(-3.1, 3.1), st.floats(-1.0, 1.0))
def test_after_a_t_pose_a_crooked_suit_sends_the_dancers_own_movement(seed, heading, floor):
    random = np.random.default_rng(seed)
    beside = crooked(seed, 20.0)
    origin = np.array([0.3, floor, -2.0])
    moved = rot.normalize(rot.IDENTITY + random.normal(scale=0.3, size=(22, 4)))
    place = random.normal(size=3)
    # The heading is told by bones that a crooked suit puts a few degrees beside; with straight hips it is exact.
    for joint in ("Hips", "Spine", "Chest", "UpperChest", "LeftShoulder", "RightShoulder"):
        beside[HUMANOID.index(joint)] = rot.IDENTITY
    calibration = measure(
        "t_pose",
        np.tile(rot.rotate(rot.yaw(heading), HIPS) + origin, (10, 1)),
        np.tile(worn(STANDING, beside, heading), (10, 1, 1)),
        Wishes(place=True),
    )
    root, q = calibration.apply(rot.rotate(rot.yaw(heading), HIPS + place) + origin, worn(moved, beside, heading))
    np.testing.assert_allclose(joints(root, q), joints(HIPS + place, moved), atol=1e-9)


@pytest.mark.parametrize("heading", [-3.0, -0.5, 0.0, 1.0, 2.5])
def test_a_first_frame_in_any_pose_is_turned_to_the_front_and_put_on_the_floor(heading):
    bent = STANDING.copy()
    bent[HUMANOID.index("LeftLowerLeg")] = bent[HUMANOID.index("RightLowerLeg")] = [0.3, 0.0, 0.0, 0.95]
    bent = rot.normalize(bent)
    bent[0] = rot.yaw(heading)
    calibration = measure("first_frame", np.array([[1.0, 1.5, 2.0]]), bent[None], Wishes(place=True))
    root, q = calibration.apply(np.array([1.0, 1.5, 2.0]), bent)
    np.testing.assert_allclose(q[0], rot.IDENTITY, atol=1e-9)
    np.testing.assert_allclose(q[1:], bent[1:], atol=1e-12)
    assert root[[0, 2]] == pytest.approx([0.0, 0.0])
    assert joints(root, q)[:, 1].min() == pytest.approx(SOLES)


def test_what_nobody_wished_stays_as_it_was():
    turned = STANDING.copy()
    turned[0] = rot.yaw(1.0)
    place = np.array([[1.0, 1.0, 1.0]])
    calibration = measure("first_frame", place, turned[None], Wishes(facing=False, floor=False))
    root, q = calibration.apply(place[0], turned)
    np.testing.assert_allclose(root, place[0])
    np.testing.assert_allclose(q, turned)


def test_a_suit_without_true_bones_is_scaled_by_the_height_of_its_hips():
    child = HIPS * 0.7
    calibration = measure("t_pose", np.tile(child, (5, 1)), np.tile(STANDING, (5, 1, 1)), Wishes(hip_scale="height"))
    assert calibration.scale == pytest.approx(1 / 0.7)
    root, _ = calibration.apply(child + np.array([0.7, 0.0, 0.0]), STANDING)
    np.testing.assert_allclose(root, HIPS + np.array([1.0, 0.0, 0.0]))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"LeftUpperArm": [0.0, 0.0, -0.7, 0.7]}, "LeftUpperArm is 90° away from a T-pose"),
        ({"RightLowerLeg": [0.5, 0.0, 0.0, 0.85]}, "RightLowerLeg is 61° away"),
    ],
)
def test_who_does_not_stand_in_a_t_pose_is_told_how_they_stood(change, says):
    pose = STANDING.copy()
    for joint, q in change.items():
        pose[HUMANOID.index(joint)] = q
    with pytest.raises(CalibrationError, match=says):
        measure("t_pose", np.tile(HIPS, (5, 1)), np.tile(rot.normalize(pose), (5, 1, 1)))


def test_who_moves_is_told_so():
    places = HIPS + np.linspace(0.0, 0.2, 10)[:, None] * [1.0, 0.0, 0.0]
    with pytest.raises(CalibrationError, match=r"moved 20 cm; stand still"):
        measure("t_pose", places, np.tile(STANDING, (10, 1, 1)))


def test_hips_that_cannot_stand_over_the_floor_are_refused():
    with pytest.raises(CalibrationError, match=r"stand 0\.10 m over the suit's zero"):
        measure("t_pose", np.array([[0.0, 0.1, 0.0]]), STANDING[None], Wishes(hip_scale="height"))


def test_a_calibration_written_down_is_the_same_one():
    one = measure("t_pose", HIPS[None], worn(STANDING, crooked(1, 10.0), 0.5)[None], Wishes(place=True))
    other = Calibration.from_dict(json.loads(json.dumps(one.to_dict())))
    pose = rot.normalize(np.random.default_rng(2).normal(size=(22, 4)))
    for a, b in zip(one.apply(HIPS, pose), other.apply(HIPS, pose), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"turn": 0.0, "origin": [0, 0], "scale": 1.0, "rest": None},
        {"turn": float("nan"), "origin": [0, 0, 0], "scale": 1.0, "rest": None},
        {"turn": 0.0, "origin": [0, 0, 0], "scale": 100.0, "rest": None},
        {"turn": 0.0, "origin": [0, 0, 0], "scale": 1.0, "rest": [[0, 0, 0, 1]]},
        {"turn": "left", "origin": [0, 0, 0], "scale": 1.0, "rest": None},
    ],
)
def test_what_is_no_calibration_is_refused(data):
    with pytest.raises(ValueError, match="no calibration"):
        Calibration.from_dict(data)
