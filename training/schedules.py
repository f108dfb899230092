"""How the learning rate moves over a run: one table, all in steps of the optimiser."""

from __future__ import annotations

from typing import Any, Literal

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, ExponentialLR, LambdaLR, LRScheduler, OneCycleLR, StepLR

Schedule = Literal["one_cycle", "cosine", "step", "exponential", "constant", "staged"]
TO_THE_END = ("one_cycle", "cosine", "staged")  # planned for a number of epochs: it cannot change halfway


def schedule(optimizer: Optimizer, config: Any, per_epoch: int) -> LRScheduler:
    """The scheduler that a training config asks for; step it once a batch.

    one_cycle: up and down over the whole run (Smith 2018). cosine: down to 0. step: times schedule_factor every
    schedule_epochs. exponential: the same, smoothly. constant: learning_rate throughout. staged: learning_rate for two
    thirds of the run, then a tenth of it, straight down to 0.
    """
    total, every = config.epochs * per_epoch, config.schedule_epochs * per_epoch
    match config.schedule:
        case "one_cycle":
            return OneCycleLR(optimizer, config.learning_rate, total_steps=total)
        case "cosine":
            return CosineAnnealingLR(optimizer, total)
        case "step":
            return StepLR(optimizer, every, config.schedule_factor)
        case "exponential":
            return ExponentialLR(optimizer, config.schedule_factor ** (1 / every))
        case "staged":
            return LambdaLR(optimizer, lambda step: 1.0 if step < total * 2 / 3 else 0.3 * max(1.0 - step / total, 0.0))
    return LambdaLR(optimizer, lambda _: 1.0)


def scale(optimizer: Optimizer, schedule: LRScheduler, factor: float) -> None:
    """Every rate that is still to come, times `factor`."""
    for group in optimizer.param_groups:
        for key in {"lr", "initial_lr", "max_lr", "min_lr"} & group.keys():
            group[key] *= factor
    schedule.base_lrs = [rate * factor for rate in schedule.base_lrs]
