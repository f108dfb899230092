"""A gradient turned round: what makes a critic better makes what it judges a better deceiver."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Reversed(torch.autograd.Function):
    """The identity, whose gradient is turned round and weighted (Ganin et al. 2016)."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: float) -> Tensor:
        ctx.weight = weight
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.weight * gradient, None
