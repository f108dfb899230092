"""The plain ways between key poses, and keys made bad."""

import numpy as np
import pytest

from motion import rotations as rot
from motion import upsampling
from motion.corruption import LIMBS, Corruption, corrupted, pointed
from motion.kinematics import global_positions
from motion.skeleton import HUMANOID

UNEVEN = np.array([0.0, 0.1, 0.25, 0.3, 0.5, 0.65])


def dance(keys: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    angles = np.cumsum(random.normal(0.0, 0.1, (keys, len(HUMANOID), 3)), axis=0)
    return np.cumsum(random.normal(0.0, 0.05, (keys, 3)), axis=0), rot.from_euler("ZXY", angles)


@pytest.mark.parametrize("method", upsampling.OF_POSES)
def test_every_way_passes_through_its_keys(method):
    root, rotations = dance(len(UNEVEN))
    made_root, made = upsampling.poses_at(method, UNEVEN, root, rotations, UNEVEN)
    np.testing.assert_allclose(made_root, root, atol=1e-12)
    assert rot.angle(made, rotations).max() < 1e-6  # radians; an arc cosine's worth near zero


@pytest.mark.parametrize("method", upsampling.OF_POSES)
@pytest.mark.parametrize("keys", [1, 2, 3, 6])
def test_every_answer_is_a_pose_however_few_keys(method, keys):
    queries = np.linspace(-0.5, 1.5, 40)
    root, rotations = upsampling.poses_at(method, UNEVEN[:keys], *dance(keys), queries)
    assert root.shape == (40, 3)
    assert np.isfinite(root).all()
    np.testing.assert_allclose(np.linalg.norm(rotations, axis=-1), 1.0, atol=1e-9)


@pytest.mark.parametrize("method", ["linear", "slerp", "catmull_rom", "cubic"])
def test_beyond_the_keys_the_last_one_is_held(method):
    root, rotations = dance(6)
    made_root, made = upsampling.poses_at(method, UNEVEN, root, rotations, [-1.0, 2.0])
    np.testing.assert_allclose(made_root, root[[0, -1]], atol=1e-12)
    assert rot.angle(made, rotations[[0, -1]]).max() < 1e-6


@pytest.mark.parametrize("method", ["hold", "extrapolate"])
def test_a_way_without_look_ahead_does_not_know_the_keys_to_come(method):
    root, rotations = dance(6)
    queries = np.array([0.26, 0.29])
    whole = upsampling.poses_at(method, UNEVEN, root, rotations, queries)
    before = upsampling.poses_at(method, UNEVEN[:3], root[:3], rotations[:3], queries)
    for a, b in zip(whole, before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("method", ["extrapolate", "slerp"])
def test_an_even_turn_is_met_exactly(method):
    rotations = rot.yaw(2.0 * UNEVEN)[:, None]
    queries = np.array([0.12, 0.27, 0.4, 0.6])
    _, made = upsampling.poses_at(method, UNEVEN, np.zeros((6, 3)), rotations, queries)
    assert rot.angle(made[:, 0], rot.yaw(2.0 * queries)).max() < 1e-6


def test_an_extrapolated_turn_takes_the_short_way_whatever_the_signs():
    rotations = np.stack([rot.yaw(0.1), -rot.yaw(0.2)])[:, None]
    _, made = upsampling.poses_at("extrapolate", [0.0, 1.0], np.zeros((2, 3)), rotations, [1.5])
    assert rot.angle(made[0, 0], rot.yaw(0.25)) < 1e-6


@pytest.mark.parametrize(("method", "degree"), [("linear", 1), ("extrapolate", 1), ("catmull_rom", 2), ("cubic", 3)])
def test_a_way_meets_the_polynomials_of_its_degree_at_uneven_times(method, degree):
    queries = np.linspace(0.11, 0.49, 20)  # between inner keys, where a parabola has a key on either side
    made = upsampling.points_at(method, UNEVEN, UNEVEN[:, None] ** degree, queries)
    np.testing.assert_allclose(made[:, 0], queries**degree, atol=1e-12)


def test_catmull_rom_at_even_times_is_the_published_one():
    values = np.array([1.0, 4.0, 2.0, 7.0])
    made = upsampling.points_at("catmull_rom", np.arange(4.0), values, [1.5])
    np.testing.assert_allclose(made, (-values[0] + 9.0 * values[1] + 9.0 * values[2] - values[3]) / 16.0)


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ([0.0, 0.2, 0.1], "key 2 at 0.1 s follows 0.2 s"),
        ([0.0, 0.1, 0.1], "rising order"),
        ([0.0, np.nan, 0.1], "time of key 1 is not finite"),
        ([0.0], "3 keys, times"),
    ],
)
def test_keys_in_no_order_are_refused(times, said):
    with pytest.raises(ValueError, match=said):
        upsampling.points_at("linear", times, np.zeros((3, 2)), [0.0])


def test_no_key_at_all_is_refused():
    with pytest.raises(ValueError, match="there must be one"):
        upsampling.points_at("hold", [], np.zeros((0, 3)), [0.0])


def test_another_method_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="'slerp'; choose one of hold, extrapolate, linear"):
        upsampling.points_at("slerp", [0.0], np.zeros((1, 3)), [0.0])


def test_what_is_not_valid_is_bridged_and_what_stands_there_does_not_matter():
    root, rotations = dance(6)
    points = global_positions(HUMANOID, root, rotations)
    valid = np.ones((6, len(HUMANOID)), dtype=bool)
    valid[2:4, 5], valid[:2, 7], valid[:, 9] = False, False, False
    for fill, values, nothing in (
        (upsampling.fill_points, points, np.zeros(3)),
        (upsampling.fill_rotations, rotations, rot.IDENTITY),
    ):
        spoilt = np.where(valid[..., None], values, np.nan)
        filled = fill(UNEVEN, spoilt, valid)
        np.testing.assert_array_equal(filled, fill(UNEVEN, values, valid))
        np.testing.assert_array_equal(filled[valid], values[valid])
        np.testing.assert_allclose(filled[:2, 7], np.stack([values[2, 7]] * 2), atol=1e-12)
        np.testing.assert_array_equal(filled[:, 9], np.tile(nothing, (6, 1)))
    middle = upsampling.fill_points(UNEVEN, points, valid)[2, 5]
    np.testing.assert_allclose(middle, points[1, 5] + (points[4, 5] - points[1, 5]) * 0.15 / 0.4, atol=1e-12)


def test_a_limb_points_at_where_its_ends_are_moved_to():
    root, rotations = dance(4)
    shifts = np.zeros((4, len(LIMBS), 3))
    np.testing.assert_allclose(rot.angle(pointed(root, rotations, shifts), rotations), 0.0, atol=1e-6)
    limb = LIMBS.index(("LeftLowerArm", "LeftHand"))
    shifts[:, limb] = 0.05, -0.02, 0.03
    before = global_positions(HUMANOID, root, rotations)
    after = global_positions(HUMANOID, root, pointed(root, rotations, shifts))
    elbow, hand = HUMANOID.index("LeftLowerArm"), HUMANOID.index("LeftHand")
    wanted = before[:, hand] + shifts[:, limb] - before[:, elbow]
    got = after[:, hand] - after[:, elbow]
    np.testing.assert_allclose(np.cross(wanted, got), 0.0, atol=1e-9)
    others = [joint for joint in range(len(HUMANOID)) if joint != hand]
    np.testing.assert_allclose(after[:, others], before[:, others], atol=1e-9)


def test_corruption_spoils_its_share_of_keys_and_only_limbs():
    root, rotations = dance(410)
    bad, valid = corrupted(root, rotations, np.random.default_rng(0))
    limbs = [HUMANOID.index(bone) for bone, _ in LIMBS]
    moved = (rot.angle(bad, rotations) > 1e-3) & valid
    assert (~valid).sum(axis=1).tolist().count(3) == (~valid).any(axis=1).sum() == 150
    assert moved.any(axis=1).sum() == 150
    assert not (moved.any(axis=1) & ~valid.all(axis=1)).any()
    assert valid[:, [joint for joint in range(len(HUMANOID)) if joint not in limbs]].all()
    np.testing.assert_array_equal(bad[~valid], np.tile(rot.IDENTITY, (450, 1)))


def test_noise_has_mean_zero_and_the_size_it_was_asked_for():
    root, rotations = dance(1000)
    root, rotations = np.repeat(root[:1], 1000, axis=0), np.repeat(rotations[:1], 1000, axis=0)
    how = Corruption(noisy=1.0, noisy_bones=12, deviation=0.01, unseen=0.0)
    bad, _ = corrupted(root, rotations, np.random.default_rng(0), how)
    knee = HUMANOID.index("LeftLowerLeg")
    shifts = (global_positions(HUMANOID, root, bad) - global_positions(HUMANOID, root, rotations))[:, knee]
    assert np.abs(shifts.mean(axis=0)).max() < 0.001  # 0.01 / sqrt(1000) is a third of it
    assert np.sqrt(np.mean(np.sum(shifts**2, axis=-1))) == pytest.approx(0.01 * np.sqrt(2.0), rel=0.05)  # two of three
