"""What a show is steered by beside its params: cues, presets, models, two models side by side, recordings.

What there is to choose from is the server's to say, in `cues`, `models` and `commands` of its statistics; a section
that has nothing to offer is not there. What a person chooses leaves as the command that OSC has for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import viser

from server.stage_view.dials import PLAIN, Tell
from server.stage_view.fader import Buttons
from server.stage_view.health import note, texts
from server.stage_view.tape import Tape

NOBODY = "nobody"
SECOND = "_b"  # behind a partner's name: whoever dances beside them for comparison
FADE_SECONDS, LONGEST_FADE = 2.0, 10.0
ORDER = ("cues", "presets", "models")


class Deck:
    """One thread calls `update`; tell: to the server."""

    def __init__(self, gui: viser.GuiApi, tab: viser.GuiTabHandle, tell: Tell) -> None:
        self._gui, self._tab, self._tell = gui, tab, tell
        self._sections: dict[str, tuple[Any, viser.GuiFolderHandle]] = {}  # what each was built of
        self.tape = Tape(gui, tab, float(len(ORDER)), tell)
        self.buttons: dict[str, Buttons] = {}
        self.said: dict[str, viser.GuiHtmlHandle] = {}  # how things stand, under the buttons
        self.fade = FADE_SECONDS

    def update(self, stats: Mapping[str, Any]) -> None:
        """Raises KeyError, TypeError, ValueError or AttributeError for statistics that say something else."""
        commands = stats.get("commands") or {}
        cues, models = texts(stats.get("cues")), {str(k): texts(v) for k, v in (stats.get("models") or {}).items()}
        presets = texts(commands.get("show/preset", {}).get("choices"))
        self._section("cues", cues, lambda: self._cues(cues))
        self._section("presets", presets, lambda: self._presets(presets))
        self._section("models", models, lambda: self._models(models))
        self.tape.update(stats)
        self._stand("cues", stats.get("cue") or "none yet")
        self._stand("presets", stats.get("preset") or "")
        self._stand("models", " · ".join(f"{name}: {each['model']}" for name, each in stats["partners"].items()))

    def enable(self, enabled: bool) -> None:
        """Nothing can be told to a server that is not there."""
        for handle in self.tape.handles:
            handle.disabled = not enabled

    def _section(self, name: str, of: Any, fill: Callable[[], None]) -> None:
        """Builds a folder anew where what it has to offer is not what it was."""
        before = self._sections.get(name)
        if before is not None and before[0] == of:
            return
        if before is not None:
            before[1].remove()
            del self._sections[name]
            self.buttons = {key: buttons for key, buttons in self.buttons.items() if key.partition(":")[0] != name}
            self.said.pop(name, None)
        if of:
            with self._tab:
                folder = self._gui.add_folder(name, order=float(ORDER.index(name)))
            self._sections[name] = of, folder
            with folder:
                fill()
                self.said[name] = self._gui.add_html("")

    def _stand(self, name: str, text: str) -> None:
        if name in self.said:
            self.said[name].content = note(text)

    def _cues(self, cues: Sequence[str]) -> None:
        go = self._gui.add_button("Go", icon=viser.Icon.PLAYER_TRACK_NEXT, color=PLAIN, hint="Gives the next cue")
        go.on_click(lambda _: self._tell("cue/go"))
        numbers = {title: number for number, title in enumerate(cues, start=1)}
        self.buttons["cues"] = Buttons(self._gui, "cue", cues, lambda title: self._tell(f"cue/{numbers[title]}"))

    def _presets(self, presets: Sequence[str]) -> None:
        self.buttons["presets"] = Buttons(
            self._gui,
            "go over to",
            presets,
            lambda name: self._tell("show/preset", name, self.fade),
            "Another show's partners take over",
        )
        self._fader()

    def _models(self, models: Mapping[str, Sequence[str]]) -> None:
        """For each partner the models that could dance them; a second one of the same dancer to compare with."""
        for name, there in models.items():
            self.buttons[f"models:{name}"] = Buttons(self._gui, name, there, partial(self._dance, name))
            if name.endswith(SECOND):
                leave = self._gui.add_button(f"{name} leaves", icon=viser.Icon.USER_MINUS, color=PLAIN)
                leave.on_click(lambda _, name=name: self._dance(name, NOBODY))  # type: ignore[misc]
            elif name + SECOND not in models:
                beside = self._gui.add_dropdown("beside them", (NOBODY, *there), hint="Two models, the same dancer")
                beside.on_update(partial(self._beside, name))

    def _dance(self, partner: str, model: str) -> None:
        self._tell("show/model", partner, model, self.fade)

    def _beside(self, partner: str, event: viser.GuiEvent[viser.GuiDropdownHandle[str]]) -> None:
        if event.client_id is not None and event.target.value != NOBODY:
            self._dance(partner + SECOND, event.target.value)

    def _fader(self) -> None:
        seconds = self._gui.add_slider("cross-fade", 0.0, LONGEST_FADE, 0.5, self.fade, hint="Seconds; 0 is a cut")

        @seconds.on_update
        def _(_: viser.GuiEvent[Any]) -> None:
            self.fade = float(seconds.value)
