"""The remote control: OSC messages in, control changes out, taken by the tick at its start.

`/partner1/variety 0.5` moves a param, `/show/freeze 1` holds every partner, `/show/reset` starts the models over.
What cannot be understood is counted and dropped; nothing of it reaches the terminal.
"""

from __future__ import annotations

import errno
import socket
import threading
from collections import Counter
from queue import SimpleQueue

from server.params import ControlChange
from server.protocols.frames import PacketError
from server.protocols.osc_messages import parse


class ControlError(OSError):
    """The control port cannot be opened."""


class Control:
    """Owns the control socket and its thread; puts what arrives into `changes`."""

    def __init__(self, host: str, port: int) -> None:
        self.changes: SimpleQueue[ControlChange] = SimpleQueue()
        self.counts: Counter[str] = Counter()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            advice = "set control.host to an address of this machine, such as 127.0.0.1"
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                advice = "close the program that has the port or set control.port"
            raise ControlError(f"cannot listen for OSC control on {host}:{port}: {error.strerror}; {advice}") from None
        self._socket.settimeout(0.25)  # so that close() is noticed
        self.host, self.port = self._socket.getsockname()
        self._open = True
        self._thread = threading.Thread(target=self._listen, name="control", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._open = False
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while self._open:
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                self.counts["socket_error"] += 1
                continue
            for change in self._read(data):
                self.changes.put(change)

    def _read(self, data: bytes) -> list[ControlChange]:
        try:
            messages = parse(data)
        except PacketError:
            self.counts["garbage"] += 1
            return []
        changes = []
        for address, arguments in messages:
            value = arguments[0] if arguments else 1.0
            if isinstance(value, int | float):
                changes.append(ControlChange(address.strip("/"), float(value)))
            else:
                self.counts["garbage"] += 1
        return changes
