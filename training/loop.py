"""The training story, for every model: batch, loss, backward, clip, step, log, validate, save.

Runs on Lightning Fabric, so one CPU, one GPU and a cluster read the same. A checkpoint holds the model whole (see
training.models) and where the run stood; a resumed run continues as if it had not stopped. Ctrl-C saves and stops.
"""

from __future__ import annotations

import csv
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from tqdm import tqdm

from training import checkpoint

if TYPE_CHECKING:
    from training.run import Run

LAST = "last.ckpt"


@dataclass(frozen=True)
class Config:
    """How to train. The rate follows one cycle (Smith 2018)."""

    epochs: int = 44
    batch_size: int = 512
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    clip_norm: float = 5.0


class Stopped(Exception):
    """The run was asked to stop and has been saved."""


def by_gradient(run: Run) -> Path:
    """How most kinds of models are trained. Returns the last checkpoint; history.csv and a plot lie beside it."""
    model = run.kind.build(run.model, run.skeleton)
    windows = run.kind.windows(run, run.trained, True)
    watched = run.kind.windows(run, run.held_out, False) if run.held_out else None
    if hasattr(model, "fit_statistics"):
        chosen = torch.randperm(len(windows), generator=torch.Generator().manual_seed(run.seed))[:8192]
        model.fit_statistics(windows.gather(chosen))
    last = train(run.name, model, windows, watched, run.training, run.out, run.fabric, run.seed, run.resume, run.about)
    plot_history(run.out)
    return last


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
) -> Path:
    """Train `model` in place and return the path of its last checkpoint.

    about: anything plain that the checkpoint should carry (data hashes, licence). Raises Stopped after Ctrl-C, and
    ValueError when `resume` finds no checkpoint of this run.
    """
    # 1. What is trained, how fast, and where an earlier run stood.
    out.mkdir(parents=True, exist_ok=True)
    per_epoch = training.count(config.batch_size) // fabric.world_size or 1
    optimizer = torch.optim.AdamW(model.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, total_steps=config.epochs * per_epoch
    )
    at = {"epoch": 0, "batch": 0}
    history: list[dict[str, float]] = []
    bare = model
    model, optimizer = fabric.setup(model, optimizer)
    model.mark_forward_method("loss")
    torch.manual_seed(seed)
    if resume:
        at, history = _restore(out / LAST, kind, bare, optimizer, schedule, seed)

    def save() -> None:
        run = {"at": dict(at), "history": history, "seed": seed, "random": _random_state()}
        run |= {"optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}
        fabric.save(out / LAST, {**checkpoint.describe(kind, bare), "about": about or {}, "run": run})

    with _asked_to_stop() as asked, tqdm(total=config.epochs * per_epoch, unit="batch", disable=None) as bar:
        bar.update(at["epoch"] * per_epoch + at["batch"])
        while at["epoch"] < config.epochs:
            # 2. One epoch: batch, loss, backward, clip, step.
            model.train()
            if hasattr(bare, "start_epoch"):
                bare.start_epoch(at["epoch"])
            begun, sums, count = time.perf_counter(), {}, 0
            shuffle = seed * 100_003 + at["epoch"] * fabric.world_size + fabric.global_rank
            for batch in training.batches(config.batch_size, shuffle, at["batch"]):
                if asked():
                    save()
                    raise Stopped(f"saved after epoch {at['epoch']}, batch {at['batch']}: {out / LAST}")
                if at["batch"] >= per_epoch:
                    break
                total, parts = model.loss(fabric.to_device(batch))
                optimizer.zero_grad()
                fabric.backward(total)
                fabric.clip_gradients(model, optimizer, max_norm=config.clip_norm)
                optimizer.step()
                schedule.step()
                at["batch"] += 1
                _add(sums, {"total": total, **parts})
                count += 1
                bar.update()
            at["epoch"], at["batch"] = at["epoch"] + 1, 0

            # 3. Validate, log, save.
            line = {"epoch": float(at["epoch"]), **{name: value / max(count, 1) for name, value in sums.items()}}
            if held_out is not None:
                line |= {f"held_out_{name}": value for name, value in evaluate(model, held_out, fabric).items()}
            line["seconds"] = time.perf_counter() - begun
            history.append(line)
            if fabric.is_global_zero:
                bar.write(_sentence(line))
                _write_history(history, out)
            save()
    return out / LAST


@torch.no_grad()
def evaluate(model: nn.Module, windows: Any, fabric: Fabric, size: int = 1024) -> dict[str, float]:
    """Mean of the total and every loss part over all windows, in evaluation mode."""
    model.eval()
    sums: dict[str, float] = {}
    for numbers in torch.arange(len(windows)).split(size):
        total, parts = model.loss(fabric.to_device(windows.gather(numbers)))
        _add(sums, {"total": total * len(numbers), **{name: part * len(numbers) for name, part in parts.items()}})
    return {name: value / len(windows) for name, value in sums.items()}


def _restore(
    path: Path, kind: str, model: nn.Module, optimizer: Any, schedule: Any, seed: int
) -> tuple[dict[str, int], list]:
    stored = checkpoint.read(path, kind)
    run = stored["run"]
    if run["seed"] != seed:
        raise ValueError(f"{path} was trained with --seed {run['seed']}, not {seed}")
    if run["schedule"]["total_steps"] != schedule.total_steps:
        raise ValueError(f"{path} was planned for {run['schedule']['total_steps']} steps, not {schedule.total_steps}")
    model.load_state_dict(stored["weights"])
    optimizer.load_state_dict(run["optimizer"])
    schedule.load_state_dict(run["schedule"])
    torch.set_rng_state(run["random"]["cpu"])
    if torch.cuda.is_available():
        torch.cuda.set_rng_state_all(run["random"]["cuda"])
    return dict(run["at"]), list(run["history"])


def _random_state() -> dict[str, Any]:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


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


def _add(sums: dict[str, float], parts: dict[str, Tensor]) -> None:
    for name, part in parts.items():
        sums[name] = sums.get(name, 0.0) + float(part.detach())


def _sentence(line: dict[str, float]) -> str:
    numbers = "  ".join(f"{name} {value:.4f}" for name, value in line.items() if name not in ("epoch", "seconds"))
    return f"epoch {line['epoch']:.0f}  {numbers}  {line['seconds']:.1f} s"


def _write_history(history: list[dict[str, float]], out: Path) -> None:
    with open(out / "history.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(history[-1]), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(history)


def plot_history(out: Path) -> Path:
    """history.png beside history.csv: every loss part over the epochs, the held-out ones dashed."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with open(out / "history.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name not in ("epoch", "seconds") and not name.startswith("held_out_")]
    figure = Figure(figsize=(4 * len(names), 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    epochs = [float(row["epoch"]) for row in rows]
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        axes.plot(epochs, [float(row[name]) for row in rows], color="#0072b2", label="training")
        if f"held_out_{name}" in rows[0]:
            values = [float(row[f"held_out_{name}"]) for row in rows]
            axes.plot(epochs, values, color="#d55e00", linestyle="--", label="held out")
        axes.set(title=name, xlabel="epoch")
        axes.legend()
    figure.savefig(out / "history.png", dpi=80)
    return out / "history.png"
