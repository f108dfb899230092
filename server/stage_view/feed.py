"""What the page hears and says: the newest poses and statistics over ZMQ, params back as OSC messages.

No viser here. Two subscribers that keep only the newest message, so a page that draws slower than the show runs never
lags behind it; ZMQ connects again by itself when a server comes back.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import zmq

from server.keys import ClientKeys
from server.protocols import packed
from server.protocols.frames import PacketError, PoseFrame
from server.protocols.osc_messages import encode, parse

Read = TypeVar("Read")
LONGEST_MESSAGE = 4 << 20  # bytes
SHOWN_SECONDS = 10.0  # a token is shown again after so long, for it may have been lost
MOST_ANSWERS = 64  # read in one look
SILENCE = 1.5  # seconds without any message after which the server counts as gone


@dataclass(frozen=True)
class News:
    """What came since the last look: None where nothing new did."""

    poses: tuple[Sequence[PoseFrame], packed.Header] | None
    stats: dict[str, Any] | None


class Feed:
    """Listens to one server. keys: for one that asks for some. One thread calls `news`.

    Raises ValueError for an endpoint that ZMQ cannot read.
    """

    def __init__(self, endpoint: str, keys: ClientKeys | None = None) -> None:
        self.endpoint, self._keys = endpoint, keys
        self._faults: dict[zmq.Socket[bytes], str] = {}
        self._heard = -float("inf")
        self._context = zmq.Context()
        self._poses = self._subscribe(packed.POSE_TOPIC)
        self._stats = self._subscribe(packed.STATS_TOPIC)

    @property
    def alive(self) -> bool:
        """True while the server is sending anything."""
        return time.monotonic() - self._heard < SILENCE

    @property
    def fault(self) -> str:
        """What is wrong with the newest poses or statistics; empty when they can be read."""
        return next(iter(self._faults.values()), "")

    def news(self) -> News:
        """Never waits."""
        return News(self._read(self._poses, packed.decode), self._read(self._stats, packed.decode_stats))

    def close(self) -> None:
        self._context.destroy(linger=0)

    def _read(self, subscriber: zmq.Socket[bytes], decode: Callable[[bytes], Read]) -> Read | None:
        try:
            message = subscriber.recv(zmq.NOBLOCK)
        except zmq.Again:
            return None
        self._heard = time.monotonic()
        try:
            read = decode(message)
        except PacketError as error:
            self._faults[subscriber] = str(error)
            return None
        self._faults.pop(subscriber, None)
        return read

    def _subscribe(self, topic: bytes) -> zmq.Socket[bytes]:
        subscriber = self._context.socket(zmq.SUB)
        subscriber.setsockopt(zmq.CONFLATE, 1)
        subscriber.setsockopt(zmq.MAXMSGSIZE, LONGEST_MESSAGE)
        subscriber.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
        subscriber.subscribe(topic)
        if self._keys is not None:
            self._keys.show(subscriber)
        try:
            subscriber.connect(self.endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise ValueError(f"{self.endpoint!r} is no ZMQ endpoint such as tcp://127.0.0.1:39550: {error}") from None
        return subscriber


class Remote:
    """The server's control port. Any thread may call it: a datagram leaves at once and nothing is waited for.

    token: for a server that asks for one.
    """

    def __init__(self, host: str, port: int, token: str = "", now: Callable[[], float] = time.monotonic) -> None:
        self.address = f"{host}:{port}"
        self._to, self._token, self._now = (host, port), token, now
        self._shown = -float("inf")
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def tell(self, name: str, *said: float | str) -> None:
        """Any message to `name` ("partner1/variety"), without its first slash."""
        if self._token and self._now() - self._shown > SHOWN_SECONDS:
            self._shown = self._now()
            self._send("/token", self._token)
        self._send(f"/{name}", *said)

    def refusals(self) -> list[str]:
        """What the server has refused since the last look, and why, for people. Never waits."""
        found = []
        for _ in range(MOST_ANSWERS):
            try:
                answer = self._socket.recv(65536)
            except OSError:  # nothing there; Windows reports a closed port here
                break
            with contextlib.suppress(PacketError):
                found += [": ".join(map(str, said)) for address, said in parse(answer) if address == "/error"]
        return found

    def close(self) -> None:
        self._socket.close()

    def _send(self, address: str, *said: float | str) -> None:
        with contextlib.suppress(OSError):  # no room to send, or closed: the page shows what became of it
            self._socket.sendto(encode(address, *said), self._to)
