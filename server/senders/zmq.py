"""Messages to whoever subscribes: one bound PUB socket, never blocking, old messages dropped rather than kept.

A subscriber that must not lag behind sets CONFLATE (clients/python): a queue's length here does not bound its lag, the
kernel's buffers do.
"""

from __future__ import annotations

from collections import Counter

import zmq

from server.senders import SenderError

# Messages that may wait for one subscriber. libzmq looks at what a subscriber has taken about once a millisecond, so
# with 2, a third of three messages sent within one is lost (measured); with 16, none.
HIGH_WATER = 16


class ZmqSender:
    """A publisher. bind: an endpoint like tcp://127.0.0.1:39550; `endpoint` is the one it got (port 0 or * is free).

    Like every ZMQ socket it is not for two threads at once: in a show, only who holds the tick's turn sends.
    Raises SenderError when the endpoint cannot be had.
    """

    def __init__(self, bind: str) -> None:
        self.counts: Counter[str] = Counter()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUB)
        self._socket.setsockopt(zmq.SNDHWM, HIGH_WATER)
        self._socket.setsockopt(zmq.LINGER, 0)
        try:
            self._socket.bind(bind)
        except zmq.ZMQError as error:
            self.close()
            advice = "set the output's bind to an address of this machine, such as tcp://127.0.0.1:39550"
            if error.errno == zmq.EADDRINUSE:
                advice = "close the other program or set the output's bind"
            raise SenderError(f"cannot publish on {bind!r}: {zmq.strerror(error.errno or 0)}; {advice}") from error
        self.endpoint: str = self._socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")

    def send(self, message: bytes) -> None:
        """Publishes one message, or counts a "send_error"."""
        try:
            self._socket.send(message, zmq.NOBLOCK)
            self.counts["messages"] += 1
        except zmq.ZMQError:
            self.counts["send_error"] += 1

    def close(self) -> None:
        self._socket.close()
        self._context.term()
