"""What a person moves and the server moves, too: one slider, one list of buttons. Neither echoes.

A slider that a person moved leaves as one message and stays where it was put for TOUCH_SECONDS; then what the server
says wins. One that the server's figures move says nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import viser

TOUCH_SECONDS = 1.0


class Fader:
    """A slider; say: hears where a person put it. slider: viser's handle."""

    def __init__(
        self,
        gui: viser.GuiApi,
        label: str,
        span: tuple[float, float],
        step: float,
        value: float,
        say: Callable[[float], None],
        hint: str | None = None,
    ) -> None:
        self.slider = gui.add_slider(label, *span, step, min(max(value, span[0]), span[1]), hint=hint)
        self._touched = -TOUCH_SECONDS

        @self.slider.on_update
        def _(event: viser.GuiEvent[Any]) -> None:
            if event.client_id is not None:  # a person, not the figures
                self._touched = time.monotonic()
                say(float(self.slider.value))

    def follow(self, value: float) -> None:
        """Goes where the server says, unless somebody holds it."""
        if time.monotonic() - self._touched >= TOUCH_SECONDS:
            value = min(max(value, self.slider.min), self.slider.max)
            if value != self.slider.value:
                self.slider.value = value  # type: ignore[misc]  # viser decorates the setter

    def let_go(self) -> None:
        """The server's word counts at once."""
        self._touched = -TOUCH_SECONDS


class Buttons:
    """A button for each of some texts, in rows; say: hears which was pressed. viser cannot disable them."""

    def __init__(
        self,
        gui: viser.GuiApi,
        label: str,
        texts: Sequence[str],
        say: Callable[[str], None],
        hint: str | None = None,
        row: int = 2,
    ) -> None:
        self.texts = tuple(texts)
        parts = [self.texts[first : first + row] for first in range(0, len(self.texts), row)]
        self.rows = [gui.add_button_group("" if k else label, part, hint=hint) for k, part in enumerate(parts)]
        for group in self.rows:

            @group.on_click
            def _(event: viser.GuiEvent[viser.GuiButtonGroupHandle]) -> None:
                say(event.target.value)
