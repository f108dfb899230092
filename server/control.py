"""The remote control: OSC messages in, to the desk; answers out, to whoever asked.

One socket and one thread, which never does more than its share: a flood is read at a pace, and what is too much is left
to the system to drop. Nothing of what arrives reaches the terminal; what cannot be understood is counted, and its
sender is told why, so many times a second at most.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from server.admission import Rates, Token
from server.allowed import Allowed
from server.desk import Desk
from server.errands import Arguments
from server.preset_control import Control as Settings
from server.protocols.frames import PacketError
from server.protocols.osc_messages import encode, parse

RECEIVE_BUFFER = 1 << 20  # bytes
LONGEST = 8192  # bytes of a datagram: a button, a fader or a page of them is far shorter
MOST_AT_ONCE = 512  # datagrams
BATCH, PACE_SECONDS = 64, 0.004  # after more messages than that in one go, a rest of so much for each batch
COMMANDS = (b"/show/", b"/cue/", b"/go\0", b"/player/", b"/mocap/seq")  # each counts; of a param the newest does
FEEDBACK_SECONDS = 0.05  # between two looks at what subscribers should be told
SUBSCRIBED_SECONDS = 60.0  # unless asked for otherwise, or again
MOST_SENDERS = 32  # subscribers, and likewise senders with a port of their own for answers
ERRORS_A_SECOND = 50
LONGEST_TEXT = 400
ANSWERS = ("/reply", "/error")

Source = tuple[str, int]


class ControlError(OSError):
    """The control port cannot be opened."""


@dataclass
class _Subscriber:
    until: float
    told: dict[str, tuple[Any, ...]] = field(default_factory=dict)


class Control:
    """Owns the control socket and its thread; asks `desk`. token: that senders must show; empty: none.

    Raises ControlError, and ValueError for a bad `allow`.
    """

    def __init__(
        self, settings: Settings, desk: Desk, now: Callable[[], float] = time.monotonic, token: str = ""
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.desk = desk
        self._now = now
        self._allowed = Allowed(settings.allow, "control.allow")
        self._rates, self._token = Rates(settings.rate), Token(token)
        self._wrong_token = settings.rate / 10.0  # messages that one costs: ten guesses a second
        self._reply_port = settings.reply_port
        self._reply_ports: dict[str, int] = {}
        self._subscribers: dict[Source, _Subscriber] = {}
        self._errors_left, self._errors_since = ERRORS_A_SECOND, 0.0
        self._socket = _bound(settings.host, settings.port)
        self.host, self.port = self._socket.getsockname()
        self._closing = threading.Event()
        self._waker, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._listen, name="control", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        with contextlib.suppress(OSError):  # it is closed already
            self._waker.send(b"\0")
        if self._thread.is_alive():
            self._thread.join()
        for each in (self._socket, self._waker, self._woken):
            each.close()

    def _listen(self) -> None:
        next_feedback = 0.0
        while not self._closing.is_set():
            patience = FEEDBACK_SECONDS if self._subscribers else None
            select.select([self._socket, self._woken], (), (), patience)
            # Nothing may end this thread while the show runs: a fault of ours is counted.
            try:
                heard = sum(self._hear(data, source) for data, source in self._read())
                if heard > BATCH:
                    self._closing.wait(PACE_SECONDS * heard / BATCH)
                if self._subscribers and self._now() >= next_feedback:
                    next_feedback = self._now() + FEEDBACK_SECONDS
                    self._tell_subscribers()
            except Exception:
                self.counts["internal_error"] += 1

    def _read(self) -> Iterable[tuple[bytes, Source]]:
        """What waits in the socket; of settings of one param only the newest, so that a fader's flood costs little."""
        waiting: dict[object, tuple[bytes, Source]] = {}
        for number in range(MOST_AT_ONCE):
            try:
                data, source = self._socket.recvfrom(65536)
            except BlockingIOError:
                break
            except OSError:  # Windows reports a peer's closed port here
                self.counts["socket_error"] += 1
                break
            end = data.find(b"\0")
            tags = data[(end | 3) + 1 :]  # behind the address and its zeros, up to a multiple of four
            setting = data.startswith(b"/") and not data.startswith(COMMANDS) and tags[1:2] not in (b"", b"\0")
            key = (data[:end], source) if setting else number
            waiting.pop(key, None)  # so that it stands behind what came before it
            waiting[key] = data, source
        return waiting.values()

    def _hear(self, data: bytes, source: Source) -> int:
        if source[0] not in self._allowed:
            self.counts["dropped_source"] += 1
            return 1
        if not self._rates.take(source[0], self._now()):
            self.counts["dropped_rate"] += 1
            return 1
        try:
            if len(data) > LONGEST:
                raise PacketError(f"{len(data)} bytes; a control message has at most {LONGEST}")
            messages = parse(data)
        except PacketError as error:
            self._refuse(source, "garbage", "", str(error))
            return 1 + len(data) // 64  # as many messages as it may have been
        self._rates.charge(source[0], len(messages) - 1)
        for address, arguments in messages:
            if address == "/token":
                if not self._admit(arguments, source):
                    break
                continue
            if not self._token.knows(source, self._now()):
                self._refuse(source, "dropped_token", "/token", "this show hears whoever has sent /token and its token")
                break
            try:
                self._obey(address, arguments, source)
            except ValueError as error:
                self._refuse(source, "refused", address, str(error))
        return len(messages) + 1

    def _admit(self, arguments: Arguments, source: Source) -> bool:
        """What was said is repeated nowhere."""
        if self._token.shown(arguments[0] if arguments else None, source, self._now()):
            self._send(source, "/reply/token")
            return True
        self._rates.charge(source[0], self._wrong_token)
        self._refuse(source, "dropped_token", "/token", "that is not it")
        return False

    def _obey(self, address: str, arguments: Arguments, source: Source) -> None:
        own = {
            "/show/subscribe": self._subscribe,
            "/show/unsubscribe": self._unsubscribe,
            "/show/reply": self._reply_to,
        }
        if address in own:
            own[address](arguments, source)
            return
        if address.startswith(ANSWERS):  # to answer an answer could go on for ever
            self.counts["ignored"] += 1
            return
        reply = f"/reply/{address.strip('/')}"
        self.desk.ask(
            address,
            arguments,
            lambda *said: self._send(source, reply, *said),
            lambda text: self._refuse(source, "refused", address, text),
        )

    def _subscribe(self, arguments: Arguments, source: Source) -> None:
        """From now on the sender is told every value that changes, under its own address, and all of them at first."""
        seconds = arguments[0] if arguments else SUBSCRIBED_SECONDS
        if not isinstance(seconds, int | float) or not 0 <= seconds <= 86400:
            raise ValueError(f"takes seconds, 0 to 86400, not {str(seconds)[:40]!r}")
        if source not in self._subscribers and len(self._subscribers) >= MOST_SENDERS:
            raise ValueError(f"{MOST_SENDERS} subscribe already")
        self._subscribers.setdefault(source, _Subscriber(0.0)).until = self._now() + seconds
        self._send(source, "/reply/show/subscribe", float(seconds))

    def _unsubscribe(self, arguments: Arguments, source: Source) -> None:
        self._subscribers.pop(source, None)
        self._send(source, "/reply/show/unsubscribe")

    def _reply_to(self, arguments: Arguments, source: Source) -> None:
        """From now on answers to this machine go to that port."""
        port = arguments[0] if arguments else 0
        if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535:
            raise ValueError(f"takes a port, 1 to 65535, not {str(port)[:40]!r}")
        if len(self._reply_ports) >= MOST_SENDERS:
            self._reply_ports.clear()
        self._reply_ports[source[0]] = port
        self._send(source, "/reply/show/reply", port)

    def _tell_subscribers(self) -> None:
        values = {node.address: node.value for node in self.desk.nodes() if None not in node.value}
        for source, subscriber in list(self._subscribers.items()):
            if subscriber.until < self._now():
                del self._subscribers[source]
                continue
            for address, value in values.items():
                if subscriber.told.get(address) != value:
                    self._send(source, address, *value)
            subscriber.told = values

    def _refuse(self, source: Source, reason: str, address: str, text: str) -> None:
        self.counts[reason] += 1
        now = self._now()
        if now - self._errors_since >= 1.0:
            self._errors_left, self._errors_since = ERRORS_A_SECOND, now
        if self._errors_left > 0:
            self._errors_left -= 1
            self._send(source, "/error", address[:LONGEST_TEXT], text[:LONGEST_TEXT])

    def _send(self, source: Source, address: str, *arguments: Any) -> None:
        """Only the types i, f and s: not every program knows more."""
        port = self._reply_ports.get(source[0], self._reply_port or source[1])
        arguments = tuple(int(value) if isinstance(value, bool) else value for value in arguments)
        with contextlib.suppress(OSError):  # nobody there, or no room to send: an answer is worth no more
            self._socket.sendto(encode(address, *arguments), (source[0], port))


def _bound(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        advice = "set control.host to an address of this machine, such as 127.0.0.1"
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            advice = "close the program that has the port or set control.port"
        raise ControlError(f"cannot listen for OSC control on {host}:{port}: {error.strerror}; {advice}") from None
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    bound.setblocking(False)
    return bound
