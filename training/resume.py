"""Going on with a run from its checkpoint, as if it had not stopped."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from training import checkpoint, history, schedules
from training.across import Sums


def restore(
    path: Path, kind: str, model: nn.Module, optimizer: Any, schedule: Any, config: Any, seed: int
) -> tuple[dict[str, int], list[history.Line], Sums]:
    """Where a run stood: epoch and batch, its history, and what is summed of the epoch.

    Weights, optimizer and schedule are put back. config: training.loop's. Raises ValueError when it was another run:
    names what differs.
    """
    stored = checkpoint.read(path, kind)
    checkpoint.same(stored, checkpoint.describe(kind, model), path)
    run = stored.get("run")
    if run is None:
        raise ValueError(f"{path} holds a model but not where its training stood; it cannot be resumed")
    given = {"seed": seed, **asdict(config)}
    fixed = ["seed", "batch_size", "learning_rate", "schedule", "schedule_epochs", "schedule_factor", "weight_decay"]
    if config.schedule in schedules.TO_THE_END:
        fixed.append("epochs")
    before = {"seed": run["seed"], **run["training"]}
    different = [
        f"{name} was {before.get(name)}, not {given[name]}" for name in fixed if before.get(name) != given[name]
    ]
    if different:
        raise ValueError(f"{path} was trained otherwise and cannot be resumed: {'; '.join(different)}")
    model.load_state_dict(stored["weights"])
    optimizer.load_state_dict(run["optimizer"])
    schedule.load_state_dict(run["schedule"])
    return dict(run["at"]), list(run["history"]), Sums(**run["sums"])
