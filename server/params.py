"""The live knobs: one table that is preset key, OSC address, slider and smoothing at once.

A change sets a target; `advance` moves the value there with the param's half-life, or in as many seconds as the change
asks for, so that nothing on stage jumps. A param of a show is named "actor/knob", which is its OSC address without the
first slash; the actor "*" is every actor that has the knob. A param of size n is n numbers under one name. Only the
tick thread touches a `Params`; other threads send it `ControlChange`s through `Changes`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from motion.manifest import Param
from motion.skeleton import Array

Setting = float | Sequence[float] | str  # what somebody asks for: one number, one for each component, or a param's name
Knobs = Mapping[str, Any]  # one actor's values by knob: a float, or (n,) numbers for a param of size n


@dataclass(frozen=True)
class ControlChange:
    """Somebody wants `name` (a param, or a show command such as "show/freeze") to be `value`, `seconds` from now.

    0 seconds: a param takes its own half-life. A text is one of the names that a param has for numbers; "show/preset"
    has that of a preset.
    """

    name: str
    value: float | tuple[float, ...] | str
    seconds: float = 0.0


class Changes:
    """What waits for the tick, from any thread: the newest setting of each name, in the order of their coming.

    However many messages come between two ticks, a tick has no more to obey than there are names.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, ControlChange] = {}
        self._lock = threading.Lock()

    def put(self, change: ControlChange) -> None:
        with self._lock:
            self._waiting.pop(change.name, None)  # so that it stands behind what came before it
            self._waiting[change.name] = change

    def take(self) -> Iterable[ControlChange]:
        """What has come since the last call."""
        if not self._waiting:
            return ()
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        return waiting.values()


class Params:
    """The values of a table of params, smoothed."""

    def __init__(self, table: Iterable[Param], start: Mapping[str, Setting] | None = None) -> None:
        self.table = {param.name: param for param in table}
        self._target = {name: _clamped(param, param.default) for name, param in self.table.items()}
        self._moving: set[str] = set()  # what has not arrived yet: an idle table costs a tick nothing
        self._fades: dict[str, _Fade] = {}
        for name, value in (start or {}).items():
            self.set(name, value)
        self.values = dict(self._target)
        self._moving.clear()
        self._of: dict[str, dict[str, float | Array]] = {}
        for name, settled in self.values.items():
            actor, _, knob = name.partition("/")
            self._of.setdefault(actor, {})[knob] = settled

    def set(self, name: str, value: Setting, seconds: float = 0.0) -> None:
        """Sets a target, clamped to the param's range; one number sets every component of a longer param.

        seconds: how long the way there takes, at an even speed; 0: as the param's half-life has it.
        "*/knob" sets it for every actor that has it and fits. KeyError and ValueError as in `fitting`.
        """
        targets = self.fitting(name, value)
        self._target |= targets
        self._moving |= targets.keys()
        for found in targets:
            if seconds > 0.0:
                self._fades[found] = _Fade(self.values[found], seconds)
            else:
                self._fades.pop(found, None)

    def fitting(self, name: str, value: Setting) -> dict[str, float | Array]:
        """The targets that `set` would set, by param; any thread may ask.

        KeyError names the choices; ValueError refuses what is no finite number and none of the param's names, and any
        other count of numbers.
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
        return targets

    def target(self, name: str) -> float | Array:
        """Where a param is going, which is what a slider shows."""
        return self._target[name]

    def advance(self, dt: float, actor: str) -> None:
        """Moves an actor's values towards their targets for dt seconds."""
        if not self._moving:
            return
        for name in [name for name in self._moving if name.startswith(f"{actor}/")]:
            param, value, target = self.table[name], self.values[name], self._target[name]
            fade = self._fades.get(name)
            if fade is not None:
                fade.elapsed += dt
                share = min(fade.elapsed / fade.seconds, 1.0)
                value = fade.start + (target - fade.start) * share
                arrived = share == 1.0
            else:
                keep = 0.5 ** (dt / param.half_life) if param.half_life > 0 else 0.0
                value = target + (value - target) * keep
                arrived = bool(np.max(np.abs(value - target)) < 1e-4 * (param.high - param.low)) or keep == 0.0
            if arrived:
                value = target
                self._moving.discard(name)
                self._fades.pop(name, None)
            self.values[name] = self._of[actor][name.partition("/")[2]] = value

    def of(self, actor: str) -> Knobs:
        """The values of one actor, by knob; the mapping stays the same, what stands in it moves."""
        return self._of.get(actor, {})


@dataclass
class _Fade:
    """The way of a param to its target in a given time: from where, and how much of it is over."""

    start: float | Array
    seconds: float
    elapsed: float = 0.0


def _clamped(param: Param, value: Setting) -> float | Array:
    """A setting as the param keeps it: a float, or an array (size,)."""
    if isinstance(value, str):
        value = param.named(value)
    numbers = np.atleast_1d(np.asarray(value, dtype=np.float64))
    if numbers.shape not in ((1,), (param.size,)):
        raise ValueError(f"param {param.name!r} takes {_count(param.size)}, got {numbers.size or 'none'}")
    if not np.isfinite(numbers).all():
        raise ValueError(f"param {param.name!r} cannot be {value}")
    if param.size == 1:
        return min(max(float(numbers[0]), param.low), param.high)
    return np.clip(np.broadcast_to(numbers, (param.size,)), param.low, param.high)


def _count(size: int) -> str:
    return "one number" if size == 1 else f"one number or {size} numbers"
