"""Layers that several models need and torch has not: so far, batch normalisation over the batches of all processes."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn


class GlobalBatchNorm(nn.BatchNorm1d):
    """As nn.BatchNorm1d over (B, C), on any device; in training the statistics are those of every process's batch.

    nn.SyncBatchNorm does this on GPUs only. Every process must bring a batch of the same size.
    """

    def forward(self, values: Tensor) -> Tensor:
        many = torch.distributed.is_available() and torch.distributed.is_initialized()
        if not (self.training and many and torch.distributed.get_world_size() > 1):
            return super().forward(values)
        mean = _over_processes(values.mean(0))
        variance = _over_processes((values - mean).square().mean(0))
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            count = len(values) * torch.distributed.get_world_size()
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        normal = (values - mean) * (variance + self.eps).rsqrt()
        return normal if self.weight is None else normal * self.weight + self.bias


class _Mean(torch.autograd.Function):
    """The mean over all processes; its gradient is what all processes make of it."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return _reduce(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _reduce(gradient)


def _over_processes(values: Tensor) -> Tensor:
    return _Mean.apply(values)


def _reduce(values: Tensor) -> Tensor:
    total = values.clone()
    torch.distributed.all_reduce(total)
    return total / torch.distributed.get_world_size()
