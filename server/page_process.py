"""The stage page's process: starts with the show, is started again where it ends, and ends with the show.

The show does not wait for it and does not need it. One that ends again and again, soon after it was started, is left
alone.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

REST_SECONDS = 0.5  # until one that has ended is started again
SOON, MOST = 10.0, 3  # seconds; so often in a row one may end so soon after it was started


class PageProcess:
    """command, environment: what is run. now: seconds."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._command, self._environment, self._now = command, environment, now
        self._ends = 0  # in a row, soon
        self._ended: float | None = None
        self._start()

    @property
    def pid(self) -> int:
        return self._page.pid

    def look(self) -> str:
        """Starts one that has ended anew, in time; says what is wrong, empty while it runs."""
        code = self._page.poll()
        if code is None:
            return ""
        now = self._now()
        if self._ended is None:
            self._ends = self._ends + 1 if now - self._started < SOON else 1
            self._ended = now
        if self._ends >= MOST:
            return f"the stage page has ended {MOST} times (exit code {code}); the show goes on without it"
        if now - self._ended >= REST_SECONDS:
            self._start()
        return f"the stage page has ended (exit code {code}) and is started again"

    def close(self) -> None:
        self._page.terminate()
        try:
            self._page.wait(timeout=3.0)
        except subprocess.TimeoutExpired:
            self._page.kill()
            self._page.wait()
        self._let_go()

    def _start(self) -> None:
        if self._ended is not None:
            self._let_go()
        self._started, self._ended = self._now(), None
        self._page = subprocess.Popen(self._command, stdin=subprocess.PIPE, env=dict(self._environment))

    def _let_go(self) -> None:
        if self._page.stdin is not None:
            self._page.stdin.close()
