"""A loss or a gradient that is no number: which take and frame it came from, and what is left to go on with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from training import noise

_NAMED = 3


class Diverged(ValueError):
    """Training met a loss or a gradient that is no number. The weights were not touched by that batch."""


def found(
    model: nn.Module,
    windows: Any,
    numbers: Tensor,
    batch: dict[str, Tensor],
    total: Tensor,
    norm: Tensor,
    at: dict[str, int],
    saved: Path | None,
    fabric: Fabric,
) -> Diverged:
    """The error to raise: what was not finite, the windows it came from, the last good checkpoint."""
    what = f"the loss is {float(total.detach()):g}" if not torch.isfinite(total) else f"the gradient's norm is {norm:g}"
    where = f"{what} in epoch {at['epoch'] + 1}, batch {at['batch'] + 1}"
    bad = _not_finite(batch, len(numbers))
    if len(bad):
        reason = f"the recording itself holds no numbers there: {_places(windows, numbers[bad])}"
    elif len(bad := _alone(model, windows, numbers, fabric)) == len(numbers):
        reason = (
            f"every window of it does that, the first being {_places(windows, numbers[:1])}: the weights have run "
            "away; lower learning_rate or clip_norm"
        )
    elif len(bad):
        reason = f"because of {_places(windows, numbers[bad])}"
    else:
        reason = (
            f"no window does that alone; the batch held {_places(windows, numbers)}; lower learning_rate or clip_norm"
        )
    kept = f"the last good checkpoint is {saved}" if saved else "no checkpoint had been saved yet"
    return Diverged(f"{where}: {reason}; {kept}")


def _not_finite(batch: dict[str, Tensor], size: int) -> Tensor:
    """Places in the batch whose inputs hold NaN or infinity."""
    bad = torch.zeros(size, dtype=torch.bool)
    for values in batch.values():
        if values.is_floating_point() and values.dim() and len(values) == size:
            bad |= ~torch.isfinite(values.flatten(1) if values.dim() > 1 else values[:, None]).all(1).cpu()
    return bad.nonzero().flatten()


@torch.no_grad()
def _alone(model: nn.Module, windows: Any, numbers: Tensor, fabric: Fabric) -> Tensor:
    """Places in the batch whose loss is not finite when they are judged alone, in evaluation mode."""
    model.eval()
    bad = []
    for place, number in enumerate(numbers.split(1)):
        with noise.keyed(number, 0), fabric.autocast():
            total, _ = model.loss(fabric.to_device(windows.gather(number)))
        if not torch.isfinite(total):
            bad.append(place)
    return torch.tensor(bad, dtype=torch.int64)


def _places(windows: Any, numbers: Tensor) -> str:
    """The takes and frames of some windows, as their `origin(number) -> (take, frame)` has them."""
    if not hasattr(windows, "origin"):
        return f"windows {', '.join(str(int(number)) for number in numbers[:_NAMED])}"
    named = [f"take {take}, frame {frame}" for take, frame in map(windows.origin, numbers[:_NAMED].tolist())]
    return "; ".join(named) + (f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else "")
