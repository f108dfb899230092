"""What is left when something of ours breaks: a folder that says what it was, with the last second before, to replay.

`crash.json` is for people and machines; `show.json` and `records.bin` beside it are a recording (docs/recording.md).
Written by the thread that ends, or by the main one; the tick only keeps what went by.
"""

from __future__ import annotations

import json
import logging
import platform
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from server.about import versions
from server.recorder import Recorder, new_folder

REPORT = "crash.json"
MOST_REPORTS = 8  # of a show

_log = logging.getLogger(__name__)


class CrashReports:
    """Writes into new folders in `folder`. preset: its file's name. figures: the stats message as it was last made."""

    def __init__(
        self, folder: Path, preset: str, recorder: Recorder, figures: Callable[[], Mapping[str, Any] | None]
    ) -> None:
        self._folder, self._preset, self._recorder, self._figures = folder, preset, recorder, figures
        self._lock = threading.Lock()
        self._told: set[str] = set()
        self._before = threading.excepthook

    def listen(self) -> None:
        """From now on threads that end by an exception are reported."""
        self._before, threading.excepthook = threading.excepthook, self._thread_ended

    def close(self) -> None:
        if threading.excepthook == self._thread_ended:
            threading.excepthook = self._before

    def look(self, errors: Mapping[str, BaseException | None]) -> None:
        """Reports what the show has survived, each once. errors: by where they were."""
        for where, error in errors.items():
            if error is not None:
                self.write(where, error)

    def write(self, where: str, error: BaseException) -> Path | None:
        """The report's folder; None where the same has been reported, or nothing can be written, which is said."""
        with self._lock:
            told = f"{where}: {type(error).__name__}: {error}"
            if told in self._told or len(self._told) >= MOST_REPORTS:
                return None
            self._told.add(told)
            try:
                new = new_folder(self._folder)
                report = self._report(where, error)
                try:
                    self._recorder.save_last_second(new)
                except Exception as fault:  # what is told comes first
                    report["recording"] = f"none: {type(fault).__name__}: {fault}"
                text = json.dumps(report, indent=1, default=str)
                (new / REPORT).write_text(text + "\n", encoding="utf-8")
            except Exception as fault:  # nothing else may come of it
                _log.warning("%s; no report of it: %s", told, fault)
                return None
        _log.warning("%s; %s tells of it", told, new)
        return new

    def _report(self, where: str, error: BaseException) -> dict[str, Any]:
        return {
            "format": 1,
            "when": datetime.now().astimezone().isoformat(timespec="milliseconds"),
            "where": where,
            "error": f"{type(error).__name__}: {error}",
            "traceback": traceback.format_exception(error),
            "threads": [thread.name for thread in threading.enumerate()],
            "preset": self._preset,
            "versions": versions() | {"system": platform.platform(), "executable": Path(sys.executable).name},
            "recording": "the last second, beside this file: --replay this folder",
            "figures": self._figures(),
        }

    def _thread_ended(self, ended: threading.ExceptHookArgs) -> None:
        if ended.exc_value is not None:
            name = ended.thread.name if ended.thread is not None else "?"
            self.write(f"thread {name}", ended.exc_value)
        self._before(ended)
