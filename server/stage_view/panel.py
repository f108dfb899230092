"""The panel beside the stage: how the show is, freeze and reset, and a slider for every param of the server's table.

Only viser. A slider moved by a person leaves as one message through `Remote`; a slider moved by the server's figures
(somebody turned a knob elsewhere) sends nothing, so nothing echoes. What the server says wins, a second after the
last touch. Text from the wire is escaped: the page shows it, it never runs it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from typing import Any

import viser

from motion.manifest import Param
from server.protocols.frames import PacketError, PoseFrame
from server.stage_view.feed import Remote
from server.stage_view.meters import effort_html
from server.stage_view.pins import Pins
from server.stage_view.scene import Scene

TOUCH_SECONDS = 1.0  # for so long after a touch a slider stays where the person put it
_GOOD, _WARN, _BAD, _QUIET = "#35b779", "#e69f00", "#e8575a", "#8a93a3"
_PLAIN = (58, 62, 72)
_STATE_LOOK = {
    "live": ("●", _GOOD),
    "dancing": ("●", _GOOD),
    "frozen": ("❙❙", _WARN),
    "holding": ("▲", _WARN),
    "stale": ("▲", _WARN),
    "bridged": ("◐", _WARN),
    "waiting": ("○", _QUIET),
}


class Panel:
    """The whole panel. One thread calls `update` and `lost`; viser's own threads bring clicks and drags."""

    def __init__(self, server: viser.ViserServer, scene: Scene, remote: Remote | None) -> None:
        self._server, self._gui, self._remote = server, server.gui, remote
        self.pins: dict[str, Pins] = {}  # of the partners who have a sampler
        self._table: list[Param] = []
        self._folders: list[viser.GuiFolderHandle] = []
        self.sliders: dict[str, viser.GuiSliderHandle[float]] = {}
        self.names: dict[str, viser.GuiButtonGroupHandle] = {}  # of params whose values have names
        self._touched: dict[str, float] = {}
        self._frozen = False
        gui = self._gui
        gui.set_panel_label("Pas de Deux")
        gui.configure_theme(dark_mode=True, show_logo=False, show_share_button=False, brand_color=(52, 104, 146))
        gui.main_panel.dock_right()
        gui.main_panel.set_width(340)
        self._health = gui.add_html("")
        self._freeze = gui.add_button("Freeze", icon=viser.Icon.PLAYER_PAUSE, hint="Every partner holds still")
        self._reset = gui.add_button(
            "Start over", icon=viser.Icon.REFRESH, color=_PLAIN, hint="Every model forgets what it has seen"
        )
        self._effort = gui.add_html("")
        with gui.add_folder("camera", expand_by_default=True, order=1000.0):
            follow = gui.add_checkbox("follow", True, hint="The stage keeps everybody in the middle")
            everyone = gui.add_button("Back to the start", icon=viser.Icon.FOCUS_CENTERED, color=_PLAIN)
        self._freeze.on_click(lambda _: remote.freeze(not self._frozen) if remote else None)
        self._reset.on_click(lambda _: remote.reset() if remote else None)

        @follow.on_update
        def _(_: viser.GuiEvent[Any]) -> None:
            scene.follow = follow.value

        @everyone.on_click
        def _(event: viser.GuiEvent[Any]) -> None:
            if event.client is not None:
                scene.frame_everyone(event.client)

        self._enable(False)

    def update(self, stats: Mapping[str, Any]) -> None:
        """Shows a stats message. Raises PacketError when it is not one."""
        try:
            table = [(_param(entry), _shown(entry)) for entry in stats["params"]]
            health, effort = health_html(stats), effort_html(stats)
            frozen = bool(stats.get("frozen", False))
            samplers = {
                str(name): partner["sample"]
                for name, partner in stats["partners"].items()
                if partner.get("sample") is not None
            }
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PacketError(f"statistics lack what the page shows: {type(error).__name__} {error}") from error
        self._health.content, self._effort.content = health, effort
        self._frozen = frozen
        self._freeze.label = "Dance on" if frozen else "Freeze"
        self._freeze.color = "yellow" if frozen else None
        if [param for param, _ in table] != self._table:
            self._build(table)
        self._enable(self._remote is not None)
        self._hold(samplers)
        now = time.monotonic()
        for param, value in table:
            slider = self.sliders[param.name]
            if now - self._touched.get(param.name, -TOUCH_SECONDS) >= TOUCH_SECONDS:
                slider.value = min(max(value, param.low), param.high)  # type: ignore[misc]  # viser decorates the setter

    def see(self, frames: Sequence[PoseFrame]) -> None:
        """The poses that are drawn now."""
        for pins in self.pins.values():
            pins.see(frames)

    def _hold(self, samplers: Mapping[str, Any]) -> None:
        """Handles for every partner who can be held. Raises PacketError for samplers that say something else."""
        for name in self.pins.keys() - samplers.keys():
            self.pins.pop(name).remove()
        for name, sample in samplers.items():
            if name not in self.pins:
                self.pins[name] = Pins(self._server, name, self._remote)
            try:
                self.pins[name].update(sample)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise PacketError(f"{name}.sample: {type(error).__name__} {error}") from error

    def lost(self, text: str) -> None:
        """The server is not there."""
        self._health.content, self._effort.content = _headline("○", _WARN, "no server", text), ""
        self._enable(False)

    def _enable(self, enabled: bool) -> None:
        for handle in (self._freeze, self._reset, *self.sliders.values(), *self.names.values()):
            handle.disabled = not enabled

    def _build(self, table: Sequence[tuple[Param, float]]) -> None:
        for folder in self._folders:
            folder.remove()
        self._folders, self.sliders, self.names, self._touched = [], {}, {}, {}
        self._table = [param for param, _ in table]
        for actor, entries in groupby(table, key=lambda entry: entry[0].name.partition("/")[0]):
            folder = self._gui.add_folder(actor)
            self._folders.append(folder)
            with folder:
                params = []
                for param, value in entries:
                    self.sliders[param.name] = self._slider(param, value)
                    if param.names:
                        self.names[param.name] = self._buttons(param)
                    params.append(param)
                self._defaults(params)

    def _slider(self, param: Param, value: float) -> viser.GuiSliderHandle[float]:
        label = param.name.partition("/")[2] or param.name
        label += f" × {param.size}" if param.size > 1 else ""
        span = param.high - param.low
        step = 10.0 ** math.floor(math.log10(span / 100.0)) if span > 0 else 1.0
        start = min(max(value, param.low), param.high)
        slider = self._gui.add_slider(label, param.low, param.high, step, start, hint=param.about or None)

        @slider.on_update
        def _(event: viser.GuiEvent[Any]) -> None:
            if event.client_id is not None and self._remote is not None:  # a person, not the figures
                self._touched[param.name] = time.monotonic()
                self._remote.set(param.name, slider.value)

        return slider

    def _buttons(self, param: Param) -> viser.GuiButtonGroupHandle:
        buttons = self._gui.add_button_group("", param.names, hint=param.about or None)

        @buttons.on_click
        def _(event: viser.GuiEvent[viser.GuiButtonGroupHandle]) -> None:
            if self._remote is not None:
                self._touched.pop(param.name, None)
                self._remote.tell(param.name, event.target.value)

        return buttons

    def _defaults(self, params: Sequence[Param]) -> None:
        button = self._gui.add_button("Defaults", icon=viser.Icon.ARROW_BACK_UP, color=_PLAIN)

        @button.on_click
        def _(_: viser.GuiEvent[Any]) -> None:
            for param in params:
                if self._remote is not None:
                    self._touched.pop(param.name, None)
                    self._remote.set(param.name, param.default)


def health_html(stats: Mapping[str, Any]) -> str:
    """How the show is, as a small table; raises KeyError, TypeError or ValueError for a message without the keys."""
    dancers, partners = stats["dancers"], stats["partners"]
    states = [str(actor["state"]) for actor in (*dancers.values(), *partners.values())]
    worst = next((s for s in ("frozen", "stale", "bridged", "waiting", "holding") if s in states), "live")
    mark, colour = _STATE_LOOK[worst]
    rows = []
    for name, dancer in dancers.items():
        age = "–" if dancer["age_ms"] is None else f"{float(dancer['age_ms']):.0f} ms old"
        rows.append(_row(name, f"{float(stats['fps_in'].get(name, 0.0)):.0f} fps in · {age}", str(dancer["state"])))
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
    rows.append(_row("pipeline", _milliseconds(stats["pipeline_p50_ms"])))
    rows.append(_row("out", f"{float(stats['fps_out']):.0f} fps"))
    rows.append(_row("lost", f"{int(stats['late'])} late · {int(stats['dropped'])} dropped"))
    table = (
        f"<table style='width:100%;border-spacing:0 0.2em;font-variant-numeric:tabular-nums'>{''.join(rows)}</table>"
    )
    return _headline(mark, colour, worst, str(stats["show"])) + _box(table)


def _rung(ladder: Mapping[str, Any] | None) -> list[str]:
    """What dances in the model's place, and why; nothing while the model dances."""
    if not ladder or ladder["rung"] == "full":
        return []
    return [_row("", f"{ladder['rung']}, {ladder['why']}")]


def _param(entry: Mapping[str, Any]) -> Param:
    low, high, default = float(entry["low"]), float(entry["high"]), float(entry["default"])
    if not (math.isfinite(low + high + default + _shown(entry)) and low <= high):
        raise ValueError(f"param {entry['name']!r} is {entry['value']} in {low}..{high}")
    about, size = str(entry.get("about", "")), int(entry.get("size", 1))
    names = tuple(map(str, entry.get("names", ())))
    return Param(str(entry["name"]), default, low, high, about=about, size=size, names=names)


def _shown(entry: Mapping[str, Any]) -> float:
    """Where a param's slider stands: a longer param has one slider, at the mean, and it sets every component."""
    value = entry["value"]
    return sum(map(float, value)) / len(value) if isinstance(value, list) and value else float(value)


def _headline(mark: str, colour: str, state: str, text: str) -> str:
    return _box(
        f"<span style='color:{colour};font-weight:700;letter-spacing:0.06em'>{mark} {escape(state.upper())}</span>"
        f"<span style='float:right;opacity:0.75'>{escape(text)}</span>"
    )


def _box(inner: str) -> str:
    return f"<div style='padding:0.25em 0.75em;font-size:0.85em'>{inner}</div>"


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
