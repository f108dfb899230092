"""What the page hears and says: the newest poses and statistics over ZMQ, params back as OSC messages.

No viser here. Two subscribers that keep only the newest message, so a page that draws slower than the show runs never
lags behind it; ZMQ connects again by itself when a server comes back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import zmq
from pythonosc.udp_client import SimpleUDPClient

from server.keys import ClientKeys
from server.protocols import packed
from server.protocols.frames import PacketError, PoseFrame

Read = TypeVar("Read")
LONGEST_MESSAGE = 4 << 20  # bytes
SHOWN_SECONDS = 10.0  # a token is shown again after so long, for it may have been lost
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

    def _read(self, socket: zmq.Socket[bytes], decode: Callable[[bytes], Read]) -> Read | None:
        try:
            message = socket.recv(zmq.NOBLOCK)
        except zmq.Again:
            return None
        self._heard = time.monotonic()
        try:
            read = decode(message)
        except PacketError as error:
            self._faults[socket] = str(error)
            return None
        self._faults.pop(socket, None)
        return read

    def _subscribe(self, topic: bytes) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.SUB)
        socket.setsockopt(zmq.CONFLATE, 1)
        socket.setsockopt(zmq.MAXMSGSIZE, LONGEST_MESSAGE)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
        socket.subscribe(topic)
        if self._keys is not None:
            self._keys.show(socket)
        try:
            socket.connect(self.endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise ValueError(f"{self.endpoint!r} is no ZMQ endpoint such as tcp://127.0.0.1:39550: {error}") from None
        return socket


class Remote:
    """The server's control port. Any thread may call it: a datagram leaves at once and nothing is waited for.

    token: for a server that asks for one.
    """

    def __init__(self, host: str, port: int, token: str = "", now: Callable[[], float] = time.monotonic) -> None:
        self.address = f"{host}:{port}"
        self._client, self._token, self._now = SimpleUDPClient(host, port), token, now
        self._shown = -float("inf")

    def set(self, name: str, value: float) -> None:
        """Asks for `name` ("partner1/variety") to be `value`."""
        self._send(f"/{name}", float(value))

    def tell(self, name: str, *said: float | str) -> None:
        """Any message to `name`, without its first slash."""
        self._send(f"/{name}", said)

    def freeze(self, on: bool) -> None:
        self._send("/show/freeze", int(on))

    def reset(self) -> None:
        self._send("/show/reset", 1)

    def close(self) -> None:
        self._client.close()

    def _send(self, address: str, value: float | Sequence[float | str]) -> None:
        if self._token and self._now() - self._shown > SHOWN_SECONDS:
            self._shown = self._now()
            self._client.send_message("/token", self._token)
        self._client.send_message(address, value)
