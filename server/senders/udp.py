"""Datagrams to one address from one socket that stays the same: receivers follow a source port.

Never blocks and never raises during the show; what fails is counted.
"""

from __future__ import annotations

import ipaddress
import socket
from collections import Counter
from collections.abc import Iterable

from server.senders import SenderError

SEND_BUFFER = 1 << 20


class UdpSender:
    """One destination. The host is looked up once. Raises SenderError when it cannot be."""

    def __init__(self, host: str, port: int) -> None:
        self.counts: Counter[str] = Counter()
        try:
            family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
            self._socket = socket.socket(family, kind)
        except OSError as error:
            raise SenderError(f"cannot send to {host}:{port}: {error.strerror}; check the output's host") from error
        self._address = address
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        # Bound, not connected: a receiver that is not there yet must not turn into an error here.
        local = str(address[0]) if ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback else ""
        self._socket.bind((local, 0))
        self._socket.setblocking(False)
        self.source_port: int = self._socket.getsockname()[1]

    def send(self, datagrams: Iterable[bytes]) -> None:
        """Sends each datagram, or counts why not: "would_block" when the buffer is full, "send_error" otherwise."""
        for datagram in datagrams:
            try:
                self._socket.sendto(datagram, self._address)
                self.counts["datagrams"] += 1
            except BlockingIOError:
                self.counts["would_block"] += 1
            except OSError:
                self.counts["send_error"] += 1

    def close(self) -> None:
        self._socket.close()
