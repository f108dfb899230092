"""Poses drawn for pins: met within the limits, likely ones first, by a model that learned made-up poses in a moment."""

import numpy as np
import pytest
import torch

from motion import kinematics, pose_vectors, posing
from motion import rotations as rot
from motion.conditions import ConditionError
from motion.joint_limits import humanoid_limits
from motion.posing import Wish
from motion.reach_goals import HalfSpace, Pin
from motion.skeleton import HUMANOID
from training.models.drmm_draw import Drawer
from training.models.drmm_pose import Model, PoseDrmm

LIMITS = humanoid_limits()


def some_poses(count: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    low, high = (np.nan_to_num(side, neginf=0.0, posinf=0.0) for side in (LIMITS.low, LIMITS.high))
    rotations = LIMITS.rotations(low + random.beta(4.0, 4.0, (count, 22, 3)) * (high - low))
    rotations[:, 0] = rot.yaw(random.normal(0.0, 0.3, count))
    return random.normal(0.0, 0.05, (count, 3)) + np.array([0.0, 0.85, 0.0]), rotations


@pytest.fixture(scope="module")
def drawer() -> Drawer:
    """A model of made-up poses, as it starts: from clusters."""
    torch.manual_seed(0)
    root, rotations = some_poses(600)
    rows = torch.from_numpy(pose_vectors.encode(root, rotations, pose_vectors.frame_of(root, rotations)))
    model = PoseDrmm(Model(variables=pose_vectors.VARIABLES, layers=2, components=64), HUMANOID)
    model.fit_statistics({"rows": rows})
    return Drawer(model)


def asked(drawer: Drawer, wish: Wish, frame):
    c = drawer.config
    shape = (c.layers, c.candidates, c.components)
    return posing.poses(drawer.run, drawer.space, shape, wish, frame, np.random.default_rng(3))


def test_pins_are_met_and_limits_kept(drawer):
    root, rotations = some_poses(20)
    positions = kinematics.global_positions(HUMANOID, root, rotations)
    for pose in range(6):
        frame = pose_vectors.frame_of(root[pose], rotations[pose])
        pins = tuple(Pin(joint, positions[pose, HUMANOID.index(joint)]) for joint in ("LeftHand", "RightFoot", "Head"))
        reached, drawn = asked(drawer, Wish(pins), frame)
        assert reached.errors[reached.best()].max() < 0.01
        assert LIMITS.kept(reached.rotations).all()
        assert (np.diff(drawn.log_weights[0]) <= 0.0).all()  # the likeliest first


def test_a_floor_and_a_wall_are_kept(drawer):
    root, rotations = some_poses(1)
    frame = pose_vectors.frame_of(root[0], rotations[0])
    walls = (HalfSpace("LeftHand", (0.0, 0.0, 1.0), 0.2), HalfSpace("LeftFoot", (0.0, -1.0, 0.0), 0.0))
    reached, _ = asked(drawer, Wish((Pin("LeftHand", (0.3, 1.2, 0.6)),), walls, balance=0.1), frame)
    assert reached.beyond[reached.best()].max() < 2e-3


def test_what_is_asked_is_the_same_inside_and_on_stage(drawer):
    root, rotations = some_poses(1)
    root = root + np.array([2.0, 0.0, -1.0])
    frame = pose_vectors.frame_of(root[0], rotations[0])
    vector = pose_vectors.encode(root[0], rotations[0], frame)
    hand = kinematics.global_positions(HUMANOID, root, rotations)[0, HUMANOID.index("LeftHand")]
    normal = (0.5, 1.0, -2.0)
    wish = Wish((Pin("LeftHand", hand),), (HalfSpace("RightHand", normal, 0.3),))
    question = posing.conditions(drawer.space, wish, frame).question()
    np.testing.assert_allclose(question.target[0][question.exact[0]], vector[question.exact[0]], atol=1e-5)
    other = kinematics.global_positions(HUMANOID, root, rotations)[0, HUMANOID.index("RightHand")]
    outside = question.rows[0, 0] @ vector - question.bounds[0, 0]
    np.testing.assert_allclose(outside, (np.array(normal) @ other - 0.3), atol=1e-5)


def test_joints_the_model_has_no_places_of_are_reached_all_the_same(drawer):
    root, rotations = some_poses(2)
    elbow = kinematics.global_positions(HUMANOID, root, rotations)[1, HUMANOID.index("LeftLowerArm")]
    reached, _ = asked(drawer, Wish((Pin("LeftLowerArm", elbow),)), pose_vectors.frame_of(root[0], rotations[0]))
    assert reached.errors[reached.best()].max() < 0.01


def test_more_planes_than_a_graph_has_rows_are_refused_with_what_takes_them(drawer):
    frame = pose_vectors.frame_of(*(values[0] for values in some_poses(1)))
    space = type(drawer.space)(drawer.space.variables, drawer.space.variances, 2)
    walls = tuple(HalfSpace("Head", (0.0, 1.0, 0.0), 2.0 + wall) for wall in range(3))
    with pytest.raises(ConditionError, match="2 rows for linear conditions, taken by: plane 1 of Head"):
        posing.conditions(space, Wish(half_spaces=walls), frame)


def test_planes_are_asked_for_by_weight_the_heaviest_first(drawer):
    frame = pose_vectors.frame_of(*(values[0] for values in some_poses(1)))
    walls = tuple(HalfSpace("Head", (0.0, 1.0, 0.0), 2.0, weight) for weight in (1.0, 2.0, 0.5))
    question = posing.conditions(drawer.space, Wish(half_spaces=walls), frame).question()
    assert question.names == ("plane 2 of Head", "plane 1 of Head", "plane 3 of Head")
    np.testing.assert_allclose(question.weights, [[6.0, 3.0, 1.5]])
