"""Messages to whoever subscribes: one bound PUB socket, never blocking, old messages dropped rather than kept.

A subscriber that must not lag behind sets CONFLATE (clients/python): a queue's length here does not bound its lag, the
kernel's buffers do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import zmq

from server.allowed import Allowed
from server.keys import ClientKeys, Pair
from server.senders import SenderError
from server.senders.doorman import Doorman

# Messages that may wait for one subscriber. libzmq looks at what a subscriber has taken about once a millisecond, so
# with 2, a third of three messages sent within one is lost (measured); with 16, none.
HIGH_WATER = 16
LONGEST_SUBSCRIPTION = 1024  # bytes of what a subscriber may say
HANDSHAKE_MS = 5000  # whoever has not shown who they are by then is sent away


class ZmqSender:
    """A publisher. bind: an endpoint like tcp://127.0.0.1:39550; `endpoint` is the one it got (port 0 or * is free).

    allow: only from these addresses or networks one may connect, if any are given. key: its own pair; who connects must
    then show one of the public keys `clients`. page_keys: with `key`, those of the show's own page, which was born with
    the show; None without.
    Like every ZMQ socket it is not for two threads at once: in a show, who sends holds the tick's lock for it.
    Raises SenderError when the endpoint cannot be had, ValueError for an address in `allow` that is none.
    """

    def __init__(
        self, bind: str, allow: Sequence[str] = (), key: Pair | None = None, clients: Collection[bytes] = ()
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.page_keys = None if key is None else ClientKeys(Pair.new(), key.public)
        allowed = Allowed(allow, "allow")
        self._doorman: Doorman | None = None
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUB)
        self._socket.setsockopt(zmq.SNDHWM, HIGH_WATER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.MAXMSGSIZE, LONGEST_SUBSCRIPTION)
        self._socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        if key is not None:
            self._socket.curve_server = True
            self._socket.curve_publickey, self._socket.curve_secretkey = key.public, key.secret
        if allow or key is not None:
            own = () if self.page_keys is None else (self.page_keys.own.public,)
            known = None if key is None else clients
            self._doorman = Doorman(self._context, self._socket, allowed, known, own, self.counts)
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
        if self._doorman is not None:
            self._doorman.join()
