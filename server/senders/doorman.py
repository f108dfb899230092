"""Who may connect to a ZMQ socket: by address, and by the key they show. ZAP, https://rfc.zeromq.org/spec/27/

A thread of its own, which libzmq asks once for every connection, never for a message. Whoever is turned away hears
nothing and is counted; libzmq's clients then ask again, ten times a second.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection
from typing import Any

import zmq
from zmq.utils import z85

from server.allowed import Allowed

ZAP = "inproc://zeromq.zap.01"
DOMAIN = "show"  # ZAP is asked for sockets with a domain only; which, it does not matter
FAILED = zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL


class Doorman:
    """Guards one socket, before it is bound. Close the socket, then its context, then the doorman.

    allowed: from where. clients: the public keys (Z85) that may come; None: no keys are asked for. own: keys that may
    come from anywhere. counts: gets `refused_address`, `refused_key`, and `refused_handshake` of those who show no key
    or take the publisher for another one.
    """

    def __init__(
        self,
        context: zmq.Context[Any],
        socket: zmq.Socket[Any],
        allowed: Allowed,
        clients: Collection[bytes] | None,
        own: Collection[bytes],
        counts: Counter[str],
    ) -> None:
        self._allowed, self._counts = allowed, counts
        self._clients = None if clients is None else frozenset(clients)
        self._own = frozenset(own)
        self._asked = context.socket(zmq.REP)
        self._asked.setsockopt(zmq.LINGER, 0)
        self._asked.bind(ZAP)
        socket.setsockopt_string(zmq.ZAP_DOMAIN, DOMAIN)
        self._failed = socket.get_monitor_socket(FAILED)
        self._failed.setsockopt(zmq.LINGER, 0)
        self._thread = threading.Thread(target=self._run, name="doorman", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Waits for the thread, which ends with its context."""
        self._thread.join()

    def _run(self) -> None:
        poller = zmq.Poller()
        for each in (self._asked, self._failed):
            poller.register(each, zmq.POLLIN)
        try:
            while True:
                ready = dict(poller.poll())
                if self._failed in ready:
                    self._failed.recv_multipart()
                    self._counts["refused_handshake"] += 1
                if self._asked in ready:
                    self._asked.send_multipart(self._answer(self._asked.recv_multipart()))
        except zmq.ZMQError:  # the context has ended
            pass
        finally:
            self._asked.close()
            self._failed.close()

    def _answer(self, request: list[bytes]) -> list[bytes]:
        version, number, _, address, _, mechanism, *credentials = request
        refusal = self._refusal(address.decode(), mechanism, credentials)
        if refusal:
            self._counts[refusal] += 1
        status = (b"400", b"not allowed") if refusal else (b"200", b"")
        return [version, number, *status, b"", b""]

    def _refusal(self, address: str, mechanism: bytes, credentials: list[bytes]) -> str:
        """What a connection is counted as; empty when it may come in. An ipc:// peer has no address."""
        key = z85.encode(credentials[0]) if mechanism == b"CURVE" else None
        if key is not None and key in self._own:
            return ""
        if address and address not in self._allowed:
            return "refused_address"
        return "refused_key" if self._clients is not None and key not in self._clients else ""
