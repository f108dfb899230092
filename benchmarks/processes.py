"""What processes have taken of the machine, as Linux tells it in /proc; elsewhere nobody knows."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")


def family(pid: int) -> set[int]:
    """A process and all that it has started, and they; itself alone where nobody knows."""
    parents = {each: int(fields[1]) for each, fields in _all().items()}
    found = {pid}
    while more := {each for each, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def command_of(pid: int) -> str:
    """How it was called; empty where nobody knows."""
    try:
        return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def cpu_seconds(pids: Iterable[int]) -> float | None:
    """What these processes have computed since they began; None where nobody knows."""
    if not PROC.is_dir():
        return None
    known, ticks = _all(), float(os.sysconf("SC_CLK_TCK"))
    return sum((int(known[pid][11]) + int(known[pid][12])) / ticks for pid in pids if pid in known)


def _all() -> dict[int, list[str]]:
    """The fields of /proc/PID/stat after the name, by process: state, parent, ..., user and system time."""
    found = {}
    for file in PROC.glob("[0-9]*/stat"):
        try:
            found[int(file.parent.name)] = file.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
    return found
