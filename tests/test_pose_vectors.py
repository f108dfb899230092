"""Pose vectors: a pose comes back from its own, wherever it stands; a pin means the same on stage and inside."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motion import balance, kinematics, pose_vectors
from motion import rotations as rot
from motion.ground_frames import facing
from motion.skeleton import HUMANOID

seeds = st.integers(0, 2**32 - 1)


def some_poses(seed: int, count: int = 5) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    rotations = rot.from_vector(random.normal(0.0, 0.4, (count, 22, 3)))
    rotations[:, 0] = rot.multiply(rot.yaw(random.uniform(-3.0, 3.0, count)), rotations[:, 0])
    return random.normal(0.0, 2.0, (count, 3)), rotations


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_a_pose_comes_back_from_its_vector(seed):
    root, rotations = some_poses(seed)
    frame = pose_vectors.frame_of(root, rotations)
    back = pose_vectors.decode(pose_vectors.encode(root, rotations, frame), frame)
    np.testing.assert_allclose(back[0], root, atol=1e-5)  # float32 vectors, roots metres away
    assert rot.angle(back[1], rotations).max() < 1e-4


@given(seeds, st.floats(-3.0, 3.0), st.floats(-5.0, 5.0))
@settings(max_examples=20, deadline=None)
def test_a_vector_does_not_know_where_on_stage_a_body_stands_or_looks(seed, turn, shift):
    root, rotations = some_poses(seed)
    moved = rot.rotate(rot.yaw(turn), root) + np.array([shift, 0.0, -shift])
    turned = rotations.copy()
    turned[:, 0] = rot.multiply(rot.yaw(turn), rotations[:, 0])
    vectors = [
        pose_vectors.encode(*pose, pose_vectors.frame_of(*pose)) for pose in ((root, rotations), (moved, turned))
    ]
    np.testing.assert_allclose(*vectors, atol=1e-5)


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_every_point_of_the_vector_is_where_the_body_has_it(seed):
    root, rotations = some_poses(seed)
    frame = pose_vectors.frame_of(root, rotations)
    vectors = pose_vectors.encode(root, rotations, frame)
    positions = kinematics.global_positions(HUMANOID, root, rotations)
    for name in (*pose_vectors.EFFECTORS, "Hips"):
        seen = frame.stage(vectors[:, None, pose_vectors.place(name)])[:, 0]
        np.testing.assert_allclose(seen, positions[:, HUMANOID.index(name)], atol=1e-5)
    weight = frame.stage(vectors[:, None, pose_vectors.place("centre_of_mass")])[:, 0]
    np.testing.assert_allclose(weight, balance.centre_of_mass(positions), atol=1e-5)


def test_numbers_are_of_one_size():
    root, rotations = some_poses(4, 400)
    root[:, 1] = 0.88
    spread = pose_vectors.encode(root, rotations, pose_vectors.frame_of(root, rotations)).std(axis=0)
    turns = spread[pose_vectors.SLICES["rotations"]]
    assert turns.max() < 0.5
    assert spread[pose_vectors.place("LeftHand")].max() < 1.0


def test_slices_cover_the_vector_and_a_point_that_is_none_is_refused():
    assert len(set(pose_vectors.VARIABLES)) == pose_vectors.WIDTH
    assert pose_vectors.VARIABLES[pose_vectors.place("Head").start] == "Head/x"
    covered = np.zeros(pose_vectors.WIDTH)
    for name, where in pose_vectors.SLICES.items():
        covered[where] += name != "Hips"  # the root, under the name that pins use
    np.testing.assert_array_equal(covered, 1.0)
    with pytest.raises(ValueError, match=r"no point 'Knee'.*LeftHand"):
        pose_vectors.place("Knee")


@given(st.floats(-3.1, 3.1), st.floats(-1.4, 1.4))
def test_facing_is_where_the_hips_look_also_in_a_bow(yaw, bow):
    hips = rot.multiply(rot.yaw(yaw), rot.from_euler("X", np.array([bow])))
    np.testing.assert_allclose(facing(hips), yaw, atol=1e-9)
