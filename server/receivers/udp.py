"""A dancer over UDP, or several at one port: a socket, a thread, and decoders that say which datagrams make a frame.

A thread of its own that waits for the socket: a third of asyncio's p99 latency (measured). While a frame is open the
wait is cut short at the decoder's deadline; before a frame is due there may be a rehearsal (`readiness`), after which
the thread does not sleep until the frame is there. A bad packet is counted and dropped.

What the socket's buffer holds after a hiccup is danced in order; a machine that does not keep up would be behind by all
that fits into it, seconds. Where the socket has not been empty for BEHIND_SECONDS, most of
them danced, only the newest frame is.

Reading takes time that the show does not have for everybody: whoever is not dancing, and who dances but is not to be
understood, is read for HEARD_MS of each second (`strangers`), all ports of a show together; more is dropped unread.
"""

from __future__ import annotations

import errno
import math
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable, Sequence

from server.admission import Rates
from server.allowed import Allowed
from server.protocols.frames import Decoder, PacketError, PoseFrame
from server.receivers import OnFrame, ReceiverError, Tap
from server.receivers.peers import Address, Peers
from server.receivers.readiness import Readiness

RECEIVE_BUFFER = 2 << 20  # bytes: seconds of packets, in case the thread has to wait for the interpreter
BEHIND_SECONDS = 0.1
HEARD_MS = 100.0  # a second, and twice that at once
IDLE_SECONDS = 0.1  # how long `close` may have to wait


class UdpReceiver:
    """Frames of one dancer from one port.

    decoder: makes one for the protocol; each sender has its own (`peers`). port: 0 takes a free one, `port` then says
    which. allow: only these senders' addresses or networks ("192.168.1.20", "192.168.1.0/24"), everybody if empty.
    dancer: the preset's name, for messages. ready: who gets ready before a frame is due; nobody when None.
    beside: another dancer's receiver whose port this one shares, for protocols that number their people.
    tap: sees every datagram of theirs first. listens: False for one without a port, to which a replay gives datagrams.
    strangers: how much is read of each that does not dance, shared by receivers whose time is the same.
    Raises ReceiverError when the port cannot be had, ValueError for an address in `allow` that is none.
    """

    def __init__(
        self,
        decoder: Callable[[], Decoder],
        host: str,
        port: int,
        on_frame: OnFrame,
        allow: Sequence[str] = (),
        dancer: str = "dancer",
        ready: Readiness | None = None,
        beside: UdpReceiver | None = None,
        tap: Tap | None = None,
        listens: bool = True,
        strangers: Rates | None = None,
    ) -> None:
        self.first_error: Exception | None = None  # the first fault of our own; the show goes on without it
        self.last_packet_error: str | None = None  # the newest one, for people
        self._peers = Peers(decoder)
        self._strangers = strangers or Rates(HEARD_MS)
        self._on_frame = on_frame
        self._allowed = Allowed(allow, f"dancers.{dancer}.allow")
        self._counts: Counter[str] = Counter()
        self.ready = ready
        self._tap = tap
        self._waiting: PoseFrame | None = None  # the newest, while the show is behind
        self._danced = -math.inf  # when a frame was danced last
        self.host, self.port = host, port
        self._door: UdpDoor | None = beside._door if beside is not None else None
        if listens:
            self._door = self._door or UdpDoor(host, port, dancer)
            self._door.dancers.append(self)
            self.host, self.port = self._door.host, self._door.port

    @property
    def counts(self) -> Counter[str]:
        decoder = self._peers.decoder
        counts = Counter(dict(self._counts)) + Counter(dict(self._peers.counts))
        counts.update({f"dropped_{reason}": count for reason, count in dict(decoder.dropped).items()})
        counts["unknown_names"] = sum(dict(decoder.unknown).values())
        if decoder.numbering is not None:
            counts.update({"lost": decoder.numbering.lost, "restarts": decoder.numbering.restarts})
        if self.ready is not None:
            counts.update({"rehearsals": self.ready.count, "rehearsal_faults": self.ready.faults})
        return +counts

    @property
    def others(self) -> list[str]:
        return self._peers.others(time.perf_counter())

    @property
    def deadline(self) -> float | None:
        return self._peers.deadline

    def start(self) -> None:
        if self._door is not None:
            self._door.start()

    def close(self) -> None:
        if self._door is not None:
            self._door.close()

    def describe(self) -> str:
        where = "from a recording" if self._door is None else f"on {self.host}:{self.port} (UDP)"
        return f"{self._peers.decoder.protocol} {where}"

    def take(self, datagram: memoryview, source: Address, receive_time: float) -> None:
        """One datagram from the port's thread."""
        self._counts["packets"] += 1
        if source[0] not in self._allowed:
            self._counts["dropped_source"] += 1
            return
        # A dancer's faults are their own; strangers are one for each host, which has ports enough.
        dances = self._peers.is_dancing(source, receive_time)
        whose = source if dances else source[0]
        if not self._strangers.take(whose, receive_time, 0.0):
            self._counts["dropped_flood"] += 1
            return
        if self._tap is not None:
            self._tap.packet(datagram, source, receive_time)
        begun = time.perf_counter()
        try:
            frames = self._peers.feed(datagram, source, receive_time)
            if not dances:
                self._charge(whose, begun)
            if self.ready is not None and self._peers.is_followed(source):
                self.ready.heard(datagram)
            self._deliver(frames)
        except PacketError as error:
            self._charge(whose, begun)
            self._counts["dropped_packet"] += 1
            self.last_packet_error = str(error)
        except Exception as error:  # nothing may end the thread: a fault of ours is counted, the first one is kept
            self._counts["internal_error"] += 1
            self.first_error = self.first_error or error

    def _charge(self, whose: Hashable, begun: float) -> None:
        self._strangers.charge(whose, 1e3 * (time.perf_counter() - begun))

    def count(self, what: str) -> None:
        self._counts[what] += 1

    def flush(self, now: float) -> None:
        """No datagram has come until now."""
        deadline = self._peers.deadline
        if self._tap is not None and deadline is not None and now >= deadline:
            self._tap.flush(now)
        try:
            self._deliver(self._peers.flush(now))
        except Exception as error:
            self._counts["internal_error"] += 1
            self.first_error = self.first_error or error

    def catch_up(self) -> None:
        """Nothing waits any more: the newest frame is danced, if it was not."""
        frame, self._waiting = self._waiting, None
        if frame is not None:
            self._dance(frame)

    def _deliver(self, frames: list[PoseFrame]) -> None:
        for frame in frames:
            self._counts["frames"] += 1
            if self._waiting is not None:
                self._counts["dropped_behind"] += 1
            if self._door is not None and self._door.is_behind and frame.receive_time - self._danced < BEHIND_SECONDS:
                self._waiting = frame
                continue
            self._waiting = None
            self._dance(frame)

    def _dance(self, frame: PoseFrame) -> None:
        self._danced = frame.receive_time
        begun = time.perf_counter()
        self._on_frame(frame)
        if self._door is not None:
            self._door.spent += time.perf_counter() - begun
        if self.ready is not None:
            self.ready.came(frame.receive_time)


class UdpDoor:
    """A port's socket and thread, for the dancers that share it. Raises ReceiverError when it cannot be had."""

    def __init__(self, host: str, port: int, dancer: str) -> None:
        self.dancers: list[UdpReceiver] = []
        self._closing = threading.Event()
        self._socket = _bound(host, port, dancer)
        self._socket.setblocking(False)
        self._sockets = [self._socket]  # for select
        self.host, self.port = self._socket.getsockname()[:2]
        self._thread = threading.Thread(target=self._run, name=f"receive {dancer}", daemon=True)
        self._started = False
        self._empty = self._now = 0.0  # when nothing waited last, and when a datagram came
        self.spent = 0.0  # seconds of dancing since nothing waited

    @property
    def is_behind(self) -> bool:
        """Whether frames have come faster than they were danced for a while; a flood of other datagrams is none."""
        waited = self._now - self._empty
        return waited > BEHIND_SECONDS and self.spent > 0.5 * waited

    def start(self) -> None:
        if not self._started:
            self._started = True
            self._thread.start()

    def close(self) -> None:
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        buffer = bytearray(1 << 16)
        view = memoryview(buffer)
        self._empty = time.perf_counter()
        while not self._closing.is_set():
            try:
                self._receive(buffer, view)
            except OSError:  # Windows reports a peer's closed port here
                self.dancers[0].count("socket_error")
                self._closing.wait(0.001)

    def _receive(self, buffer: bytearray, view: memoryview) -> None:
        """Waits for one datagram, for the end of the open frame, or for the moment to get ready for the next."""
        now, deadline = time.perf_counter(), self._deadline()
        begins, awake = math.inf, False
        ready = self.dancers[0].ready
        if ready is not None:
            if now >= ready.begins and deadline is None:
                ready.rehearse()
            begins, awake = ready.begins, now < ready.ends
        if not awake and not select.select(self._sockets, (), (), 0.0)[0]:
            self._catch_up()
            until = begins if deadline is None else deadline
            select.select(self._sockets, (), (), min(max(until - now, 0.0), IDLE_SECONDS))
            self._empty, self.spent = time.perf_counter(), 0.0
        try:
            size, source = self._socket.recvfrom_into(buffer)
        except BlockingIOError:
            self._catch_up()
            self._empty = now = time.perf_counter()
            self.spent = 0.0
            for dancer in self.dancers:
                dancer.flush(now)
            return
        receive_time = self._now = time.perf_counter()
        if deadline is not None and receive_time >= deadline:
            receive_time = math.nextafter(deadline, 0.0)  # it lay here while this thread waited for a core
        for dancer in self.dancers:
            dancer.take(view[:size], source, receive_time)

    def _catch_up(self) -> None:
        """Nothing waits any more."""
        for dancer in self.dancers:
            dancer.catch_up()

    def _deadline(self) -> float | None:
        if len(self.dancers) == 1:
            return self.dancers[0].deadline
        return min((d.deadline for d in self.dancers if d.deadline is not None), default=None)


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
