"""A thread of its own for work that is too heavy for a tick, one for each stage that has such work."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from server.stages.worker import Result, Run


def threaded() -> Run:
    """The thread ends when nobody holds the run any more, or with the program."""
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="worker")
    pool.submit(int).result()  # the thread starts now, not in a tick

    def run(work: Callable[[], Result]) -> Future[Result]:
        return pool.submit(work)

    return run
