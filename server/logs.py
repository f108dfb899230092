"""What a show leaves to be read later: messages on stderr, and a log file that turns over before it fills a disk.

Named by module, as Python's logging has it; what is logged once a fault or a change, never once a frame. A disk that is
full silences the file, not the show.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from server.report import status_line

LARGEST, OLD_FILES = 10_000_000, 5  # bytes of a log file, and how many before it are kept
_EVERY = {"text": 50, "json": 5}  # figures come five times a second
_diary = logging.getLogger("show")  # what only the file has

Figures = Mapping[str, Any]


@contextmanager
def logging_to(file: Path | None, form: str = "text") -> Iterator[Callable[[Figures], None]]:
    """Messages go to stderr, and with `file` there as well; yields what takes the show's figures down there.

    form: "text", a line every ten seconds, or "json", an object every second. Raises OSError for a file that cannot be
    written.
    """
    messages, here = logging.getLogger("server"), logging.StreamHandler(sys.stderr)
    here.setFormatter(logging.Formatter("%(message)s"))
    handlers: list[logging.Handler] = [here]
    if file is not None:
        try:
            there = RotatingFileHandler(file, maxBytes=LARGEST, backupCount=OLD_FILES, encoding="utf-8")
        except OSError as error:
            raise OSError(
                f"cannot write the log {file}: {error.strerror}; name a file in a folder that is there"
            ) from None
        there.setFormatter(_Json() if form == "json" else logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        handlers.append(there)
    levels, complains = (messages.level, _diary.level), logging.raiseExceptions
    messages.setLevel(logging.INFO)
    _diary.setLevel(logging.INFO)
    _diary.propagate = logging.raiseExceptions = False
    for handler in handlers:
        messages.addHandler(handler)
    for handler in handlers[1:]:
        _diary.addHandler(handler)
    try:
        yield Diary(_EVERY[form]) if file is not None else lambda figures: None
    finally:
        for handler in handlers:
            messages.removeHandler(handler)
            _diary.removeHandler(handler)
            with suppress(OSError):  # a full disk still has not room for the last line
                handler.close()
        messages.setLevel(levels[0])
        _diary.setLevel(levels[1])
        logging.raiseExceptions = complains


class Diary:
    """Called with the show's figures; takes down what has changed, and every so many calls all of it."""

    def __init__(self, every: int) -> None:
        self._every, self._calls = every, 0
        self._before: dict[str, str] = {}

    def __call__(self, figures: Figures) -> None:
        for what, now in _notable(figures).items():
            if now != self._before.get(what, ""):
                _diary.log(logging.WARNING if "fault" in what else logging.INFO, "%s: %s", what, now or "none any more")
            self._before[what] = now
        if self._calls % self._every == 0:
            _diary.info("%s", status_line(figures), extra={"figures": figures})
        self._calls += 1


def _notable(figures: Figures) -> dict[str, str]:
    """What is told when it changes; empty while there is nothing to tell."""
    told = {key: str(figures[key]) for key in ("page_fault", "discovery_fault", "output_fault", "preset", "cue")}
    told["recording fault"] = figures["recording"]["fault"]
    for name, dancer in figures["dancers"].items():
        told |= {name: dancer["state"], f"{name} fault": dancer["fault"]}
    for name, partner in figures["partners"].items():
        told |= {name: partner["state"], f"{name} fault": partner["fault"]}
        if ladder := partner["ladder"]:
            told[f"{name} ladder"] = f"{ladder['rung']}, {ladder['why']}" if ladder["why"] else ladder["rung"]
    return told


class _Json(logging.Formatter):
    """An object a line: the figures as they are, or a message with its time."""

    def format(self, record: logging.LogRecord) -> str:
        figures = getattr(record, "figures", None)
        if figures is not None:
            return json.dumps(figures)
        return json.dumps({"time": record.created, "level": record.levelname, "message": record.getMessage()})
