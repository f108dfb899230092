"""Every param of the server's table as a slider, by actor and by what it acts on; names and identities are buttons."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any

import viser

from motion.manifest import Param
from server.stage_view.fader import Buttons, Fader

BODY = "body"  # what every partner has, whatever the model: in the order in which it acts
KNOBS = {
    **dict.fromkeys(("anticipation", "counter", "facing", "energy", "smoothing", "stillness"), BODY),
    "sampling": "hold",
}
PREFIXES = {"label": "labels", "follow": "labels", "identity": "manner", "manner": "manner"}
GROUPS = ("model", "labels", "manner", BODY, "hold")
PLAIN = (58, 62, 72)  # of buttons that are not urgent
Tell = Callable[..., None]  # an address without its first slash, and what is said


class Dials:
    """The folders of the params, anew for another table. One thread calls `follow`; tell: to the server."""

    def __init__(self, gui: viser.GuiApi, tab: viser.GuiTabHandle, tell: Tell) -> None:
        self._gui, self._tab, self._tell = gui, tab, tell
        self._table: list[Param] = []
        self._folders: list[viser.GuiFolderHandle] = []
        self.faders: dict[str, Fader] = {}
        self.names: dict[str, Buttons] = {}  # of params whose values have names
        self.identities: dict[str, Buttons] = {}  # by actor, of a manner

    def follow(self, table: Sequence[tuple[Param, float]]) -> None:
        """Shows params, each with where it stands."""
        if [param for param, _ in table] != self._table:
            self._build(table)
        for param, value in table:
            self.faders[param.name].follow(value)

    @property
    def handles(self) -> list[Any]:
        return [fader.slider for fader in self.faders.values()]

    def _build(self, table: Sequence[tuple[Param, float]]) -> None:
        for folder in self._folders:
            folder.remove()
        self._folders, self.faders, self.names, self.identities = [], {}, {}, {}
        self._table = [param for param, _ in table]
        order = {param.name: place for place, (param, _) in enumerate(table)}
        actors = list(dict.fromkeys(param.name.partition("/")[0] for param, _ in table))
        entries = sorted(table, key=lambda e: (actors.index(_actor(e[0])), GROUPS.index(group(e[0])), order[e[0].name]))
        for (actor, of), part in groupby(entries, key=lambda entry: (_actor(entry[0]), group(entry[0]))):
            with self._tab:
                folder = self._gui.add_folder(f"{actor} · {of}")
            self._folders.append(folder)
            with folder:
                self._fill(actor, list(part))

    def _fill(self, actor: str, entries: Sequence[tuple[Param, float]]) -> None:
        names = [p.name.partition("identity/")[2] for p, _ in entries if p.name.startswith(f"{actor}/identity/")]
        if names:
            self.identities[actor] = Buttons(
                self._gui, "as", names, partial(self._tell, f"{actor}/manner/identity"), "as whom it is danced"
            )
        for param, value in entries:
            self.faders[param.name] = self._fader(param, value)
            if param.names:
                say = partial(self._say_name, param.name)
                self.names[param.name] = Buttons(self._gui, "", param.names, say, param.about or None, 3)
        defaults = self._gui.add_button("Defaults", icon=viser.Icon.ARROW_BACK_UP, color=PLAIN)

        @defaults.on_click
        def _(event: viser.GuiEvent[Any]) -> None:
            for param, _ in entries:
                self.faders[param.name].let_go()
                self._tell(param.name, float(param.default))

    def _fader(self, param: Param, value: float) -> Fader:
        label = param.name.partition("/")[2] or param.name
        label += f" × {param.size}" if param.size > 1 else ""
        span = param.high - param.low
        step = 10.0 ** math.floor(math.log10(span / 100.0)) if span > 0 else 1.0
        say = partial(self._tell, param.name)
        return Fader(self._gui, label, (param.low, param.high), step, value, say, param.about or None)

    def _say_name(self, name: str, value: str) -> None:
        self.faders[name].let_go()
        self._tell(name, value)


def group(param: Param) -> str:
    """What a param acts on, one of GROUPS."""
    knob, _, rest = param.name.partition("/")[2].partition("/")
    return PREFIXES.get(knob, "model") if rest else KNOBS.get(knob, "model")


def read_params(stats: Mapping[str, Any]) -> list[tuple[Param, float]]:
    """The table of a stats message. Raises KeyError, TypeError or ValueError for one that says something else."""
    return [(_param(entry), _shown(entry)) for entry in stats["params"]]


def _actor(param: Param) -> str:
    return param.name.partition("/")[0]


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
