"""Chance that belongs to a sample: what is drawn for it depends on the seed, the step, the sample's number and which
draw of a step it is, never on its place in a batch or on the process that holds it.

So one process and many processes, a stopped run and one that went through, see the same noise and the same dropout.
Models draw in plain torch (rand, randn, randint, their _like forms, dropout); inside `keyed` those calls are answered
here when their first axis is the batch, or the batch times something. Other shapes are common to the whole batch and
come from torch's own generator, seeded for the step. What cannot be keyed is refused, not left to the layout.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_ODD = 0x9E3779B9 - 2**32  # the golden ratio, as an int32
_REFUSED = {"alpha_dropout", "bernoulli", "bernoulli_", "exponential_", "multinomial", "normal", "normal_", "uniform_"}


@contextmanager
def keyed(numbers: Tensor, *key: int) -> Iterator[None]:
    """Inside, draws along a first axis of len(numbers) are keyed by the samples' numbers (B,) and by `key`: whatever
    tells this step from others, the same in every process. Seeds torch's own generator. Raises NotImplementedError for
    a draw that cannot be keyed.
    """
    common = torch.zeros(1, dtype=torch.int32)
    torch.manual_seed(int(keys(common, *key)[0]) & 0x7FFFFFFF)
    with _Keyed(keys(numbers, *key)):
        yield


def keys(numbers: Tensor, *key: int) -> Tensor:
    """A key (B,), int32, for each sample's number."""
    mixed = _mix(numbers.to(torch.int32))
    for part in key:
        mixed = _mix(mixed * 31 + (part & 0x7FFFFFFF))
    return mixed


def uniform(keys: Tensor, shape: Sequence[int]) -> Tensor:
    """Numbers in [0, 1), (B, *shape) float32, from keys (B,)."""
    count = math.prod(shape)
    places = torch.arange(count, dtype=torch.int32, device=keys.device).mul_(_ODD)
    bits = _mix(keys[:, None] ^ places).bitwise_right_shift_(8).bitwise_and_(0xFFFFFF)
    return bits.float().mul_(2.0**-24).view(len(keys), *shape)


def normal(keys: Tensor, shape: Sequence[int]) -> Tensor:
    """Standard normal numbers (B, *shape) float32 from keys (B,), by Box and Muller (1958)."""
    count = math.prod(shape)
    half = (count + 1) // 2
    radius, angle = uniform(keys, (2, half)).unbind(1)
    radius = (1.0 - radius).log_().mul_(-2.0).sqrt_()
    angle = angle * (2.0 * math.pi)
    pair = torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1)
    return pair[:, :count].reshape(len(keys), *shape)


class _Keyed(TorchFunctionMode):
    """Answers torch's random functions while it is entered; see the head of the file."""

    def __init__(self, keys: Tensor) -> None:
        super().__init__()
        self._keys = {keys.device: keys}
        self._first = keys.device
        self._draws = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in _REFUSED or (name == "lstm" and _drops_out(args)):
            raise NotImplementedError(
                f"{name} draws chance that cannot belong to a sample; rand, randn, randint and dropout can"
            )
        if kwargs.get("generator") is None:
            if name in ("rand", "randn", "randint"):
                return self._numbers(func, name, args, kwargs)
            if name in ("rand_like", "randn_like"):
                like = {"dtype": args[0].dtype, "device": args[0].device} | kwargs
                return self._numbers(getattr(torch, name[:-5]), name[:-5], (args[0].shape,), like)
            if func is torch.nn.functional.dropout:
                return self._dropout(func, *args, **kwargs)
        return func(*args, **kwargs)

    def _numbers(self, func: Any, name: str, args: Any, kwargs: dict[str, Any]) -> Tensor:
        given, low, high = args, 0, 0
        if name == "randint":
            ends, given = ((args[0],), args[1:]) if not isinstance(args[1], int) else (args[:2], args[2:])
            low, high = (0, *ends)[-2:]
        size = tuple(given[0]) if given and not isinstance(given[0], int) else tuple(given)
        if not self._along_batch(size):
            return func(*args, **kwargs)
        draw = self._draw(torch.device(kwargs.get("device") or "cpu"))
        shape = (size[0] // len(draw), *size[1:])
        if name == "randint":
            values = uniform(draw, shape).mul_(high - low).floor_().add_(low)
            return values.to(kwargs.get("dtype") or torch.int64).view(size)
        values = uniform(draw, shape) if name == "rand" else normal(draw, shape)
        return values.to(kwargs.get("dtype") or torch.get_default_dtype()).view(size)

    def _dropout(
        self, func: Any, values: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
    ) -> Tensor:
        if not training or p == 0.0 or not self._along_batch(values.shape):
            return func(values, p, training, inplace)
        draw = self._draw(values.device)
        kept = uniform(draw, (values.shape[0] // len(draw), *values.shape[1:])).view(values.shape) >= p
        factor = kept * (1.0 / (1.0 - p) if p < 1.0 else 0.0)
        return values.mul_(factor) if inplace else values * factor.to(values.dtype)

    def _along_batch(self, size: Sequence[int]) -> bool:
        batch = len(self._keys[self._first])
        return len(size) > 0 and size[0] > 0 and size[0] % batch == 0

    def _draw(self, device: torch.device) -> Tensor:
        """Keys for the next draw of this step."""
        if device not in self._keys:
            self._keys[device] = self._keys[self._first].to(device)
        self._draws += 1
        return _mix(self._keys[device] + self._draws * _ODD)


def _drops_out(arguments: Sequence[Any]) -> bool:
    """Whether torch.lstm(input, state, weights, bias, layers, dropout, training, ...) draws between its layers."""
    return len(arguments) > 6 and isinstance(arguments[5], float) and arguments[5] > 0.0 and bool(arguments[6])


def _mix(bits: Tensor) -> Tensor:
    """int32 -> int32 in which every bit of the input matters for every bit of the result (Wellons 2018, lowbias32)."""
    mixed = bits.clone()
    for shift, mask, factor in ((16, 0xFFFF, 0x7FEB352D), (15, 0x1FFFF, 0x846CA68B - 2**32), (16, 0xFFFF, 1)):
        mixed.bitwise_xor_(torch.bitwise_right_shift(mixed, shift).bitwise_and_(mask)).mul_(factor)
    return mixed
