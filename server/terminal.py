"""What a show says on a terminal: the block at the start, and one status line rewritten in place.

Colours only where somebody sees them: on a terminal, unless NO_COLOR is set or TERM is `dumb`. A line is cleared with
spaces, not with an escape sequence, and a character that a console cannot show becomes a question mark: an old Windows
console shows the same as every other. Off a terminal there is a line every ten seconds, or JSON every second.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from server.report import status_line

_TEXT_EVERY, _IN_PLACE_EVERY, _JSON_EVERY = 50, 2, 5  # calls
_BOLD, _DIM, _RED, _GREEN, _YELLOW = "1", "2", "31", "32", "33"
_STATES = {
    **dict.fromkeys(("live", "dancing"), _GREEN),
    **dict.fromkeys(("waiting", "bridged", "holding", "frozen"), _YELLOW),
    **dict.fromkeys(("stale", "fault"), _RED),
}
_STATE = re.compile(rf"(?<= )({'|'.join(_STATES)})(?=[ ,]|$)")
_LOSS = re.compile(r"\b(?:late|dropped|lost|different) [1-9]\d*|[1-9]\d* (?:lost|different)\b")
_ENABLE_VIRTUAL_TERMINAL = 0x0004  # of Windows' SetConsoleMode
_ENDS_WITH = 3  # fields of a status line that are kept where it is too long for the terminal


def prepare() -> None:
    """Lets stdout and stderr print whatever comes: a console of cp437 has no letter for much that a path may hold."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def colourful(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether `stream` is a terminal that shows colours, and nobody asked for none (https://no-color.org)."""
    if environment.get("NO_COLOR") or environment.get("TERM") == "dumb" or not stream.isatty():
        return False
    return _windows_console_obeys(stream) if sys.platform == "win32" else True


def block(opening: str, colours: bool) -> str:
    """The opening block: its title bold, its labels dim, where there are colours."""
    if not colours:
        return opening
    title, *lines = opening.split("\n")
    return "\n".join([_painted(title, _BOLD), *(re.sub(r"^  \w+ ", _dimmed, line) for line in lines)])


class StatusPrinter:
    """Called with the show's figures every fifth of a second; prints what is due. A fault is said once."""

    def __init__(self, as_json: bool, in_place: bool, colours: bool = False) -> None:
        self._as_json, self._in_place, self._colours = as_json, in_place and not as_json, colours
        self._every = _JSON_EVERY if as_json else _IN_PLACE_EVERY if in_place else _TEXT_EVERY
        self._calls = 0
        self._shown = 0  # columns of the line that stands there
        self._said: set[str] = set()

    def __call__(self, figures: Mapping[str, Any]) -> None:
        for fault in (figures["page_fault"], figures["discovery_fault"], figures["recording"]["fault"]):
            self._say_once(str(fault))
        self._calls += 1
        if self._calls % self._every:
            return
        if self._as_json:
            print(json.dumps(figures), flush=True)
        elif self._in_place:
            self._rewrite(fitting(status_line(figures), shutil.get_terminal_size().columns - 1))
        else:
            print(status_line(figures), flush=True)

    def close(self) -> None:
        """The prompt begins on a line of its own."""
        if self._shown:
            print(flush=True)

    def _rewrite(self, line: str) -> None:
        rest = " " * max(self._shown - len(line), 0)
        print(f"\r{_state_colours(line) if self._colours else line}{rest}", end="", flush=True)
        self._shown = len(line)

    def _say_once(self, fault: str) -> None:
        if fault and fault not in self._said:
            if self._shown:
                self._rewrite("")
                print("\r", end="", flush=True)
            print(_painted(fault, _RED) if self._colours else fault, file=sys.stderr, flush=True)
            self._said.add(fault)


def fitting(line: str, columns: int) -> str:
    """The line in so many columns: names give way first, for what a line ends with are the figures."""
    if len(line) <= columns:
        return line
    figures = " | ".join(line.split(" | ")[-_ENDS_WITH:])
    room = columns - len(figures) - len(" ... | ")
    return f"{line[:room]} ... | {figures}" if room > 0 else line[:columns]


def _state_colours(line: str) -> str:
    line = _STATE.sub(lambda found: _painted(found[1], _STATES[found[1]]), line)
    return _LOSS.sub(lambda found: _painted(found[0], _YELLOW), line)


def _dimmed(label: re.Match[str]) -> str:
    return _painted(label[0], _DIM)


def _painted(text: str, colour: str) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m"


def _windows_console_obeys(stream: TextIO) -> bool:
    """Asks a Windows console to obey escape sequences; one before Windows 10 does not."""
    if sys.platform != "win32":
        return True
    import ctypes
    import msvcrt

    console = msvcrt.get_osfhandle(stream.fileno())
    mode = ctypes.c_ulong()
    kernel = ctypes.windll.kernel32
    return bool(
        kernel.GetConsoleMode(console, ctypes.byref(mode))
        and kernel.SetConsoleMode(console, mode.value | _ENABLE_VIRTUAL_TERMINAL)
    )
