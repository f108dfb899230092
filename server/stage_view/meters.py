"""Effort meters as bars: what is read of everybody who is read, label set by label set, in their own colours."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from server.stage_view.scene import DANCER_COLOURS, PARTNER_COLOURS

_TRACK = "background:rgba(128,134,150,0.25);border-radius:0.25em;height:0.55em;flex:1"


def effort_html(stats: Mapping[str, Any]) -> str:
    """Bars for the panel, empty where nobody has a meter.

    Raises KeyError, TypeError, ValueError or AttributeError for statistics that say something else.
    """
    bars = [
        _actor(str(name), actor["effort"], colours[place % len(colours)])
        for actors, colours in ((stats["dancers"], DANCER_COLOURS), (stats["partners"], PARTNER_COLOURS))
        for place, (name, actor) in enumerate(actors.items())
        if actor.get("effort") is not None
    ]
    return f"<div style='padding:0.25em 0.75em;font-size:0.85em'>{''.join(bars)}</div>" if bars else ""


def _actor(name: str, sets: Mapping[str, Mapping[str, float]], colour: tuple[int, int, int]) -> str:
    rows = "".join(_set(str(of_set), shares, colour) for of_set, shares in sets.items())
    quiet = "<div style='opacity:0.65'>nothing is read yet</div>"
    return f"<div style='margin:0.5em 0 0.2em;font-weight:600'>{escape(name)}</div>{rows or quiet}"


def _set(name: str, shares: Mapping[str, float], colour: tuple[int, int, int]) -> str:
    likeliest = max(shares, key=lambda label: float(shares[label]))
    rows = "".join(_bar(label, share, colour, label == likeliest) for label, share in _shares(shares))
    return f"<div style='opacity:0.65'>{escape(name)}</div>{rows}"


def _shares(shares: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    for label, value in shares.items():
        share = float(value)
        if not math.isfinite(share):
            raise ValueError(f"{label!r} is {value}")
        yield label, min(max(share, 0.0), 1.0)


def _bar(label: str, share: float, colour: tuple[int, int, int], is_likeliest: bool) -> str:
    red, green, blue = colour
    fill = f"width:{100.0 * share:.0f}%;height:100%;border-radius:inherit;background:rgb({red},{green},{blue})"
    weight = 600 if is_likeliest else 400
    return (
        f"<div style='display:flex;align-items:center;gap:0.6em;font-variant-numeric:tabular-nums'>"
        f"<span style='width:6em;font-weight:{weight}'>{escape(str(label))}</span>"
        f"<span style='{_TRACK}'><span style='display:block;{fill}'></span></span>"
        f"<span style='width:3em;text-align:right'>{100.0 * share:.0f} %</span></div>"
    )
