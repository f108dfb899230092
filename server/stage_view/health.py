"""How the show is, as a small table: who is heard and dances, how fast, and what has failed.

Text from the wire is escaped: the page shows it, it never runs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

_GOOD, WARNING, _BAD, _QUIET = "#35b779", "#e69f00", "#e8575a", "#8a93a3"
_STATE_LOOK = {
    "live": ("●", _GOOD),
    "dancing": ("●", _GOOD),
    "frozen": ("❙❙", WARNING),
    "holding": ("▲", WARNING),
    "stale": ("▲", WARNING),
    "bridged": ("◐", WARNING),
    "waiting": ("○", _QUIET),
}


def health_html(stats: Mapping[str, Any]) -> str:
    """How the show is, as a small table; raises KeyError, TypeError or ValueError for a message without the keys."""
    dancers, partners = stats["dancers"], stats["partners"]
    states = [str(actor["state"]) for actor in (*dancers.values(), *partners.values())]
    worst = next((s for s in ("frozen", "stale", "bridged", "waiting", "holding") if s in states), "live")
    mark, colour = _STATE_LOOK[worst]
    rows = []
    for name, dancer in dancers.items():
        age = "–" if dancer["age_ms"] is None else f"{float(dancer['age_ms']):.0f} ms old"
        heard = f"{float(stats['fps_in'].get(name, 0.0)):.0f} fps in · {age}{_loss(dancer.get('counts', {}))}"
        rows.append(_row(name, heard, str(dancer["state"])))
        others = [str(sender) for sender in dancer.get("other_senders", ())]
        if others:
            rows.append(_row("", f"also talks here and is not followed: {', '.join(others)}"))
        if dancer.get("calibration") not in (None, "", "none"):
            rows.append(_row("", str(dancer["calibration"])))
        rows += _fault(dancer)
    for name, partner in partners.items():
        behind = f" · {int(partner['latency_ms'])} ms behind" if partner.get("latency_ms") else ""
        behind += f", {int(partner['ahead_ms'])} predicted" if partner.get("ahead_ms") else ""
        rows.append(_row(name, f"{partner['model']} on {partner['device']}{behind}", str(partner["state"])))
        rows += _rung(partner.get("ladder"))
        rows += _fault(partner)
    p50, p99 = _milliseconds(stats["latency_p50_ms"]), _milliseconds(stats["latency_p99_ms"])
    rows.append(_row("latency", f"p50 {p50} · p99 {p99}"))
    rows.append(_row("model", _milliseconds(stats["pipeline_p50_ms"])))
    rows.append(_row("out", f"{float(stats['fps_out']):.0f} fps"))
    rows.append(_row("so far", f"{int(stats['late'])} late · {int(stats['dropped'])} dropped"))
    table = (
        f"<table style='width:100%;border-spacing:0 0.2em;font-variant-numeric:tabular-nums'>{''.join(rows)}</table>"
    )
    return headline(mark, colour, worst, str(stats["show"])) + _box(table)


def _rung(ladder: Mapping[str, Any] | None) -> list[str]:
    """What dances: the model in full, or whoever is in its place, and why."""
    if not ladder:
        return []
    why = f", {ladder['why']}" if ladder["rung"] != "full" else ""
    return [_row("", f"ladder: {ladder['rung']}{why}")]


def _loss(counts: Mapping[str, Any]) -> str:
    """Of a dancer's frames, how many were lost on their way or dropped, if any were."""
    frames = int(counts.get("frames", 0))
    lost = sum(int(n) for why, n in counts.items() if why.startswith("dropped") or why == "out_of_order")
    return f" · {100.0 * lost / max(frames + lost, 1):.1f} % lost" if lost else ""


def headline(mark: str, colour: str, state: str, text: str) -> str:
    """One line: a state, and beside it a text."""
    return _box(
        f"<span style='color:{colour};font-weight:700;letter-spacing:0.06em'>{mark} {escape(state.upper())}</span>"
        f"<span style='float:right;opacity:0.75'>{escape(text)}</span>"
    )


def _box(inner: str) -> str:
    return f"<div style='padding:0.25em 1.25em 0.25em 0.75em;font-size:0.85em'>{inner}</div>"


def _row(name: str, text: str, state: str = "") -> str:
    mark, colour = _STATE_LOOK.get(state, ("", _QUIET))
    flag = f"<span style='color:{colour}' title='{escape(state)}'>{mark} {escape(state)}</span>" if state else ""
    return (
        f"<tr><td style='opacity:0.65;padding-right:0.8em'>{escape(name)}</td>"
        f"<td>{escape(text)}</td><td style='text-align:right;white-space:nowrap'>{flag}</td></tr>"
    )


def _fault(actor: Mapping[str, Any]) -> list[str]:
    fault = actor.get("fault")
    return [f"<tr><td></td><td colspan=2 style='color:{_BAD}'>{escape(str(fault))}</td></tr>"] if fault else []


def _milliseconds(value: float | None) -> str:
    return "–" if value is None else f"{float(value):.1f} ms"


def note(text: str) -> str:
    """A quiet line of the panel."""
    return f"<div style='padding:0.1em 0.75em 0.4em;font-size:0.85em;opacity:0.75'>{escape(text)}</div>" if text else ""


def texts(value: Any) -> tuple[str, ...]:
    """A list from the wire, or nothing, as texts."""
    return tuple(map(str, value or ()))
