"""The panel beside the stage: how the show is, what it is steered by, its params, and how it is looked at.

Freeze and rest float over the stage, so that they are in reach wherever the panel has been scrolled to. What a person
does leaves as one message through `Remote`; what the server's figures do sends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import viser

from server.protocols.frames import PacketError, PoseFrame
from server.stage_view.deck import SECOND, Deck
from server.stage_view.dials import PLAIN, Dials, read_params
from server.stage_view.feed import Remote
from server.stage_view.health import WARNING, headline, health_html
from server.stage_view.meters import effort_html
from server.stage_view.pins import Pins
from server.stage_view.scene import Scene

REST_SECONDS = 1.5  # for coming to rest, and back
WIDTH, HOLD_WIDTH = 340, 224
REFUSED_SECONDS = 6.0


class Panel:
    """The whole panel. One thread calls `update`, `see` and `lost`; viser's own threads bring clicks and drags."""

    def __init__(self, server: viser.ViserServer, scene: Scene, remote: Remote | None) -> None:
        self._server, self._scene, self._remote = server, scene, remote
        self.pins: dict[str, Pins] = {}  # of the partners who have a sampler
        self._frozen = self._resting = False
        self._seconds: set[str] = set()  # partners who dance beside another for comparison
        gui = server.gui
        gui.set_panel_label("Pas de Deux")
        gui.configure_theme(dark_mode=True, show_logo=False, show_share_button=False, brand_color=(52, 104, 146))
        gui.main_panel.dock_right()
        gui.main_panel.set_width(WIDTH)
        self._health = gui.add_html("")
        tabs = gui.add_tab_group()
        show = tabs.add_tab("Show")
        self.deck = Deck(gui, show, self._tell)
        with show:
            self._effort = gui.add_html("", order=90.0)
            self.reset = gui.add_button(
                "Start over",
                icon=viser.Icon.REFRESH,
                color=PLAIN,
                hint="Every model forgets what it has seen",
                order=99,
            )
        self._dials_tab = tabs.add_tab("Dials")
        self.dials = Dials(gui, self._dials_tab, self._tell)
        with tabs.add_tab("View"):
            self._view()
        hold = gui.add_panel()
        with hold.add_tab("Hold", viser.Icon.HAND_STOP):
            self.freeze = gui.add_button(
                "Freeze", icon=viser.Icon.PLAYER_PAUSE, hint="Every partner holds their pose (F)"
            )
            self.rest = gui.add_button("Rest", icon=viser.Icon.MAN, hint="Every partner comes to stand at rest (R)")
        hold.float(x=12, y=-12, width=HOLD_WIDTH)
        self.freeze.on_click(lambda _: self._toggle_freeze())
        self.rest.on_click(lambda _: self._toggle_rest())
        self.reset.on_click(lambda _: self._tell("show/reset", 1))
        gui.add_command("Freeze, or dance on", hotkey="F").on_trigger(lambda _: self._toggle_freeze())
        gui.add_command("Rest, or dance on", hotkey="R").on_trigger(lambda _: self._toggle_rest())
        gui.add_command("Next cue", hotkey="G").on_trigger(lambda _: self._tell("cue/go"))
        self._enable(False)

    def update(self, stats: Mapping[str, Any]) -> None:
        """Shows a stats message. Raises PacketError when it is not one."""
        try:
            table = read_params(stats)
            health, effort = health_html(stats), effort_html(stats)
            frozen = bool(stats.get("frozen", False))
            dancers = {str(name): str(partner.get("dancer", "")) for name, partner in stats["partners"].items()}
            samplers = {
                str(name): partner["sample"]
                for name, partner in stats["partners"].items()
                if partner.get("sample") is not None
            }
            self.deck.update(stats)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PacketError(f"statistics lack what the page shows: {type(error).__name__} {error}") from error
        self._health.content, self._effort.content = health, effort
        still = [value for param, value in table if param.name.endswith("/stillness")]
        self._frozen, self._resting = frozen, bool(still) and min(still) >= 0.5
        self.freeze.label, self.freeze.color = ("Dance on", "yellow") if frozen else ("Freeze", None)
        self.rest.label, self.rest.color = ("Dance on", "yellow") if self._resting else ("Rest", None)
        self.dials.follow(table)
        self._compare(dancers)
        self._enable(self._remote is not None)
        self._hold(samplers)
        self._say_refusals()

    def see(self, frames: Sequence[PoseFrame]) -> None:
        """The poses that are drawn now."""
        for pins in self.pins.values():
            pins.see(frames)

    def lost(self, text: str) -> None:
        """The server is not there."""
        self._health.content, self._effort.content = headline("○", WARNING, "no server", text), ""
        self._enable(False)

    def _tell(self, name: str, *said: float | str) -> None:
        if self._remote is not None:
            self._remote.tell(name, *said)

    def _toggle_freeze(self) -> None:
        self._tell("show/freeze", int(not self._frozen))

    def _toggle_rest(self) -> None:
        self._tell("show/still", int(not self._resting), REST_SECONDS)

    def _view(self) -> None:
        gui, scene = self._server.gui, self._scene
        for label, hint in (
            ("follow", "The stage keeps everybody in the middle"),
            ("trails", "Where hands and feet have just been"),
            ("marks", "Where feet stand and have stood"),
        ):
            box = gui.add_checkbox(label, True, hint=hint)

            @box.on_update
            def _(event: viser.GuiEvent[viser.GuiCheckboxHandle], label: str = label) -> None:
                setattr(scene, label, event.target.value)

        self.lanes = gui.add_checkbox(
            "side by side", False, hint="Each partner in a lane of their own, with the dancer"
        )
        everyone = gui.add_button("Back to the start", icon=viser.Icon.FOCUS_CENTERED, color=PLAIN)

        @everyone.on_click
        def _(event: viser.GuiEvent[Any]) -> None:
            if event.client is not None:
                scene.frame_everyone(event.client)

    def _compare(self, dancers: Mapping[str, str]) -> None:
        """Partners in lanes, if asked for; a second one who comes to be compared asks for it."""
        seconds = {name for name in dancers if name.endswith(SECOND)}
        if seconds != self._seconds:
            self._seconds = seconds
            self.lanes.value = bool(seconds)  # type: ignore[misc]  # viser decorates the setter
        self._scene.lanes = dancers if self.lanes.value else {}

    def _hold(self, samplers: Mapping[str, Any]) -> None:
        """Handles for every partner who can be held. Raises PacketError for samplers that say something else."""
        for name in self.pins.keys() - samplers.keys():
            self.pins.pop(name).remove()
        for name, sample in samplers.items():
            if name not in self.pins:
                with self._dials_tab:
                    self.pins[name] = Pins(self._server, name, self._remote)
            try:
                self.pins[name].update(sample)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise PacketError(f"{name}.sample: {type(error).__name__} {error}") from error

    def _say_refusals(self) -> None:
        """What the server would not do, to everybody who looks."""
        for text in self._remote.refusals() if self._remote is not None else ():
            for client in self._server.get_clients().values():
                client.add_notification("Refused", text, color="orange", auto_close_seconds=REFUSED_SECONDS)

    def _enable(self, enabled: bool) -> None:
        for handle in (self.freeze, self.rest, self.reset, *self.dials.handles):
            handle.disabled = not enabled
        self.deck.enable(enabled)
