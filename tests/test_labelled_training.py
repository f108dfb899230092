"""The labelled partner from recordings to a model and an evaluation: labels of files, proxies, none; faults."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from labelled_models import fitted, small_batch
from made_up_takes import made_up_clip
from motion.bvh import write_bvh
from motion.clip import Clip
from server.onnx_model import OnnxModel
from training import dataset, evaluate, evaluate_judge, evaluate_report, labels, scorecard, train
from training.checkpoint import describe
from training.evaluate_judge import Judge
from training.evaluate_labelled import confusion, spread
from training.evaluate_pictures import between
from training.evaluate_windows import Drawn, Real, _good_tiles, draw
from training.labels import NONE, Label
from training.models import labelled_pose as pose
from training.models import read_checkpoint, rebuild
from training.models.labelled_takes import Config, Labelling, load_takes
from training.models.labelled_windows import Windows

MODEL = {"window": 16, "latent": 40, "code": 8, "state": 12, "hidden": 16, "encoder": 16, "classifier": 8}
SECONDS = 6.0


def _clip(shift: float) -> Clip:
    """Somebody who moves more and more."""
    clip = made_up_clip(SECONDS, 30.0, shift)
    now = np.arange(len(clip)) / 30.0
    clip.root_positions[:, 1] += 0.03 * now * np.sin(9.0 * now + shift)
    return clip


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    for number, name in enumerate(("a", "b", "c", "d")):
        write_bvh(folder / f"{name}.bvh", _clip(float(number)))
    given = [
        Label(take, start, start + 2.0, "weight", label)
        for take in "abcd"
        for start, label in ((0.0, "light"), (2.0, "strong"), (4.0, "light"))
    ]
    labels.write(folder / "labels.csv", given)
    return folder


def _plan(folder: Path, training: dict[str, object] | None = None, **data: object) -> Path:
    whole = {"drop_first": 0, "scale": 1.0, **data}
    sections = {"data": whole, "model": MODEL, "training": {"batch_size": 64, "epochs": 2, **(training or {})}}
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump(sections))
    return path


def _train(plan: Path, recordings: Path, out: Path, *more: str) -> int:
    arguments = ["--data", str(recordings), "--out", str(out), "--fold", "1/4", "--no-results", *more]
    return train.main(["labelled", str(plan), *arguments])


@pytest.fixture(scope="module")
def trained(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "mine"
    assert _train(_plan(out.parent, labels="labels.csv", proxies=["time"]), recordings, out) == 0
    return out


def test_the_command_leaves_a_partner_with_a_dial_for_every_set(trained: Path) -> None:
    model = OnnxModel(trained / "mine.onnx")
    dials = {param.name: param.names for param in model.manifest.params if param.names}
    assert dials == {"label/time": ("low", "medium", "high"), "label/weight": ("light", "strong")}
    assert model.manifest.made_from["contains_recordings"] is False
    assert {take["take"] for take in model.manifest.made_from["takes"]} == {"b.bvh", "c.bvh", "d.bvh"}


def test_thresholds_know_nothing_of_takes_held_out(trained: Path, recordings: Path) -> None:
    config = Config(drop_first=0, scale=1.0, labels="labels.csv", proxies=("time",))
    takes = load_takes(config, recordings)
    kept, _ = dataset.split(takes, (1, 4))
    stored = read_checkpoint(trained / "last.ckpt")["config"]["thresholds"]["time"]
    assert stored == pytest.approx(Labelling.of(config, kept, 16).thresholds["time"])
    assert stored != pytest.approx(Labelling.of(config, takes, 16).thresholds["time"], rel=1e-6)


def test_windows_have_the_labels_of_files_and_of_proxies(recordings: Path) -> None:
    config = Config(drop_first=0, scale=1.0, labels="labels.csv", proxies=("time",), spread=0, fill=0)
    takes = load_takes(config, recordings)
    labelling = Labelling.of(config, takes, 16)
    (dancer,) = takes[0].dancers
    time, weight = labelling.windows(dancer).T
    assert [name for name, _ in labelling.sets] == ["time", "weight"]
    assert time[0] == 0
    assert time.max() == 2
    assert weight[:45].tolist() == [0] * 45  # of 16 frames; those of two labels have none
    assert weight[45:60].tolist() == [labels.NONE] * 15
    assert weight[60:105].tolist() == [1] * 45
    later = labelling.windows(dancer[60:])[:, 1]
    assert later[:45].tolist() == [1] * 45


def test_an_evaluation_leaves_figures_pictures_films_and_clips_for_people(
    trained: Path, recordings: Path, tmp_path: Path
) -> None:
    arguments = ["labelled", str(trained / "last.ckpt"), "--data", str(recordings), "--judge-steps", "5"]
    assert evaluate.main([*arguments, "--out", str(tmp_path), "--seeds", "2"]) == 0
    figures = json.loads((tmp_path / "figures.json").read_text())["model"]
    assert set(evaluate_report.SHOWN) <= set(figures)
    assert figures["human_recognised_percent"] is None
    assert 0.0 <= figures["label_recognised_percent"] <= 100.0
    assert figures["kl_nats"] > 0.0
    for left in (
        "latent.png",
        "entanglement.png",
        "confusion.png",
        "reconstruction.gif",
        "one_z_time.gif",
        "judge.ckpt",
    ):
        assert (tmp_path / left).is_file()
    filled = tmp_path / "filled.csv"
    key, blank = (
        list(csv.reader((tmp_path / f"blind/{name}.csv").read_text().splitlines())) for name in ("key", "blind")
    )
    assert [line[:2] for line in key] == [line[:2] for line in blank]
    assert {line[2] for line in blank[1:]} == {""}
    filled.write_text("\n".join(",".join(line) for line in key))
    judged = ["--judge", str(tmp_path / "judge.ckpt"), "--returned", str(filled), "--no-pictures", "--seeds", "1"]
    assert evaluate.main([*arguments, "--out", str(tmp_path), *judged]) == 0
    assert json.loads((tmp_path / "figures.json").read_text())["model"]["human_recognised_percent"] == 100.0


def test_a_scorecard_has_the_same_figures_of_any_recordings(trained: Path, recordings: Path, tmp_path: Path) -> None:
    evaluation = ["labelled", str(trained / "last.ckpt"), "--data", str(recordings), "--judge-steps", "5"]
    assert evaluate.main([*evaluation, "--out", str(tmp_path), "--seeds", "1", "--no-pictures"]) == 0
    arguments = ["labelled", str(trained / "last.ckpt"), "--takes", *map(str, sorted(recordings.glob("[ab].bvh")))]
    arguments += ["--labels", str(recordings / "labels.csv"), "--judge", str(tmp_path / "judge.ckpt"), "--seeds", "1"]
    assert scorecard.main([*arguments, "--json", str(tmp_path / "scorecard.json")]) == 0
    figures = json.loads((tmp_path / "scorecard.json").read_text())["model"]
    assert (figures["takes"], figures["takes_seen"], figures["takes_judged"]) == (2.0, 1.0, 1.0)
    assert figures["label_recognised_percent"] >= 0.0
    assert figures["reconstruction_mm"] > 0.0


def test_wandb_is_given_names_figures_and_films(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    out = tmp_path / "mine"
    names = {"entity": "us", "project": "dances", "run_name": "first"}
    plan = _plan(tmp_path, {"epochs": 1, **names}, proxies=["time"])
    assert _train(plan, recordings, out, "--logger", "wandb") == 0
    arguments = ["labelled", str(out / "last.ckpt"), "--data", str(recordings), "--judge-steps", "5", "--seeds", "1"]
    assert evaluate.main([*arguments, "--logger", "wandb"]) == 0
    for folder, held in ((out, "epoch/total"), (out / "evaluation", "one_z_time.gif")):
        (written,) = (folder / "wandb").glob("offline-run-*/run-*.wandb")
        content = written.read_bytes()
        assert all(part.encode() in content for part in (*names.values(), held)), folder


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"labels": "gone.csv"}, "gone.csv"),
        ({"labels": "odd.csv"}, "odd.csv:2: there is no take 'z'; there are: a.bvh, b.bvh, c.bvh, d.bvh"),
        ({"labels": "labels.csv", "orders": {"weight": ["light"]}}, "weight has no 'strong'"),
        ({"labels": "labels.csv", "orders": {"weight": ["light", "strong", "none"]}}, "is labelled 'none'"),
        ({"labels": "held.csv"}, "no window of the takes trained on is labelled 'strong'"),
        ({"proxies": ["tiem"]}, "no proxy 'tiem'; there are: time, space"),
        ({"labels": "time.csv", "proxies": ["time"]}, "'time' is a label set of time.csv and a proxy"),
        ({"share": 1.5}, "share 1.5 must be from 0 to 1"),
        ({"proxies": ["time"], "spread": 8}, "spread 8 must be less than half of a window, which has 16 frames"),
    ],
)
def test_labels_that_make_no_sense_are_told(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], data: dict[str, object], said: str
) -> None:
    labels.write(recordings / "odd.csv", [Label("z", 0.0, 2.0, "weight", "light")])
    labels.write(recordings / "time.csv", [Label("a", 0.0, 2.0, "time", "low")])
    held = [Label("a", 0.0, 2.0, "weight", "strong"), Label("b", 0.0, 2.0, "weight", "light")]  # fold 1/4 holds out a
    labels.write(recordings / "held.csv", held)
    assert _train(_plan(tmp_path, **data), recordings, tmp_path / "out") == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("data", [{}, {"proxies": ["time"], "share": 0.0}])
def test_without_labels_there_is_a_partner_without_dials(
    recordings: Path, tmp_path: Path, data: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "plain"
    assert _train(_plan(tmp_path, **data), recordings, out, "--epochs", "1") == 0
    assert not [param for param in OnnxModel(out / "plain.onnx").manifest.params if param.names]
    assert evaluate.main(["labelled", str(out / "last.ckpt"), "--data", str(recordings)]) == 1
    assert "trained without labels" in capsys.readouterr().err


def test_a_set_may_have_any_number_of_labels(recordings: Path, tmp_path: Path) -> None:
    names = ("a", "b", "c", "d", "e")
    parts = [Label(take, 1.2 * n, 1.2 * (n + 1), "part", name) for take in "abcd" for n, name in enumerate(names)]
    halves = [Label(take, 3.0 * n, 3.0 * (n + 1), "half", name) for take in "abcd" for n, name in enumerate(("1", "2"))]
    labels.write(recordings / "many.csv", parts + halves)
    out = tmp_path / "many"
    assert _train(_plan(tmp_path, labels="many.csv", proxies=["space"]), recordings, out, "--epochs", "1") == 0
    dials = {param.name: param.names for param in OnnxModel(out / "many.onnx").manifest.params if param.names}
    assert dials == {"label/half": ("1", "2"), "label/part": names, "label/space": ("low", "medium", "high")}
    arguments = ["labelled", str(out / "last.ckpt"), "--data", str(recordings), "--judge-steps", "5", "--seeds", "1"]
    assert evaluate.main(arguments) == 0
    assert {path.name for path in (out / "evaluation").glob("one_z_*.gif")} == {
        "one_z_half.gif",
        "one_z_part.gif",
        "one_z_space.gif",
    }


def test_labels_that_came_later_are_left_out_of_an_evaluation(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = recordings / "grows.csv", tmp_path / "mine"
    given = labels.read(recordings / "labels.csv")
    labels.write(file, given)
    assert _train(_plan(tmp_path, labels="grows.csv"), recordings, out, "--epochs", "1") == 0
    later = [Label("a", 5.5, 6.0, "mood", "odd"), Label("a", 5.0, 5.5, "flow", "free")]
    labels.write(file, [*given, *later])
    arguments = ["labelled", str(out / "last.ckpt"), "--data", str(recordings), "--judge-steps", "2", "--seeds", "1"]
    assert evaluate.main([*arguments, "--no-pictures"]) == 0
    assert "not trained with are left out: flow free, mood odd" in capsys.readouterr().out


def test_of_few_labels_every_batch_has_some(recordings: Path) -> None:
    takes = load_takes(Config(drop_first=0, scale=1.0), recordings)
    dancers = [dancer for take in takes for dancer in take.dancers]
    given = [np.full((len(dancer) - 15, 1), labels.NONE) for dancer in dancers]
    given[1][20:23] = 1
    batch = Windows(dancers, given, 16, mirror=True).gather(torch.arange(12))
    assert (batch["labels"] == labels.NONE).all()
    assert batch["known_labels"].tolist() == [[1]] * 12
    moves = pose.moves(dancers[1].root, dancers[1].rotations, 30.0)
    for number, window in enumerate(batch["known_moves"]):
        assert torch.equal(window, moves[20 + number % 3 :][:16])


def test_tiles_are_those_in_which_a_label_is_nearly_alone() -> None:
    random = torch.Generator().manual_seed(0)
    plane = torch.randn(400, 2, generator=random) + torch.tensor([4.0, 0.0]) * (torch.arange(400) % 2)[:, None]
    own = torch.arange(400) % 2 == 1
    good, size = _good_tiles(plane, own, 0.5, 3, 0.8)
    for tile in good:
        inside = (torch.floor(plane / size) == tile).all(dim=1)
        assert (inside & own).sum() > 3
        assert (inside & own).sum() > 0.8 * inside.sum()
    assert good[:, 0].min() >= 2.0 / size - 2.0  # where the label is
    few, larger = _good_tiles(plane[:40], own[:40], 0.01, 3, 0.8)  # too few for tiles of 0.01
    assert len(few)
    assert larger > 0.1
    assert not len(_good_tiles(plane, torch.zeros(400, dtype=torch.bool), 0.5, 3, 0.8)[0])


def test_confusion_counts_truth_by_rows() -> None:
    predicted, truth = torch.tensor([0, 1, 1, 2, 0]), torch.tensor([0, 1, 2, 2, -1])
    assert confusion(predicted, truth, 3).tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 1]]


def test_the_variance_between_labels_is_all_where_they_decide() -> None:
    labelled = torch.arange(300) % 3
    values = torch.stack([labelled.float(), torch.randn(300, generator=torch.Generator().manual_seed(0))], dim=1)
    shares = between(values, labelled, 3)
    assert shares[0] == pytest.approx(1.0)
    assert shares[1] < 0.05


def test_clips_for_people_are_what_was_drawn(tmp_path: Path) -> None:
    model = fitted()
    labels_asked = model.choices[torch.arange(6)]
    drawn = Drawn(model.generate(torch.randn(6, 24), labels_asked)[0], labels_asked)
    evaluate_report.blind(tmp_path, model, drawn)
    key = evaluate_report._read(tmp_path / "key.csv")
    assert len(key) == 12
    assert len(list(tmp_path.glob("*.bvh"))) == 6
    assert evaluate_report.agreement(tmp_path / "key.csv", tmp_path / "key.csv") == 100.0
    typed = tmp_path / "typed.csv"
    typed.write_text("clip,label set,label\n000.bvh,time,hihg\n")
    with pytest.raises(ValueError, match=r"000\.bvh has the time 'hihg'; it is one of high, low, medium"):
        evaluate_report.agreement(typed, tmp_path / "key.csv")


def test_windows_of_recordings_are_those_of_their_frames(recordings: Path) -> None:
    config = Config(drop_first=0, scale=1.0, proxies=("time",))
    takes = load_takes(config, recordings)
    labelling = Labelling.of(config, takes, 16)
    real = Real.of(takes[:1], labelling, 7)
    (dancer,) = takes[0].dancers
    moves = pose.moves(dancer.root, dancer.rotations, 30.0)
    assert torch.equal(real.moves[3], moves[21:37])
    assert real.labels[:, 0].tolist() == labelling.windows(dancer)[::7, 0].tolist()


def test_a_checkpoint_of_another_version_says_what_it_lacks() -> None:
    stored = describe("labelled", fitted())
    del stored["weights"]["decoder.basis.mix"]
    with pytest.raises(ValueError, match=r"it lacks decoder\.basis\.mix, and has nothing more; train it"):
        rebuild(stored)


def test_where_nobody_labelled_what_is_held_out_figures_are_missing_and_no_more() -> None:
    model, windows = fitted(), 24
    moves = small_batch(model, windows)["moves"][:, : model.config.window]
    real = Real(moves, torch.full((windows, 2), NONE), torch.zeros(windows, dtype=torch.long))
    drawn = draw(model, torch.Generator().manual_seed(0), 6)
    judge = Judge(evaluate_judge.Config(model.config.label_sets))
    assert all(np.isnan(value) for value in spread(judge, real, drawn).values())
