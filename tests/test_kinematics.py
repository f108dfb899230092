"""Forward kinematics against the plain loop it replaces, and its laws, on any hierarchy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from motion import rotations as rot
from motion.kinematics import forward, global_positions, global_to_local, local_to_global
from motion.skeleton import HUMANOID, Skeleton


@st.composite
def bodies(draw) -> tuple[Skeleton, np.ndarray, np.ndarray]:
    """A random tree of 1 to 12 joints with a batch of poses (root (..., 3), rotations (..., J, 4))."""
    joints = draw(st.integers(1, 12))
    parents = (-1, *(draw(st.integers(0, joint - 1)) for joint in range(1, joints)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    skeleton = Skeleton(tuple(f"j{k}" for k in range(joints)), parents, random.normal(size=(joints, 3)))
    shape = draw(st.sampled_from([(), (1,), (3,), (2, 2)]))
    near_identity = draw(st.sampled_from([1.0, 1e-8]))
    rotations = rot.normalize(rot.IDENTITY + near_identity * random.normal(size=(*shape, joints, 4)))
    return skeleton, random.normal(size=(*shape, 3)), rotations


def joint_by_joint(skeleton: Skeleton, root, rotations):
    """One frame, the textbook way, with SciPy's rotations."""
    positions, turns = [], []
    for joint, parent in enumerate(skeleton.parents):
        local = Rotation.from_quat(rotations[joint])
        turns.append(local if parent < 0 else turns[parent] * local)
        positions.append(
            root if parent < 0 else positions[parent] + turns[parent].as_matrix() @ skeleton.offsets[joint]
        )
    return np.array(positions), np.array([turn.as_matrix() for turn in turns])


@given(bodies())
def test_forward_is_the_joint_by_joint_loop(body):
    skeleton, root, rotations = body
    positions, matrices = forward(skeleton, root, rotations)
    flat = rotations.reshape(-1, *rotations.shape[-2:])
    for frame, (p, m) in enumerate(
        zip(positions.reshape(len(flat), -1, 3), matrices.reshape(len(flat), -1, 3, 3), strict=True)
    ):
        expected = joint_by_joint(skeleton, root.reshape(-1, 3)[frame], flat[frame])
        np.testing.assert_allclose(p, expected[0], atol=1e-12)
        np.testing.assert_allclose(m, expected[1], atol=1e-12)


@given(bodies())
def test_global_rotations_are_forwards_matrices(body):
    skeleton, root, rotations = body
    np.testing.assert_allclose(
        rot.to_matrix(local_to_global(skeleton, rotations)), forward(skeleton, root, rotations)[1], atol=1e-12
    )


@given(bodies())
def test_global_and_back_is_the_same_pose(body):
    skeleton, _, rotations = body
    assert rot.angle(global_to_local(skeleton, local_to_global(skeleton, rotations)), rotations).max() < 1e-9


@given(bodies())
def test_bones_keep_their_length(body):
    skeleton, root, rotations = body
    positions = global_positions(skeleton, root, rotations)
    for joint, parent in list(enumerate(skeleton.parents))[1:]:
        lengths = np.linalg.norm(positions[..., joint, :] - positions[..., parent, :], axis=-1)
        np.testing.assert_allclose(lengths, np.linalg.norm(skeleton.offsets[joint]), atol=1e-12)


@given(bodies(), st.floats(-3.0, 3.0))
def test_turning_the_world_turns_every_joint(body, angle):
    skeleton, root, rotations = body
    turn = rot.yaw(angle)
    turned = rotations.copy()
    turned[..., 0, :] = rot.multiply(turn, rotations[..., 0, :])
    expected = rot.rotate(turn, global_positions(skeleton, root, rotations))
    np.testing.assert_allclose(global_positions(skeleton, rot.rotate(turn, root), turned), expected, atol=1e-12)


def test_at_rest_joints_stand_at_their_rest_positions():
    rest = np.tile(rot.IDENTITY, (22, 1))
    np.testing.assert_allclose(global_positions(HUMANOID, HUMANOID.offsets[0], rest), HUMANOID.rest_positions)


def test_a_bent_knee_takes_the_foot_backward_and_nothing_else():
    pose = np.tile(rot.IDENTITY, (22, 1))
    pose[HUMANOID.index("LeftLowerLeg")] = rot.from_euler("X", np.array([np.pi / 2]))
    positions = global_positions(HUMANOID, HUMANOID.offsets[0], pose)
    moved = np.linalg.norm(positions - HUMANOID.rest_positions, axis=-1) > 1e-9
    assert [HUMANOID.names[j] for j in np.flatnonzero(moved)] == ["LeftFoot", "LeftToes"]
    knee, foot = positions[HUMANOID.index("LeftLowerLeg")], positions[HUMANOID.index("LeftFoot")]
    np.testing.assert_allclose(foot - knee, [0.0, 0.0, -0.454], atol=1e-12)


@pytest.mark.parametrize("shape", [(0,), (2, 0)])
def test_no_frames_give_no_positions(shape):
    positions = global_positions(HUMANOID, np.zeros((*shape, 3)), np.zeros((*shape, 22, 4)))
    assert positions.shape == (*shape, 22, 3)


def test_both_sides_are_all_of_the_left_and_then_all_of_the_right():
    feet = HUMANOID.both_sides("Foot", "Toes")
    assert [HUMANOID.names[joint] for joint in feet] == ["LeftFoot", "LeftToes", "RightFoot", "RightToes"]
