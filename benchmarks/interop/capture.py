"""What tshark, which knows OSC by its own dissector, says of the datagrams that left the show."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from server.protocols.osc import MAX_DATAGRAM
from server.protocols.vmc import TIME

UDP_HEADER = 8  # bytes that tshark counts with a datagram
HEADERS = 1024  # bytes: what a capture of nothing has at most
PROBE = bytes(1200)


@contextmanager
def watching(scratch: Path, ports: Sequence[int]) -> Iterator[Path | None]:
    """The file that the datagrams to these ports are written to; None without tshark or the right to listen."""
    if shutil.which("tshark") is None or os.geteuid() != 0:
        print(f"skipped: tshark's OSC dissector ({'needs root' if shutil.which('tshark') else 'tshark'})")
        yield None
        return
    file = scratch / "interop.pcapng"
    file.unlink(missing_ok=True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        wanted = " or ".join(f"dst port {port}" for port in (*ports, probe.getsockname()[1]))
        command = ["tshark", "-i", "lo", "-B", "64", "-f", f"udp and ({wanted})", "-w", str(file), "-q"]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            _wait_until_it_grows(file, probe)
            yield file
            _wait_until_it_grows(file, probe)
        finally:
            process.terminate()
            process.wait()


def _wait_until_it_grows(file: Path, probe: socket.socket) -> None:
    """Until tshark has written a datagram of our own, and so all before it. Raises TimeoutError after 20 s."""
    size = file.stat().st_size if file.exists() else 0
    for _ in range(400):
        probe.sendto(PROBE, probe.getsockname())
        time.sleep(0.05)
        if file.exists() and file.stat().st_size > max(size, HEADERS):
            return
    raise TimeoutError(f"tshark writes nothing to {file}")


def figures(file: Path, ports: Sequence[int], reference: int, sent: int) -> dict[str, Any]:
    """How many frames it saw at the port `reference`, and whether every datagram was whole OSC and not too long.

    AI-Toolbox has one message a quantity: its length is the peer's, so it is looked at for its form only.
    """
    rows = _fields(file, "udp.dstport", "udp.length", "osc.message.header.path", "_ws.malformed")
    rows = [row for row in rows if int(row[0]) in {*ports, reference}]
    frames, faults = 0, Counter[str]()
    longest = 0
    for port, length, paths, malformed in rows:
        if not paths:
            faults["no OSC"] += 1
        if malformed:
            faults["malformed"] += 1
        if not paths.startswith("/mocap"):
            longest = max(longest, int(length) - UDP_HEADER)
        frames += int(port) == reference and TIME in paths.split(",")
    if longest > MAX_DATAGRAM:
        faults[f"{longest} bytes"] += 1
    if frames != sent:
        faults["frames lost"] += 1
    return {
        "sent": sent,
        "received": frames,
        "datagrams": len(rows),
        "longest_bytes": longest,
        "malformed": faults["malformed"],
        "verdict": ", ".join(faults) or "ok",
    }


def _fields(file: Path, *names: str) -> list[list[str]]:
    command = ["tshark", "-r", str(file), "--enable-heuristic", "osc_udp", "-T", "fields", "-E", "separator=/t"]
    command += ["-E", "occurrence=a", "-E", "aggregator=,", *(word for name in names for word in ("-e", name))]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [line.split("\t") for line in done.stdout.splitlines()]
