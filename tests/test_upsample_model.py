"""The offline upsampler with models that are not trained: what it takes them for, and when it does without."""

import json
from pathlib import Path

import numpy as np
import pytest

from exporters import upsample, upsample_poses
from exporters.openpose_folder import read_folder
from exporters.upsampling import Upsampler
from made_up_takes import made_up_clip
from motion import rotations as rot
from motion import upsampling
from motion.bvh import read_bvh, write_bvh
from motion.clip import Clip
from motion.kinematics import global_positions
from motion.skeleton import HUMANOID
from server.onnx_model import ModelError, OnnxModel
from untrained_upsamplers import of_points, of_poses, relabelled

CLOSE = 1e-4  # metres and radians: 6-D rotations in float32
DUET = upsample_poses.SHIPPED.with_name("salsa_duet.onnx")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return of_poses(tmp_path_factory.mktemp("models") / "poses.onnx")


@pytest.fixture(scope="module")
def take(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("takes") / "take.bvh"
    write_bvh(path, made_up_clip(4.0, 120.0), decimals=9)
    return path


def test_the_tool_takes_a_model_and_keeps_bones_and_keys(take, model, tmp_path, capsys):
    source, out = tmp_path / "keys.bvh", tmp_path / "made.bvh"
    keys = read_bvh(take, 1.0)[0]
    keys = Clip(HUMANOID, 15.0, keys.root_positions[::8], keys.rotations[::8])
    write_bvh(source, keys, decimals=9)
    arguments = [str(source), "--out", str(out), "--rate", "2.5", "--model", str(model)]
    assert upsample.main(arguments) == 0
    assert "by poses.onnx" in capsys.readouterr().out
    made = read_bvh(out, 1.0)[0]
    assert made.fps == pytest.approx(37.5)
    assert np.abs(made.root_positions[::5] - keys.root_positions[::2]).max() < CLOSE
    assert rot.angle(made.rotations[::5], keys.rotations[::2]).max() < 10 * CLOSE
    times, queries = np.arange(len(keys)) / 15.0, np.arange(len(made)) / 37.5
    root, _ = upsampling.poses_at("catmull_rom", times, keys.root_positions, keys.rotations, queries)
    inner = slice(10, -10)
    assert np.abs(made.root_positions - root)[inner].max() < CLOSE


def test_without_a_shipped_model_the_spline_stands_in_and_says_so(take, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(upsample_poses, "SHIPPED", tmp_path / "nothing.onnx")
    assert upsample.main([str(take), "--out", str(tmp_path / "made.bvh"), "--rate", "2"]) == 0
    assert "by cubic (there is no nothing.onnx)" in capsys.readouterr().out


def test_a_model_that_is_asked_for_must_be_there(take, tmp_path, capsys):
    arguments = [str(take), "--out", str(tmp_path / "made.bvh"), "--rate", "2"]
    assert upsample.main([*arguments, "--model", str(tmp_path / "nothing.onnx")]) == 2
    assert "no model file" in capsys.readouterr().err


def test_where_the_models_table_says_so_the_spline_is_taken(take, model, tmp_path, capsys):
    row = {"ahead": 2, "from_fps": 100.0, "to_fps": 1000.0}
    humble = relabelled(model, tmp_path / "humble.onnx", scorecard={"spline_is_better": [row]})
    arguments = [str(take), "--out", str(tmp_path / "made.bvh"), "--rate", "2", "--model", str(humble)]
    assert upsample.main(arguments) == 0
    assert "by cubic (humble.onnx says it is better from 100 fps)" in capsys.readouterr().out
    live = relabelled(model, tmp_path / "live.onnx", scorecard={"spline_is_better": [row | {"where": "live"}]})
    assert upsample.main([*arguments[:-1], str(live)]) == 0
    assert "by live.onnx" in capsys.readouterr().out


def test_a_forecast_is_told_from_frames_up_to_its_own(take, model):
    upsampler = Upsampler(OnnxModel(model))
    clip = read_bvh(take, 1.0)[0]
    times, frames = np.arange(len(clip)) / clip.fps, np.array([60, 61, 80])
    whole = upsampler.ahead(times, clip.root_positions, clip.rotations, frames, 0.05)
    cut = clip[:81]
    known = upsampler.ahead(times[:81], cut.root_positions, cut.rotations, frames, 0.05)
    alone = upsampler.ahead(times, clip.root_positions, clip.rotations, frames[2:], 0.05)
    for a, b, c in zip(whole, known, alone, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(a[2:], c, atol=1e-5)  # another batch, float32
    held = global_positions(HUMANOID, clip.root_positions[frames], clip.rotations[frames])
    true = global_positions(HUMANOID, clip.root_positions[frames + 6], clip.rotations[frames + 6])
    told = global_positions(HUMANOID, *whole)
    assert np.linalg.norm(told - true, axis=-1).mean() < 0.5 * np.linalg.norm(held - true, axis=-1).mean()


def test_a_model_of_something_else_is_no_upsampler():
    with pytest.raises(ModelError, match="a duet model of other joints is no upsampler"):
        Upsampler(OnnxModel(DUET))


# ---- keypoints


def kicker(folder: Path, keys: int, lost: dict[int, list[int]]) -> np.ndarray:
    """Somebody in a picture who swings everything; `lost` keypoints of some pictures are not there. Returns what is."""
    folder.mkdir()
    random = np.random.default_rng(0)
    base, swing, phase = (
        random.uniform(100, 500, (25, 2)),
        random.uniform(5, 20, (25, 2)),
        random.uniform(0, 6, (25, 2)),
    )
    points = base + swing * np.sin(0.4 * np.arange(keys)[:, None, None] + phase)
    for number in range(keys):
        rows = np.concatenate([points[number], np.full((25, 1), 0.9)], axis=1)
        rows[lost.get(number, [])] = [0.0, 0.0, 0.0]
        person = {"person_id": [-1], "pose_keypoints_2d": rows.ravel().tolist()}
        (folder / f"kick_{number:012d}_keypoints.json").write_text(json.dumps({"people": [person]}))
    return points


@pytest.fixture(scope="module")
def points_model(tmp_path_factory) -> Path:
    return of_points(tmp_path_factory.mktemp("points") / "points.onnx")


def test_keypoints_go_by_the_model_of_pictures(points_model, tmp_path, capsys):
    points = kicker(tmp_path / "in", 12, {6: [4, 7], 7: list(range(25))})
    out = tmp_path / "out"
    assert upsample.main([str(tmp_path / "in"), "--out", str(out), "--rate", "2", "--model", str(points_model)]) == 0
    assert "23 pictures from 12, by points.onnx" in capsys.readouterr().out
    made = read_folder(out)
    assert made.valid.all()
    known = [number for number in range(12) if number not in (6, 7)]
    error = np.linalg.norm(made.points[::2][known] - points[known], axis=-1)
    assert error.max() < 0.1  # pixels: an untrained model leaves keys alone; float32 of sizes of a body
    assert np.linalg.norm(made.points[::2] - points, axis=-1).max() < 25.0  # bridged, of 40 that they move


def test_keypoints_that_are_never_found_do_not_disturb_the_others(points_model, tmp_path):
    arguments = ["--rate", "2", "--model", str(points_model)]
    made = []
    for name, lost in (("whole", []), ("upper", [10, 11, 13, 14, 19, 20, 21, 22, 23, 24])):
        kicker(tmp_path / name, 8, dict.fromkeys(range(8), lost))
        assert upsample.main([str(tmp_path / name), "--out", str(tmp_path / f"{name} out"), *arguments]) == 0
        made.append(read_folder(tmp_path / f"{name} out"))
    whole, upper = made
    assert (upper.points[:, 10] == 0.0).all()
    assert np.abs(upper.points[:, :8] - whole.points[:, :8]).max() < 3.0  # pixels: the body's size is another


def test_a_model_of_poses_is_refused_for_pictures_and_the_other_way(points_model, model, take, tmp_path, capsys):
    kicker(tmp_path / "in", 3, {})
    for source, wrong, said in (
        (tmp_path / "in", model, "is no upsampler of OpenPose's points"),
        (take, points_model, "is no upsampler of the standard body's poses"),
    ):
        out = tmp_path / f"out {source.name}"
        assert upsample.main([str(source), "--out", str(out), "--rate", "2", "--model", str(wrong)]) == 2
        assert said in capsys.readouterr().err
