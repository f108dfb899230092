"""Reaching: pins are met where a body can meet them, limits and bone lengths always hold, and misses are told."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motion import balance, kinematics, reach
from motion import rotations as rot
from motion.joint_limits import humanoid_limits
from motion.reach_goals import PINS, Goals, HalfSpace, Pin, contradictions
from motion.skeleton import HUMANOID

LIMITS = humanoid_limits()
seeds = st.integers(0, 2**32 - 1)


def some_poses(seed: int, count: int = 6, spread: float = 0.25) -> tuple[np.ndarray, np.ndarray]:
    """Poses near the middle of the limits, at about the height of somebody who stands."""
    random = np.random.default_rng(seed)
    numbers = np.clip(random.normal(0.0, spread, (count, len(HUMANOID), 3)), 0.9 * LIMITS.low, 0.9 * LIMITS.high)
    rotations = LIMITS.rotations(numbers)
    rotations[:, 0] = rot.yaw(random.uniform(-3.0, 3.0, count))
    return random.normal(0.0, 0.1, (count, 3)) + np.array([0.0, 0.88, 0.0]), rotations


def joints(positions: np.ndarray, *names: str) -> np.ndarray:
    return positions[:, [HUMANOID.index(name) for name in names]]


@given(seeds, st.integers(1, 6))
@settings(max_examples=25, deadline=None)
def test_pins_of_a_pose_are_met_from_another_pose(seed, count):
    random = np.random.default_rng(seed)
    names = random.permutation(PINS)[:count]
    root, rotations = some_poses(seed)
    aims = kinematics.global_positions(HUMANOID, *some_poses(seed + 1))
    goals = Goals([Pin(name, aims[:, HUMANOID.index(name)]) for name in names])
    reached = reach.polish(root, rotations, goals, 30)
    assert np.median(reached.errors) < 1e-3
    assert LIMITS.kept(reached.rotations).all()


@given(seeds)
@settings(max_examples=25, deadline=None)
def test_whatever_is_asked_limits_hold_bones_keep_their_length_and_the_errors_are_true(seed):
    random = np.random.default_rng(seed)
    root, rotations = random.normal(size=(4, 3)), rot.normalize(random.normal(size=(4, 22, 4)))
    goals = Goals([Pin(name, random.normal(0.0, 3.0, 3)) for name in PINS], balance=0.1)
    reached = reach.polish(root, rotations, goals, 5)
    assert LIMITS.kept(reached.rotations).all()
    positions = kinematics.global_positions(HUMANOID, reached.root, reached.rotations)
    bones = np.linalg.norm(positions[:, 1:] - positions[:, list(HUMANOID.parents[1:])], axis=-1)
    np.testing.assert_allclose(bones, np.linalg.norm(HUMANOID.offsets[1:], axis=-1)[None].repeat(4, 0), atol=1e-9)
    missed = np.linalg.norm(joints(positions, *PINS) - goals.wanted[: len(PINS)], axis=-1)
    np.testing.assert_allclose(reached.errors, missed, atol=1e-12)


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_the_jacobian_is_the_derivative(seed):
    random = np.random.default_rng(seed)
    root, rotations = some_poses(seed, 1)
    wall = HalfSpace("LeftHand", tuple(random.normal(size=3)), -5.0)
    pins = [Pin(name, random.normal(size=3), 1.0 + place) for place, name in enumerate(PINS)]
    goals = Goals(pins, [wall], balance=0.5)
    body, state = reach._Body(goals, LIMITS), reach._State(root, rotations, LIMITS)
    free = np.r_[0:6, 6 + np.flatnonzero((LIMITS.high > LIMITS.low)[1:])]

    def said(change: np.ndarray) -> np.ndarray:
        moved = state.stepped(change[None])
        missing, outside = body.missing(kinematics.global_positions(HUMANOID, moved.root, moved.rotations))
        return np.concatenate([missing, -goals.firmness * outside], axis=-1)[0]

    positions, matrices = kinematics.forward(HUMANOID, root, rotations)
    made = body.jacobian(positions, matrices, state, np.ones((1, 1), dtype=bool))[0]
    steps = 1e-5 * np.eye(69)[free]
    measured = np.stack([(said(-step) - said(step)) / 2e-5 for step in steps], axis=-1)
    np.testing.assert_allclose(measured, made[:, free], atol=1e-4)  # central differences of numbers up to 30


def test_a_pin_out_of_reach_is_approached_as_far_as_the_body_goes():
    root, rotations = some_poses(1, 1)
    positions = kinematics.global_positions(HUMANOID, root, rotations)
    feet, hips = joints(positions, "LeftFoot", "RightFoot", "Hips")[0][:2], positions[0, 0]
    far = hips + np.array([0.0, 5.0, 0.0])
    pins = [Pin("LeftFoot", feet[0], 30.0), Pin("RightFoot", feet[1], 30.0), Pin("LeftHand", far)]
    reached = reach.polish(root, rotations, Goals(pins), 60)
    hand = joints(kinematics.global_positions(HUMANOID, reached.root, reached.rotations), "LeftHand")[0, 0]
    assert reached.errors[0, :2].max() < 0.02
    assert hand[1] > 1.7  # stretched: higher than the head
    np.testing.assert_allclose(reached.errors[0, 2], np.linalg.norm(hand - far), atol=1e-9)


def test_points_stay_behind_their_planes_and_pins_beyond_them_give_way():
    root, rotations = some_poses(3, 4)
    positions = kinematics.global_positions(HUMANOID, root, rotations)
    start = joints(positions, "LeftHand")[:, 0]
    limit = float(start[:, 0].max()) + 0.1
    beyond = start + np.array([0.5, 0.0, 0.0])
    beyond[:, 0] = limit + 0.2
    goals = Goals([Pin("LeftHand", beyond)], [HalfSpace("LeftHand", (2.0, 0.0, 0.0), 2.0 * limit)])
    reached = reach.polish(root, rotations, goals, 40)
    assert reached.beyond.max() < 1e-3
    np.testing.assert_allclose(reached.errors, 0.2, atol=0.02)


def test_a_half_space_that_nobody_touches_changes_nothing():
    root, rotations = some_poses(4, 2)
    aim = kinematics.global_positions(HUMANOID, *some_poses(5, 2))
    pins = [Pin("RightHand", aim[:, HUMANOID.index("RightHand")])]
    plain = reach.polish(root, rotations, Goals(pins))
    walled = reach.polish(root, rotations, Goals(pins, [HalfSpace("Head", (0.0, 1.0, 0.0), 9.0)]))
    np.testing.assert_allclose(walled.rotations, plain.rotations, atol=1e-9)


def test_balance_brings_the_weight_over_the_feet_and_gives_way_to_pins():
    root, rotations = some_poses(6, 5)
    positions = kinematics.global_positions(HUMANOID, root, rotations)
    pins = [Pin(name, joints(positions, name)[:, 0]) for name in ("LeftFoot", "RightFoot")]
    reached = reach.polish(root, rotations, Goals(pins, balance=0.1), 30)
    after = kinematics.global_positions(HUMANOID, reached.root, reached.rotations)

    def lean(places: np.ndarray) -> np.ndarray:
        feet = joints(places, "LeftFoot", "RightFoot", "LeftToes", "RightToes").mean(axis=1)
        return np.linalg.norm((balance.centre_of_mass(places) - feet)[:, [0, 2]], axis=-1)

    assert lean(after).max() < 0.2 * lean(positions).max()
    assert reached.errors.max() < 1e-3


def test_of_candidates_that_miss_nothing_the_first_is_the_best():
    root, rotations = some_poses(7, 3)
    root[0] += [50.0, 0.0, 0.0]
    aim = kinematics.global_positions(HUMANOID, root[2:], rotations[2:])[0, HUMANOID.index("Head")]
    reached = reach.polish(root, rotations, Goals([Pin("Head", aim)]), 4)
    assert reached.errors[1] > reached.errors[2]  # it was there from the start
    assert reached.best() == 1


def test_the_best_candidate_is_the_one_that_misses_least():
    root, rotations = some_poses(7, 3)
    root[:2] += [50.0, 0.0, 0.0]
    aim = kinematics.global_positions(HUMANOID, root[2:], rotations[2:])[0, HUMANOID.index("Head")]
    assert reach.polish(root, rotations, Goals([Pin("Head", aim)]), 0).best() == 2


def test_a_batch_is_its_poses_one_by_one():
    root, rotations = some_poses(8, 4)
    goals = Goals([Pin("LeftHand", (0.3, 1.2, 0.4)), Pin("RightFoot", (0.1, 0.1, 0.0))])
    together = reach.polish(root, rotations, goals, 4)
    alone = [reach.polish(root[[place]], rotations[[place]], goals, 4).rotations[0] for place in range(4)]
    np.testing.assert_allclose(together.rotations, np.stack(alone), atol=1e-9)


@pytest.mark.parametrize(("low", "high"), [(1.0, 5.0), (5.0, 1.0)])
def test_of_planes_that_contradict_each_other_the_heavier_one_gives_way_less(low, high):
    root, rotations = some_poses(11, 2)
    goals = Goals([], [HalfSpace("Head", (0, 1, 0), 1.0, low), HalfSpace("Head", (0, -1, 0), -1.3, high)])
    below, above = reach.polish(root, rotations, goals).beyond.T
    np.testing.assert_allclose(below + above, 0.3, atol=1e-6)
    assert ((below < 0.1 * above) if low > high else (above < 0.1 * below)).all()


def test_planes_that_no_place_keeps_to_are_named_with_what_they_contradict():
    high = HalfSpace("Head", (0, -1, 0), -1.6, name="high")
    low, lower = HalfSpace("Head", (0, 2, 0), 3.0, 2.0), HalfSpace("Head", (0, 1, 0), 1.4)
    hand = HalfSpace("LeftHand", (1, 0, 0), 0.0, name="left")
    pin = Pin("LeftHand", (0.2, 1.0, 0.0))
    assert contradictions([], [high, low, hand]) == [("high", "plane 2 of Head")]
    assert contradictions([pin], [lower, hand]) == [("left", "pin of LeftHand")]
    assert contradictions([pin], [low, lower]) == contradictions([pin], []) == []


@pytest.mark.parametrize(
    ("pins", "walls", "balance", "message"),
    [
        ([Pin("LeftPaw", (0, 0, 0))], [], 0.0, "no joint 'LeftPaw'; the choices: Hips, "),
        ([Pin("Head", (0, np.nan, 0))], [], 0.0, "Head cannot be pinned"),
        ([Pin("Head", (0, 0))], [], 0.0, "three finite numbers"),
        ([Pin("Head", (0, 0, 0), 0.0)], [], 0.0, "weight 0.0; it must be above 0"),
        ([Pin("Head", (0, 0, 0))] * 2, [], 0.0, "Head is pinned twice"),
        ([], [HalfSpace("Head", (0.0, 0.0, 0.0), 1.0)], 0.0, "no length"),
        ([], [HalfSpace("Head", (0.0, 1.0, 0.0), np.inf)], 0.0, "must be finite"),
        ([], [HalfSpace("Head", (0.0, 1.0, 0.0), 1.0, 0.0)], 0.0, "Head has weight 0.0; it must be above 0"),
        ([], [], -1.0, "balance -1.0"),
    ],
)
def test_what_cannot_be_wanted_is_refused(pins, walls, balance, message):
    with pytest.raises(ValueError, match=message):
        Goals(pins, walls, balance)


def test_a_body_s_weight_is_all_there_and_in_its_middle():
    assert abs(balance.WEIGHTS.sum() - 1.0) < 1e-12
    assert abs(sum(segment.mass for segment in balance.SEGMENTS) - 1.0) < 1e-12
    centre = balance.centre_of_mass(HUMANOID.rest_positions)
    assert abs(centre[0]) < 1e-12
    assert 0.52 < centre[1] / 1.70 < 0.60  # of the height, arms out: textbooks say 0.55 to 0.57 with arms down
