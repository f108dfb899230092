"""The scorecard's command: takes that were trained on are told apart, folds and several models stand in one table."""

import json
from pathlib import Path

import pytest

from server.onnx_model import OnnxModel
from training import scorecard
from training.scorecards import after, figures
from training.scorecards.cast import cast_folds


def judge(folder: Path, model: Path, *more: str) -> tuple[int, dict]:
    leads = [f"{folder}/lead_{seed}.bvh" for seed in range(4)]
    follows = [f"{folder}/follow_{seed}.bvh" for seed in range(4)]
    out = folder / "figures.json"
    arguments = ["duet", f"{model}", "--lead", *leads, "--follow", *follows, "--json", f"{out}", *more]
    arguments += ["--processes", "1", "--cache", f"{folder}/cache"]
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


def test_folds_are_judged_by_what_each_has_not_seen(folder, models, tmp_path, capsys):
    markdown = tmp_path / "scorecard.md"
    more = ["--seeds", "2", "--fold-models", *map(str, models), "--shipped", "--markdown", f"{markdown}"]
    _, result = judge(folder, models[0], *more)
    assert [result["model"][key] for key in ("takes", "takes_seen", "takes_judged")] == [4, 0, 4]
    assert result["model_shipped"]["takes_seen"] == 2
    for subject in ("model", "ridge", "nearest", "hold"):
        row = result[subject]
        assert row["fid_cd_fold_ratio_low"] <= row["fid_cd_fold_ratio"] <= row["fid_cd_fold_ratio_high"]
    assert result["truth_floor"]["fid_k_fold_ratio"] is None
    text = markdown.read_text()
    assert "| root_ade_m |" in text
    assert "| lead_1 | 4." in text
    assert "![distances, errors and speeds](scorecard.png)" in text
    assert (tmp_path / "scorecard.png").read_bytes().startswith(b"\x89PNG")
    assert "lead_0, lead_2 | lead_1, lead_3" in capsys.readouterr().out


def test_folds_are_trained_by_the_recipe_that_the_model_names(folder, models, tmp_path):
    """The config is looked for beside the model, where it is not one of the project's."""
    model = tmp_path / "mine.onnx"
    model.write_bytes(models[0].read_bytes())
    (tmp_path / "tiny.yaml").write_bytes((folder / "tiny.yaml").read_bytes())
    _, result = judge(folder, model, "--seeds", "1", "--folds", "2", "--fold-out", f"{tmp_path}")
    assert [result["model"][key] for key in ("takes", "takes_seen", "takes_judged")] == [4, 0, 4]
    again = OnnxModel(tmp_path / "fold1-fold2" / "fold1-fold2.onnx")
    assert again.manifest.made_from["takes"] == OnnxModel(models[1]).manifest.made_from["takes"]


def test_training_leaves_a_scorecard_of_what_was_held_out(folder, models, tmp_path):
    (line,) = after.write(tmp_path, models[0], [(folder / "lead_2.bvh", folder / "follow_2.bvh")])
    assert "root_ade_m 0." in line
    assert json.loads((tmp_path / "scorecard.json").read_text())["model"]["takes_seen"] == 0
    assert "| lead_2 |" in (tmp_path / "scorecard.md").read_text()
    assert (tmp_path / "scorecard.png").is_file()


def test_takes_that_cannot_be_judged_leave_no_scorecard_but_a_reason(folder, models, tmp_path):
    (line,) = after.write(tmp_path, models[0], [(folder / "lead_2.bvh", tmp_path / "none.bvh")])
    assert line.startswith("no scorecard: ")
    assert "none.bvh" in line


def test_several_models_stand_beside_each_other(folder, models, tmp_path, capsys):
    leads, follows = ([f"{folder}/{who}_{take}.bvh" for take in range(4)] for who in ("lead", "follow"))
    out = tmp_path / "figures.json"
    arguments = [
        *map(str, models),
        "--lead",
        *leads,
        "--follow",
        *follows,
        "--seeds",
        "1",
        "--cache",
        f"{folder}/cache",
    ]
    assert scorecard.main(["duet", *arguments, "--json", f"{out}"]) == 0
    assert list(json.loads(out.read_text()))[:3] == ["fold1", "fold2", "hold"]
    said = capsys.readouterr().out
    assert "lead_1 (fold1)" in said
    assert "lead_2 (fold2)" in said
    assert "EVERY TAKE IS SEEN" in said


def test_two_models_of_one_name_are_refused(folder, models, capsys):
    arguments = ["duet", f"{models[0]}", f"{models[0]}", "--lead", "a.bvh", "--follow", "b.bvh"]
    assert scorecard.main(arguments) == 1
    assert "need file names of their own" in capsys.readouterr().err


def test_a_take_that_every_fold_has_seen_is_refused(folder, models, capsys):
    arguments = ["duet", f"{models[0]}", "--lead", f"{folder}/lead_1.bvh", "--follow", f"{folder}/follow_1.bvh"]
    assert scorecard.main([*arguments, "--fold-models", f"{models[0]}", "--cache", f"{folder}/cache"]) == 1
    assert "lead_1 must be unseen by one fold's model, not by: none" in capsys.readouterr().err


def test_without_the_training_takes_fitted_baselines_are_null(folder, models, tmp_path):
    for name in ("lead_0.bvh", "follow_0.bvh"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    out = tmp_path / "figures.json"
    arguments = ["duet", f"{models[0]}", "--lead", f"{tmp_path}/lead_0.bvh", "--follow", f"{tmp_path}/follow_0.bvh"]
    arguments += ["--training-takes", f"{tmp_path}", "--cache", f"{tmp_path}/cache"]
    assert scorecard.main([*arguments, "--json", f"{out}", "--seeds", "1"]) == 0
    result = json.loads(out.read_text())
    assert result["ridge"]["root_ade_m"] is None
    assert result["rotated"]["root_ade_m"] >= 0.0  # it needs no training takes


def test_leads_without_follows_are_refused(folder, models, capsys):
    arguments = ["duet", f"{models[0]}", "--lead", "a.bvh", "b.bvh", "--follow", "c.bvh"]
    assert scorecard.main(arguments) == 1
    assert "2 leads need as many follows, not 1" in capsys.readouterr().err


def test_folds_that_hold_out_other_takes_are_refused(models, read):
    folds = [OnnxModel(path) for path in models]
    assert cast_folds({"a": folds, "b": folds[::-1]}, read).folds == [[0, 2], [1, 3]]
    both = OnnxModel(models[0])
    both.manifest.made_from["takes"].clear()  # has seen nothing
    with pytest.raises(ValueError, match="the folds of b hold out other takes than those of a"):
        cast_folds({"a": folds, "b": [both]}, read)
