"""What a mixture model's sample shall be like: known values, priors, linear limits, as the arrays that its graph takes.

    wanted = Conditions(space)
    wanted.know("LeftHand/x", 0.4)                                     # exactly; mask=0.5: softly
    wanted.prior("Hips/y", mean=0.9, deviation=0.05)
    wanted.prior({"LeftHand/x": 1.0, "RightHand/x": -1.0}, mean=0.3, deviation=0.02, name="hands apart")
    wanted.limit({"LeftFoot/y": -1.0}, at_most=0.0, name="floor")
    wanted.box("LeftHand/z", low=-0.5, high=0.5)

Everything adds up. Values may be arrays (N,): N questions at once, each with its own. What makes no sense is refused
with the thing, the value and the choices (ConditionError); what contradicts itself is not: see motion.sampling.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motion.manifest import Manifest

Array = NDArray[np.float64]
Values = dict[str, NDArray[np.float32]]
Row = Mapping[str, ArrayLike] | ArrayLike

LARGEST = 1e15  # of any number that is given


class ConditionError(ValueError):
    """A condition that cannot be asked for: what is wrong with it, and the choices."""


@dataclass(frozen=True)
class Space:
    """What a model's label says of its variables. variances (L, D): what every layer leaves open, in squares of the
    variables' own units. slots: rows of linear conditions that the graph has; None for any number.
    """

    variables: tuple[str, ...]
    variances: Array
    slots: int | None = None

    @classmethod
    def of(cls, label: Manifest) -> Space:
        """What the label of a `sampler` says."""
        layers = len([name for name in label.vectors if name.startswith("variance_")])
        slots = next(int(port.shape[1]) for port in label.inputs if port.name == "A")
        return cls(label.variables, np.array([label.vectors[f"variance_{layer}"] for layer in range(layers)]), slots)

    @cached_property
    def places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.variables)}

    def place(self, name: str) -> int:
        """Where a variable stands. Raises ConditionError with the choices."""
        if name not in self.places:
            close = difflib.get_close_matches(str(name), self.variables, 1, 0.5)
            hint = f"did you mean {close[0]}? " if close else ""
            more = ", ..." if len(self.variables) > 40 else ""
            raise ConditionError(f"unknown variable {name!r}; {hint}known: {', '.join(self.variables[:40])}{more}")
        return self.places[name]


@dataclass(frozen=True)
class Question:
    """N questions. exact (N, D): known exactly, `target` then is the value. precision (N, L, D), 0 for what is free.

    rows (N, I, D), bounds (N, I): a.x <= b with a weight (N, I) above 0, or a.x = b wished for with a precision `pulls`
    (N, L, I). names: of the rows.
    """

    target: Array
    exact: NDArray[np.bool_]
    precision: Array
    rows: Array
    bounds: Array
    weights: Array
    pulls: Array
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.target)

    def repeated(self, times: int) -> Question:
        """Every question so many times, for more candidates than a graph draws at once."""
        parts = {part.name: getattr(self, part.name) for part in fields(self)}
        names: tuple[str, ...] = parts.pop("names")
        return Question(**{name: np.repeat(part, times, axis=0) for name, part in parts.items()}, names=names)

    def inputs(self, slots: int | None = None) -> Values:
        """The graph's inputs, all but `gumbel`; empty rows fill up to `slots`."""
        rows = {"A": self.rows, "b": self.bounds, "w": self.weights, "pull": self.pulls}
        if slots is not None:
            missing = slots - len(self.names)
            for name, axis in (("A", 1), ("b", 1), ("w", 1), ("pull", 2)):
                wide = [(0, missing if number == axis else 0) for number in range(rows[name].ndim)]
                rows[name] = np.pad(rows[name], wide)
        values = {"x": self.target, "precision": self.precision, **rows}
        return {name: value.astype(np.float32) for name, value in values.items()}


@dataclass
class Conditions:
    """See the module. count: how many questions; one serves for all where everything given is a plain number."""

    space: Space
    count: int = 1
    _known: list[tuple[NDArray[np.intp], Array, Array, NDArray[np.bool_]]] = field(default_factory=list)
    _priors: list[tuple[int, Array, Array, Array]] = field(default_factory=list)
    _rows: list[tuple[str, Array, Array, Array, Array | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ConditionError(f"count = {self.count}; there is one question at least")

    def know(
        self,
        variables: str | Sequence[str] | None,
        values: ArrayLike,
        mask: ArrayLike = 1.0,
        clamp: bool = False,
    ) -> Conditions:
        """These variables (None: all) have these values, (n,) or (N, n). mask, likewise: 1 exactly, 0 not at all,
        between them softly, as a Gaussian whose deviation is sqrt(1 / mask^2 - 1) of what a layer leaves open. With
        `clamp` samples have exactly these values even so: the mask is only how much components are chosen by them.
        """
        names = [variables] if isinstance(variables, str) else self.space.variables if variables is None else variables
        places = np.array([self.space.place(name) for name in names], dtype=np.intp)
        if not len(places):
            return self
        what = names[0] if len(names) == 1 else f"{len(names)} variables"
        single = isinstance(variables, str)
        value, share = (
            self._numbers(each, f"{part} of {what}", len(places), single)
            for each, part in ((values, "known value"), (mask, "mask"))
        )
        if share.min() < 0.0 or share.max() > 1.0:
            raise ConditionError(f"mask of {what} = {_told(mask)} must be from 0 (free) to 1 (exactly known)")
        self._known.append((places, value, share, (share == 1.0) | (clamp & (share > 0.0))))
        return self

    def prior(
        self,
        what: str | Row,
        mean: ArrayLike,
        deviation: ArrayLike,
        weight: ArrayLike = 1.0,
        name: str = "",
    ) -> Conditions:
        """A Gaussian wish: for one variable, or for a.x with a as in `limit`, which takes a row."""
        told = what if isinstance(what, str) else name or self._name(what, "~", mean)
        centre = self._number(mean, f"mean of prior {told}")
        spread = self._number(deviation, f"deviation of prior {told}")
        share = self._number(weight, f"weight of prior {told}")
        if spread.min() < 0.0 or share.min() < 0.0:
            raise ConditionError(
                f"prior {told}: deviation {_told(deviation)} and weight {_told(weight)} must be 0 or more"
            )
        if isinstance(what, str):
            self._priors.append((self.space.place(what), centre, spread, share))
        else:
            self._add(told, self._row(what, told), centre, share, spread)
        return self

    def limit(self, a: Row, at_most: ArrayLike, weight: ArrayLike = 1.0, name: str = "") -> Conditions:
        """a.x <= at_most; a: {variable: factor}, or (D,) or (N, D). weight: how hard samples are drawn inside; 3 keeps
        nearly all there, and projecting them keeps all. Takes a row; earlier ones go first where they contradict.
        """
        told = name or self._name(a, "<=", at_most)
        bound, share = self._number(at_most, f"limit {told}"), self._number(weight, f"weight of limit {told}")
        if share.min() <= 0.0:
            raise ConditionError(f"limit {told}: weight {_told(weight)} must be above 0")
        self._add(told, self._row(a, told), bound, share, None)
        return self

    def box(
        self, variable: str, low: ArrayLike | None = None, high: ArrayLike | None = None, weight: ArrayLike = 1.0
    ) -> Conditions:
        """low <= variable <= high; None: no such side. Takes a row a side."""
        if low is None and high is None:
            raise ConditionError(f"box of {variable}: it needs low, high or both")
        if low is not None and high is not None and np.any(np.asarray(low) > np.asarray(high)):
            raise ConditionError(f"box of {variable}: low {_told(low)} is above high {_told(high)}")
        if low is not None:
            bound = -self._number(low, f"low of box {variable}")
            self.limit({variable: -1.0}, bound, weight, f"{variable} >= {_told(low)}")
        if high is not None:
            self.limit({variable: 1.0}, high, weight, f"{variable} <= {_told(high)}")
        return self

    def question(self) -> Question:
        """The arrays. Where a variable has several wishes they multiply; what is exactly known has no others."""
        variances = self.space.variances  # (L, D)
        layers, size, count = *variances.shape, self.count
        precision, pulled = np.zeros((count, layers, size)), np.zeros((count, size))
        target, exact = np.zeros((count, size)), np.zeros((count, size), dtype=bool)
        for places, value, mask, fixed in self._known:
            part = mask[:, None] ** 2 / variances[:, places]  # (N, L, n)
            precision[:, :, places] += part
            pulled[:, places] += part[:, -1] * value
            target[:, places] = np.where(fixed, value, target[:, places])
            exact[:, places] |= fixed
        for place, mean, deviation, weight in self._priors:
            weight = np.where(exact[:, place], 0.0, weight)
            part = weight[:, None] / (variances[:, place] + deviation[:, None] ** 2)  # (N, L)
            precision[:, :, place] += part
            pulled[:, place] += part[:, -1] * mean
        target = np.where(exact, target, pulled / np.maximum(precision[:, -1], 1e-300))
        rows = np.stack([row for _, row, *_ in self._rows], axis=1) if self._rows else np.zeros((count, 0, size))
        bounds, weights, pulls = (np.zeros((count, len(self._rows))) for _ in range(3))
        pulls = np.zeros((count, layers, len(self._rows)))
        for number, (_, row, bound, weight, deviation_or_none) in enumerate(self._rows):
            bounds[:, number] = bound
            if deviation_or_none is None:
                weights[:, number] = weight
            else:
                open_variance = row**2 @ variances.T  # (N, L)
                pulls[:, :, number] = weight[:, None] / (open_variance + deviation_or_none[:, None] ** 2)
        names = tuple(name for name, *_ in self._rows)
        return Question(target, exact, precision, rows, bounds, weights, pulls, names)

    def _add(self, name: str, row: Array, bound: Array, weight: Array, deviation: Array | None) -> None:
        slots = self.space.slots
        if slots is not None and len(self._rows) == slots:
            taken = ", ".join(each for each, *_ in self._rows)
            raise ConditionError(f"{name}: the model has {slots} rows for linear conditions, taken by: {taken}")
        self._rows.append((name, row, bound, weight, deviation))

    def _row(self, a: Row, name: str) -> Array:
        if isinstance(a, Mapping):
            row = np.zeros((self.count, len(self.space.variables)))
            for variable, factor in a.items():
                row[:, self.space.place(variable)] = self._number(factor, f"factor of {variable} in {name}")
        else:
            row = self._numbers(a, name, len(self.space.variables), False)
        if not np.abs(row).max(axis=1).min(initial=1.0) > 0.0:
            raise ConditionError(f"{name}: a has no length; it must have a factor other than 0")
        return row

    def _number(self, value: ArrayLike, what: str) -> Array:
        return self._numbers(value, what, 1, True)[:, 0]

    def _numbers(self, value: ArrayLike, what: str, size: int, single: bool) -> Array:
        """value as (N, size). single: an array is one number for each of N questions."""
        try:
            numbers = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError):
            raise ConditionError(f"{what} = {value!r} is no number") from None
        shaped = numbers[:, None] if single and numbers.ndim == 1 else numbers
        try:
            full = np.array(np.broadcast_to(shaped, (self.count, size)))
        except ValueError:
            wanted = f"({size},) or ({self.count}, {size})" if not single else f"one number, or {self.count} of them"
            raise ConditionError(f"{what} has shape {numbers.shape}; expected {wanted}") from None
        if not np.isfinite(full).all():
            raise ConditionError(f"{what} = {_told(value)} must be finite")
        if np.abs(full).max(initial=0.0) > LARGEST:
            raise ConditionError(f"{what} = {_told(value)} is above {LARGEST:g}, too much for single precision")
        return full

    def _name(self, a: Row, sign: str, bound: ArrayLike) -> str:
        if not isinstance(a, Mapping):
            return f"row {len(self._rows) + 1}"
        return " + ".join(f"{_told(factor)} {name}" for name, factor in a.items()) + f" {sign} {_told(bound)}"


def _told(value: Any) -> str:
    array = np.asarray(value)
    return f"{array:g}" if array.ndim == 0 and array.dtype.kind in "fiu" else f"{value!r}" if array.ndim == 0 else "..."
