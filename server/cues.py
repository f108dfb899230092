"""The cue list of a show: where it stands, and what a cue changes. No clocks, no sockets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from server.params import ControlChange
from server.preset_control import Cue
from server.stages.sample_wishes import PLACE

STILLNESS = "*/stillness"
STILL_SECONDS = 1.5  # for coming to rest, and back, where nobody says otherwise


class CueList:
    """Cues are numbered from 1. position: the cue that was given last, 0 before the first."""

    def __init__(self, cues: Sequence[Cue]) -> None:
        self.cues = cues
        self.position = 0

    def numbered(self, text: str) -> int:
        """The number of what `/cue/<text>` asks for: go, back, a number or a name. ValueError names the choices."""
        if text in ("go", "back"):
            number = self.position + (1 if text == "go" else -1)
            if not self.cues:
                raise ValueError("this show has no cues; list them in the preset under cues:")
            if not 1 <= number <= len(self.cues):
                where = f"cue {self.position} was the last one" if text == "go" else "no cue came before"
                raise ValueError(f"nowhere to go: {where} (there are {len(self.cues)})")
            return number
        names = [cue.name for cue in self.cues]
        if text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= len(names):
            return int(text)
        if text and text in names:
            return names.index(text) + 1
        there = ", ".join(self.title(number) for number in range(1, len(names) + 1))
        raise ValueError(f"no cue {text[:40]!r}; there are: {there or 'none'}")

    def title(self, number: int) -> str:
        """A cue for people: "3 finale"."""
        return f"{number} {self.cues[number - 1].name}".rstrip() if number else "none"


def changes(cue: Cue) -> Iterator[ControlChange]:
    """What a cue changes, all but a switch of the preset."""
    if cue.freeze is not None:
        yield ControlChange("show/freeze", float(cue.freeze))
    if cue.reset:
        yield ControlChange("show/reset", 1.0)
    for wish, numbers in cue.sample.items():
        yield ControlChange(PLACE + wish, numbers)
    for name, value in settings(cue).items():
        unsaid = name == STILLNESS and cue.still is not None and "seconds" not in cue.model_fields_set
        yield ControlChange(name, value, STILL_SECONDS if unsaid else cue.seconds)


def settings(cue: Cue) -> dict[str, float | tuple[float, ...] | str]:
    """What a cue sets, by param."""
    return ({} if cue.still is None else {STILLNESS: float(cue.still)}) | cue.params
