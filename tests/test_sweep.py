"""Sweeps: they search what the file says, go on where they stopped, and leave a config that trains."""

import csv
import signal
from pathlib import Path

import optuna
import pytest
import yaml

from made_up_takes import made_up_pair
from training import dataset, sweep, train
from training.windows import Windows

SMALL = {"placement_width": 16, "pose_width": 16, "code": 4, "latent": 2}
SPACE = {
    "metric": "held_out_root",
    "space": {
        "training.learning_rate": {"low": 1.0e-4, "high": 1.0e-2, "log": True},
        "model.latent": {"low": 2, "high": 6, "step": 2},
        "model.lags": {"choices": [[0.2], [0.2, 0.5]]},
    },
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A config, a space, and made-up takes instead of recordings."""
    pairs = [made_up_pair(f"take {number}", seconds=1.5) for number in range(2)]
    monkeypatch.setattr(dataset, "load_pairs", lambda *_, **__: pairs)
    config = {"data": {"test_share": 0.4}, "model": SMALL, "training": {"epochs": 2, "batch_size": 128, "stride": 1}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "space.yaml").write_text(yaml.safe_dump(SPACE))
    return tmp_path


def _sweep(folder: Path, trials: int) -> int:
    files = ["duet", str(folder / "config.yaml"), str(folder / "space.yaml")]
    return sweep.main([*files, "--data", str(folder), "--out", str(folder / "out"), "--trials", str(trials)])


def _study(folder: Path) -> optuna.Study:
    return optuna.load_study(study_name="duet", storage=sweep.storage(folder / "out"))


def test_a_sweep_leaves_the_best_config_and_goes_on_with_more_trials(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _sweep(folder, 2) == 0
    assert _sweep(folder, 3) == 0
    assert f"training.train duet {folder / 'out/best.yaml'}" in capsys.readouterr().out.splitlines()[-1]
    study = _study(folder)
    assert len(study.trials) == 3
    assert len({trial.params["training.learning_rate"] for trial in study.trials}) == 3
    with open(folder / "out/trials.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    best = train.read_config("duet", folder / "out/best.yaml")
    assert float(rows[0]["held_out_root"]) == min(float(row["held_out_root"]) for row in rows) == study.best_value
    assert float(rows[0]["training.learning_rate"]) == best["training"].learning_rate
    assert rows[0]["model.lags"] == str(list(best["model"].lags))
    assert best["model"].latent in (2, 4, 6)
    assert best["model"].placement_width == 16


def test_a_sweep_that_was_stopped_goes_on_in_the_middle_of_its_trial(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gather, gathered = Windows.gather, []

    def interrupted(windows: Windows, numbers: object) -> object:
        gathered.append(len(numbers))
        if len(gathered) == 10:
            signal.raise_signal(signal.SIGINT)
        return gather(windows, numbers)

    monkeypatch.setattr(Windows, "gather", interrupted)
    assert _sweep(folder, 1) == 130
    (running,) = _study(folder).trials
    before = len(gathered)
    assert _sweep(folder, 1) == 0
    stopped, resumed = _study(folder).trials
    assert resumed.params == stopped.params == running.params
    assert resumed.user_attrs["folder"] == stopped.user_attrs["folder"]
    assert stopped.state.name == "FAIL"
    assert len(gathered) - before == 4  # statistics, two batches, held-out takes: what was left of ten batches


def test_a_trial_whose_loss_is_no_number_is_given_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space = {"space": {"training.learning_rate": {"choices": [1.0e-3, 1.0e30]}}, "metric": "total"}
    (folder / "space.yaml").write_text(yaml.safe_dump(space))
    assert _sweep(folder, 4) == 0
    states = {trial.params["training.learning_rate"]: trial.state.name for trial in _study(folder).trials}
    assert states == {0: "COMPLETE", 1: "PRUNED"}


def test_every_fault_of_a_space_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    space = {"model.latnet": {"low": 1, "high": 2}, "model.code": {"low": 4}, "model.latent": {"low": 3, "high": 1}}
    space["training.learning_rate"] = {"low": 0.0, "high": 1.0, "log": True}
    path.write_text(yaml.safe_dump({"metrics": "root", "space": space}))
    with pytest.raises(ValueError, match="latnet") as error:
        sweep.read_space("duet", path)
    for expected in (
        "unknown key 'metrics'; did you mean metric?",
        "unknown key 'model.latnet'; did you mean model.latent?",
        "model.code: either low and high or choices",
        "model.latent: low must be below high, not 3",
        "log needs a low above 0",
    ):
        assert expected in str(error.value)


def test_a_metric_that_is_not_there_is_refused_with_those_that_are(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "space.yaml").write_text(yaml.safe_dump(SPACE | {"metric": "held_out_rot"}))
    assert _sweep(folder, 1) == 1
    assert "metric 'held_out_rot' is no column of history.csv; it has epoch, total" in capsys.readouterr().err
