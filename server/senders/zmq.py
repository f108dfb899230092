"""Messages to whoever subscribes: one bound PUB socket, never blocking, old messages dropped rather than kept.

Two messages may wait for a slow subscriber; a subscriber that must not lag sets CONFLATE (clients/python).
"""

from __future__ import annotations

import threading
from collections import Counter

import zmq

from server.senders import SenderError

HIGH_WATER = 2


class ZmqSender:
    """A publisher. bind: an endpoint like tcp://127.0.0.1:5556; `endpoint` is the one it got (port 0 or * is free).

    Raises SenderError when the endpoint cannot be had.
    """

    def __init__(self, bind: str) -> None:
        self.counts: Counter[str] = Counter()
        self._lock = threading.Lock()  # a ZMQ socket is not for two threads at once, and a watchdog may send too
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUB)
        self._socket.setsockopt(zmq.SNDHWM, HIGH_WATER)
        self._socket.setsockopt(zmq.LINGER, 0)
        try:
            self._socket.bind(bind)
        except zmq.ZMQError as error:
            self.close()
            raise SenderError(
                f"cannot publish on {bind!r}: {error}; close the other program or set the output's bind"
            ) from error
        self.endpoint: str = self._socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")

    def send(self, message: bytes) -> None:
        """Publishes one message, or counts a "send_error"."""
        with self._lock:
            try:
                self._socket.send(message, zmq.NOBLOCK)
                self.counts["messages"] += 1
            except zmq.ZMQError:
                self.counts["send_error"] += 1

    def close(self) -> None:
        self._socket.close()
        self._context.term()
