"""nn.LSTM, trained faster on a CPU with bfloat16: the same weights, the same network, another way through it.

Everything that does not depend on the step before is one product over all steps and both directions, and an input that
is the same at every step (a latent, expanded) is projected once; the rest is training.lstm_steps. Products are of
bfloat16 numbers, sums and the cell state are float32, as in mixed precision. In evaluation, in export, on a GPU and
wherever `bfloat16` is not set it is nn.LSTM itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from training import lstm_steps
from training.lstm_steps import LOW

Precision = Literal["float32", "bfloat16", "auto"]
_PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class LSTM(nn.LSTM):
    """nn.LSTM(batch_first=True) over (B, T, I) without a given first state. See the module."""

    bfloat16 = False

    def forward(self, values: Tensor, state: Any = None) -> Any:
        fast = self.bfloat16 and self.training and state is None and values.device.type == "cpu" and values.dim() == 3
        if not (fast and self.batch_first and self.proj_size == 0 and self.bias and self.dropout == 0.0):
            return super().forward(values, state)
        steps = values.transpose(0, 1)  # (T, B, I)
        ways = ["", "_reverse"] if self.bidirectional else [""]
        for layer in range(self.num_layers):
            weights = [getattr(self, f"{part}_l{layer}{way}") for part in _PARTS for way in ways]
            steps = _Layer.apply(steps, *weights)
        return steps.transpose(0, 1).float(), None


def set_precision(model: nn.Module, precision: Precision) -> None:
    """How the LSTMs of `model` are trained. auto: bfloat16 where the CPU has instructions for it."""
    low = precision == "bfloat16" or (precision == "auto" and torch.cpu._is_avx512_bf16_supported())
    for part in model.modules():
        if isinstance(part, LSTM):
            part.bfloat16 = low


def sentence(model: nn.Module) -> str | None:
    """How the steps of its LSTMs are done on a CPU, None where there are no such steps."""
    low = any(isinstance(part, LSTM) and part.bfloat16 for part in model.modules())
    return lstm_steps.sentence() if low else None


class _Layer(torch.autograd.Function):
    """One layer, W ways (1, or 2 with the reverse one): (T, B, I) -> (T, B, W·H) bfloat16.

    Weights come by kind as in `_PARTS`, every kind for each way.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, *weights: Tensor) -> Tensor:
        count, batch, _ = values.shape
        ways = len(weights) // len(_PARTS)
        into, across, bias, other = (weights[place * ways : (place + 1) * ways] for place in range(len(_PARTS)))
        constant = count > 1 and values.stride(0) == 0
        given = (values[:1] if constant else values).to(LOW).flatten(0, 1)  # (B, I) or (T·B, I)
        weight_in, weight_state = _low(into), _low(across)
        projected = (given @ weight_in.flatten(0, 1).T).view(-1, batch, *weight_in.shape[:2])
        biases = (torch.stack(bias) + torch.stack(other)).float()
        active, cells, states = lstm_steps.forward(projected, biases, weight_state, count)
        made = states.flatten(2)
        ctx.save_for_backward(given, weight_in, weight_state, active, cells, made)
        ctx.constant = constant
        return made

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        given, weight_in, weight_state, active, cells, made = ctx.saved_tensors
        count, batch, ways, _ = cells.shape
        states = made.view(cells.shape)
        slopes = lstm_steps.backward(gradient.view(cells.shape), weight_state, (active, cells, states))

        # A way's state before a step is that of the time before, in the reverse way of the time after.
        before = [(slopes[1:], states[:-1]), (slopes[:-1], states[1:])]
        across = [
            slope[:, :, way].flatten(0, 1).T @ state[:, :, way].flatten(0, 1)
            for way, (slope, state) in enumerate(before[:ways])
        ]
        flat = (slopes.sum(0) if ctx.constant else slopes.flatten(0, 1)).flatten(1)  # (B, W·4H) or (T·B, W·4H)
        into = (flat.T @ given).float()
        bias = flat.sum(0).float()
        on_values = None
        if ctx.needs_input_grad[0]:
            on_values = flat @ weight_in.flatten(0, 1)
            if ctx.constant:
                on_values = (on_values / count).expand(count, -1, -1)
            else:
                on_values = on_values.view(count, batch, -1)
        biases = bias.chunk(ways)
        return on_values, *into.chunk(ways), *(each.float() for each in across), *biases, *biases


def _low(weights: Sequence[Tensor]) -> Tensor:
    """One weight of every way, (W, 4H, ·) bfloat16."""
    made = torch.empty(len(weights), *weights[0].shape, dtype=LOW)
    for place, weight in zip(made, weights, strict=True):
        place.copy_(weight)
    return made
