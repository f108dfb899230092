"""At which rates of keys a spline is nearer than an upsampler, as the model's own label has it.

In the label's scorecard, `spline_is_better` has rows `where`, `ahead`, `from_fps`, `to_fps`. `live`: the plain way of a
show, which knows the newest keys (`motion.upsampling.on_stage`); `offline`: the cubic spline through all keys of a
recording. A row without `where` is of both. `spline_measured` has the figures they come from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

Where = Literal["live", "offline"]
LOWEST, HIGHEST = 1.0, 1000.0


def better_from(scorecard: Mapping[str, Any], fps: float, ahead: int, where: Where) -> float | None:
    """The lowest of the rates, around that of the keys, at which a spline is nearer; None where the model is."""
    rows = (row for row in scorecard.get("spline_is_better", ()) if row["ahead"] == ahead)
    found = (row for row in rows if row.get("where", where) == where and row["from_fps"] <= fps <= row["to_fps"])
    return next((float(row["from_fps"]) for row in found), None)


def ranges(errors: Mapping[float, tuple[float, float]], ahead: int, where: Where) -> list[dict[str, Any]]:
    """Rows from errors by rate, the model's and the spline's; what lies between two rates is the nearer one's."""
    rates = sorted(errors)
    edges = [LOWEST, *(round(math.sqrt(a * b), 1) for a, b in pairwise(rates)), HIGHEST]
    rows: list[dict[str, Any]] = []
    for place, rate in enumerate(rates):
        model, spline = errors[rate]
        if not spline < model:
            continue
        if rows and rows[-1]["to_fps"] == edges[place]:
            rows[-1]["to_fps"] = edges[place + 1]
        else:
            rows.append({"where": where, "ahead": ahead, "from_fps": edges[place], "to_fps": edges[place + 1]})
    return rows


def told(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The rows for people."""
    return [
        f"{row.get('where', 'live, offline')}, {row['ahead']} ahead: {row['from_fps']:g} to {row['to_fps']:g} fps"
        for row in rows
    ]
