"""Where dancers come from. A receiver owns its socket or file and one thread, and calls `on_frame` from it.

Rules: the constructor opens everything and fails there; nothing a peer sends can end the thread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from server.protocols.frames import PoseFrame

OnFrame = Callable[[PoseFrame], None]


class ReceiverError(OSError):
    """A dancer's source cannot be opened: names the dancer, the endpoint and what to do."""


class Tap(Protocol):
    """Sees what a dancer's decoder is about to be given: must be quick and must not raise."""

    def packet(self, data: bytes | memoryview, sender: Sequence[Any], receive_time: float) -> None:
        """A datagram or message; who sent it, as the socket names them."""
        ...

    def flush(self, now: float) -> None:
        """The time of the frame that is open is up."""
        ...


class Receiver(Protocol):
    """One dancer's source."""

    @property
    def counts(self) -> Counter[str]:
        """A snapshot: packets, frames, dropped_<reason>, internal_error ..."""
        ...

    @property
    def others(self) -> list[str]:
        """Senders that talk here and are not followed, for people."""
        ...

    def start(self) -> None:
        """Begins to call `on_frame`; once only."""
        ...

    def close(self) -> None:
        """Ends the thread and gives back the socket. Safe before `start` and twice."""
        ...

    def describe(self) -> str:
        """What it listens to, for people."""
        ...


@runtime_checkable
class Fed(Receiver, Protocol):
    """A receiver of packets, which a replay can give them to as well."""

    def take(self, datagram: memoryview, source: tuple[Any, ...], receive_time: float) -> None: ...

    def flush(self, now: float) -> None:
        """No packet has come until now."""
        ...
