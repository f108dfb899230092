"""An LSTM layer's way through time, forward and backward: what is left when all that needs no step before is done.

Two ways to do it, the same numbers to rounding: lstm_steps.c, compiled when it is first asked for, which needs a C
compiler on the machine (the one of CC, or else cc, gcc, clang) and a CPU with AVX-512's bfloat16; otherwise a loop of
torch's own products. `sentence` says which of them it is, and why.

Shapes, by time: T steps, B sequences, W ways (1, or 2 with the reverse one), H numbers in a state; gates i f g o.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

LOW = torch.bfloat16
COMPILERS = ("cc", "gcc", "clang")
_SOURCE = Path(__file__).with_suffix(".c")
# OpenMP is not linked: its functions are torch's, and so are the threads.
_CPU = ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512bf16", "-mfma"]
_COMPILE = ["-O3", "-fPIC", "-fopenmp", *_CPU, "-c"]

Saved = tuple[Tensor, Tensor, Tensor]  # active gates (T, B, W, 4, H), cells and states (T, B, W, H)


def forward(given: Tensor, bias: Tensor, weights: Tensor, count: int) -> Saved:
    """The gates, cells and states of `count` steps from nothing; states are bfloat16, the others float32.

    given: what goes into the gates from outside (T, B, W, 4H), or (1, B, W, 4H) when it is the same at every step.
    weights (W, 4H, H): from a state into the gates. Both bfloat16; bias (W, 4H) float32. Raises TypeError for others.
    """
    if not (given.dtype == weights.dtype == LOW and bias.dtype == torch.float32):
        raise TypeError(f"bfloat16 given and weights and a float32 bias, not {given.dtype, weights.dtype, bias.dtype}")
    library = compiled()
    if library is None or weights.shape[2] % 16:
        return _forward(given, bias, weights, count)
    _, batch, ways, _ = given.shape
    size = weights.shape[2]
    active = torch.empty(count, batch, ways, 4, size)
    cells = torch.empty(count, batch, ways, size)
    states = torch.empty(count, batch, ways, size, dtype=LOW)
    given, bias, weights = given.contiguous(), bias.contiguous(), weights.contiguous()
    places = [each.data_ptr() for each in (given, bias, weights, active, cells, states)]
    library.forward(count, batch, ways, size, len(given), *places)
    return active, cells, states


def backward(arriving: Tensor, weights: Tensor, saved: Saved) -> Tensor:
    """The gradient (T, B, W, 4H), bfloat16, of what was given, from that of the states (T, B, W, H)."""
    if weights.dtype != LOW:
        raise TypeError(f"bfloat16 weights, not {weights.dtype}")
    library = compiled()
    if library is None or weights.shape[2] % 16:
        return _backward(arriving, weights, saved)
    active, cells, _ = saved
    slopes = torch.empty(active.shape, dtype=LOW)
    arriving, weights = arriving.to(LOW).contiguous(), weights.contiguous()
    places = [each.data_ptr() for each in (arriving, weights, active, cells, slopes)]
    library.backward(*cells.shape, *places)
    return slopes.flatten(3)


def compiled() -> Any:
    """lstm_steps.c as a library of this process, or None where that cannot be."""
    return _made()[0]


def sentence() -> str:
    """Whether the steps are compiled, and what went wrong."""
    return _made()[1]


@cache
def _made() -> tuple[Any, str]:
    """The library of the first compiler that works, and the sentence."""
    if not torch.cpu._is_avx512_bf16_supported():
        return None, "LSTM steps by torch, slower: the CPU has no bfloat16 of AVX-512"
    given, library, faults = os.environ.get("CC", ""), None, []
    for compiler in [*filter(None, [given]), *filter(shutil.which, COMPILERS)]:
        try:
            library = _built(compiler)
            break
        except (OSError, ValueError, AttributeError, subprocess.SubprocessError) as error:
            lines = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
            faults.append(f"{compiler}: {lines[-1] if lines else type(error).__name__}")
    if library is None:
        return None, f"LSTM steps by torch, slower: {'; '.join(faults) or 'no C compiler'}"
    return library, "; ".join([f"LSTM steps compiled by {compiler}", *faults])


def _built(compiler: str) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        middle, made = Path(folder) / "steps.o", Path(folder) / "steps.so"
        for command in ([*_COMPILE, str(_SOURCE), "-o", str(middle)], ["-shared", str(middle), "-o", str(made)]):
            whole = [*shlex.split(compiler), *command]
            subprocess.run(whole, capture_output=True, check=True, timeout=60, text=True, errors="replace")
        library = ctypes.CDLL(str(made))
    library.forward.argtypes = [ctypes.c_long] * 5 + [ctypes.c_void_p] * 6
    library.backward.argtypes = [ctypes.c_long] * 4 + [ctypes.c_void_p] * 5
    library.forward.restype = library.backward.restype = None
    return library


# ---- the loop of torch's products: step s is time s for the forward way and time T - 1 - s for the reverse one


def _forward(given: Tensor, bias: Tensor, weights: Tensor, count: int) -> Saved:
    """tanh(x) is taken as 2·sigmoid(2x) - 1, which costs a third of PyTorch's tanh; the 2 of the gate g comes first."""
    _, batch, ways, _ = given.shape
    size = weights.shape[2]
    double = torch.tensor([1.0, 1.0, 2.0, 1.0], dtype=LOW).repeat_interleave(size)
    gates = _by_step(((given + bias.to(LOW)) * double).expand(count, -1, -1, -1))  # (T, W, B, 4H)
    across = (weights * double[:, None]).transpose(1, 2).contiguous()  # (W, H, 4H)
    active = torch.empty(count, ways, batch, 4, size)
    cells = torch.zeros(count + 1, ways, batch, size)
    states = torch.zeros(count + 1, ways, batch, size, dtype=LOW)
    raw = torch.empty(ways, batch, 4 * size, dtype=LOW)
    parts = zip(*(gate.unbind(0) for gate in active.unbind(3)), strict=True)
    cell, state = cells[0], states[0]
    with torch._C.DisableTorchFunction():
        for before, now, (i, f, g, o), next_cell, next_state in zip(
            gates.unbind(0), active.flatten(3).unbind(0), parts, cells[1:].unbind(0), states[1:].unbind(0), strict=True
        ):
            torch.bmm(state, across, out=raw)
            torch.add(before, raw, out=now).sigmoid_()
            g.mul_(2.0).sub_(1.0)
            torch.mul(f, cell, out=next_cell).addcmul_(i, g)
            torch.mul(o, torch.mul(next_cell, 2.0).sigmoid_().mul_(2.0).sub_(1.0), out=next_state)
            cell, state = next_cell, next_state
    return _by_time(active), _by_time(cells[1:]), _by_time(states[1:])


def _backward(arriving: Tensor, weights: Tensor, saved: Saved) -> Tensor:
    active, cells = (_by_step(each) for each in saved[:2])
    arriving = _by_step(arriving.float())  # (T, W, B, H)
    _, ways, batch, _, size = active.shape

    # How a step's gates and cell answer to its output and cell, for all steps at once.
    i, f, g, o = active.unbind(3)
    squashed = torch.mul(cells, 2.0).sigmoid_().mul_(2.0).sub_(1.0)
    to_cell = torch.addcmul(o, o * squashed, squashed, value=-1.0)
    slopes = torch.empty_like(active)
    on_i, on_f, on_g, on_o = slopes.unbind(3)
    torch.mul(g, i - i * i, out=on_i)
    torch.mul(cells[:-1], (f - f * f)[1:], out=on_f[1:])
    on_f[0] = 0.0
    torch.mul(i, 1.0 - g * g, out=on_g)
    torch.mul(squashed, o - o * o, out=on_o)

    raw = torch.empty(active.shape, dtype=LOW)
    cell, on_output = torch.zeros(ways, batch, size), torch.zeros(ways, batch, size)
    every_gate_but_o = cell[:, :, None]
    back = torch.zeros(ways, batch, size, dtype=LOW)
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
        torch.add(arrived, back, out=on_output)
        cell.addcmul_(on_output, through)
        slope_ifg.mul_(every_gate_but_o)
        slope_o.mul_(on_output)
        now.copy_(slope)
        cell.mul_(keep)
        torch.bmm(now, weights, out=back)
    return _by_time(raw).flatten(3)


def _by_step(values: Tensor) -> Tensor:
    """(T, B, W, ...) by time -> (T, W, B, ...) by step, contiguous."""
    ways = values.unbind(2)
    return torch.stack([ways[0], ways[1].flip(0)], dim=1) if len(ways) == 2 else ways[0][:, None].contiguous()


def _by_time(values: Tensor) -> Tensor:
    """(T, W, B, ...) by step -> (T, B, W, ...) by time, contiguous."""
    ways = values.unbind(1)
    return torch.stack([ways[0], ways[1].flip(0)], dim=2) if len(ways) == 2 else ways[0][:, :, None].contiguous()
