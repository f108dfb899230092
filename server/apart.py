"""An expert in a process of their own: what holds the interpreter there does not hold it here, where a tick needs it.

Asked by a worker's thread, which waits without holding anything. A process that ends or does not answer is replaced.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import weakref
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")

PATIENCE = 5.0  # seconds of waiting for an answer
START_PATIENCE = 60.0  # for the process itself, on a machine that is busy
NICE = 10  # below the tick, where both want the same core


class Apart(Generic[Asked, Answer]):
    """make: opens the expert, in the process; what it raises is raised here. It can be pickled, as can questions and
    answers. Raises RuntimeError where the process does not begin.
    """

    def __init__(self, make: Callable[[], Callable[[Asked], Answer]]) -> None:
        self._make = make
        self._begin()

    def __call__(self, asked: Asked) -> Answer:
        """The expert's answer. Raises what the expert raises, and RuntimeError for one who does not answer."""
        if self._connection.closed or not self._process.is_alive():
            self._end()
            self._begin()
        try:
            self._connection.send(asked)
            return self._hear(PATIENCE)
        except (EOFError, OSError):
            self._end()
            raise RuntimeError("an expert's process has ended; there will be another one") from None

    def close(self) -> None:
        """Nobody will ask any more."""
        self._end()

    def _begin(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_live, args=(theirs, self._make), name="expert", daemon=True)
        self._process.start()
        theirs.close()
        self._end = weakref.finalize(self, _part, self._process, self._connection)
        try:
            self._hear(START_PATIENCE)
        except EOFError:
            self._end()
            raise RuntimeError("an expert's process does not begin") from None

    def _hear(self, patience: float) -> Answer:
        if not self._connection.poll(patience):
            self._end()
            raise RuntimeError(f"an expert has not answered for {patience:g} seconds; there will be another one")
        said: tuple[Exception, None] | tuple[None, Answer] = self._connection.recv()
        if said[0] is not None:
            raise said[0]
        return said[1]


def _part(process: BaseProcess, connection: Connection) -> None:
    """An expert who hears that nobody is there goes by themselves, but not one who is stuck."""
    connection.close()
    if process.is_alive():
        process.terminate()
    process.join(1.0)
    if process.is_alive():  # stopped, or deaf
        process.kill()
        process.join(1.0)


def _live(connection: Connection, make: Callable[[], Callable[[Asked], Answer]]) -> None:
    """The process: answers for as long as somebody asks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the show is ended by who runs it
    _step_aside()
    with contextlib.suppress(EOFError, OSError):  # nobody is there any more
        try:
            expert = make()
            connection.send((None, None))
        except Exception as error:  # whoever asked for the expert hears of it
            connection.send((_fault(error), None))
            return
        while True:
            asked = connection.recv()
            try:
                answer = expert(asked)
            except Exception as error:  # as if it had been raised where they asked
                connection.send((_fault(error), None))
            else:
                connection.send((None, answer))


def _step_aside() -> None:
    """A tick that wants the core gets it at once, and one that rehearses for its next frame keeps it."""
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    elif hasattr(os, "nice"):
        os.nice(NICE)


def _fault(error: Exception) -> Exception:
    """The error, or where it cannot be pickled, which libraries' own often cannot, what it says."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
