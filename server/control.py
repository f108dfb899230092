"""The remote control: OSC messages in, control changes out, taken by the tick at its start.

`/partner1/variety 0.5` moves a param (one of size n takes n numbers), `/show/freeze 1` holds every partner,
`/show/reset` starts the models over. AI-Toolbox's own addresses move the params that mean the same.
What cannot be understood is counted and dropped; nothing of it reaches the terminal.
"""

from __future__ import annotations

import errno
import socket
import threading
from collections import Counter
from typing import Any

from server.params import Changes, ControlChange
from server.protocols.frames import PacketError
from server.protocols.osc_messages import parse

AI_TOOLBOX = {  # its address, without the first slash, and our param, of every partner that has it
    "synth/encodingmix": "*/latent_mix",
    "synth/encodingoffset": "*/latent_offset",
}
DEEPFAKE_MODE = "mocap/deepfakemode"  # AI-Toolbox's switch: 1 is dancer 1 -> dancer 2, all else the way back


class ControlError(OSError):
    """The control port cannot be opened."""


class Control:
    """Owns the control socket and its thread; puts what arrives into `changes`."""

    def __init__(self, host: str, port: int) -> None:
        self.changes = Changes()
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
        changes = [_change(address.strip("/"), arguments) for address, arguments in messages]
        understood = [change for change in changes if change is not None]
        if len(understood) < len(changes):
            self.counts["garbage"] += len(changes) - len(understood)
        return understood


def _change(name: str, arguments: tuple[Any, ...]) -> ControlChange | None:
    """What a message asks for; None when an argument is no number."""
    if not all(isinstance(argument, int | float) for argument in arguments):
        return None
    values = tuple(map(float, arguments)) or (1.0,)  # a command without an argument is a press
    if name == DEEPFAKE_MODE:
        return ControlChange("*/mix", 1.0 if values[0] == 1.0 else 0.0)
    name = AI_TOOLBOX.get(name, name)
    return ControlChange(name, values[0] if len(values) == 1 else values)
