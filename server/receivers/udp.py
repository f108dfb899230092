"""One dancer over UDP: a socket, a thread, and a decoder that says which datagrams make a frame.

A thread of its own that waits for the socket: a third of asyncio's p99 latency (measured). While a frame is open the
wait is cut short at the decoder's deadline; before a frame is due there may be a rehearsal (`readiness`), after which
the thread does not sleep until the frame is there. A bad packet is counted and dropped.
"""

from __future__ import annotations

import errno
import ipaddress
import math
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Sequence

from server.protocols.frames import Decoder, PacketError, PoseFrame
from server.receivers import OnFrame, ReceiverError
from server.receivers.readiness import Readiness

RECEIVE_BUFFER = 2 << 20  # bytes: seconds of packets, in case the thread has to wait for the interpreter
IDLE_SECONDS = 0.1  # how long `close` may have to wait
MAX_SOURCES = 256


class UdpReceiver:
    """Frames of one dancer from one port.

    decoder: the protocol. port: 0 takes a free one, `port` then says which. allow: only these senders' addresses or
    networks ("192.168.1.20", "192.168.1.0/24"), everybody if empty. dancer: the preset's name, for messages.
    ready: who gets ready before a frame is due; nobody when None.
    Raises ReceiverError when the port cannot be had, ValueError for an address in `allow` that is none.
    """

    def __init__(
        self,
        decoder: Decoder,
        host: str,
        port: int,
        on_frame: OnFrame,
        allow: Sequence[str] = (),
        dancer: str = "dancer",
        ready: Readiness | None = None,
    ) -> None:
        self.last_error: Exception | None = None  # the first fault of our own; the show goes on without it
        self.last_packet_error: str | None = None  # the newest one, for people
        self._decoder = decoder
        self._on_frame = on_frame
        self._allowed = [_network(address, dancer) for address in allow]
        self._sources: dict[str, bool] = {}
        self._counts: Counter[str] = Counter()
        self._closing = threading.Event()
        self._ready = ready
        self._socket = _bound(host, port, dancer)
        self._socket.setblocking(False)
        self._sockets = [self._socket]  # for select
        self.host, self.port = self._socket.getsockname()[:2]
        self._thread = threading.Thread(target=self._run, name=f"receive {dancer}", daemon=True)

    @property
    def counts(self) -> Counter[str]:
        counts = Counter(self._counts)
        counts.update({f"dropped_{reason}": count for reason, count in dict(self._decoder.dropped).items()})
        unknown = sum(dict(self._decoder.unknown).values())
        if unknown:
            counts["unknown_names"] = unknown
        if self._ready is not None:
            counts.update({"rehearsals": self._ready.count, "rehearsal_faults": self._ready.faults})
        return +counts

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()

    def describe(self) -> str:
        return f"{self._decoder.protocol} on {self.host}:{self.port} (UDP)"

    def _run(self) -> None:
        buffer = bytearray(1 << 16)
        view = memoryview(buffer)
        while not self._closing.is_set():
            # Nothing may end this thread while the show runs: a fault of ours is counted, the first one is kept.
            try:
                self._receive(buffer, view)
            except PacketError as error:
                self._counts["dropped_packet"] += 1
                self.last_packet_error = str(error)
            except Exception as error:
                self._counts["internal_error"] += 1
                self.last_error = self.last_error or error

    def _receive(self, buffer: bytearray, view: memoryview) -> None:
        """Waits for one datagram, for the end of the open frame, or for the moment to get ready for the next."""
        now, deadline = time.perf_counter(), self._decoder.deadline
        begins, awake = math.inf, False
        if self._ready is not None:
            if now >= self._ready.begins and deadline is None:
                self._ready.rehearse()
            begins, awake = self._ready.begins, now < self._ready.ends
        if not awake:
            until = begins if deadline is None else deadline
            select.select(self._sockets, (), (), min(max(until - now, 0.0), IDLE_SECONDS))
        try:
            size, source = self._socket.recvfrom_into(buffer)
        except BlockingIOError:
            self._deliver(self._decoder.flush(time.perf_counter()))
            return
        except OSError:  # Windows reports a peer's closed port here
            self._counts["socket_error"] += 1
            self._closing.wait(0.001)
            return
        receive_time = time.perf_counter()
        if deadline is not None and receive_time >= deadline:
            receive_time = math.nextafter(deadline, 0.0)  # it lay here while this thread waited for a core
        self._counts["packets"] += 1
        if self._allowed and not self._is_allowed(source[0]):
            self._counts["dropped_source"] += 1
            return
        if self._ready is not None:
            self._ready.heard(view[:size])
        self._deliver(self._decoder.feed(view[:size], receive_time))

    def _deliver(self, frames: list[PoseFrame]) -> None:
        for frame in frames:
            self._counts["frames"] += 1
            self._on_frame(frame)
            if self._ready is not None:
                self._ready.came(frame.receive_time)

    def _is_allowed(self, source: str) -> bool:
        allowed = self._sources.get(source)
        if allowed is None:
            if len(self._sources) >= MAX_SOURCES:
                self._sources.clear()
            address = ipaddress.ip_address(source.partition("%")[0])
            allowed = self._sources[source] = any(address in network for network in self._allowed)
        return allowed


def _network(address: str, dancer: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(address, strict=False)
    except ValueError:
        raise ValueError(f"dancers.{dancer}.allow: {address!r} is no IP address or network") from None


def _bound(host: str, port: int, dancer: str) -> socket.socket:
    where = f"port {port} on {host}"
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        bound = socket.socket(family, kind)
    except OSError as error:
        raise ReceiverError(f"{where}: {error} (dancer {dancer!r}); set dancers.{dancer}.host") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise ReceiverError(f"{where} {_why(error, dancer)}") from error
    return bound


def _why(error: OSError, dancer: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"is in use (dancer {dancer!r}); close the other program or set dancers.{dancer}.port"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"is no address of this machine (dancer {dancer!r}); set dancers.{dancer}.host"
    return f"cannot be opened: {error.strerror} (dancer {dancer!r}); set dancers.{dancer}.host or .port"
