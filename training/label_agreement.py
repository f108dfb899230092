"""How far two people, or one person twice, say the same of the same movements: Cohen's kappa, and who said what.

kappa = (p - e) / (1 - e): p is the share of equal labels, e what it would be if both drew their labels at random, as
often as they used them (J. Cohen, A coefficient of agreement for nominal scales, Educational and Psychological
Measurement 20, 1960; its standard error is his, too). 1 is always the same, 0 is chance.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.label_book import Line, key_columns, read_lines, read_side, recording_of

ENOUGH = 20  # pairs from which on the standard error says something
SAME = 0.5  # parts of a take are one when they share more than this of what both cover: no part has two such others


@dataclass(frozen=True, eq=False)
class Agreement:
    """table (L, L): how often one said the row's label and the other the column's."""

    labels: tuple[str, ...]
    table: NDArray[np.int64]

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]], labels: Sequence[str] = ()) -> Agreement:
        """Of pairs of labels; labels stand as in `labels`, and any others after them."""
        pairs = list(pairs)
        names = tuple(dict.fromkeys([*labels, *sorted({label for pair in pairs for label in pair})]))
        table = np.zeros((len(names), len(names)), dtype=np.int64)
        for one, other in pairs:
            table[names.index(one), names.index(other)] += 1
        return cls(names, table)

    @property
    def count(self) -> int:
        return int(self.table.sum())

    @property
    def observed(self) -> float:
        """The share of equal labels; nan without any."""
        return float(np.trace(self.table)) / self.count if self.count else math.nan

    @property
    def expected(self) -> float:
        """The share of equal labels that chance would bring."""
        return float(self.table.sum(axis=1) @ self.table.sum(axis=0)) / self.count**2 if self.count else math.nan

    @property
    def kappa(self) -> float:
        """nan where it cannot be told: there is nothing, or both said one and the same label of everything."""
        chance = self.expected
        return (self.observed - chance) / (1.0 - chance) if chance < 1.0 else math.nan

    @property
    def error(self) -> float:
        """The standard error of kappa in large samples; nan where kappa is."""
        if math.isnan(self.kappa):
            return math.nan
        return math.sqrt(self.observed * (1.0 - self.observed) / self.count) / (1.0 - self.expected)

    def told(self) -> str:
        """One line for people."""
        if not self.count:
            return "nothing that both have labelled"
        kappa = "cannot be told" if math.isnan(self.kappa) else f"{self.kappa:.2f}"
        error = f" ± {self.error:.2f}" if self.count >= ENOUGH and not math.isnan(self.kappa) else ""
        return f"kappa {kappa}{error}, {100 * self.observed:.0f} % equal of {self.count}"

    def confusion(self) -> list[str]:
        """The table as lines of text: one's labels down, the other's across."""
        width = max([len(label) for label in self.labels] + [4])
        head = " " * width + "".join(f" {label:>{width}}" for label in self.labels)
        rows = zip(self.labels, self.table, strict=True)
        return [head, *(f"{label:>{width}}" + "".join(f" {each:>{width}}" for each in row) for label, row in rows)]


def compare(one: Sequence[Line], other: Sequence[Line]) -> dict[str, Agreement]:
    """The agreement of the lines of two files, by label set: of clips by name, of parts of takes where they are one."""
    pairs: dict[str, list[tuple[str, str]]] = {line["label set"]: [] for line in [*one, *other]}
    by_take: dict[tuple[str, str], list[Line]] = {}
    for line in other:
        if line["label"]:
            by_take.setdefault(_place(line), []).append(line)
    for line in one:
        for same in by_take.get(_place(line), ()) if line["label"] else ():
            if _shared(line, same) > SAME:
                pairs[line["label set"]].append((line["label"], same["label"]))
                break
    return {of_set: Agreement.of(said) for of_set, said in sorted(pairs.items())}


def with_oneself(lines: Sequence[Line], side: Sequence[Line]) -> dict[str, Agreement]:
    """The agreement of labels with those that the same person gave when windows came up again."""
    again = [line for line in side if line["kind"] == "again"]
    return compare(lines, again) if again else {}


def report(paths: Sequence[Path]) -> str:
    """Everybody with oneself, and every two files. Raises ValueError for files that do not go together, and OSError."""
    files = [(path, *read_lines(path)) for path in paths]
    if len({key_columns(columns) for _, columns, _ in files}) > 1:
        said = "; ".join(f"{path.name} has {', '.join(key_columns(columns))}" for path, columns, _ in files)
        raise ValueError(f"these files label different things: {said}")
    parts = []
    for path, _, lines in files:
        parts += _told(f"{path} with itself", with_oneself(lines, read_side(path)))
    for (path, _, lines), (other_path, _, others) in combinations(files, 2):
        parts += _told(f"{path} (down) and {other_path} (across)", compare(lines, others))
    return "\n".join(parts) if parts else f"{paths[0]} has no window that was labelled twice: label with --repeat 0.1"


def _told(title: str, agreements: dict[str, Agreement]) -> list[str]:
    lines = []
    for of_set, agreement in agreements.items():
        lines += [f"{title}, {of_set}: {agreement.told()}"]
        lines += [f"  {line}" for line in agreement.confusion()] if agreement.count else []
    return lines


def _place(line: Line) -> tuple[str, str]:
    return recording_of(line), line["label set"]


def _shared(one: Line, other: Line) -> float:
    """The part of what either covers that both do; clips are whole."""
    if "clip" in one:
        return 1.0
    (first, last), (begin, end) = ((float(line["start"]), float(line["end"])) for line in (one, other))
    return max(min(last, end) - max(first, begin), 0.0) / (max(last, end) - min(first, begin))
