"""Motion vectors: what they say is where the bodies are, wherever they dance; numbers are found by name."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motion import kinematics, motion_vectors
from motion import rotations as rot
from motion.joint_limits import humanoid_limits
from motion.motion_layout import BESIDE, FACING, FUTURE, GROUPS, HORIZON
from motion.motion_vectors import Layout, Track
from motion.skeleton import HUMANOID
from training.mirror import opposite_joints

DUET, ALONE = Layout(), Layout(dancer=False)
seeds = st.integers(0, 2**32 - 1)


def track(seed: int, frames: int = 60) -> Track:
    """Somebody who turns on a path and swings their limbs, within the joint limits."""
    random, limits = np.random.default_rng(seed), humanoid_limits()
    now = np.arange(frames)[:, None, None] / motion_vectors.RATE
    numbers = 0.3 * np.sin(2.0 * now + random.uniform(0.0, 6.0, (22, 3)))
    rotations = limits.rotations(np.clip(numbers, 0.9 * limits.low, 0.9 * limits.high))
    rotations[:, 0] = rot.yaw(random.uniform(-3.0, 3.0) + 0.5 * now[:, 0, 0])
    root = random.normal(0.0, 1.0, 3) * [1.0, 0.0, 1.0] + 0.3 * now[:, 0] * random.normal(size=3)
    return Track(root * [1.0, 0.1, 1.0] + np.array([0.0, 0.9, 0.0]), rotations)


def moved(one: Track, turn: float, shift: np.ndarray) -> Track:
    rotations = one.rotations.copy()
    rotations[:, 0] = rot.multiply(rot.yaw(turn), rotations[:, 0])
    return Track(rot.rotate(rot.yaw(turn), one.root) + shift, rotations)


def test_widths_are_those_of_the_names():
    assert DUET.width == len(set(DUET.names)) == 458
    assert ALONE.width == len(set(ALONE.names)) == 279
    vectors = motion_vectors.encode(DUET, motion_vectors.moments(60), track(1), track(2))
    assert vectors.shape == (60 - HORIZON + GROUPS[0][0], 458)
    assert motion_vectors.encode(ALONE, motion_vectors.moments(60), track(1)).shape[1] == 279


@given(seeds, st.floats(-3.0, 3.0))
@settings(max_examples=10, deadline=None)
def test_a_vector_does_not_know_where_on_stage_the_two_dance(seed, turn):
    one, other, shift = track(seed), track(seed + 1), np.array([3.0, 0.0, -2.0])
    now = motion_vectors.moments(60)
    here = motion_vectors.encode(DUET, now, one, other)
    there = motion_vectors.encode(DUET, now, moved(one, turn, shift), moved(other, turn, shift))
    np.testing.assert_allclose(here, there, atol=1e-5)


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_rows_of_a_joint_give_its_place_on_stage(seed):
    one, now = track(seed), motion_vectors.moments(60)[:3]
    vectors, frame = motion_vectors.encode(ALONE, now, one), motion_vectors.frame_of(one, now)
    for step, joint in ((0, "LeftHand"), (3, "Hips"), (2, "Head")):
        place = frame.stage((vectors @ ALONE.place_rows(step, joint).T)[:, None])[:, 0]
        expected = one.positions[now + FUTURE[step], HUMANOID.index(joint)]
        np.testing.assert_allclose(place, expected, atol=1e-5)


def test_a_wall_on_stage_is_a_plane_of_the_vector():
    one, now = track(4), motion_vectors.moments(60)[:1]
    vector = motion_vectors.encode(ALONE, now, one)[0]
    frame = motion_vectors.frame_of(one, now)
    whole = motion_vectors.GroundFrame(frame.origin[0], frame.yaw[0])
    normal = np.array([1.0, -0.5, 0.25])
    a, b = ALONE.half_space(1, "RightFoot", normal, 0.2, whole)
    place = one.positions[now[0] + FUTURE[1], HUMANOID.index("RightFoot")]
    np.testing.assert_allclose(a @ vector - b, normal @ place - 0.2, atol=1e-5)


def test_a_history_is_three_averages_and_controls_are_means_of_the_next_second():
    one, now = track(5), np.array([9])
    vector = motion_vectors.encode(ALONE, now, one)[0]
    frame = motion_vectors.frame_of(one, now)
    roots = frame.points(one.root[None])[0]
    np.testing.assert_allclose(vector[ALONE.select("partner.history.0.root")], roots[0:7].mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(vector[ALONE.select("partner.history.2.root")], roots[9], atol=1e-5)
    np.testing.assert_allclose(vector[ALONE.select("controls.root")], roots[10:40].mean(axis=0), atol=1e-5)
    assert abs(vector[ALONE.select("controls.head")][0] - one.positions[10:40, HUMANOID.index("Head"), 1].mean()) < 1e-5
    assert np.linalg.norm(vector[ALONE.select("controls.facing")]) <= FACING + 1e-6


def test_the_dancer_is_seen_from_the_partner_and_their_limbs_as_they_look():
    one, now = track(6), np.array([12])
    opposite = moved(one, np.pi, np.array([0.5, 0.0, 2.0]))
    vector = motion_vectors.encode(DUET, now, one, opposite)[0]
    np.testing.assert_allclose(vector[DUET.select("dancer.facing")], [0.0, -FACING], atol=1e-5)
    for point in BESIDE:  # the same dance, seen each from its own front
        both = [vector[DUET.select(f"{who}.history.2.{point}")] for who in ("partner", "dancer")]
        np.testing.assert_allclose(*both, atol=1e-5)


@given(seeds)
@settings(max_examples=5, deadline=None)
def test_decoded_poses_are_the_recorded_ones(seed):
    one, now = track(seed), np.array([15])
    vector = motion_vectors.encode(ALONE, now, one)[0]
    frame = motion_vectors.frame_of(one, now)
    whole = motion_vectors.GroundFrame(frame.origin[0], frame.yaw[0])
    root, rotations = motion_vectors.decode(ALONE, vector, whole, one.rotations[15], 20)
    expected = one.positions[15 + np.array(FUTURE)]
    made = kinematics.global_positions(HUMANOID, root, rotations)
    beside = [HUMANOID.index(name) for name in ("Hips", *BESIDE)]
    assert np.linalg.norm(made - expected, axis=-1)[:, beside].mean() < 0.01
    assert humanoid_limits().kept(rotations).all()


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_a_mirrored_vector_is_the_vector_of_the_mirrored_dance(seed):
    opposite = opposite_joints(HUMANOID)

    def mirror(one: Track) -> Track:
        return Track(one.root * [-1.0, 1.0, 1.0], one.rotations[:, opposite] * [1.0, -1.0, -1.0, 1.0])

    one, other, now = track(seed), track(seed + 1), motion_vectors.moments(60)[::5]
    straight = motion_vectors.mirrored(DUET, motion_vectors.encode(DUET, now, one, other))
    np.testing.assert_allclose(straight, motion_vectors.encode(DUET, now, mirror(one), mirror(other)), atol=1e-5)


def test_what_is_known_now_is_the_history_alone():
    one, other = track(7), track(8)
    values, known, _ = motion_vectors.now_known(
        DUET, Track(one.root[:20], one.rotations[:20]), Track(other.root[:20], other.rotations[:20])
    )
    whole = motion_vectors.encode(DUET, np.array([19]), one, other)[0]
    np.testing.assert_allclose(values[known], whole[known], atol=1e-5)
    assert not values[~known].any()
    np.testing.assert_array_equal(np.flatnonzero(known), DUET.select("*.history", "dancer.facing"))
    with pytest.raises(ValueError, match="5 frames are too few"):
        motion_vectors.now_known(ALONE, Track(one.root[:5], one.rotations[:5]))


def test_numbers_are_found_by_name_and_a_name_that_fits_nothing_is_refused():
    assert len(DUET.select("*.history.*.LeftHand")) == 2 * 3 * 3
    assert len(DUET.select("controls")) == 6
    np.testing.assert_array_equal(
        DUET.select("partner.future", "controls"), np.sort(DUET.select("controls", "partner.future"))
    )
    with pytest.raises(ValueError, match=r"nothing is called 'partner\.past'; there are partner\.history"):
        DUET.select("partner.past")
    with pytest.raises(ValueError, match="nothing is called 'dancer'"):
        ALONE.select("dancer")
    with pytest.raises(ValueError, match="'Toes' at step 0"):
        DUET.place_rows(0, "Toes")
    with pytest.raises(ValueError, match="steps: 0 to 3"):
        DUET.place_rows(4, "Hips")
    with pytest.raises(ValueError, match="needs the dancer's track"):
        motion_vectors.encode(DUET, np.array([9]), track(1))
