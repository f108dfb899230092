"""How every benchmark says what it measured: a table for people, and with `--json FILE` the same figures for machines.

A subject (a model, a preset) has flat figures; a figure that could not be had is None: "-" in the table, null in JSON.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Figures = Mapping[str, Any]


def show(
    title: str,
    subjects: Mapping[str, Figures],
    file: Path | None = None,
    nested: bool | None = None,
    turned: bool = False,
) -> None:
    """Print the figures, a column a subject, or `turned` a row, and write them to `file` if there is one.

    One subject is written as its flat object, several (or `nested`) as an object of flat objects by subject.
    Raises ValueError for a figure that is NaN or infinite: say None.
    """
    print(table(title, subjects, turned))
    if file is not None:
        write(file, subjects, len(subjects) > 1 if nested is None else nested)


def table(title: str, subjects: Mapping[str, Figures], turned: bool = False) -> str:
    """The figures as text: a row a figure, a column a subject; `turned`, a row a subject."""
    names = list(dict.fromkeys(name for figures in subjects.values() for name in figures))
    rows = [["", *subjects], *([name, *(_text(figures.get(name)) for figures in subjects.values())] for name in names)]
    rows = [list(column) for column in zip(*rows, strict=True)] if turned else rows
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    return "\n".join([title, *lines])


def write(file: Path, subjects: Mapping[str, Figures], nested: bool) -> None:
    figures: Any = {subject: dict(values) for subject, values in subjects.items()}
    if not nested:
        (figures,) = figures.values()
    file.write_text(json.dumps(figures, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.0f}" if abs(value) >= 10000 else f"{value:.4g}"
    return str(value)
