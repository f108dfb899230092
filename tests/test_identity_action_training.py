"""Both stages of identity_action by one command: they are trained, resumed and refused; what they leave can be seen."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from identity_models import SMALL, recordings
from training import train
from training.identity_checkpoints import opened
from training.models import identity_takes, load_checkpoint, read_checkpoint
from training.results import identity_action as results

PLAN = {"epochs": 1, "windows": 8, "batch_size": 4}


def _fit(folder: Path, *more: str, model: dict[str, Any] | None = None, **training: Any) -> Path:
    """The checkpoint after training on recordings that lie in the folder."""
    sections = {
        "data": {"names": ["{action}_{identity}_*.bvh"], "drop_first": 0, "shortest": 16},
        "model": {**SMALL, **(model or {})},
        "training": {**PLAN, "stage2": PLAN, "schedule": "constant", **training},
    }
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(sections))
    options = ["identity_action", str(config), "--data", str(folder / "data"), "--out", str(folder / "run"), *more]
    return train.fit(train.parser().parse_args([*options, "--cache", str(folder / "cache")]))[1]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with recordings and a run on them; for everybody, so it must be left as it is."""
    folder = tmp_path_factory.mktemp("identity_action")
    recordings(folder / "data")
    _fit(folder)
    return folder


@pytest.fixture
def own(trained: Path, tmp_path: Path) -> Path:
    """The same for one test alone."""
    return Path(shutil.copytree(trained, tmp_path / "own"))


def test_one_command_trains_both_stages_and_the_second_keeps_the_first(trained: Path) -> None:
    first, whole = (load_checkpoint(trained / "run" / place) for place in ("stage1/last.ckpt", "last.ckpt"))
    assert (first.config.stage, whole.config.stage) == (1, 2)
    assert whole.config.identities == ("ada", "bob")
    assert torch.equal(first.frames.layers[0].weight, whole.frames.layers[0].weight)


@pytest.mark.parametrize("kept", ["stage1", "both"])
def test_a_run_goes_on_in_the_stage_it_was_in(own: Path, kept: str, capsys: pytest.CaptureFixture[str]) -> None:
    plain = read_checkpoint(own / "run" / "last.ckpt")["weights"]
    if kept == "stage1":
        (own / "run" / "last.ckpt").unlink()
    again = read_checkpoint(_fit(own, "--resume"))["weights"]
    assert ("epoch 1" in capsys.readouterr().out) == (kept == "stage1")
    assert all(torch.equal(plain[name], again[name]) for name in plain)


def test_a_run_goes_on_more_slowly_where_that_is_asked_for(own: Path) -> None:
    _fit(own, "--resume", epochs=2, resume_rate=0.1)
    stored = torch.load(own / "run" / "stage1" / "last.ckpt", weights_only=True)
    assert stored["run"]["optimizer"]["param_groups"][0]["lr"] == pytest.approx(1e-4)


def test_a_second_stage_may_begin_from_a_first_of_elsewhere(own: Path) -> None:
    first = (own / "run").rename(own / "elsewhere") / "stage1" / "last.ckpt"
    load_checkpoint(_fit(own, stage1=str(first)))
    assert not (own / "run" / "stage1").exists()


def test_a_first_stage_of_other_sizes_is_refused_by_name(own: Path, trained: Path) -> None:
    with pytest.raises(ValueError, match=r"frames does not fit frames of .*stage1.*there, \(24"):
        _fit(own, stage1=str(trained / "run" / "stage1" / "last.ckpt"), model={"hidden": 24})


def test_a_first_stage_of_other_people_is_refused_by_name(own: Path, trained: Path) -> None:
    for path in (own / "data").glob("*_bob_*"):
        path.rename(path.with_name(path.name.replace("bob", "eve")))
    with pytest.raises(ValueError, match="knows the identities ada, bob; the recordings have ada, eve"):
        _fit(own, stage1=str(trained / "run" / "stage1" / "last.ckpt"))


def _without_tempo(path: Path) -> str:
    """A checkpoint from before there was a tempo."""
    stored = torch.load(path, weights_only=True)
    weights = {name: weight for name, weight in stored["weights"].items() if not name.startswith("tempo.")}
    torch.save({**stored, "weights": weights}, path)
    return str(path)


def test_an_older_first_stage_is_refused_as_one_and_serves_where_there_is_no_tempo(own: Path) -> None:
    first = _without_tempo((own / "run").rename(own / "elsewhere") / "stage1" / "last.ckpt")
    with pytest.raises(ValueError, match="is a stage 1 from before swaps had a tempo: train it again"):
        _fit(own, stage1=first)
    load_checkpoint(_fit(own, stage1=first, model={"action_loss": 0.0}))


def test_a_checkpoint_that_lacks_weights_is_refused_by_its_name(own: Path) -> None:
    path = own / "run" / "last.ckpt"
    opened(Path(_without_tempo(path)), {"identity_action": identity_takes.Config})
    stored = torch.load(path, weights_only=True)
    del stored["weights"]["usual.weight"]
    torch.save(stored, path)
    with pytest.raises(ValueError, match=r"last\.ckpt: .* they lack usual\.weight$"):
        opened(path, {"identity_action": identity_takes.Config})


def test_what_a_model_makes_of_recordings_can_be_seen(trained: Path, tmp_path: Path) -> None:
    options = [str(trained / "run" / "last.ckpt"), "--data", str(trained / "data"), "--out", str(tmp_path)]
    lines = results.run(results.parser().parse_args([*options, "--pairs", "1"]))
    made = {path.name for path in tmp_path.iterdir()}
    shown = {f"{name}_1.gif" for name in ("reconstruct", "swap", "swap_frames", "transfer", "vary", "generate")}
    assert made >= {*shown, "sample.gif", "swap_1_4.bvh"}
    codes = np.load(tmp_path / "codes.npz")
    assert (codes["s"].shape, codes["d"].shape) == ((8, 3), (8, 4))
    assert set(codes["identity"]) == {"ada", "bob"}
    assert "8 recordings" in lines[0]
