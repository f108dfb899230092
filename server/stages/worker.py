"""Who does the work that is too heavy for a tick: whoever asks for it, or nobody; `server.worker` has a thread for it.

A `Worker` makes a `Run`; a `Run` takes work and gives the promise of its result. One `Run` does its work in order.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol, TypeVar

Result = TypeVar("Result")


class Run(Protocol):
    def __call__(self, work: Callable[[], Result]) -> Future[Result]: ...


Worker = Callable[[], Run]


def inline() -> Run:
    """At once, in the caller's thread: an offline render repeats bit for bit."""

    def run(work: Callable[[], Result]) -> Future[Result]:
        future: Future[Result] = Future()
        try:
            future.set_result(work())
        except Exception as error:  # whoever takes the result gets it
            future.set_exception(error)
        return future

    return run


def idle() -> Run:
    """Never: a rehearsal keeps everything warm but this."""
    return lambda work: Future()
