"""What tshark, which knows OSC by its own dissector, says of the datagrams that left the show."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from server.protocols.osc import MAX_DATAGRAM
from server.protocols.vmc import TIME

UDP_HEADER = 8  # bytes that tshark counts with a datagram


@contextmanager
def watching(scratch: Path, ports: Sequence[int]) -> Iterator[Path | None]:
    """The file that the datagrams to these ports are written to; None without tshark or the right to listen."""
    if shutil.which("tshark") is None or os.geteuid() != 0:
        print(f"skipped: tshark's OSC dissector ({'needs root' if shutil.which('tshark') else 'tshark'})")
        yield None
        return
    file = scratch / "interop.pcapng"
    condition = " or ".join(f"dst port {port}" for port in ports)
    command = ["tshark", "-i", "lo", "-B", "64", "-f", f"udp and ({condition})", "-w", str(file), "-q"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if "Capturing on" in line:
                break
        yield file
    finally:
        process.terminate()
        process.communicate()


def figures(file: Path, sent: int, reference_port: int) -> dict[str, Any]:
    """How many frames it saw at the reference port, and whether every datagram was whole OSC and no longer than may be.

    AI-Toolbox has one message a quantity: its length is the peer's, so it is looked at for its form only.
    """
    rows = _fields(file, "udp.dstport", "udp.length", "osc.message.header.path", "_ws.malformed")
    frames, faults = 0, Counter[str]()
    longest = 0
    for port, length, paths, malformed in rows:
        if not paths:
            faults["no OSC"] += 1
        if malformed:
            faults["malformed"] += 1
        if not paths.startswith("/mocap"):
            longest = max(longest, int(length) - UDP_HEADER)
        frames += int(port) == reference_port and TIME in paths.split(",")
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
