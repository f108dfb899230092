"""Numbers of all processes that train one model: means of losses, and whether something is so in any of them."""

from __future__ import annotations

from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor


class Sums:
    """Means over an epoch's batches. They stay on the device: reading a number there would make it wait."""

    def __init__(self, sums: dict[str, Tensor] | None = None, count: int = 0) -> None:
        self._sums, self._count = sums or {}, count

    def add(self, parts: dict[str, Tensor]) -> None:
        for name, part in parts.items():
            self._sums[name] = self._sums.get(name, 0.0) + part.detach().float()
        self._count += 1

    def state(self, fabric: Fabric) -> dict[str, Any]:
        """What `Sums` was made of, the mean over all processes, as plain values."""
        means = means_of(self._sums, fabric)
        return {"sums": {name: torch.tensor(value) for name, value in means.items()}, "count": self._count}

    def means(self) -> dict[str, Tensor]:
        return {name: value / self._count for name, value in self._sums.items()}


def means_of(values: dict[str, Tensor], fabric: Fabric) -> dict[str, float]:
    """Over all processes, as plain numbers; one message for all of them."""
    if not values:
        return {}
    stacked = fabric.all_reduce(torch.stack([value.detach().float() for value in values.values()]), reduce_op="mean")
    return dict(zip(values, stacked.tolist(), strict=True))


def in_any(here: bool, fabric: Fabric) -> bool:
    """Whether it is so in any process."""
    if fabric.world_size == 1:
        return here
    return bool(fabric.all_reduce(torch.tensor(float(here), device=fabric.device), reduce_op="sum") > 0)
