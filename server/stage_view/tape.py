"""Record and replay: a recording of the show is begun and ended, and what plays is gone through with a scrubber.

What plays is a recording's dancers in the show that goes on (`/show/replay`), or else the clip that dances
(`/player`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import viser

from server.stage_view.dials import PLAIN, Tell
from server.stage_view.fader import Buttons, Fader
from server.stage_view.health import note, texts

NEWEST = 4  # recordings that are offered
RECORDING = (214, 94, 0)
REPLAY, CLIP = "seconds", "frame"  # what plays, by what the scrubber counts


class Offer(NamedTuple):
    """What there is to do; the folder is built anew where it is not what it was."""

    records: bool
    takes: tuple[str, ...]
    clips: tuple[str, ...]
    plays: str  # REPLAY, CLIP, or empty
    length: float  # of what plays, in seconds or frames


class Tape:
    """The folder of recordings. One thread calls `update`; tell: to the server."""

    def __init__(self, gui: viser.GuiApi, tab: viser.GuiTabHandle, order: float, tell: Tell) -> None:
        self._gui, self._tab, self._order, self._tell = gui, tab, order, tell
        self._offer: Offer | None = None
        self._folder: viser.GuiFolderHandle | None = None
        self._recording = self._playing = False
        self._place = 0.0
        self.record: viser.GuiButtonHandle | None = None
        self.play: viser.GuiButtonHandle | None = None
        self.scrubber: Fader | None = None
        self.takes: Buttons | None = None
        self._said: viser.GuiHtmlHandle | None = None

    @property
    def handles(self) -> list[Any]:
        scrubber = self.scrubber.slider if self.scrubber is not None else None
        return [handle for handle in (self.record, self.play, scrubber) if handle is not None]

    def update(self, stats: Mapping[str, Any]) -> None:
        """Raises KeyError, TypeError, ValueError or AttributeError for statistics that say something else."""
        offer = _offer(stats)
        if offer != self._offer:
            self._build(offer)
        recording, replay = stats.get("recording") or {}, stats.get("replay") or {}
        self._recording = bool(recording.get("folder"))
        size = float(recording.get("counts", {}).get("bytes", 0)) / 1e6
        if self.record is not None:
            self.record.label = "Stop recording" if self._recording else "Record"
            self.record.color = RECORDING if self._recording else PLAIN
        if self.scrubber is not None and self.play is not None:
            place = float(replay["seconds"] if offer.plays == REPLAY else stats["commands"]["player/frame"]["value"])
            self._playing = not replay["paused"] if offer.plays == REPLAY else place != self._place
            self._place = place
            self.scrubber.follow(place)
            self.play.label = "Pause" if self._playing else "Play"
            self.play.icon = viser.Icon.PLAYER_PAUSE if self._playing else viser.Icon.PLAYER_PLAY
        if self._said is not None:
            told = f"recording, {size:.1f} MB" if self._recording else str(replay.get("folder", ""))
            self._said.content = note(str(recording.get("fault") or "") or told)

    def _build(self, offer: Offer) -> None:
        if self._folder is not None:
            self._folder.remove()
        self._folder = self.record = self.play = self.scrubber = self.takes = self._said = None
        self._offer = offer
        if not (offer.records or offer.plays):
            return
        with self._tab:
            self._folder = self._gui.add_folder("tape", order=self._order)
        with self._folder:
            self._fill(offer)

    def _fill(self, offer: Offer) -> None:
        gui = self._gui
        if offer.records:
            self.record = gui.add_button("Record", icon=viser.Icon.PLAYER_RECORD, color=PLAIN)
            self.record.on_click(lambda _: self._tell("show/record", "stop" if self._recording else "start"))
        if offer.takes:
            self.takes = Buttons(gui, "replay", offer.takes, partial(self._tell, "show/replay"), "Its dancers come", 1)
        if offer.plays == REPLAY:
            live = gui.add_button("Live again", icon=viser.Icon.BROADCAST, color=PLAIN)
            live.on_click(lambda _: self._tell("show/replay", "stop"))
        elif len(offer.clips) > 1:
            Buttons(gui, "clip", offer.clips, partial(self._tell, "player/load"), "Another recording dances", 1)
        if offer.plays:
            self.play = gui.add_button("Pause", icon=viser.Icon.PLAYER_PLAY, color=PLAIN)
            self.play.on_click(lambda _: self._pause(offer.plays))
            step = 0.1 if offer.plays == REPLAY else 1.0
            seek = partial(self._seek, offer.plays)
            self.scrubber = Fader(gui, offer.plays, (0.0, offer.length), step, 0.0, seek, "Where the recording is")
        self._said = gui.add_html("")

    def _seek(self, plays: str, place: float) -> None:
        if plays == REPLAY:
            self._tell("show/seek", place)
        else:
            self._tell("player/frame", int(place))

    def _pause(self, plays: str) -> None:
        if plays == REPLAY:
            self._tell("show/pause", int(self._playing))
        else:
            self._tell("player/stop" if self._playing else "player/start")


def _offer(stats: Mapping[str, Any]) -> Offer:
    commands, replay = stats.get("commands") or {}, stats.get("replay") or {}
    takes = [name for name in _choices(commands, "show/replay") if name not in ("start", "stop")]
    plays, length = "", 0.0
    if replay.get("length"):
        plays, length = REPLAY, float(replay["length"])
    elif not replay and "player/frame" in commands:
        plays, length = CLIP, float(commands["player/end_frame"]["value"])
    clips = _choices(commands, "player/load")
    return Offer("show/record" in commands, tuple(reversed(takes))[:NEWEST], clips, plays, length)


def _choices(commands: Mapping[str, Any], name: str) -> tuple[str, ...]:
    return texts(commands.get(name, {}).get("choices"))
