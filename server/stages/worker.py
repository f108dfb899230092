"""Who does the work that is too heavy for a tick: whoever asks for it, or nobody; `server.worker` has a thread for it.

A `Worker` makes a `Run`; a `Run` takes work and gives the promise of its result. One `Run` does its work in order.
Work of numpy rather than of onnxruntime holds the interpreter, which a tick needs, whatever thread it is in: that is
for an `Expert`, whom a `Home` may have in a process of its own (`server.apart`).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol, TypeVar

Result = TypeVar("Result")
Asked = TypeVar("Asked")


class Run(Protocol):
    def __call__(self, work: Callable[[], Result]) -> Future[Result]: ...


Worker = Callable[[], Run]


class Home(Protocol):
    """Has an expert made where he is to live. make, what he is asked and his answers: can be pickled."""

    def __call__(self, make: Callable[[], Callable[[Asked], Result]]) -> Callable[[Asked], Result]: ...


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


def here(make: Callable[[], Callable[[Asked], Result]]) -> Callable[[Asked], Result]:
    """In this process."""
    return make()
