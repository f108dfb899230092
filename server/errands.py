"""What a show is told to do beside the dance, such as to record: one thing after the other, in a thread of its own."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Full, Queue
from typing import Any

MOST_WAITING = 16
SETTLED_SECONDS = 2.0

Arguments = tuple[Any, ...]  # of an OSC message
Answer = Callable[..., None]  # takes what to say, as OSC arguments


@dataclass(frozen=True)
class Command:
    """Something that may take its time. `run` takes the arguments and says in words what it did; ValueError and OSError
    refuse in words.

    about: for people. takes: the OSC types of its argument, "s", "i" or "f", or "N" for none. choices: what a text may
    be, if that is known. value: how it stands, if it has a state. button: a 1 alone is a press, which means no argument
    at all, and a 0 alone lets go, which asks for nothing; so it is with all that take none.
    """

    run: Callable[[Arguments], str]
    about: str
    takes: str = "N"
    choices: Callable[[], Sequence[str]] | None = None
    value: Callable[[], Any] | None = None
    button: bool = False


class Listing:
    """What a folder has to choose from, looked through again only when the folder has changed.

    look: the folder to the names. A folder's time is that of its newest entry, which may be filled a moment later, so
    what was found is kept only once the folder has been left alone for SETTLED_SECONDS.
    """

    def __init__(self, folder: Path, look: Callable[[Path], list[str]]) -> None:
        self._folder, self._look = folder, look
        self._changed: float | None = None
        self._names: list[str] = []

    def __call__(self) -> list[str]:
        """The names; none where there is no folder."""
        try:
            changed = self._folder.stat().st_mtime
        except OSError:
            return []
        if changed != self._changed:
            self._names = self._look(self._folder)
            self._changed = changed if time.time() - changed > SETTLED_SECONDS else None
        return self._names


class Errands:
    """Runs commands in the order of their coming. faults: commands that raised what they should not."""

    def __init__(self) -> None:
        self.faults = 0
        self._waiting: Queue[tuple[Command, Arguments, Answer, Answer] | None] = Queue(MOST_WAITING)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="errands", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Whatever is running may end; what waits is left."""
        self._closing.set()
        with contextlib.suppress(Full):
            self._waiting.put_nowait(None)
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)

    def send(self, command: Command, arguments: Arguments, answer: Answer, refuse: Answer) -> None:
        """Raises ValueError when too much waits already."""
        try:
            self._waiting.put_nowait((command, arguments, answer, refuse))
        except Full:
            raise ValueError(f"busy: {MOST_WAITING} commands wait already") from None

    def _run(self) -> None:
        while not self._closing.is_set():
            errand = self._waiting.get()
            if errand is None:
                return
            command, arguments, answer, refuse = errand
            try:
                answer(command.run(arguments))
            except (ValueError, OSError) as error:
                refuse(str(error))
            except Exception as error:  # a fault of ours ends no thread while the show runs
                self.faults += 1
                refuse(f"{type(error).__name__}: {error}")
