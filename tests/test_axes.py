"""Axes of other programs: the tables they are known by, and that a mapped pose is the mapped picture."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motion import rotations as rot
from motion.axes import PROFILES, Axes, change
from motion.kinematics import forward
from motion.skeleton import HUMANOID, Skeleton

P, Q = np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.2, 0.3, 0.9])


@st.composite
def poses(draw) -> tuple[Skeleton, np.ndarray, np.ndarray]:
    """A random tree within a stage of 10 m, a root position and local rotations."""
    joints = draw(st.integers(1, 12))
    parents = (-1, *(draw(st.integers(0, joint - 1)) for joint in range(1, joints)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    skeleton = Skeleton(tuple(f"j{k}" for k in range(joints)), parents, 0.3 * random.normal(size=(joints, 3)))
    return skeleton, random.uniform(-10, 10, size=3), rot.normalize(random.normal(size=(joints, 4)))


@given(poses(), st.sampled_from(list(product(PROFILES, PROFILES))))
def test_forward_kinematics_of_a_mapped_pose_is_the_mapped_forward_kinematics(pose, pair):
    source, target = (PROFILES[name] for name in pair)
    skeleton, root, rotations = pose
    skeleton, root, rotations = source.skeleton(skeleton), source.positions(root), source.rotations(rotations)
    axes = change(*pair)
    there, turned = forward(axes.skeleton(skeleton), axes.positions(root), axes.rotations(rotations))
    here, turns = forward(skeleton, root, rotations)
    np.testing.assert_allclose(there / target.scale, axes.positions(here) / target.scale, atol=1e-12)  # metres
    np.testing.assert_allclose(turned, axes.matrix @ turns @ axes.matrix.T, atol=1e-12)


@pytest.mark.parametrize(
    ("source", "target", "position", "rotation"),
    [
        ("raw", "unity", (-1, 2, 3), (0.1, -0.2, -0.3, 0.9)),
        ("raw", "unreal", (300, -100, 200), (-0.3, 0.1, -0.2, 0.9)),
        ("unity", "unreal", (300, 100, 200), (0.3, 0.1, 0.2, 0.9)),
        ("unity", "blender", (-1, -3, 2), (0.1, 0.3, -0.2, 0.9)),
        ("raw", "blender", (1, -3, 2), (0.1, -0.3, 0.2, 0.9)),
        ("raw", "touchdesigner", (1, 2, 3), (0.1, 0.2, 0.3, 0.9)),
    ],
)
def test_the_formulas_receivers_are_written_with(source, target, position, rotation):
    axes = change(source, target)
    np.testing.assert_allclose(axes.positions(P), position, atol=1e-12)
    np.testing.assert_allclose(axes.rotations(Q), rotation, atol=1e-15)


@pytest.mark.parametrize(
    ("profile", "forward_axis", "up", "left"),
    [
        ("unity", (0, 0, 1), (0, 1, 0), (-1, 0, 0)),
        ("unreal", (1, 0, 0), (0, 0, 1), (0, -1, 0)),
        ("blender", (0, -1, 0), (0, 0, 1), (1, 0, 0)),
    ],
)
def test_a_dancer_faces_where_the_program_has_its_front(profile, forward_axis, up, left):
    axes = PROFILES[profile]
    assert (axes.positions(np.eye(3)) / axes.scale).tolist() == [list(left), list(up), list(forward_axis)]


@pytest.mark.parametrize("name", PROFILES)
def test_there_and_back_is_where_one_was(name):
    back = change(name, "raw")
    np.testing.assert_allclose(back.positions(PROFILES[name].positions(HUMANOID.offsets)), HUMANOID.offsets, atol=1e-15)
    assert back.rotations(PROFILES[name].rotations(Q)).tolist() == Q.tolist()


def test_another_unit_changes_lengths_only():
    axes = PROFILES["unreal"].in_unit("m")
    assert axes.positions(P).tolist() == [3.0, -1.0, 2.0]
    assert (axes.unit, PROFILES["unreal"].unit) == ("m", "cm")
    assert axes.rotations(Q).tolist() == PROFILES["unreal"].rotations(Q).tolist()


def test_only_what_changes_something_says_so():
    assert [name for name, axes in PROFILES.items() if not axes.changes] == ["raw", "touchdesigner"]
    assert PROFILES["raw"].in_unit("cm").changes


@pytest.mark.parametrize("matrix", [np.ones((3, 3)), np.eye(3) * 2.0, np.zeros((3, 3)), np.eye(3)[[0, 0, 1]]])
def test_what_is_no_exchange_of_axes_is_refused(matrix):
    with pytest.raises(ValueError, match="exchanged and turned round"):
        Axes(matrix)
