"""nn.LSTM, trained faster on a CPU with bfloat16: the same weights, the same network, another way through it.

PyTorch's own layer goes through time one direction after the other and adds up weight gradients step by step. Here both
directions take a step in one batched product, everything that does not depend on the step before is one product over
all steps, and an input that is the same at every step (a latent, expanded) is projected once. Products are of bfloat16
numbers, sums and the cell state are float32, as in mixed precision. In evaluation, in export, on a GPU and wherever
`bfloat16` is not set it is nn.LSTM itself.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

Precision = Literal["float32", "bfloat16", "auto"]
_LOW = torch.bfloat16


class LSTM(nn.LSTM):
    """nn.LSTM(batch_first=True) over (B, T, I) without a given first state. See the module."""

    bfloat16 = False

    def forward(self, values: Tensor, state: Any = None) -> Any:
        fast = self.bfloat16 and self.training and state is None and values.device.type == "cpu" and values.dim() == 3
        if not (fast and self.batch_first and self.proj_size == 0 and self.bias and self.dropout == 0.0):
            return super().forward(values, state)
        steps = values.transpose(0, 1)  # (T, B, I)
        for layer in range(self.num_layers):
            ways = ["", "_reverse"] if self.bidirectional else [""]
            weights = [
                torch.stack([getattr(self, f"{name}_l{layer}{way}") for way in ways])
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            ]
            steps = _Layer.apply(steps, *weights)
        return steps.transpose(0, 1).float(), None


def set_precision(model: nn.Module, precision: Precision) -> None:
    """How the LSTMs of `model` are trained. auto: bfloat16 where the CPU has instructions for it."""
    low = precision == "bfloat16" or (precision == "auto" and torch.cpu._is_avx512_bf16_supported())
    for part in model.modules():
        if isinstance(part, LSTM):
            part.bfloat16 = low


class _Layer(torch.autograd.Function):
    """One layer, W ways (1, or 2 with the reverse one): (T, B, I) -> (T, B, W·H). Gates in nn.LSTM's order: i f g o.

    Along an axis `ways` a step s is time s for the forward way and time T - 1 - s for the reverse one. tanh(x) is taken
    as 2·sigmoid(2x) - 1, which costs a third of PyTorch's tanh; the 2 of the gate g is in its weights.
    """

    @staticmethod
    def forward(
        ctx: Any, values: Tensor, weight_in: Tensor, weight_state: Tensor, bias_in: Tensor, bias_state: Tensor
    ) -> Tensor:
        count, batch, _ = values.shape
        ways, size = weight_state.shape[0], weight_state.shape[2]
        constant = count > 1 and values.stride(0) == 0
        given = (values[0] if constant else values.flatten(0, 1)).to(_LOW)  # (B, I) or (T·B, I)
        low_in, low_state = weight_in.to(_LOW), weight_state.to(_LOW)
        bias = _double(bias_in + bias_state).to(_LOW)
        projected = [torch.addmm(bias[way], given, _double(low_in[way]).T) for way in range(ways)]
        if constant:
            gates = torch.stack(projected)[None].expand(count, -1, -1, -1)
        else:
            gates = _by_step([each.view(count, batch, -1) for each in projected])  # (T, W, B, 4H)

        across = _double(low_state).transpose(1, 2).contiguous()  # (W, H, 4H)
        active = torch.empty(count, ways, batch, 4, size)
        cells = torch.zeros(count + 1, ways, batch, size)
        states = torch.zeros(count + 1, ways, batch, size, dtype=_LOW)
        squashed = torch.empty(count, ways, batch, size)
        raw = torch.empty(ways, batch, 4 * size, dtype=_LOW)
        parts = zip(*(gate.unbind(0) for gate in active.unbind(3)), strict=True)
        cell, state = cells[0], states[0]
        for before, now, (i, f, g, o), next_cell, next_state, squash in zip(
            gates.unbind(0),
            active.flatten(3).unbind(0),
            parts,
            cells[1:].unbind(0),
            states[1:].unbind(0),
            squashed.unbind(0),
            strict=True,
        ):
            torch.bmm(state, across, out=raw)
            torch.add(before, raw, out=now).sigmoid_()
            g.mul_(2.0).sub_(1.0)
            torch.mul(f, cell, out=next_cell).addcmul_(i, g)
            torch.mul(next_cell, 2.0, out=squash).sigmoid_().mul_(2.0).sub_(1.0)
            torch.mul(o, squash, out=next_state)
            cell, state = next_cell, next_state
        ctx.save_for_backward(given, low_in, low_state, active, cells, squashed, states)
        ctx.constant = constant
        made = states[1:]
        return torch.cat([made[:, 0], made[:, 1].flip(0)], dim=-1) if ways == 2 else made[:, 0].clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        given, low_in, low_state, active, cells, squashed, states = ctx.saved_tensors
        count, ways, batch, _, size = active.shape
        arriving = _by_step(list(gradient.float().unflatten(-1, (ways, size)).unbind(2)))  # (T, W, B, H)

        # How a step's gates and cell answer to its output and cell, for all steps at once.
        i, f, g, o = active.unbind(3)
        to_cell = torch.addcmul(o, o * squashed, squashed, value=-1.0)
        slopes = torch.empty(count, ways, batch, 4, size)
        on_i, on_f, on_g, on_o = slopes.unbind(3)
        torch.mul(g, i - i * i, out=on_i)
        torch.mul(cells[:-1], f - f * f, out=on_f)
        torch.mul(i, 1.0 - g * g, out=on_g)
        torch.mul(squashed, o - o * o, out=on_o)

        raw = torch.empty(count, ways, batch, 4, size, dtype=_LOW)
        cell, on_output = torch.zeros(ways, batch, size), torch.zeros(ways, batch, size)
        every_gate_but_o = cell[:, :, None]
        back = torch.zeros(ways, batch, size, dtype=_LOW)
        steps = zip(
            arriving.unbind(0),
            to_cell.unbind(0),
            slopes.flatten(3).unbind(0),
            slopes[..., :3, :].unbind(0),
            on_o.unbind(0),
            raw.flatten(3).unbind(0),
            f.unbind(0),
            strict=True,
        )
        for arrived, through, slope, slope_ifg, slope_o, now, keep in reversed(list(steps)):
            on_output.copy_(back).add_(arrived)
            cell.addcmul_(on_output, through)
            slope_ifg.mul_(every_gate_but_o)
            slope_o.mul_(on_output)
            now.copy_(slope)
            cell.mul_(keep)
            torch.bmm(now, low_state, out=back)
        raw = raw.flatten(3)  # (T, W, B, 4H)

        flat = raw.transpose(0, 1).reshape(ways, count * batch, -1)  # (W, T·B, 4H)
        before = states[:-1].transpose(0, 1).reshape(ways, count * batch, size)
        on_state = torch.stack([flat[way].T @ before[way] for way in range(ways)])
        on_bias = flat.sum(1).float()
        by_time = [raw[:, 0], raw[:, 1].flip(0)] if ways == 2 else [raw[:, 0]]  # (T, B, 4H)
        if ctx.constant:
            by_time = [each.sum(0) for each in by_time]  # (B, 4H)
        else:
            by_time = [each.reshape(count * batch, -1) for each in by_time]
        on_in = torch.stack([each.T @ given for each in by_time])
        on_values = None
        if ctx.needs_input_grad[0]:
            on_values = sum(each @ low_in[way] for way, each in enumerate(by_time))
            if ctx.constant:
                on_values = (on_values / count)[None].expand(count, -1, -1)
            else:
                on_values = on_values.view(count, batch, -1)
        return on_values, on_in.float(), on_state.float(), on_bias, on_bias


def _double(weights: Tensor) -> Tensor:
    """Rows (..., 4H, ·) or biases (W, 4H) with those of the gate g times 2, which loses nothing."""
    axis = -1 if weights.dim() == 2 and weights.shape[0] <= 2 else -2
    i, f, g, o = weights.chunk(4, dim=axis)
    return torch.cat([i, f, 2.0 * g, o], dim=axis)


def _by_step(ways: list[Tensor]) -> Tensor:
    """Tensors (T, B, K) by time, one a way -> (T, W, B, K) by step: the reverse way begins at the end."""
    return torch.stack([ways[0], ways[1].flip(0)], dim=1) if len(ways) == 2 else ways[0][:, None]
