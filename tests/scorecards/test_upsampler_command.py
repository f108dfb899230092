"""The upsampler's scorecard as a command, and the offline tool, with models that are not trained: the plain way."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from exporters import upsample, upsample_poses
from exporters.graphs.upsampler import UpsamplerStep
from exporters.onnx import write
from exporters.upsampling import Upsampler
from motion import rotations as rot
from motion import upsampling
from motion.bvh import read_bvh, write_bvh
from motion.clip import Clip
from motion.kinematics import global_positions
from motion.manifest import METADATA_KEY, Manifest
from motion.skeleton import HUMANOID
from server.onnx_model import ModelError, OnnxModel
from training import scorecard
from training.cache import digest
from training.models.upsampler import Config
from training.models.upsampler import Upsampler as Network
from training.scorecards.upsampler import KEYS
from training.scorecards.upsampler_tasks import BASELINES

CLOSE = 1e-4  # metres and radians: 6-D rotations in float32


@pytest.fixture(scope="module")
def takes(tmp_path_factory, make_dancer) -> list[Path]:
    """Two dancers, the second one slow."""
    folder = tmp_path_factory.mktemp("upsampling")
    paths = [folder / "lively.bvh", folder / "slow.bvh"]
    quick, slow = make_dancer(0, 0, 4.5), make_dancer(1, 0, 4.5)
    write_bvh(paths[0], quickened(quick, 2), decimals=9)
    write_bvh(paths[1], slow, decimals=9)
    return paths


def quickened(clip: Clip, times: int) -> Clip:
    """The same dance so many times as fast, there and back."""
    places = np.resize(np.r_[0 : len(clip) : times, len(clip) - 1 : 0 : -times], len(clip))
    return Clip(HUMANOID, clip.fps, clip.root_positions[places], clip.rotations[places])


@pytest.fixture(scope="module")
def models(takes) -> list[Path]:
    """An untrained model that names no takes, and two of folds that name one each."""
    step = UpsamplerStep(Network(Config()).eval())
    label = replace(step.label("untrained"), made_from={"takes": []})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("exporters.onnx.STEPS", 8)  # whether torch and onnxruntime agree is tested elsewhere
        model = write(step, label, takes[0].parent / "fold0.onnx")
    seen = [{"takes": [{"take": path.name, "sha256": digest(path)}]} for path in takes]
    return [model, *(relabelled(model, f"fold{number}", made_from=named) for number, named in enumerate(seen, start=1))]


def relabelled(model: Path, name: str, **changes) -> Path:
    """The same graph under another label."""
    proto = onnx.load(model)
    label = replace(Manifest.from_json(proto.metadata_props[0].value), **changes)
    onnx.helper.set_model_props(proto, {METADATA_KEY: label.to_json()})
    path = model.with_name(f"{name}.onnx")
    onnx.save(proto, path)
    return path


@pytest.fixture(scope="module")
def figures(takes, models) -> dict:
    out = takes[0].parent / "figures.json"
    arguments = [str(models[0]), "--takes", *map(str, takes), "--no-speed", "--json", str(out)]
    assert scorecard.main(["upsampler", *arguments, "--markdown", str(out.with_suffix(".md"))]) == 0
    return json.loads(out.read_text())


def test_every_subject_has_every_key_and_what_cannot_be_had_is_null(figures):
    assert list(figures) == ["model", *BASELINES]
    for row in figures.values():
        assert list(row)[: len(KEYS)] == list(KEYS)
    model = figures["model"]
    assert all(model[key] is not None for key in KEYS if not key.startswith("ten_minutes") and "slide" not in key)
    assert figures["cubic"]["zero_delay_30_120_raw_mm"] is None
    assert model["ten_minutes_8x_s"] is None


def test_a_model_keeps_every_bone(figures):
    assert figures["model"]["bone_length_error_m"] < CLOSE


def test_an_untrained_model_is_a_plain_way(figures):
    errors = {name: row["clean_8x_2ahead_mm"] for name, row in figures.items()}
    assert 0.99 * errors["cubic"] < errors["model"] < errors["linear"]


def test_lively_and_slow_takes_are_told_apart(figures):
    row = figures["cubic"]
    assert row["slow_clean_8x_2ahead_mm"] < row["clean_8x_2ahead_mm"] < row["lively_clean_8x_2ahead_mm"]
    assert row["slow_clean_8x_2ahead_ratio"] == 1.0


def test_the_written_scorecard_says_what_was_judged(figures, takes):
    text = (takes[0].parent / "figures.md").read_text()
    assert "judged: lively, slow" in text
    assert "no manifest names its training takes" in text
    assert "| lively |" in text


def test_a_seen_take_does_not_count(takes, models, tmp_path, capsys):
    out = tmp_path / "figures.json"
    arguments = [str(models[1]), "--takes", *map(str, takes), "--no-speed", "--json", str(out)]
    assert scorecard.main(["upsampler", *arguments]) == 0
    said = capsys.readouterr().out
    assert "seen in training: lively" in said
    assert "judged: slow" in said
    row = json.loads(out.read_text())["model"]
    assert (row["takes"], row["takes_seen"], row["takes_judged"]) == (2, 1, 1)


def test_each_take_is_judged_by_the_fold_that_has_not_seen_it(takes, models, capsys):
    arguments = [str(models[0]), "--takes", *map(str, takes), "--no-speed", "--fold-models", *map(str, models[1:])]
    assert scorecard.main(["upsampler", *arguments]) == 0
    said = capsys.readouterr().out
    assert "the model of the fold that holds it out: slow | lively" in said
    assert "seen in training: none" in said


def test_another_kind_of_model_is_refused(takes, capsys):
    model = Path(upsample_poses.SHIPPED).parent / "salsa_duet.onnx"
    assert scorecard.main(["upsampler", str(model), "--takes", str(takes[0]), "--no-speed"]) == 1
    assert "a duet model is no upsampler" in capsys.readouterr().err


# ---- the offline tool


def test_the_tool_takes_a_model_and_keeps_bones_and_keys(takes, models, tmp_path, capsys):
    source, out = tmp_path / "keys.bvh", tmp_path / "made.bvh"
    keys = read_bvh(takes[1], 1.0)[0]
    keys = Clip(HUMANOID, 15.0, keys.root_positions[::8], keys.rotations[::8])
    write_bvh(source, keys, decimals=9)
    arguments = [str(source), "--out", str(out), "--rate", "2.5", "--model", str(models[0])]
    assert upsample.main(arguments) == 0
    assert "by fold0.onnx" in capsys.readouterr().out
    made = read_bvh(out, 1.0)[0]
    assert made.fps == pytest.approx(37.5)
    assert np.abs(made.root_positions[::5] - keys.root_positions[::2]).max() < CLOSE
    assert rot.angle(made.rotations[::5], keys.rotations[::2]).max() < 10 * CLOSE
    times, queries = np.arange(len(keys)) / 15.0, np.arange(len(made)) / 37.5
    root, _ = upsampling.poses_at("catmull_rom", times, keys.root_positions, keys.rotations, queries)
    inner = slice(10, -10)
    assert np.abs(made.root_positions - root)[inner].max() < CLOSE


def test_without_a_shipped_model_the_spline_stands_in_and_says_so(takes, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(upsample_poses, "SHIPPED", tmp_path / "nothing.onnx")
    assert upsample.main([str(takes[0]), "--out", str(tmp_path / "made.bvh"), "--rate", "2"]) == 0
    assert "by cubic (there is no nothing.onnx)" in capsys.readouterr().out


def test_a_model_that_is_asked_for_must_be_there(takes, tmp_path, capsys):
    arguments = [str(takes[0]), "--out", str(tmp_path / "made.bvh"), "--rate", "2"]
    assert upsample.main([*arguments, "--model", str(tmp_path / "nothing.onnx")]) == 2
    assert "no model file" in capsys.readouterr().err


def test_where_the_models_table_says_so_the_spline_is_taken(takes, models, tmp_path, capsys):
    table = {"spline_is_better": [{"ahead": 2, "from_fps": 100.0, "to_fps": 1000.0}]}
    model = relabelled(models[0], "humble", scorecard=table)
    arguments = [str(takes[0]), "--out", str(tmp_path / "made.bvh"), "--rate", "2", "--model", str(model)]
    assert upsample.main(arguments) == 0
    assert "by cubic (humble.onnx says it is better" in capsys.readouterr().out


def test_a_forecast_is_told_from_frames_up_to_its_own(takes, models):
    upsampler = Upsampler(OnnxModel(models[0]))
    clip = read_bvh(takes[0], 1.0)[0]
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
    with pytest.raises(ModelError, match="a duet model is no upsampler"):
        Upsampler(OnnxModel(Path(upsample_poses.SHIPPED).parent / "salsa_duet.onnx"))
