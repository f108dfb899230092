"""The training story, for every model: batch, loss, backward, clip, step, log, validate, save.

Runs on Lightning Fabric, so one CPU, one GPU and a cluster read the same. The windows of an epoch are shuffled alike in
every process and each takes its part of every batch; chance is keyed by window (training.noise), so the losses do not
depend on how many processes there are. A checkpoint holds the model whole (see training.checkpoint) and where the run
stood; a resumed run continues as if it had not stopped. Ctrl-C saves and stops; a loss that is no number stops too.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from tqdm import tqdm

from training import checkpoint, diverged, history, lstm, noise, schedules
from training.across import Sums, in_any, means_of
from training.loggers import LOGGERS, Logger, Names
from training.resume import restore

LAST = "last.ckpt"


@dataclass(frozen=True)
class Config:
    """How to train. batch_size is one process's; several processes make a batch of as many times that.

    init_from: parts of the model that start from stored weights, {encoder: runs/a/last.ckpt}; a part of another name
    is reached with a hash, {decoder1: runs/a/last.ckpt#decoder}. entity, project, run_name: of loggers.Names.
    """

    epochs: int = 44
    batch_size: int = 512
    learning_rate: float = 2e-3
    schedule: schedules.Schedule = "one_cycle"
    schedule_epochs: int = 100  # of `step` and `exponential`: after so many epochs the rate has ...
    schedule_factor: float = 0.316  # ... been multiplied by this
    weight_decay: float = 0.01
    clip_norm: float = 5.0
    lstm_precision: lstm.Precision = "float32"  # bfloat16 is faster on a CPU that has it; auto: where it has
    resume_rate: float = 1.0  # every --resume multiplies the learning rate by this, after a run that diverged
    save_interval: int = 1  # epochs between checkpoints
    held_out_interval: int = 1  # epochs between looks at what is held out
    keep_saved: bool = False  # also keep each of them, as epoch-00010.ckpt
    log_interval: int = 0  # batches between lines of the logger; 0: only epochs are logged
    init_from: dict[str, str] = field(default_factory=dict)
    entity: str = Names.entity
    project: str = Names.project
    run_name: str = Names.run_name

    def __post_init__(self) -> None:
        for name in (
            *("epochs", "batch_size", "learning_rate", "schedule_epochs", "schedule_factor"),
            *("save_interval", "held_out_interval"),
        ):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")

    @property
    def names(self) -> Names:
        return Names(self.entity, self.project, self.run_name)


class Stopped(Exception):
    """The run was asked to stop and has been saved."""


def train(
    kind: str,
    model: nn.Module,
    training: Any,
    held_out: Any,
    config: Config,
    out: Path,
    fabric: Fabric,
    seed: int = 0,
    resume: bool = False,
    about: dict[str, Any] | None = None,
    logger: str = "csv",
    watchers: Sequence[Logger] = (),
) -> Path:
    """Train `model` in place and return the path of its last checkpoint.

    training, held_out: windows with a length and `gather(numbers) -> batch`; held_out may be None. about: anything
    plain that the checkpoint should carry (data hashes, licence). watchers are told what the logger is told. Raises
    Stopped after Ctrl-C, Diverged when a loss or gradient is no number, and ValueError when `resume` finds no
    checkpoint of this run.
    """
    # 1. What is trained, how fast, and where an earlier run stood.
    out.mkdir(parents=True, exist_ok=True)
    size = config.batch_size * fabric.world_size
    per_epoch = max(len(training) // size, 1)
    optimizer = torch.optim.AdamW(
        model.parameters(), config.learning_rate, weight_decay=config.weight_decay, fused=fabric.device.type != "mps"
    )
    lstm.set_precision(model, config.lstm_precision)
    if fabric.is_global_zero and fabric.device.type == "cpu" and (said := lstm.sentence(model)):
        print(said)
    schedule = schedules.schedule(optimizer, config, per_epoch)
    at = {"epoch": 0, "batch": 0}
    lines: list[history.Line] = []
    sums = Sums()
    bare = model
    model, optimizer = fabric.setup(model, optimizer)
    model.mark_forward_method("loss")
    if resume:
        at, lines, sums = restore(out / LAST, kind, bare, optimizer, schedule, config, seed)
        schedules.scale(optimizer, schedule, config.resume_rate)
    saved = out / LAST if resume else None
    loggers = list(watchers)
    if fabric.is_global_zero:
        loggers.append(LOGGERS[logger](out, at["epoch"] * per_epoch + at["batch"], about or {}, config.names))

    def save(keep: bool = False) -> Path:
        run = {"at": dict(at), "history": lines, "sums": sums.state(fabric), "seed": seed, "training": asdict(config)}
        run |= {"optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}
        whole = {**checkpoint.describe(kind, bare), "about": about or {}, "run": run}
        return checkpoint.save(fabric, whole, out / LAST, out / f"epoch-{at['epoch']:05d}.ckpt" if keep else None)

    with _asked_to_stop() as asked, _progress(config.epochs * per_epoch, at, per_epoch, fabric) as bar:
        while at["epoch"] < config.epochs:
            # 2. One epoch: batch, loss, backward, clip, step.
            model.train()
            if hasattr(bare, "start_epoch"):
                bare.start_epoch(at["epoch"])
            begun = time.perf_counter()
            order = torch.randperm(len(training), generator=_generator(seed, at["epoch"]))
            for numbers in _shares(order, at["batch"], per_epoch, config.batch_size, fabric):
                if in_any(asked(), fabric):
                    save()
                    raise Stopped(f"saved after epoch {at['epoch']}, batch {at['batch']}: {out / LAST}")
                if hasattr(bare, "start_batch"):
                    bare.start_batch((at["epoch"] * per_epoch + at["batch"] + 1) / (config.epochs * per_epoch))
                with noise.keyed(numbers, seed, at["epoch"], at["batch"]):
                    batch = training.gather(numbers)
                    total, parts = model.loss(fabric.to_device(batch))
                optimizer.zero_grad()
                fabric.backward(total)
                norm = fabric.clip_gradients(model, optimizer, max_norm=config.clip_norm, error_if_nonfinite=False)
                if in_any(not bool(torch.isfinite(total + norm)), fabric):
                    raise diverged.found(bare, training, numbers, batch, total, norm, dict(at), saved, fabric)
                optimizer.step()
                schedule.step()
                at["batch"] += 1
                sums.add({"total": total, **parts})
                number = at["epoch"] * per_epoch + at["batch"]
                if config.log_interval and number % config.log_interval == 0:
                    values = means_of({"total": total, **parts}, fabric)
                    for each in loggers:
                        each.batch(number, values)
                bar.update()
            at["epoch"], at["batch"] = at["epoch"] + 1, 0

            # 3. Validate, log, save.
            line = {"epoch": float(at["epoch"]), **means_of(sums.means(), fabric)}
            sums = Sums()
            last = at["epoch"] == config.epochs
            if held_out is not None and (last or at["epoch"] % config.held_out_interval == 0):
                line |= {f"held_out_{name}": value for name, value in evaluate(bare, held_out, fabric, seed).items()}
            line["seconds"] = time.perf_counter() - begun
            lines.append(line)
            if fabric.is_global_zero:
                bar.write(history.sentence(line))
                history.write(lines, out)
            if at["epoch"] % config.save_interval == 0 or last:
                saved = save(config.keep_saved)
            for each in loggers:
                each.epoch(line)
    for each in loggers:
        each.close()
    return out / LAST


@torch.no_grad()
def evaluate(model: nn.Module, windows: Any, fabric: Fabric, seed: int = 0, size: int = 1024) -> dict[str, float]:
    """Mean of the total and every loss part over all windows, in evaluation mode, the same noise every time."""
    model.eval()
    sums: dict[str, Tensor] = {}
    for numbers in torch.arange(fabric.global_rank, len(windows), fabric.world_size).split(size):
        with noise.keyed(numbers, seed), fabric.autocast():
            total, parts = model.loss(fabric.to_device(windows.gather(numbers)))
        for name, value in {"total": total, **parts}.items():
            sums[name] = sums.get(name, 0.0) + value * len(numbers)
    return {name: value * fabric.world_size / len(windows) for name, value in means_of(sums, fabric).items()}


def some(windows: Any, size: int, seed: int) -> dict[str, Tensor]:
    """One batch of `size` windows drawn without putting back (all of them when there are fewer)."""
    numbers = torch.randperm(len(windows), generator=_generator(seed, 0))[:size]
    with noise.keyed(numbers, seed):
        return windows.gather(numbers)


def _shares(order: Tensor, first: int, per_epoch: int, batch_size: int, fabric: Fabric) -> Iterator[Tensor]:
    """This process's window numbers of every batch of an epoch from batch `first` on; no incomplete last batch."""
    for whole in order.split(batch_size * fabric.world_size)[first:per_epoch]:
        share = max(len(whole) // fabric.world_size, 1)
        yield whole[fabric.global_rank * share :][:share]


def _generator(seed: int, epoch: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed * 100_003 + epoch)


def _progress(total: int, at: dict[str, int], per_epoch: int, fabric: Fabric) -> tqdm:
    done = at["epoch"] * per_epoch + at["batch"]
    return tqdm(total=total, initial=done, unit="batch", disable=None if fabric.is_global_zero else True)


@contextmanager
def _asked_to_stop() -> Iterator[Any]:
    """Inside, Ctrl-C only sets a flag, so that a run always stops between two steps."""
    flag = {"asked": False}

    def note(*_: Any) -> None:
        flag["asked"] = True

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: flag["asked"]
    finally:
        signal.signal(signal.SIGINT, before)
