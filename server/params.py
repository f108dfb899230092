"""The live knobs: one table that is preset key, OSC address, slider and smoothing at once.

A change sets a target; `advance` moves the value there with the param's half-life, so that nothing on stage jumps.
A param of a show is named "actor/knob", which is its OSC address without the first slash. Only the tick thread touches
a `Params`; other threads send it `ControlChange`s through a queue.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from motion.manifest import Param


@dataclass(frozen=True)
class ControlChange:
    """Somebody wants `name` (a param, or a show command such as "show/freeze") to be `value`."""

    name: str
    value: float


class Params:
    """The values of a table of params, smoothed."""

    def __init__(self, table: Iterable[Param], start: Mapping[str, float] | None = None) -> None:
        self.table = {param.name: param for param in table}
        self._target = {name: param.default for name, param in self.table.items()}
        for name, value in (start or {}).items():
            self.set(name, value)
        self.values = dict(self._target)

    def set(self, name: str, value: float) -> None:
        """Sets a target, clamped to the param's range. KeyError names the choices; ValueError refuses a non-number."""
        param = self.table.get(name)
        if param is None:
            raise KeyError(f"no param {name!r}; there are: {', '.join(self.table) or 'none'}")
        if not math.isfinite(value):
            raise ValueError(f"param {name!r} cannot be {value}")
        self._target[name] = min(max(float(value), param.low), param.high)

    def target(self, name: str) -> float:
        """Where a param is going, which is what a slider shows."""
        return self._target[name]

    def advance(self, dt: float, actor: str) -> None:
        """Moves an actor's values towards their targets for dt seconds."""
        for name, target in self._target.items():
            if not name.startswith(f"{actor}/"):
                continue
            value = self.values[name]
            if value == target:
                continue
            half_life = self.table[name].half_life
            keep = 0.5 ** (dt / half_life) if half_life > 0 else 0.0
            value = target + (value - target) * keep
            close = 1e-4 * (self.table[name].high - self.table[name].low)
            self.values[name] = target if abs(value - target) < close else value

    def of(self, actor: str) -> dict[str, float]:
        """The values of one actor, by knob."""
        prefix = f"{actor}/"
        return {name.removeprefix(prefix): value for name, value in self.values.items() if name.startswith(prefix)}
