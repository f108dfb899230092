"""The identity and action model on films: its parts, both stages from a preset, what is to be seen, its scorecard."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from training import config, scorecard, train
from training.models import MODELS, load_checkpoint
from training.models.identity_action_images import Config, ImageFrames
from training.results import identity_films

KIND = "identity_action_images"
PRESETS = Path(__file__).resolve().parents[1] / "presets/training"
SMALL = {"side": 16, "widths": [4, 4, 8], "features": 16}
MODEL = {"images": SMALL, "window": 20, "decoded": 5, "experts": 5, "latent": 3, "dynamics": 3, "hidden": 16}
MODEL |= {"rnn": 8, "dynamics_rnn": 8, "rnn_layers": 1, "rollout": 8, "frame_kl": {"start": 0.1, "end": 0.1}}
STAGE = {"epochs": 3, "windows": 320, "batch_size": 16, "learning_rate": 0.01}
TRAINING = {**STAGE, "stage2": STAGE}
QUICK = {"epochs": 1, "windows": 16, "batch_size": 8, "stage2": {"epochs": 1, "windows": 16, "batch_size": 8}}


def _frames(**more: object) -> ImageFrames:
    torch.manual_seed(0)
    return ImageFrames(Config(side=32, widths=(4, 4, 8), features=16, **more), latent=3, experts=2)


def _plan(folder: Path, training: dict, **data: object) -> str:
    sections = {"data": {"side": 16, **data}, "model": MODEL, "training": training}
    (folder / "plan.yaml").write_text(yaml.safe_dump(sections))
    return str(folder / "plan.yaml")


def _train(folder: Path, *more: str, training: dict = QUICK, **data: object) -> int:
    return train.main([KIND, _plan(folder, training, **data), "--out", str(folder / "run"), *more])


@pytest.fixture(scope="module")
def pendulums(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run on few pendulums."""
    folder = tmp_path_factory.mktemp("pendulums")
    assert (
        _train(folder, training=TRAINING, pendulums={"each": 2, "steps": 24}, unseen=[["red", "slow"]], test_share=0.4)
        == 0
    )
    return folder / "run"


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_pictures_are_read_and_drawn_in_their_shapes(likelihood: str) -> None:
    frames, x = _frames(likelihood=likelihood), torch.rand(2, 5, 3, 32, 32)
    read, made = frames.encode(x), frames.decode(torch.randn(2, 5, 3), torch.tensor([[1.0, 0.0], [0.3, 0.7]]))
    assert read.shape == (2, 5, frames.width)
    assert made.shape == x.shape
    assert frames.nats(made, x).shape == (2, 5)
    assert 0.0 <= frames.finish(made).min() <= frames.finish(made).max() <= 1.0


def test_the_likelihoods_are_those_of_their_distributions() -> None:
    made, x = torch.randn(1, 2, 1, 4, 4), torch.rand(1, 2, 1, 4, 4).round()
    frames = _frames(likelihood="bernoulli")
    wanted = -torch.distributions.Bernoulli(logits=made).log_prob(x).flatten(2).sum(dim=2)
    torch.testing.assert_close(frames.nats(made, x), wanted)
    frames = _frames(likelihood="gaussian", deviation=0.3)
    normal = torch.distributions.Normal(made, 0.3)
    wanted = (normal.log_prob(made) - normal.log_prob(x)).flatten(2).sum(dim=2)
    torch.testing.assert_close(frames.nats(made, x), wanted)


def test_a_blend_of_experts_is_one_network_for_each_sequence() -> None:
    frames, z = _frames(), torch.randn(2, 4, 3)
    for parameter in frames.layers.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    s = torch.tensor([[0.2, 0.8], [0.9, 0.1]])
    apart = torch.cat([frames.decode(z[:1], s[:1]), frames.decode(z[1:], s[1:])])
    torch.testing.assert_close(frames.decode(z, s), apart, atol=1e-5, rtol=1e-4)  # measured 4e-7
    assert (frames.decode(z, s.flip(0)) - apart).abs().max() > 1e-3


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_the_first_picture_that_is_drawn_has_the_usual_colours(likelihood: str) -> None:
    frames, x = (
        _frames(likelihood=likelihood),
        torch.rand(3, 2, 3, 32, 32) * torch.tensor([0.2, 0.5, 1.0])[:, None, None],
    )
    frames.fit(x)
    for layer in frames.layers:
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.weights)
    drawn = frames.finish(frames.decode(torch.randn(1, 1, 3), torch.tensor([[0.5, 0.5]])))
    torch.testing.assert_close(drawn.mean(dim=(0, 1, 3, 4)), x.mean(dim=(0, 1, 3, 4)))


@pytest.mark.parametrize(
    ("more", "said"), [({"side": 40}, "side 40 must be a multiple of 16"), ({"deviation": 0.0}, "deviation 0")]
)
def test_sizes_that_cannot_be_are_refused(more: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Config(**more)


@pytest.mark.parametrize("name", ["pendulum", "sprites", "faces"])
def test_presets_are_understood(name: str) -> None:
    kind = MODELS[KIND]
    read = config.read(
        PRESETS / f"{KIND}_{name}.yaml", {"data": kind.data, "model": kind.config, "training": kind.training}
    )
    assert read["model"].images.side == read["data"].side


def test_both_stages_learn_something(pendulums: Path) -> None:
    for folder in (pendulums / "stage1", pendulums):
        with open(folder / "history.csv", newline="") as file:
            errors = [float(line["held_out_error"]) for line in csv.DictReader(file)]
        assert errors[-1] < errors[0]
    assert load_checkpoint(pendulums / "last.ckpt").config.identities == ("blue", "green", "red", "violet", "yellow")
    assert not list(pendulums.glob("*.onnx"))


def test_films_codes_and_periods_are_left_to_look_at(pendulums: Path, capsys: pytest.CaptureFixture) -> None:
    assert identity_films.main([str(pendulums / "last.ckpt"), "--length", "30"]) == 0
    results = pendulums / "results"
    names = {path.stem for path in results.glob("*.gif")}
    assert names == {"reconstruct", "generate", "swap", "swap_frames", "transfer", "vary", "sample"}
    codes = np.load(results / "codes.npz")
    assert len(codes["s"]) == len(codes["d"]) == len(codes["action"]) == 40
    assert json.loads((results / "periods.json").read_text())["pendulum_period_error_percent"] > 0.0
    assert "period error of 24 generated steps" in capsys.readouterr().out


def test_the_scorecard_judges_films_and_their_period(pendulums: Path, tmp_path: Path) -> None:
    arguments = ["identity_action", str(pendulums / "last.ckpt"), "--seeds", "1", "--judge-steps", "20"]
    assert scorecard.main([*arguments, "--json", str(tmp_path / "figures.json")]) == 0
    row = json.loads((tmp_path / "figures.json").read_text())["model"]
    assert row["pendulum_period_error_percent"] > 0.0
    assert row["reconstruction_mm"] is None
    assert 0.0 <= row["swap_identity"] <= 1.0


def test_a_set_of_files_trains_and_who_is_held_out_is_not_known(tmp_path: Path) -> None:
    labels = np.array([[who, what] for who in range(3) for what in range(2) for _ in range(3)])
    np.savez(tmp_path / "data.npz", np.random.default_rng(0).random((18, 24, 16, 16, 3)).astype(np.float32))
    np.savez(tmp_path / "labels.npz", labels)
    files = ["--images", str(tmp_path / "data.npz"), "--labels", str(tmp_path / "labels.npz")]
    assert _train(tmp_path, *files, test_identities=["2"]) == 0
    assert load_checkpoint(tmp_path / "run/last.ckpt").config.identities == ("0", "1")


@pytest.mark.parametrize(
    ("data", "more", "said"),
    [
        ({"side": 32}, (), "pictures are (3, 32, 32): images: {channels: 3, side: 32}"),
        ({"pendulums": {"each": 2, "steps": 12}}, (), "films have 12 frames, and model: window is 20"),
        ({"pendulums": {"each": 1}, "unseen": [["pink", "slow"]]}, (), "unseen: there is no 'pink' doing 'slow'"),
        ({}, ("--images", "x.npz"), "images 'x.npz' and labels '' go together"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture, data: dict, more: tuple, said: str
) -> None:
    assert _train(tmp_path, *more, **data) == 1
    assert said in capsys.readouterr().err


def test_recordings_need_a_folder_and_no_films(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    plan = str(PRESETS / "duet.yaml")
    assert train.main(["duet", plan, "--out", str(tmp_path)]) == 1
    assert "--data must name a folder of recordings" in capsys.readouterr().err
    assert train.main(["duet", plan, "--out", str(tmp_path), "--images", "x.npz", "--labels", "y.npz"]) == 1
    assert "--images and --labels are for films" in capsys.readouterr().err
