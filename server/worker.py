"""A thread of its own for work that is too heavy for a tick, one for each stage that has such work.

`Answers` keeps what stages were told when they asked whether a worker had done: the one thing about workers that a
show's poses depend on, so a recording has it and a replay obeys it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from server.stages.worker import Result, Run, Worker


def threaded() -> Run:
    """The thread ends when nobody holds the run any more, or with the program."""
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="worker")
    pool.submit(int).result()  # the thread starts now, not in a tick

    def run(work: Callable[[], Result]) -> Future[Result]:
        return pool.submit(work)

    return run


class Answers:
    """Whether workers had done when they were asked, in the order of asking. Only the holder of the turn asks.

    replaying: the answers come from `foretell`; where none was foretold it is yes.
    """

    def __init__(self, replaying: bool = False) -> None:
        self._given: list[bool] = []
        self._foretold: deque[bool] | None = deque() if replaying else None

    def heard_by(self, worker: Worker) -> Worker:
        """The same worker, whose promises ask here."""

        def start() -> Run:
            run = worker()
            return lambda work: _Promise(run(work), self)

        return start

    def foretell(self, answers: Iterable[bool]) -> None:
        """What the next turn will be told."""
        if self._foretold is not None:
            self._foretold.clear()
            self._foretold.extend(answers)

    def take(self) -> tuple[bool, ...]:
        """The answers since the last call."""
        if not self._given:
            return ()
        given, self._given = tuple(self._given), []
        return given

    def give(self, done: bool) -> bool:
        """The answer to a stage that asks; `done` is how it is."""
        if self._foretold is not None:
            done = self._foretold.popleft() if self._foretold else True
        self._given.append(done)
        return done


class _Promise(Future[Result]):
    """A future whose `done` is on record. `result` waits for the work as ever, so a foretold yes may be early."""

    def __init__(self, future: Future[Result], answers: Answers) -> None:
        super().__init__()
        self._future, self._answers = future, answers

    def done(self) -> bool:
        return self._answers.give(self._future.done())

    def result(self, timeout: float | None = None) -> Result:
        return self._future.result(timeout)
