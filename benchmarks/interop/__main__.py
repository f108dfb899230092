"""The show, started as anyone starts it, with other people's programs on its outputs: who got how many frames.

    benchmarks/interop.sh                                    installs what there is to install, and runs this
    python -m benchmarks.interop --scratch DIR --seconds 12 --json interop.json

Every client has an output and a port of its own; so has this program, which says what was sent. A client that shows
joints is compared with our kinematics, in millimetres. Exit code 1 when a client did not get every frame.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks import report
from benchmarks.interop import capture
from benchmarks.interop.clients import CLIENTS, NOT_INSTALLABLE, ROOT, Client, Tally, missing
from motion import kinematics
from motion.skeleton import HUMANOID, Array
from server.protocols.osc import encode
from server.protocols.vmc import TIME, VmcDecoder

PATIENCE = 60.0  # seconds for a client to get ready
LARGEST_ERROR_MM = 1.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scratch", type=Path, required=True, help="where interop.sh has installed")
    parser.add_argument("--seconds", type=float, default=12.0, help="of the show")
    parser.add_argument("--only", nargs="+", choices=list(CLIENTS), default=list(CLIENTS))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    scratch = options.scratch.resolve()
    skipped = {name: ", ".join(lacks) for name in options.only if (lacks := missing(CLIENTS[name], scratch))}
    chosen = {name: CLIENTS[name] for name in options.only if name not in skipped}
    if options.only == list(CLIENTS):
        skipped |= NOT_INSTALLABLE

    def show(ports: dict[str, int], reference: int) -> None:
        outputs = [{"actor": "partner1", "port": port, **chosen[name].output} for name, port in ports.items()]
        _show(_preset(scratch, [*outputs, {"actor": "partner1", "port": reference, "send": "vmc"}]), options.seconds)

    figures = run(chosen, scratch, show)
    print(table(figures))
    for name, why in skipped.items():
        print(f"skipped: {name} ({why})")
    if options.json:
        report.write(options.json, figures, nested=True)
    return 0 if figures and all(client["verdict"] == "ok" for client in figures.values()) else 1


def table(figures: dict[str, dict[str, Any]]) -> str:
    """A row a client."""
    rows = [["client", "sent", "received", "verdict", ""]]
    for name, client in figures.items():
        rest = [
            f"{key} {value:.2g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in client.items()
            if key not in rows[0] and value is not None
        ]
        rows.append([name, *(str(client[key]) for key in rows[0][1:4]), ", ".join(rest)])
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def run(
    clients: dict[str, Client], scratch: Path, play: Callable[[dict[str, int], int], None]
) -> dict[str, dict[str, Any]]:
    """The figures by client. play: sends frames to the clients' ports, by name, and to the reference's."""
    doors = {name: _door() for name in clients}
    ports = {name: door.getsockname()[1] for name, door in doors.items()}
    for door in doors.values():
        door.close()
    with contextlib.ExitStack() as stack:
        sent = stack.enter_context(contextlib.closing(Reference()))
        watch = stack.enter_context(capture.watching(scratch, [*ports.values(), sent.port]))
        listeners: dict[str, Listener] = {}
        for name, client in clients.items():
            listeners[name] = stack.enter_context(contextlib.closing(Listener(client, scratch, ports[name])))
        for listener in listeners.values():
            listener.wait_until_ready()
        play(ports, sent.port)
        _wait_until_still([listener.tally for listener in listeners.values()])
    frames = sent.frames()
    figures = {name: listener.figures(frames) for name, listener in listeners.items()}
    if watch is not None:
        figures["tshark's OSC dissector"] = capture.figures(watch, len(frames), sent.port)
    return figures


class Listener:
    """A client that runs, and what it has said so far."""

    def __init__(self, client: Client, scratch: Path, port: int) -> None:
        self.client, self._port = client, port
        self.tally = Tally()
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
        """Until it prints something: that it is ready, or a time before all others, which is sent for that."""
        end = time.monotonic() + PATIENCE
        with _door() as probe:
            while not self._heard.wait(0.2):
                if self._process.poll() is not None or time.monotonic() > end:
                    raise SystemExit(f"{self._process.args} does not begin; exit code {self._process.poll()}")
                probe.sendto(encode(TIME, -1.0), ("127.0.0.1", self._port))
                if self.client.per_frame:
                    probe.sendto(encode("/mocap/ready", -1.0), ("127.0.0.1", self._port))

    def close(self) -> None:
        assert self._process.stdin is not None
        if self.client.stops == "signal":
            self._process.send_signal(signal.SIGINT)
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(10.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reader.join(5.0)

    def figures(self, sent: dict[float, Array]) -> dict[str, Any]:
        tally, client = self.tally, self.client
        times = [round(one, client.digits) for one in tally.times if one >= 0.0]
        if client.per_frame:
            received = tally.others[client.per_frame]
        else:
            received = tally.frames if tally.frames is not None else len(times)
        faults = []
        if received != len(sent):
            faults.append("frames lost" if received < len(sent) else "frames too many")
        if tally.frames is None and not client.per_frame:
            if sorted(times) != sorted(round(one, client.digits) for one in sent):
                faults.append("other times")
            if dict(tally.bones) != dict.fromkeys(HUMANOID.names, len(sent)):
                faults.append("bones lost")
        error = _largest_error_mm(tally.joints, sent)
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
            if line.startswith("error "):
                print(f"{self._process.args[-1]}: {line.strip()}", file=sys.stderr)
            self._heard.set()


class Reference:
    """What the show sent: every datagram at a port of our own, kept, and read afterwards."""

    def __init__(self) -> None:
        self._door = _door()
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


def _largest_error_mm(shown: dict[float, Array], sent: dict[float, Array]) -> float | None:
    """How far a joint stands from where we say; infinite when a pose has a time that was never sent."""
    if not shown:
        return None
    by_time = {round(one, 4): joints for one, joints in sent.items()}
    far = np.full((len(HUMANOID), 3), np.inf)
    return 1000.0 * max(
        float(np.linalg.norm(joints - by_time.get(round(one, 4), far), axis=-1).max()) for one, joints in shown.items()
    )


def _show(preset: Path, seconds: float) -> None:
    command = [sys.executable, str(ROOT / "run_server.py"), str(preset), "--no-page", "--seconds", str(seconds)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)


def _preset(scratch: Path, outputs: list[dict[str, Any]]) -> Path:
    show = {
        "format": 1,
        "clock": {"follow": "dancer", "fps": 60},
        "seed": 1,
        "dancers": {"dancer1": {"receive": "bvh", "file": str(ROOT / "presets/clips/demo_dancer.bvh")}},
        "partners": {"partner1": {"dancer": "dancer1", "model": str(ROOT / "presets/models/salsa_match.onnx")}},
        "control": None,
        "stage_page": False,
        "outputs": outputs,
    }
    file = scratch / "interop.yaml"
    file.write_text(yaml.safe_dump(show))
    return file


def _wait_until_still(tallies: list[Tally]) -> None:
    """Until nobody has counted anything for a second; 15 s at most."""
    before: list[int] = []
    for _ in range(15):
        now = [len(t.times) + sum(t.bones.values()) + sum(t.others.values()) + len(t.joints) for t in tallies]
        if now == before:
            return
        before = now
        time.sleep(1.0)


def _door() -> socket.socket:
    door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    door.bind(("127.0.0.1", 0))
    return door


if __name__ == "__main__":
    sys.exit(main())
