"""A scorecard's figures as people and machines read them; printing and JSON are those of benchmarks.report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

Rows = Mapping[str, Mapping[str, float]]


def readable(keys: Sequence[str], rows: Rows) -> dict[str, dict[str, str]]:
    """The cells by subject and key; - is what cannot be had.

    ± is half the spread over seeds; ratios to a floor stand before the interval of theirs.
    """
    return {subject: {key: _cell(figures, key) for key in keys} for subject, figures in rows.items()}


def markdown(keys: Sequence[str], rows: Rows) -> str:
    """A markdown table with a line for every key and a column for every subject."""
    cells = readable(keys, rows)
    return lines([["", *cells], *([key, *(column[key] for column in cells.values())] for key in keys)])


def lines(cells: Sequence[Sequence[str]]) -> str:
    """A markdown table of cells (rows of columns), the first row its head."""
    head, *body = [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join([head, "|---" * len(cells[0]) + "|", *body])


def finite(rows: Rows) -> dict[str, dict[str, float | None]]:
    """The figures with None for what cannot be had."""
    return {
        subject: {key: value if math.isfinite(value) else None for key, value in figures.items()}
        for subject, figures in rows.items()
    }


def _cell(figures: Mapping[str, float], key: str) -> str:
    value = figures.get(key, math.nan)
    if not math.isfinite(value):
        return "-"
    low, high = figures.get(f"{key}_low", value), figures.get(f"{key}_high", value)
    digits = max(0, min(3, 2 - math.floor(math.log10(abs(value))))) if abs(value) >= 1e-3 else 3
    if key.startswith("fid") and key.endswith("_ratio"):
        return f"{value:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"
    spread = 0.5 * (high - low)
    around = f" ±{spread:.{digits}f}" if spread > 0.5 * 10**-digits else ""
    return f"{value:.{digits}f}{around}"
