"""The labelling page in a browser: a window danced over and over, a button and a key for every label.

What somebody clicks or presses is queued by viser's thread and obeyed by the one that draws, in order. What goes wrong
(a full disk, a file that somebody else has changed) is said on the page, and nothing counts as labelled then.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Mapping
from functools import partial
from html import escape
from typing import Any

import numpy as np
import viser

from motion.skeleton import HUMANOID, Array
from server.protocols.frames import PoseFrame
from server.stage_view.scene import Scene
from training.label_agreement import Agreement, with_oneself
from training.label_book import TAKES
from training.label_session import Session
from training.label_windows import to_the_middle

PAUSE = 0.35  # seconds between the end of a window and its beginning
REACTION = 0.5  # seconds: nobody has seen the next window sooner; it is a double click, or a key held down
KEYS = "123456789"
_CENTRE = np.array([0.0, 0.9, 0.0])
_PLAIN, _CHOSEN, _WRONG = (58, 62, 72), "yellow", "#e8575a"

Action = Callable[[], str | None]  # what it returns is told on the page
Others = Callable[[], Mapping[str, Mapping[str, Agreement]]]  # by whose file, and by label set


class Page:
    """The whole page; one thread calls `turn`. others: how far files of other people agree by now."""

    def __init__(self, server: viser.ViserServer, session: Session, others: Others = dict) -> None:
        self._session, self._others = session, others
        self._asked: queue.SimpleQueue[tuple[Action, bool]] = queue.SimpleQueue()
        self._scene = Scene(server)
        self._scene.follow = False  # windows are moved to the middle; a camera that follows would hide how they travel
        self._on_stage = False
        self._root, self._rotations, self._fps = np.empty((0, 3)), np.empty((0, 0, 4)), 1.0
        self._playing, self._time, self._now = True, 0.0, 0.0
        self._answered, self._moved_on, self._fault = -REACTION, False, ""
        self.buttons: dict[str, viser.GuiButtonHandle] = {}  # by what they do; labels by set and label
        self.commands: dict[str, viser.CommandHandle] = {}
        self._build(server.gui)
        self._enter()
        self._tell()

    def turn(self, now: float) -> None:
        """Do what was asked for since the last turn, and draw. now: seconds of a clock that never goes back."""
        while self.asked:
            act, answers = self._asked.get()
            hasty = answers and self._moved_on and now - self._answered < REACTION
            self._answered = now if answers else self._answered
            if not hasty:
                self._obey(act, answers)
        seconds, self._now = now - self._now, now
        if self._playing:
            self._time = (self._time + min(seconds, PAUSE) * self.speed.value) % (self._seconds + PAUSE)
            self.place.value = min(self._time / self._seconds, 1.0)
        self._draw()

    @property
    def asked(self) -> bool:
        """Whether something waits for the next turn."""
        return not self._asked.empty()

    @property
    def _seconds(self) -> float:
        return max(len(self._root) - 1, 1) / self._fps

    def _obey(self, act: Action, answers: bool) -> None:
        before = self._session.card
        try:
            self._fault = act() or ""
        except OSError as error:
            self._fault = str(error)
        self._moved_on = answers and self._session.card != before
        if self._session.card != before:
            self._enter()
        self._tell()

    def _enter(self) -> None:
        """The window of a new card, from its beginning."""
        if window := self._session.window:
            self._root, self._rotations = to_the_middle(window)
            self._fps, self._time, self._playing = window.fps, 0.0, True

    def _draw(self) -> None:
        if self._session.card is None:
            self._on_stage = False
            self._scene.hide()
            return
        if not self._on_stage:  # the stage stays where whoever enters first stands
            self._pose(_CENTRE, self._rotations[0])
        frame = min(int(self._time * self._fps + 0.5), len(self._root) - 1)
        self._pose(self._root[frame], self._rotations[frame])
        self._on_stage = True

    def _pose(self, root: Array, rotations: Array) -> None:
        frame = PoseFrame(HUMANOID, root, rotations, sender_time=None, receive_time=0.0, number=0)
        self._scene.show([frame], (), 0.0)

    def _build(self, gui: viser.GuiApi) -> None:
        gui.set_panel_label("Labelling")
        gui.configure_theme(dark_mode=True, show_logo=False, show_share_button=False, brand_color=(52, 104, 146))
        gui.main_panel.dock_right()
        gui.main_panel.set_width(340)
        self._bar = gui.add_progress_bar(0.0)
        self.head = gui.add_html("")
        keys = iter(KEYS)
        for name, labels in self._session.book.sets:
            with gui.add_folder(name):
                for label in labels:
                    act = partial(self._session.label, name, label)
                    self._button(gui, f"{name}/{label}", label, next(keys, ""), act, answers=True)
        for name, title, key, act, answers in (
            ("skip", "Cannot tell", "X", self._session.skip, True),
            ("undo", "Undo", "Z", self._undo, False),
            ("previous", "Previous", "P", self._session.previous, False),
            ("next", "Next, this one later", "N", self._session.next, False),
            ("play", "Play or pause", "space", self._play, False),
            ("begin", "From the beginning", "B", self._begin, False),
        ):
            self._button(gui, name, title, key, act, answers)
        self.speed = gui.add_slider("speed", 0.25, 2.0, 0.25, 1.0)
        self.place = gui.add_slider("place", 0.0, 1.0, 0.01, 0.0, hint="Pauses there")
        self.agreement = gui.add_html("")

        @self.place.on_update
        async def _(event: viser.GuiEvent[Any]) -> None:
            if event.client_id is not None:  # a person, not the clock
                self._asked.put((partial(self._seek, float(self.place.value)), False))

    def _button(self, gui: viser.GuiApi, name: str, title: str, key: str, act: Action, answers: bool) -> None:
        """A button, and a key for the same where there is one left."""

        async def ask(_: object) -> None:  # in viser's own thread, so that keys come in their order
            self._asked.put((act, answers))

        self.buttons[name] = gui.add_button(f"{title}   [{key.lower()}]" if key else title, color=_PLAIN)
        self.buttons[name].on_click(ask)
        if key:
            self.commands[name] = gui.add_command(title, hotkey=key)  # type: ignore[arg-type]
            self.commands[name].on_trigger(ask)

    def _undo(self) -> str:
        return "" if self._session.undo() else "nothing to undo: since this page was opened nothing was labelled"

    def _play(self) -> None:
        self._playing = not self._playing

    def _begin(self) -> None:
        self._time, self._playing = 0.0, True

    def _seek(self, part: float) -> None:
        self._time, self._playing = part * self._seconds, False

    def _tell(self) -> None:
        """Everything on the page that is not the dance."""
        session = self._session
        done, skipped, count = session.progress()
        self._bar.value = 100.0 * (done + skipped) / count
        lines = [f"<b>{done} of {count}</b>" + (f" · {skipped} cannot be told" if skipped else "")]
        for name, counts in session.counts().items():
            lines.append(f"{escape(name)}: " + ", ".join(f"{escape(each)} {counts[each]}" for each in counts))
        if (window := session.window) and session.book.about == TAKES:
            lines.append(f"<span style='opacity:0.6'>{escape(window.take)}, {window.start:.1f} s</span>")
        if self._fault:
            lines.append(f"<span style='color:{_WRONG}'>{escape(self._fault)}</span>")
        self.head.content = _box(lines)
        for name, labels in session.book.sets:
            said, asked = session.said(name), name in session.sets
            for label in labels:
                button = self.buttons[f"{name}/{label}"]
                button.color = _CHOSEN if label == said else _PLAIN
                button.disabled = not asked
        mine = [line for line in session.book.lines.values() if line.get("who", "") == session.book.who]
        told = {"with yourself": with_oneself(mine, list(session.book.side.values())), **self._others()}
        self.agreement.content = _box(
            f"{escape(whom)}, {escape(name)}: {escape(agreement.told())}"
            for whom, agreements in told.items()
            for name, agreement in agreements.items()
        )
        self._scene.say("" if session.card else "everything here is labelled")


def _box(lines: Any) -> str:
    return f"<div style='padding:0.25em 0.75em;font-size:0.85em;line-height:1.5'>{'<br>'.join(lines)}</div>"
