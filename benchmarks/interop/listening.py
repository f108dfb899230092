"""Both ends of a stream: a client that runs, and what was sent to it; and whether the two agree."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.interop.clients import ROOT, Client, Tally
from motion import kinematics
from motion.skeleton import HUMANOID, Array
from server.protocols.osc import encode
from server.protocols.vmc import TIME, VmcDecoder

PATIENCE = 60.0  # seconds for a client to get ready
LARGEST_ERROR_MM = 1.0


class Listener:
    """A client that runs, and what it has said so far."""

    def __init__(self, client: Client, scratch: Path, port: int) -> None:
        self.client, self._port = client, port
        self.tally = Tally()
        self._last_line = ""
        self._ended = False  # by itself, before it was told to
        self._heard = threading.Event()
        self._process = subprocess.Popen(
            client.start(scratch, port),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=scratch,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._process.stdin is not None
        for command in client.commands(port):
            print(command, file=self._process.stdin)
        self._process.stdin.flush()

    def wait_until_ready(self) -> None:
        """Until it prints something: that it is ready, or a time before all others, which is sent for that.

        Or until it has ended, or a minute has passed: its figures will tell.
        """
        end = time.monotonic() + PATIENCE
        with open_door() as probe:
            while not self._heard.wait(0.2):
                if self._process.poll() is not None or time.monotonic() > end:
                    return
                probe.sendto(encode(TIME, -1.0), ("127.0.0.1", self._port))
                if self.client.per_frame:
                    probe.sendto(encode("/mocap/ready", -1.0), ("127.0.0.1", self._port))

    def close(self) -> None:
        assert self._process.stdin is not None
        self._ended = self._process.poll() is not None
        if self.client.stops == "signal":
            self._process.send_signal(signal.SIGINT)
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(10.0)
        except subprocess.TimeoutExpired:  # where we run in the background an interrupt is not heard
            self._process.kill()
            self._process.wait()
        self._reader.join(5.0)
        assert self._process.stdout is not None
        self._process.stdout.close()

    @property
    def received(self) -> int:
        """Frames so far."""
        if self.client.per_frame:
            return self.tally.others[self.client.per_frame]
        return len(self._times) if self.tally.frames is None else self.tally.frames

    @property
    def _times(self) -> list[float]:
        return [round(one, self.client.digits) for one in list(self.tally.times) if one >= 0.0]

    def figures(self, sent: dict[float, Array]) -> dict[str, Any]:
        tally, client, received = self.tally, self.client, self.received
        times = self._times
        faults = [f"ended by itself: {self._last_line}"] if self._ended else []
        if received != len(sent):
            faults.append("frames lost" if received < len(sent) else "frames too many")
        if tally.frames is None and not client.per_frame:
            if sorted(times) != sorted(round(one, client.digits) for one in sent):
                faults.append("other times")
            if dict(tally.bones) != dict.fromkeys(HUMANOID.names, len(sent)):
                faults.append("bones lost")
        error = largest_error_mm(tally.joints, sent)
        if error is not None and not error <= LARGEST_ERROR_MM:
            faults.append("joints elsewhere")
        return {
            "sent": len(sent),
            "received": received,
            "bones": sum(tally.bones.values()) or None,
            "poses_compared": len(tally.joints) or None,
            "error_mm": error,
            "verdict": ", ".join(faults) or "ok",
        }

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.client.read(line, self.tally)
            self._last_line = line.strip()
            self._heard.set()


class Reference:
    """What the show sent: every datagram at a port of our own, kept, and read afterwards."""

    def __init__(self) -> None:
        self._door = open_door()
        self.port: int = self._door.getsockname()[1]
        self._door.settimeout(0.1)
        self._datagrams: list[bytes] = []
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join()
        self._door.close()

    @property
    def count(self) -> int:
        """Frames so far."""
        return sum(TIME.encode() + b"\0" in datagram for datagram in list(self._datagrams))

    def frames(self) -> dict[float, Array]:
        """The joints (J, 3) of every frame, by its time."""
        decoder = VmcDecoder()
        frames = [frame for datagram in self._datagrams for frame in decoder.feed(datagram, 0.0)]
        return {
            frame.sender_time: kinematics.global_positions(frame.skeleton, frame.root_position, frame.rotations)
            for frame in frames
            if frame.sender_time is not None
        }

    def _listen(self) -> None:
        while not self._closing.is_set():
            with contextlib.suppress(TimeoutError):
                self._datagrams.append(self._door.recv(65536))


def largest_error_mm(shown: dict[float, Array], sent: dict[float, Array]) -> float | None:
    """How far a joint stands from where we say; infinite when a pose has a time that was never sent."""
    if not shown:
        return None
    by_time = {round(one, 4): joints for one, joints in sent.items()}
    far = np.full((len(HUMANOID), 3), np.inf)
    return 1000.0 * max(
        float(np.linalg.norm(joints - by_time.get(round(one, 4), far), axis=-1).max()) for one, joints in shown.items()
    )


def open_door() -> socket.socket:
    door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    door.bind(("127.0.0.1", 0))
    return door
