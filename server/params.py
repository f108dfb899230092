"""The live knobs: one table that is preset key, OSC address, slider and smoothing at once.

A change sets a target; `advance` moves the value there with the param's half-life, so that nothing on stage jumps.
A param of a show is named "actor/knob", which is its OSC address without the first slash; the actor "*" is every
actor that has the knob. A param of size n is n numbers under one name. Only the tick thread touches a `Params`;
other threads send it `ControlChange`s through a queue.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from motion.manifest import Param
from motion.skeleton import Array

Setting = float | Sequence[float]  # what somebody asks for: one number, or one for each component
Knobs = Mapping[str, Any]  # one actor's values by knob: a float, or (n,) numbers for a param of size n


@dataclass(frozen=True)
class ControlChange:
    """Somebody wants `name` (a param, or a show command such as "show/freeze") to be `value`."""

    name: str
    value: float | tuple[float, ...]


class Params:
    """The values of a table of params, smoothed."""

    def __init__(self, table: Iterable[Param], start: Mapping[str, Setting] | None = None) -> None:
        self.table = {param.name: param for param in table}
        self._target = {name: _clamped(param, param.default) for name, param in self.table.items()}
        self._moving: set[str] = set()  # what has not arrived yet: an idle table costs a tick nothing
        for name, value in (start or {}).items():
            self.set(name, value)
        self.values = dict(self._target)
        self._moving.clear()
        self._of: dict[str, dict[str, float | Array]] = {}
        for name, settled in self.values.items():
            actor, _, knob = name.partition("/")
            self._of.setdefault(actor, {})[knob] = settled

    def set(self, name: str, value: Setting) -> None:
        """Sets a target, clamped to the param's range; one number sets every component of a longer param.

        KeyError names the choices; ValueError refuses what is no finite number, and any other count of numbers.
        "*/knob" sets it for every actor that has it and fits.
        """
        actor, _, knob = name.partition("/")
        if actor == "*":
            names = [other for other in self.table if other.partition("/")[2] == knob]
        else:
            names = [name] if name in self.table else []
        if not names:
            raise KeyError(f"no param {name!r}; there are: {', '.join(self.table) or 'none'}")
        targets: dict[str, float | Array] = {}
        refusal: ValueError | None = None
        for found in names:
            try:
                targets[found] = _clamped(self.table[found], value)
            except ValueError as error:
                refusal = error
        if refusal is not None and not targets:
            raise refusal
        self._target |= targets
        self._moving |= targets.keys()

    def target(self, name: str) -> float | Array:
        """Where a param is going, which is what a slider shows."""
        return self._target[name]

    def advance(self, dt: float, actor: str) -> None:
        """Moves an actor's values towards their targets for dt seconds."""
        if not self._moving:
            return
        for name in [name for name in self._moving if name.startswith(f"{actor}/")]:
            param, value, target = self.table[name], self.values[name], self._target[name]
            keep = 0.5 ** (dt / param.half_life) if param.half_life > 0 else 0.0
            value = target + (value - target) * keep
            if np.max(np.abs(value - target)) < 1e-4 * (param.high - param.low) or keep == 0.0:
                value = target
                self._moving.discard(name)
            self.values[name] = self._of[actor][name.partition("/")[2]] = value

    def of(self, actor: str) -> Knobs:
        """The values of one actor, by knob; the mapping stays the same, what stands in it moves."""
        return self._of.get(actor, {})


def _clamped(param: Param, value: Setting) -> float | Array:
    """A setting as the param keeps it: a float, or an array (size,)."""
    numbers = np.atleast_1d(np.asarray(value, dtype=np.float64))
    if numbers.shape not in ((1,), (param.size,)):
        raise ValueError(f"param {param.name!r} takes {_count(param.size)}, not {numbers.size}")
    if not np.isfinite(numbers).all():
        raise ValueError(f"param {param.name!r} cannot be {value}")
    if param.size == 1:
        return min(max(float(numbers[0]), param.low), param.high)
    return np.clip(np.broadcast_to(numbers, (param.size,)), param.low, param.high)


def _count(size: int) -> str:
    return "one number" if size == 1 else f"one number or {size} numbers"
