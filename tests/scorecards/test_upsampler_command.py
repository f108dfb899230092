"""The upsampler's scorecard as a command, with models that are not trained."""

import json
from pathlib import Path

import numpy as np
import pytest

from exporters import upsample_poses
from motion.bvh import write_bvh
from motion.clip import Clip
from motion.skeleton import HUMANOID
from motion.spline_table import better_from
from server.onnx_model import OnnxModel
from training import scorecard
from training.cache import digest
from training.scorecards.upsampler import KEYS
from training.scorecards.upsampler_tasks import BASELINES, TASKS
from untrained_upsamplers import of_poses, relabelled

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
    folder = takes[0].parent
    model = of_poses(folder / "fold0.onnx")
    seen = [{"takes": [{"take": path.name, "sha256": digest(path)}]} for path in takes]
    return [model, *(relabelled(model, folder / f"fold{n}.onnx", made_from=named) for n, named in enumerate(seen, 1))]


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


def test_the_table_is_measured_by_folds_and_written_into_the_model_that_is_served(takes, models, tmp_path, capsys):
    served = relabelled(models[0], tmp_path / "served.onnx", made_from={"takes": []})
    arguments = [str(served), "--takes", *map(str, takes), "--no-speed", "--label", str(served)]
    assert scorecard.main(["upsampler", *arguments, "--fold-models", *map(str, models[1:])]) == 0
    said = capsys.readouterr().out
    label = OnnxModel(served).manifest.scorecard
    measured = {(row["ahead"], row["fps"]): row for row in label["spline_measured"]}
    assert len(measured) == 30
    for (ahead, fps), row in measured.items():
        for where in ("live", "offline"):
            better = better_from(label, fps, ahead, where) is not None
            assert better == (row.get(f"{where}_mm", np.inf) < row["model_mm"])
    assert measured[2, 30.0]["live_mm"] < measured[1, 30.0]["live_mm"] < measured[0, 30.0]["live_mm"]
    assert "the label says where a spline is nearer: live" in said


def test_the_models_rows_are_of_what_is_served(takes, models, tmp_path, capsys):
    """A label that says that the spline is nearer changes those rows and no others."""
    rows = [{"where": where, "ahead": 2, "from_fps": 1.0, "to_fps": 1000.0} for where in ("live", "offline")]
    humble = relabelled(models[0], tmp_path / "humble.onnx", scorecard={"spline_is_better": rows})
    found = []
    for model in (models[0], humble):
        out = tmp_path / "figures.json"
        assert (
            scorecard.main(["upsampler", str(model), "--takes", str(takes[0]), "--no-speed", "--json", str(out)]) == 0
        )
        found.append(json.loads(out.read_text())["model"])
    own, served = found
    assert "answers for the model, as it is served: two_keys_30_120_raw, clean_8x_2ahead" in capsys.readouterr().out
    other = {task.name for task in TASKS if own[f"{task.name}_mm"] != served[f"{task.name}_mm"]}
    assert other == {task.name for task in TASKS if task.ahead == 2}


def test_a_table_is_not_measured_on_takes_that_were_seen(takes, models, capsys):
    arguments = [str(models[1]), "--takes", str(takes[0]), "--no-speed", "--label", str(models[1])]
    assert scorecard.main(["upsampler", *arguments]) == 1
    assert "--label needs takes that the model has not seen" in capsys.readouterr().err


def test_another_kind_of_model_is_refused(takes, capsys):
    model = Path(upsample_poses.SHIPPED).parent / "salsa_duet.onnx"
    assert scorecard.main(["upsampler", str(model), "--takes", str(takes[0]), "--no-speed"]) == 1
    assert "a duet model of other joints is no upsampler" in capsys.readouterr().err
