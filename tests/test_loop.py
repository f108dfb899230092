"""The training loop: it improves, stops and goes on exactly, keeps what is good, and refuses what does not belong."""

import csv
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric import Fabric

from made_up_takes import made_up_pair
from motion.skeleton import HUMANOID
from training import checkpoint, history, loop
from training.diverged import Diverged
from training.models import duet, load_checkpoint
from training.windows import Windows

MODEL = duet.Config(placement_width=16, pose_width=16, code=4, latent=2)
TRAINING = loop.Config(epochs=2, batch_size=64)
FABRIC = Fabric(accelerator="cpu", devices=1)


def _windows(pairs: int = 1) -> Windows:
    takes = [made_up_pair(f"take {number}", seconds=2.0) for number in range(pairs)]
    return Windows(takes, MODEL.lags, MODEL.horizons, stride=2, swap_roles=True, fresh_share=0.2)


def _train(
    out: Path,
    config: loop.Config = TRAINING,
    windows: Any = None,
    model: duet.Config = MODEL,
    change: Callable[[duet.Duet], None] = lambda network: None,
    **more: Any,
) -> torch.Tensor:
    """All weights after training a small duet on made-up takes."""
    windows = windows or _windows()
    torch.manual_seed(0)
    network = duet.Duet(model, HUMANOID)
    network.fit_statistics(loop.some(windows, 200, 0))
    change(network)
    loop.train("duet", network, windows, _windows(), config, out, FABRIC, **more)
    return torch.cat([weights.detach().flatten() for weights in network.parameters()])


class _Spoiled:
    """The same windows; what `spoil` does happens when batch number `at` (from 0) is gathered."""

    def __init__(self, windows: Windows, at: int, spoil: Callable[[dict], None]) -> None:
        self.windows, self.at, self.spoil, self.origin = windows, at, spoil, windows.origin
        self.batches = 0

    def __len__(self) -> int:
        return len(self.windows)

    def gather(self, numbers: torch.Tensor) -> dict[str, torch.Tensor]:
        batch = self.windows.gather(numbers)
        if len(numbers) == TRAINING.batch_size:
            if self.batches == self.at:
                self.spoil(batch)
            self.batches += 1
        return batch


def test_a_stopped_run_continues_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    whole = _train(tmp_path / "whole")
    stopping = _Spoiled(_windows(), 1, lambda _: signal.raise_signal(signal.SIGINT))
    with pytest.raises(loop.Stopped, match=r"epoch 0, batch 2.*last\.ckpt"):
        _train(tmp_path / "parts", windows=stopping)
    assert torch.equal(_train(tmp_path / "parts", resume=True), whole)
    lines = [history.read(tmp_path / part) for part in ("whole", "parts")]
    for line in (line for run in lines for line in run):
        del line["seconds"]
    assert lines[0] == lines[1]


def test_training_improves_and_leaves_its_history(tmp_path: Path) -> None:
    _train(tmp_path, replace(TRAINING, epochs=5, learning_rate=1e-2))
    lines = history.read(tmp_path)
    assert {"epoch", "total", "root", "facing", "pose", "held_out_pose", "seconds"} <= lines[0].keys()
    assert lines[-1]["total"] < lines[0]["total"]
    assert history.plot(tmp_path).stat().st_size > 1000


def test_what_is_held_out_is_looked_at_at_its_interval_and_at_the_end(tmp_path: Path) -> None:
    _train(tmp_path, replace(TRAINING, epochs=3, held_out_interval=2))
    assert ["held_out_pose" in line for line in history.read(tmp_path)] == [False, True, True]


def test_a_checkpoint_rebuilds_the_model_alone(tmp_path: Path) -> None:
    weights = _train(tmp_path, replace(TRAINING, epochs=1))
    model = load_checkpoint(tmp_path / "last.ckpt")
    assert torch.equal(torch.cat([values.flatten() for values in model.parameters()]), weights)
    assert model.config == MODEL


def test_nan_in_a_recording_stops_with_its_take_and_frame(tmp_path: Path) -> None:
    windows = _windows(pairs=2)
    windows._root[:, 240 + 100] = torch.nan  # in take 1, which begins at 240
    with pytest.raises(Diverged, match=r"the loss is nan in epoch 1, batch 1: .*take 1, frame \d+.*no checkpoint") as e:
        _train(tmp_path, windows=_Spoiled(windows, -1, lambda _: None), change=_know_statistics)
    assert "the recording itself" in str(e.value)
    assert "take 0" not in str(e.value)


def _know_statistics(network: duet.Duet) -> None:
    """As fitted on a good recording."""
    network.fit_statistics(loop.some(_windows(), 200, 0))


def test_the_last_good_checkpoint_is_kept_when_weights_run_away(tmp_path: Path) -> None:
    def spoil(network: duet.Duet) -> None:
        network.start_epoch = lambda epoch: network.decoder.bias.data.fill_(torch.inf) if epoch else None

    with pytest.raises(
        Diverged, match=r"epoch 2, batch 1: every window.*take 0, frame.*last good checkpoint is .*last"
    ):
        _train(tmp_path, change=spoil)
    stored = checkpoint.read(tmp_path / "last.ckpt")
    assert stored["run"]["at"] == {"epoch": 1, "batch": 0}
    assert all(bool(torch.isfinite(values).all()) for values in stored["weights"].values())


def test_checkpoints_come_at_their_interval_and_are_kept_when_asked(tmp_path: Path) -> None:
    _train(tmp_path, replace(TRAINING, epochs=5, save_interval=2, keep_saved=True))
    assert sorted(path.name for path in tmp_path.glob("*.ckpt")) == [
        "epoch-00002.ckpt",
        "epoch-00004.ckpt",
        "epoch-00005.ckpt",
        "last.ckpt",
    ]
    assert load_checkpoint(tmp_path / "epoch-00002.ckpt").config == MODEL


@pytest.mark.parametrize(
    ("config", "model", "seed", "message"),
    [
        (replace(TRAINING, learning_rate=1.0), MODEL, 0, "learning_rate was 0.002, not 1.0"),
        (replace(TRAINING, epochs=9), MODEL, 0, "epochs was 2, not 9"),
        (TRAINING, replace(MODEL, latent=3), 0, "another model: latent was 2, not 3"),
        (TRAINING, MODEL, 5, "seed was 0, not 5"),
    ],
)
def test_another_run_is_not_resumed(
    tmp_path: Path, config: loop.Config, model: duet.Config, seed: int, message: str
) -> None:
    _train(tmp_path)
    with pytest.raises(ValueError, match=message):
        _train(tmp_path, config, model=model, seed=seed, resume=True)


def test_a_run_without_a_planned_end_may_be_longer(tmp_path: Path) -> None:
    plan = replace(TRAINING, schedule="step", schedule_epochs=1)
    _train(tmp_path / "short", plan)
    longer = _train(tmp_path / "short", replace(plan, epochs=3), resume=True)
    assert torch.equal(longer, _train(tmp_path / "long", replace(plan, epochs=3)))


def test_a_checkpoint_of_another_kind_or_format_is_refused_by_name(tmp_path: Path) -> None:
    _train(tmp_path)
    stored = checkpoint.read(tmp_path / "last.ckpt")
    torch.save({**stored, "kind": "deepfake"}, tmp_path / "last.ckpt")
    with pytest.raises(ValueError, match="a checkpoint of 'deepfake', not of 'duet'"):
        _train(tmp_path, resume=True)
    torch.save({**stored, "format": 99}, tmp_path / "last.ckpt")
    with pytest.raises(ValueError, match="of format 99"):
        load_checkpoint(tmp_path / "last.ckpt")
    torch.save({**stored, "kind": "waltz"}, tmp_path / "last.ckpt")
    with pytest.raises(ValueError, match=r"a checkpoint of 'waltz'; known: duet"):
        load_checkpoint(tmp_path / "last.ckpt")


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.ckpt").write_bytes(b"no checkpoint")
    for path in (tmp_path / "x.ckpt", tmp_path / "absent.ckpt"):
        with pytest.raises(ValueError, match="no checkpoint"):
            load_checkpoint(path)


def test_a_part_starts_from_stored_weights(tmp_path: Path) -> None:
    _train(tmp_path)
    torch.manual_seed(9)
    network, stored = duet.Duet(MODEL, HUMANOID), load_checkpoint(tmp_path / "last.ckpt")
    before = network.pose[1].weight.clone()
    checkpoint.init_from(
        network, {"placement": f"{tmp_path / 'last.ckpt'}", "decoder": f"{tmp_path / 'last.ckpt'}#decoder"}
    )
    assert torch.equal(network.placement[1].weight, stored.placement[1].weight)
    assert torch.equal(network.decoder.bias, stored.decoder.bias)
    assert torch.equal(network.pose[1].weight, before)


@pytest.mark.parametrize(
    ("part", "there", "message"),
    [
        ("encodr", "placement", "no part 'encodr'; it has: placement, pose"),
        ("pose", "dance", "a 'duet', has no part 'dance'; it has: .*placement"),
        ("pose", "placement", r"1\.weight is \(16, .*\) there, \(16, .*\) here"),
    ],
)
def test_stored_weights_that_do_not_fit_are_refused(tmp_path: Path, part: str, there: str, message: str) -> None:
    _train(tmp_path, replace(TRAINING, epochs=1))
    with pytest.raises(ValueError, match=message):
        checkpoint.init_from(duet.Duet(MODEL, HUMANOID), {part: f"{tmp_path / 'last.ckpt'}#{there}"})


def test_every_batch_is_logged_when_asked_and_a_resumed_run_carries_on(tmp_path: Path) -> None:
    config = replace(TRAINING, log_interval=2, schedule="constant")
    _train(tmp_path, config)
    _train(tmp_path, replace(config, epochs=3), resume=True)
    with open(tmp_path / "batches.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [int(line["batch"]) for line in lines] == list(range(2, len(_windows()) // 64 * 3 + 1, 2))
    assert all(float(line["total"]) > 0 for line in lines)


def test_tensorboard_gets_every_figure(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    _train(tmp_path, replace(TRAINING, log_interval=1), logger="tensorboard")
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert {"batch/total", "epoch/total", "epoch/held_out_root"} <= set(events.Tags()["scalars"])
    written = [event.value for event in events.Scalars("epoch/total")]
    assert written == pytest.approx([line["total"] for line in history.read(tmp_path)])


@pytest.mark.parametrize(
    ("schedule", "after"), [("cosine", 0.0), ("step", 0.01), ("exponential", 0.01), ("constant", 1.0)]
)
def test_the_rate_ends_where_its_schedule_says(tmp_path: Path, schedule: str, after: float) -> None:
    config = replace(TRAINING, schedule=schedule, schedule_epochs=1, schedule_factor=0.1)
    _train(tmp_path, config)
    stored = checkpoint.read(tmp_path / "last.ckpt")
    rate = stored["run"]["optimizer"]["param_groups"][0]["lr"]
    assert rate == pytest.approx(after * config.learning_rate, abs=1e-4 * config.learning_rate)
