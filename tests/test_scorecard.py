"""The duet scorecard: naive partners have the figures they must have, takes that were trained on are told apart."""

import json
from pathlib import Path

import numpy as np
import pytest

from motion import kinematics
from motion.bvh import write_bvh
from motion.clip import Clip
from motion.metrics import joints, placement
from motion.rotations import IDENTITY, multiply, yaw
from motion.skeleton import HUMANOID
from training import scorecard, train
from training.scorecards import baselines, figures, takes
from training.scorecards.figures import Piece, Truth
from training.scorecards.quick import Judge

FPS = 120.0
KNEES = [HUMANOID.index("LeftLowerLeg"), HUMANOID.index("RightLowerLeg")]


def dancer(seed: int, role: int, seconds: float = 4.2) -> Clip:
    """Somebody who walks in a circle around the middle with swinging arms; role 1 stands opposite role 0."""
    random = np.random.default_rng((seed, role))
    time = np.arange(round(seconds * FPS)) / FPS
    around = 0.7 * time + seed + np.pi * role
    root = np.stack([0.5 * np.sin(around), np.full_like(time, 0.88), 0.5 * np.cos(around)], axis=-1)
    q = np.tile(IDENTITY, (len(time), len(HUMANOID), 1))
    q[:, 0] = yaw(around + np.pi)
    for joint in range(1, len(HUMANOID)):
        swing = random.uniform(0.0, 0.25) * np.sin(random.uniform(2.0, 7.0) * time + random.uniform(0, 6))
        axis = np.zeros((len(time), 4))
        axis[:, joint % 3], axis[:, 3] = np.sin(swing / 2), np.cos(swing / 2)
        q[:, joint] = multiply(q[:, joint], axis)
    return Clip(HUMANOID, FPS, root, q)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Four made-up takes of two dancers."""
    folder = tmp_path_factory.mktemp("takes")
    for seed in range(4):
        for role, name in enumerate(("lead", "follow")):
            write_bvh(folder / f"{name}_{seed}.bvh", dancer(seed, role))
    return folder


@pytest.fixture(scope="module")
def read(folder) -> list[takes.Take]:
    pairs = [(folder / f"lead_{seed}.bvh", folder / f"follow_{seed}.bvh") for seed in range(4)]
    return [takes.read_take(lead, follow, takes.Reading(scale=0.01)) for lead, follow in pairs]


@pytest.fixture(scope="module")
def models(folder) -> list[Path]:
    """Models of two folds, trained for a moment."""
    config = folder / "tiny.yaml"
    config.write_text(
        "data: {lead: 'lead_*.bvh', follow: 'follow_*.bvh', swap_roles: false}\n"
        "model: {placement_width: 16, pose_width: 16, code: 4, latent: 2}\n"
        "training: {epochs: 1, batch_size: 64, stride: 12}\n"
    )
    for fold in (1, 2):
        out = folder / f"fold{fold}"
        assert train.main(["duet", f"{config}", "--data", f"{folder}", "--out", f"{out}", "--fold", f"{fold}/2"]) == 0
    return [folder / f"fold{fold}" / f"fold{fold}.onnx" for fold in (1, 2)]


def test_frames_are_compared_at_thirty_a_second_after_the_dropped_ones(read):
    partner = dancer(0, 1)
    np.testing.assert_allclose(read[0].compared(partner), joints.body_points(partner[10::4]))
    assert len(read[0]) == len(partner[10::4])


def test_another_rate_is_interpolated_to_thirty():
    clip = Clip(HUMANOID, 50.0, np.linspace(0, 1, 101)[:, None] * [1.0, 0, 0], np.tile(IDENTITY, (101, 22, 1)))
    thirty = takes.at_thirty(clip, start=0.2)
    assert thirty.fps == 30.0
    np.testing.assert_allclose(thirty.root_positions[:, 0], 0.1 + np.arange(len(thirty)) / 60.0, atol=1e-12)


def test_takes_of_different_length_are_refused(folder, tmp_path):
    write_bvh(tmp_path / "short.bvh", dancer(0, 1)[:400])
    with pytest.raises(ValueError, match="must be one take"):
        takes.read_take(folder / "lead_0.bvh", tmp_path / "short.bvh", takes.Reading())


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
    cut = takes.Take(take.name, take.hashes, take.lead, take.given[:80], take.leader[:80], take.follower[:80], 0.0)
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


@pytest.fixture(scope="module")
def judge_of_takes(folder) -> Judge:
    reading = takes.Reading(scale=0.01)
    return Judge.of_folder(folder, 2, "lead_*.bvh", "follow_*.bvh", reading, cache=folder / "cache")


def test_poses_in_memory_are_judged_like_the_model_they_will_be(judge_of_takes, read):
    true = {take.name: dancer(seed, 1) for seed, take in enumerate(read)}
    at_thirty = {name: (clip.rotations[10::4], clip.root_positions[10::4]) for name, clip in true.items()}
    live = {name: (clip.rotations, clip.root_positions) for name, clip in true.items()}
    row, same = judge_of_takes.figures([at_thirty]), judge_of_takes.figures([live])
    assert row["root_ade_m"] < 0.01  # the truth is smoothed, the made-up takes hardly
    assert {key: value for key, value in row.items() if value == value} == {k: v for k, v in same.items() if v == v}
    assert "root_ade_m" in judge_of_takes.table({"mine": row, "ridge": judge_of_takes.ridge()})


def test_takes_are_the_same_from_the_cache(judge_of_takes, folder, read):
    again = Judge.of_folder(folder, 2, "lead_*.bvh", "follow_*.bvh", takes.Reading(scale=0.01), folder / "cache")
    for first, second, fresh in zip(judge_of_takes.takes, again.takes, read, strict=True):
        np.testing.assert_array_equal(first.follower, second.follower)
        np.testing.assert_array_equal(fresh.given, second.given)
        assert second.hashes == fresh.hashes


def test_poses_of_the_wrong_length_are_refused(judge_of_takes, read):
    with pytest.raises(ValueError, match=r"take lead_0 has \d+ frames at 30 fps or \d+ at 120; got 7"):
        judge_of_takes.figures([{take.name: take.follower[:7] for take in read}])


def judge(folder: Path, model: Path, *more: str) -> tuple[int, dict]:
    leads = [f"{folder}/lead_{seed}.bvh" for seed in range(4)]
    follows = [f"{folder}/follow_{seed}.bvh" for seed in range(4)]
    out = folder / "figures.json"
    arguments = ["duet", f"{model}", "--lead", *leads, "--follow", *follows, "--json", f"{out}", *more]
    return scorecard.main(arguments), json.loads(out.read_text())


def test_every_subject_has_every_figure_or_null_and_only_unseen_takes_count(folder, models, capsys):
    code, result = judge(folder, models[0], "--seeds", "2")
    assert code == 0
    assert list(result) == ["model", "hold", "nearest", "random", "rotated", "glued", "ridge", "truth_floor"]
    assert all(set(figures.KEYS) <= row.keys() for row in result.values())
    assert result["hold"]["bed"] is None
    assert result["ridge"]["root_ade_m"] < result["hold"]["root_ade_m"]
    assert [result["model"][key] for key in ("takes", "takes_seen", "takes_judged")] == [4, 2, 2]
    assert "seen in training: lead_1, lead_3" in capsys.readouterr().out


def test_folds_are_judged_by_what_each_has_not_seen(folder, models, tmp_path):
    markdown = tmp_path / "scorecard.md"
    more = ["--seeds", "1", "--fold-models", *map(str, models), "--markdown", f"{markdown}"]
    _, result = judge(folder, models[0], *more)
    assert result["model_held_out"]["root_ade_m"] > 0.0
    assert all(result[subject]["fid_cd_fold_ratio"] > 0.0 for subject in ("model", "ridge", "nearest", "hold"))
    assert result["truth_floor"]["fid_k_fold_ratio"] is None
    assert "| root_ade_m |" in markdown.read_text()


def test_a_take_that_every_fold_has_seen_is_refused(folder, models, read, capsys):
    arguments = ["duet", f"{models[0]}", "--lead", f"{folder}/lead_1.bvh", "--follow", f"{folder}/follow_1.bvh"]
    assert scorecard.main([*arguments, "--fold-models", f"{models[0]}"]) == 1
    assert "lead_1 must be unseen by one fold's model, not by: none" in capsys.readouterr().err


def test_without_the_training_takes_fitted_baselines_are_null(folder, models, tmp_path):
    for name in ("lead_0.bvh", "follow_0.bvh"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    out = tmp_path / "figures.json"
    arguments = ["duet", f"{models[0]}", "--lead", f"{tmp_path}/lead_0.bvh", "--follow", f"{tmp_path}/follow_0.bvh"]
    assert scorecard.main([*arguments, "--training-takes", f"{tmp_path}", "--json", f"{out}", "--seeds", "1"]) == 0
    result = json.loads(out.read_text())
    assert result["ridge"]["root_ade_m"] is None
    assert result["rotated"]["root_ade_m"] >= 0.0  # it needs no training takes


def test_leads_without_follows_are_refused(folder, models, capsys):
    arguments = ["duet", f"{models[0]}", "--lead", "a.bvh", "b.bvh", "--follow", "c.bvh"]
    assert scorecard.main(arguments) == 1
    assert "2 leads need as many follows, not 1" in capsys.readouterr().err
