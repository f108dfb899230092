"""Figures of quality: closed forms on motions whose figures can be had by hand."""

import numpy as np
import pytest

from motion.clip import Clip
from motion.metrics import beats, distributions, joints, physics, placement, window_features
from motion.rotations import IDENTITY, yaw
from motion.skeleton import HUMANOID


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(7)


def standing(frames: int = 90) -> Clip:
    root = np.tile([0.3, HUMANOID.offsets[0, 1], -0.4], (frames, 1))
    return Clip(HUMANOID, 30.0, root, np.tile(IDENTITY, (frames, len(HUMANOID), 1)))


def gliding(speed: float) -> np.ndarray:
    """A stiff body that slides ahead at `speed` m/s, (T, 24, 3)."""
    points = joints.body_points(standing())
    points[..., 2] += speed * np.arange(len(points))[:, None] / joints.FPS
    return points


def dancing(random: np.random.Generator, frames: int = 300) -> np.ndarray:
    """A smooth random motion of all points around a standing body."""
    noise = random.normal(size=(frames + 40, 24, 3))
    kernel = np.hanning(41)[:, None, None] / 8
    windows = np.lib.stride_tricks.sliding_window_view(noise, 41, axis=0)[:frames]
    return joints.body_points(standing(frames)) + 0.05 * np.einsum("tpck,k->tpc", windows, kernel[:, 0, 0])


def test_hands_stand_beyond_the_wrists_along_the_forearm():
    points = joints.body_points(standing(1))[0]
    beyond = points[joints.POINT["lhand"]] - points[joints.POINT["lwrist"]]
    np.testing.assert_allclose(beyond, [0.08, 0.0, 0.0], atol=1e-12)


def test_points_follow_the_order_of_smpl():
    points = joints.body_points(standing(1))[0]
    left = [points[joints.POINT[name], 0] for name in joints.POINTS if name[0] == "l"]
    assert len(joints.POINTS) == 24
    assert min(left) > 0.3  # left is +X of a body that stands at x = 0.3


def test_windows_are_two_seconds_every_second():
    assert joints.windows(np.zeros((150, 24, 3))).shape == (4, 60, 24, 3)
    assert joints.windows(np.zeros((59, 24, 3))).shape == (0, 60, 24, 3)


def test_the_own_frame_forgets_where_a_body_stands_and_faces(random):
    clip = standing(5)
    turned = np.tile(IDENTITY, (5, len(HUMANOID), 1))
    turned[:, 0] = yaw(random.uniform(-3, 3, 5))
    other = Clip(HUMANOID, 30.0, clip.root_positions + np.array([1.0, 0.0, 2.0]), turned)
    a, b = joints.own_frame(joints.body_points(clip)), joints.own_frame(joints.body_points(other))
    np.testing.assert_allclose(a, b, atol=1e-9)


def test_a_frame_is_left_as_it_was_entered(random):
    points, origin = random.normal(size=(4, 24, 3)), random.normal(size=(4, 3))
    forward = np.stack([np.sin([0.1, 1, 2, 3]), np.cos([0.1, 1, 2, 3])], axis=-1)
    back = joints.from_frame(joints.to_frame(points, origin, forward), origin, forward)
    np.testing.assert_allclose(back, points, atol=1e-12)


def test_frechet_distance_of_two_gaussians_has_its_closed_form(random):
    a = random.normal(size=(200_000, 2)) * [1.0, 2.0]
    b = random.normal(size=(200_000, 2)) * [3.0, 0.5] + [1.0, -1.0]
    expected = 2.0 + (3.0 - 1.0) ** 2 + (2.0 - 0.5) ** 2
    assert distributions.frechet_distance(a, b) == pytest.approx(expected, rel=0.02)  # sampling: 1 %


def test_frechet_distance_survives_fewer_samples_than_features(random):
    a = random.normal(size=(20, 72))
    assert distributions.frechet_distance(a, a) == pytest.approx(0.0, abs=1e-4)  # square roots of 1e-16 noise


def test_fid_does_not_depend_on_units(random):
    truth, made = random.normal(size=(80, 5)), random.normal(size=(90, 5)) + 0.3
    scale = np.array([1e-3, 1.0, 50.0, 7.0, 1e4])
    assert distributions.fid(truth * scale, made * scale) == pytest.approx(distributions.fid(truth, made))


def test_a_feature_that_truth_never_varies_is_dropped(random):
    truth, made = random.normal(size=(80, 3)), random.normal(size=(80, 3))
    truth[:, 1] = made[:, 1] = 0.0
    made[0, 1] = 1.0
    kept = distributions.fid(truth[:, [0, 2]], made[:, [0, 2]])
    assert distributions.fid(truth, made, least_deviation=5e-3) == pytest.approx(kept)


def test_split_names_always_mean_the_same_split():
    splits = distributions.named_splits(11)
    assert splits == distributions.named_splits(11)
    assert next(iter(splits)) == "half-00"
    assert all(sorted(one + other) == list(range(11)) for one, other in splits.values())
    fours = distributions.named_splits(11, each=4)
    assert all(len(set(one) | set(other)) == 8 for one, other in fours.values())


def test_one_take_has_no_floor(random):
    assert np.isnan(distributions.floor([random.normal(size=(30, 4))]).median)


def test_fixed_kinetic_features_forget_where_the_body_stands(random):
    motion = dancing(random, 60)[None]
    moved = motion + np.array([3.0, 0.0, -2.0])
    np.testing.assert_allclose(
        window_features.kinetic_features(motion, released=False), window_features.kinetic_features(moved, False)
    )


def test_kinetic_energy_of_a_glide_is_its_speed_squared():
    features = window_features.kinetic_features(gliding(0.6)[None, :60])
    speed = 0.6 * 60.0 / joints.FPS  # the released frame time is 1/60 s
    np.testing.assert_allclose(features[0, :24], speed**2)
    np.testing.assert_allclose(features[0, 24:48], 0.0, atol=1e-20)


def test_the_fixed_acceleration_of_a_glide_is_zero_and_the_released_one_is_not():
    glide = gliding(0.6)[None, :60]
    np.testing.assert_allclose(window_features.kinetic_features(glide, released=False)[0, 48:], 0.0, atol=1e-8)
    assert window_features.kinetic_features(glide)[0, 48:].min() > 1.0


def test_manual_features_are_shares_of_frames(random):
    features = window_features.manual_features(np.stack([dancing(random, 60) for _ in range(3)]))
    assert features.shape == (3, 32)
    assert features.min() >= 0.0
    assert features.max() <= 1.0


def test_manual_features_see_a_bent_elbow():
    straight = joints.body_points(standing(60))[None]
    bent = straight.copy()
    bent[:, :, joints.POINT["rwrist"]] = bent[:, :, joints.POINT["rshoulder"]] + [0.0, 0.1, 0.0]
    changed = window_features.manual_features(bent)[0] - window_features.manual_features(straight)[0]
    assert changed[6] == 1.0  # right elbow angle
    assert changed[7] == 0.0  # left elbow angle


def test_cross_distances_of_a_shifted_twin_hold_the_shift():
    twin = joints.body_points(standing(60))[None]
    features = window_features.cross_distance_features(twin, twin + np.array([0.0, 0.0, 2.0]))
    np.testing.assert_allclose(features.reshape(10, 10).diagonal(), 2.0)


def test_root_ade_of_a_shifted_root_is_the_horizontal_shift():
    truth = joints.body_points(standing())
    errors = placement.root_errors(truth + np.array([0.3, 5.0, 0.4]), truth)
    np.testing.assert_allclose(errors, 0.5)


def test_far_is_judged_by_where_the_true_follower_stands():
    leader = joints.body_points(standing(2))
    truth = leader + np.array([[[1.1, 0.0, 0.0]], [[1.3, 0.0, 0.0]]])
    assert placement.is_far(leader, truth).tolist() == [False, True]


def test_lag_is_found_to_the_frame(random):
    leader = dancing(random)
    late = placement.cross_correlation(leader[7:], leader[:-7])
    assert placement.lag_frames(late) == pytest.approx(7.0, abs=0.1)  # the parabola through the peak


def test_a_still_partner_has_no_lag(random):
    still = np.repeat(joints.body_points(standing(1)), 300, axis=0)
    assert np.isnan(placement.lag_frames(placement.cross_correlation(dancing(random), still)))


def test_sensitivity_counts_only_when_seeds_differ():
    assert placement.leader_sensitivity(0.2, 0.1, seed_difference=0.05) == pytest.approx(2.0)
    assert np.isnan(placement.leader_sensitivity(0.2, 0.1, seed_difference=0.049))
    assert placement.leader_sensitivity(0.2, 0.0, seed_difference=0.05) == pytest.approx(200.0)  # at least


def test_places_are_compared_as_their_leaders_see_them(random):
    leader, made = dancing(random, 60), dancing(random, 60) + np.array([0.0, 0.0, 1.0])
    turned = [points * [-1.0, 1.0, -1.0] + np.array([3.0, 0.0, 2.0]) for points in (leader, made)]
    assert placement.place_difference(made, leader, turned[1], turned[0]) == pytest.approx(0.0, abs=1e-9)
    nearer = made - 0.4 * (made[:, :1] - leader[:, :1]) * [1.0, 0.0, 1.0]
    expected = 0.4 * np.linalg.norm((made - leader)[:, 0, [0, 2]], axis=-1).mean()
    assert placement.place_difference(made, leader, nearer, leader) == pytest.approx(expected)


def test_a_ratio_to_the_floor_has_the_spread_of_seeds_and_splits():
    floor = distributions.Floor(tuple(np.linspace(5.0, 15.0, 21)))
    ratio = distributions.ratio_to_floor([20.0, 10.0, 30.0], floor)
    assert ratio.value == pytest.approx(2.0)  # the median seed over the median split
    assert ratio.low < 10.0 / 10.0 < 30.0 / 10.0 < ratio.high
    assert np.isnan(distributions.ratio_to_floor([20.0], distributions.Floor(())).value)


def test_a_gliding_body_skates_always_and_a_standing_one_never():
    assert physics.skating(gliding(1.5)).mean() == 1.0
    assert physics.skating(gliding(0.0)).mean() == 0.0


def test_pfc_of_a_still_body_is_zero():
    assert physics.physical_foot_contact(gliding(0.0)) == 0.0


def test_pfc_grows_when_the_feet_move_with_an_accelerating_body():
    points = gliding(0.0)
    points[..., 2] += (np.arange(len(points))[:, None] / joints.FPS) ** 2
    assert physics.physical_foot_contact(points) > 1.0


def test_jitter_of_a_cubic_is_its_third_derivative():
    time = np.arange(60)[:, None, None] / joints.FPS
    assert physics.jitter(np.zeros((60, 24, 3)) + time**3 * [1.0, 0.0, 0.0]) == pytest.approx(0.6)


def test_foot_slide_of_a_glide_is_its_step():
    assert physics.foot_slide(gliding(0.3)) == pytest.approx(1.0)  # cm a frame


def test_planted_toes_of_a_glide_slide_at_its_speed():
    points = gliding(0.3)
    planting = physics.planting(points, physics.floor_height(points))
    assert planting.share == 1.0
    assert planting.speed == pytest.approx(0.3)


def test_a_toe_down_for_two_frames_is_not_planted():
    points = gliding(0.0)
    toes = [joints.POINT["ltoes"], joints.POINT["rtoes"]]
    points[:, toes, 1] += 1.0
    points[10:12, toes, 1] -= 1.0
    assert physics.planting(points, 0.0).share == 0.0


def test_a_recording_that_floats_slides_no_more_than_on_the_floor(random):
    truth = dancing(random)
    lifted, hovering = (truth + np.array([0.0, height, 0.0]) for height in (0.05, 0.15))
    at_home = physics.planting(truth, physics.floor_height(truth))
    assert physics.planting(lifted, physics.own_floor(lifted, truth)) == at_home
    assert physics.planting(hovering, physics.own_floor(hovering, truth)).share < 0.5 * at_home.share


def test_the_slide_ratio_does_not_count_for_a_body_that_hardly_stands():
    truth = physics.Planting(0.2, 0.6, 100)
    assert physics.own_slide_ratio(physics.Planting(0.1, 0.6, 100), truth) == pytest.approx(0.5)
    assert np.isnan(physics.own_slide_ratio(physics.Planting(0.1, 0.3, 100), truth))


def test_identical_dancers_echo_every_beat(random):
    own = beats.motion_beats(dancing(random))
    assert len(own) > 3
    assert beats.beat_scores(own, own).mean() == 1.0


def test_a_beat_three_frames_off_scores_one_standard_deviation():
    scores = beats.beat_scores(np.array([30]), np.array([33, 90]))
    assert scores[0] == pytest.approx(np.exp(-0.5))
