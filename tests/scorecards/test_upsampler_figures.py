"""The upsampler's figures on made-up dancers: what is asked, of whom, and what an answer scores."""

from dataclasses import replace

import numpy as np
import pytest

from motion.bvh import write_bvh
from motion.clip import Clip
from motion.metrics.joints import body_points
from motion.rotations import yaw
from motion.skeleton import HUMANOID
from training.scorecards import upsampler_speed, upsampler_takes
from training.scorecards.upsampler_figures import bone_error, judged, pooled
from training.scorecards.upsampler_takes import FPS, Take
from training.scorecards.upsampler_tasks import BASELINES, HORIZONS, TASKS, asked_frames, question

ASIDE = np.array([0.02, 0.0, 0.0])  # metres
BY_NAME = {task.name: task for task in TASKS}


def take_of(clip: Clip, name: str = "made up") -> Take:
    return Take(name, (name,), clip, clip)


@pytest.fixture(scope="module")
def take(make_dancer) -> Take:
    return take_of(make_dancer(0, 0, 6.0))


@pytest.fixture(scope="module")
def figures(take):
    """Every baseline's figures."""
    questions = [question(take, task) for task in TASKS]
    return {name: pooled([judged(take, way, questions)]) for name, way in BASELINES.items()}


class Beside:
    """Someone who says the truth, moved aside."""

    def between(self, question):
        return question.truth + ASIDE

    def ahead(self, take, frames):
        return {ms: take.clean_points[frames + steps] + ASIDE for ms, steps in HORIZONS.items()}


def test_an_error_is_the_distance_in_millimetres_and_the_rest_is_the_truths(take):
    row = pooled([judged(take, Beside(), [question(take, task) for task in TASKS])])
    for name in (*BY_NAME, "forecast_33", "forecast_50", "forecast_100"):
        assert row[f"{name}_mm"] == pytest.approx(20.0)
    assert row["jerk_ratio"] == pytest.approx(1.0)
    assert row["own_slide_ratio"] == pytest.approx(1.0)
    assert row["bone_length_error_m"] < 1e-9


def test_baselines_come_in_their_order_on_smooth_motion(figures):
    errors = {name: row["clean_8x_2ahead_mm"] for name, row in figures.items()}
    assert errors["hold"] > errors["extrapolate"] > errors["linear"] > errors["catmull_rom"] > errors["cubic"] > 0.0


def test_without_look_ahead_only_those_answer_that_need_none(figures):
    for name, row in figures.items():
        answers = name in ("hold", "extrapolate")
        assert np.isfinite(row["zero_delay_30_120_raw_mm"]) == answers
        assert np.isfinite(row["forecast_50_mm"]) == answers
        assert np.isfinite(row["jerk_ratio"])  # of the least look-ahead that it needs
    assert np.isnan(figures["catmull_rom"]["clean_8x_1ahead_mm"])
    assert figures["cubic"]["clean_8x_1ahead_mm"] == figures["cubic"]["clean_8x_2ahead_mm"]


def test_rotations_keep_bones_and_points_do_not(figures):
    assert figures["slerp"]["bone_length_error_m"] < 1e-9
    assert figures["cubic"]["bone_length_error_m"] > 1e-4


def test_keys_are_no_frames_between(take):
    asked = question(take, BY_NAME["clean_8x_2ahead"])
    assert asked.between.sum() == 7 * len(asked.left)
    np.testing.assert_allclose(asked.queries[~asked.between], asked.keys.times[asked.left])
    frames = np.round(asked.queries * FPS).astype(int)
    np.testing.assert_array_equal(asked.truth, take.clean_points[frames])


def test_raw_keys_are_raw_and_the_truth_is_clean(take):
    raw = Clip(HUMANOID, FPS, take.raw.root_positions + ASIDE, take.raw.rotations)
    for name, shift in (("zero_delay_30_120_raw", ASIDE), ("clean_8x_2ahead", 0.0 * ASIDE)):
        asked = question(replace(take, raw=raw), BY_NAME[name])
        hips = asked.truth[~asked.between][:, 0]
        np.testing.assert_allclose(asked.keys.root[asked.left] - hips, np.tile(shift, (len(hips), 1)), atol=1e-12)


def test_spoilt_keys_are_the_same_each_time_and_different_for_each_take(take):
    others = replace(take, hashes=("another",))
    one, again, other = (question(each, BY_NAME["corrupted_8x"]).keys for each in (take, take, others))
    np.testing.assert_array_equal(one.rotations, again.rotations)
    assert not np.array_equal(one.valid, other.valid)
    assert not one.valid.all()


def test_a_forecast_knows_nothing_after_its_frame(take):
    frames = asked_frames(take)[:3]
    cut = take_of(take.raw[: frames[-1] + 1])
    for name in ("hold", "extrapolate"):
        whole, known = (BASELINES[name].ahead(each, frames) for each in (take, cut))
        for horizon in HORIZONS:
            np.testing.assert_array_equal(whole[horizon], known[horizon])


def test_an_even_pace_is_forecast_exactly():
    frames = 600
    root = np.stack([np.arange(frames) / FPS, np.full(frames, 0.9), np.zeros(frames)], axis=-1)
    clip = Clip(HUMANOID, FPS, root, np.tile([0.0, 0.0, 0.0, 1.0], (frames, 22, 1)))
    row = pooled([judged(take_of(clip), BASELINES["extrapolate"], [])])
    assert row["forecast_100_mm"] < 1e-6
    assert pooled([judged(take_of(clip), BASELINES["hold"], [])])["forecast_100_mm"] == pytest.approx(100.0)


def test_takes_are_pooled_by_frames(make_dancer):
    takes = [take_of(make_dancer(seed, 0, seconds), str(seed)) for seed, seconds in ((0, 5.0), (1, 8.0))]
    task = BY_NAME["clean_8x_2ahead"]
    sums = [judged(take, BASELINES["linear"], [question(take, task)]) for take in takes]
    alone = [pooled([part])["clean_8x_2ahead_mm"] for part in sums]
    frames = [part.errors["clean_8x_2ahead"][1] for part in sums]
    assert pooled(sums)["clean_8x_2ahead_mm"] == pytest.approx(np.average(alone, weights=frames))


def test_the_worst_bone_is_told():
    points = body_points(Clip(HUMANOID, FPS, np.zeros((2, 3)), np.tile(yaw(0.3), (2, 22, 1))))
    assert bone_error(points) < 1e-9
    points[1, 20:] += [0.0, 0.05, 0.0]  # wrists and hands
    assert 0.001 < bone_error(points) < 0.05 + 1e-9


def test_a_take_that_is_too_short_or_there_twice_is_refused(tmp_path, make_dancer):
    short, long = tmp_path / "short.bvh", tmp_path / "long.bvh"
    write_bvh(short, make_dancer(0, 0, 2.0))
    write_bvh(long, make_dancer(0, 0, 4.2))
    with pytest.raises(ValueError, match=r"short.bvh is too short to judge: 1\.9 s"):
        upsampler_takes.read_takes([long, short], 10, "auto")
    with pytest.raises(ValueError, match="among the takes twice"):
        upsampler_takes.read_takes([long, long], 10, "auto")


def test_ten_minutes_are_made_and_measured(take, tmp_path, monkeypatch):
    monkeypatch.setattr(upsampler_speed, "SECONDS", 4.0)
    told = upsampler_speed.ten_minutes(take.clean, "hold", tmp_path / "nothing.onnx")
    assert told["ten_minutes_8x_cpu_s"] > 0.0
    assert 20.0 < told["ten_minutes_8x_mb"] < 2000.0  # a Python with numpy
    with pytest.raises(ValueError, match=r"ten minutes by model failed: .*no model file"):
        upsampler_speed.ten_minutes(take.clean, "model", tmp_path / "nothing.onnx")
