"""Naive partners have the figures they must have, and what is judged is pooled as it should be."""

import numpy as np
import pytest

from motion import kinematics
from motion.metrics import joints, placement
from motion.rotations import IDENTITY
from motion.skeleton import HUMANOID
from training.scorecards import baselines, figures, takes
from training.scorecards.figures import Piece, Truth
from training.scorecards.rows import over_seeds


def test_the_truth_has_no_error_and_full_share(read):
    row = Truth(read).floor_row()
    assert row["root_ade_m"] == row["mpjpe_m"] == 0.0
    assert row["own_slide_ratio"] == row["jitter_ratio"] == 1.0
    assert row["fid_k"] > 0.0  # the floor: truth against other truth


def test_a_perfect_partner_has_no_distance(read):
    truth = Truth(read)
    row = truth.figures(truth.whole)
    assert max(abs(row[name]) for name in figures.FIDS) < 1e-4  # measured 1e-5: square roots of eigenvalues near zero
    assert truth.fold_ratios([truth.whole], [[0, 1], [2, 3]])["fid_k_fold_ratio"] == pytest.approx(0.0, abs=1e-4)


def test_the_order_of_takes_changes_no_floor(read):
    assert Truth(read).floors == Truth(read[::-1]).floors


def test_the_held_pose_stands_still(read):
    row = Truth(read).figures([baselines.hold(take, 0) for take in read])
    assert row["jitter_ratio"] == row["pfc"] == row["teleport_percent"] == 0.0
    assert np.isnan(row["bed"])
    assert np.isnan(row["lag_frames"])


def test_the_turned_leader_has_every_beat(read):
    assert Truth(read).figures([baselines.rotated(take, 0) for take in read])["bed"] == 1.0


def test_the_glued_body_keeps_its_place_in_the_leaders_frame(read):
    (piece,) = baselines.fit_glued(read[1:])(read[0], 0)
    local = joints.to_frame(piece.points, read[0].given[:, 0], joints.facing(read[0].given))
    np.testing.assert_allclose(local, np.broadcast_to(local[0], local.shape), atol=1e-9)


def test_the_ridge_sees_no_future(read):
    take, partner = read[0], baselines.fit_ridge(read[1:])
    cut = takes.Take(take.name, take.hashes, take.lead, take.given[:80], take.leader[:80], take.follower[:80])
    np.testing.assert_allclose(partner(cut, 0)[0].points, partner(take, 0)[0].points[:80], atol=1e-9)


def test_the_ridge_places_better_than_a_held_pose(read):
    (ridge,), (held,) = baselines.fit_ridge(read[1:])(read[0], 0), baselines.hold(read[0], 0)
    errors = [placement.root_errors(piece.points, read[0].follower).mean() for piece in (ridge, held)]
    assert errors[0] < 0.5 * errors[1]


def test_the_nearest_clip_of_a_known_take_is_its_own(read):
    pieces = baselines.fit_nearest(read)(read[2], 0)
    for piece in pieces:
        np.testing.assert_allclose(piece.points, piece.beside(read[2].follower), atol=1e-9)


def test_random_clips_depend_on_the_seed_alone(read):
    partner = baselines.fit_random(read[1:])
    one, same, other = (partner(read[0], seed)[0].points for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.01


def test_sensitivity_is_one_when_the_leader_matters_as_much_as_the_seed():
    random = np.random.default_rng(0)
    poses = joints.points_of_joints(
        HUMANOID, kinematics.global_positions(HUMANOID, np.zeros(3), IDENTITY[None].repeat(22, 0))
    )
    leaders = [poses + np.zeros((400, 1, 1))] * 3
    by_seed = [[poses + random.normal(0, 0.1, (400, 24, 3)) for _ in range(3)] for _ in range(3)]
    row = figures.sensitivity(by_seed, leaders)
    assert row["leader_sensitivity"] == pytest.approx(1.0, abs=0.05)  # sampling of one root
    assert row["pose_sensitivity"] == pytest.approx(1.0, abs=0.02)  # sampling
    assert np.isnan(figures.sensitivity(by_seed[:1], leaders)["leader_sensitivity"])


def test_pieces_stand_beside_their_frames():
    whole = np.arange(30.0)
    np.testing.assert_array_equal(Piece(4, np.zeros((3, 24, 3))).beside(whole), [4.0, 5.0, 6.0])


def test_naive_partners_of_real_salsa_fail_in_their_own_ways(shared):
    """Of six takes, three learned from: what each is known for, by a margin that the choice of takes cannot turn."""
    folder = shared / "data" / "salsa_pairs"
    names = ("01", "03", "05", "10", "12", "15")
    pairs = [(folder / f"60_{name}.bvh", folder / f"61_{name}.bvh") for name in names]
    known, asked = (takes.read_takes(side, takes.Reading()) for side in (pairs[::2], pairs[1::2]))
    truth = Truth(asked)
    rows = {name: truth.figures([fit(known)(take, 0) for take in asked]) for name, fit in baselines.FITTED.items()}
    rows |= {name: truth.figures([dance(take, 0) for take in asked]) for name, dance in baselines.UNFITTED.items()}
    assert rows["ridge"]["root_ade_m"] < 0.8 * rows["hold"]["root_ade_m"]
    assert rows["nearest"]["root_ade_m"] < 0.8 * rows["random"]["root_ade_m"]
    assert max(rows[name]["fid_g"] for name in ("nearest", "random")) < 0.5 * rows["ridge"]["fid_g"]  # real clips
    assert rows["hold"]["fid_k"] > rows["ridge"]["fid_k"] > rows["nearest"]["fid_k"]
    assert rows["rotated"]["bed"] == 1.0 > rows["ridge"]["bed"] > rows["random"]["bed"]
    assert rows["glued"]["skating_percent"] > 10.0 > rows["random"]["skating_percent"]
    assert rows["ridge"]["jitter_ratio"] > 2.0
    assert rows["ridge"]["teleport_percent"] > 5.0


def test_a_figure_that_one_seed_cannot_have_is_not_the_mean_of_the_others():
    row = over_seeds([{"a": 1.0, "b": 1.0}, {"a": 3.0, "b": np.nan}])
    assert (row["a"], row["a_low"], row["a_high"]) == (2.0, 1.0, 3.0)
    assert np.isnan(row["b"])
