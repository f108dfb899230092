"""The show, started as anyone starts it, with other people's programs on its outputs: who got how many frames.

    benchmarks/interop.sh                                    installs what there is to install, and runs this
    python -m benchmarks.interop --scratch DIR --seconds 12 --json interop.json

Every client has an output and a port of its own; so has this program, which says what was sent. A client that shows
joints is compared with our kinematics, in millimetres. Exit code 1 when a client did not get every frame.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from benchmarks import report
from benchmarks.interop import capture
from benchmarks.interop.clients import CLIENTS, HERE, NOT_INSTALLABLE, ROOT, Client, Tally, missing, read_own
from benchmarks.interop.listening import LARGEST_ERROR_MM, Listener, Reference, largest_error_mm, open_door
from motion import kinematics
from motion.bvh import read_bvh
from motion.bvh_write import write_bvh

STILL = 6.0  # seconds without a further frame anywhere: a client on a busy machine may stand for a while
SETTLED = 0.3  # seconds for which all must have got everything: the reference itself may be late
DEMO = ROOT / "presets/clips/demo_dancer.bvh"


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
    if "Blender, clients/blender" in chosen:
        figures["Blender, a recorded BVH"] = recording(scratch)
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
    doors = {name: open_door() for name in clients}
    ports = {name: door.getsockname()[1] for name, door in doors.items()}
    for door in doors.values():
        door.close()
    with contextlib.ExitStack() as stack:
        sent = stack.enter_context(contextlib.closing(Reference()))
        watch = stack.enter_context(capture.watching(scratch, [*ports.values(), sent.port]))
        listeners: dict[str, Listener] = {}
        absent: dict[str, str] = {}
        for name, client in clients.items():
            try:
                listeners[name] = stack.enter_context(contextlib.closing(Listener(client, scratch, ports[name])))
            except (OSError, subprocess.CalledProcessError) as error:
                absent[name] = str(error)
        for listener in listeners.values():
            listener.wait_until_ready()
        play(ports, sent.port)
        _wait_for(list(listeners.values()), sent)
    frames = sent.frames()
    figures = {name: listener.figures(frames) for name, listener in listeners.items()}
    figures |= {
        name: {"sent": len(frames), "received": 0, "verdict": f"does not start: {why}"} for name, why in absent.items()
    }
    if watch is not None:
        figures["tshark's OSC dissector"] = capture.figures(watch, list(ports.values()), sent.port, len(frames))
    return figures


def recording(scratch: Path, frames: int = 120) -> dict[str, Any]:
    """The figures of a BVH file that is written here and imported into Blender."""
    clip = read_bvh(DEMO)[0][:frames]
    file = scratch / "recording.bvh"
    write_bvh(file, clip)
    command = [str(scratch / "python/bin/python"), str(HERE / "blender_import.py"), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    tally = Tally()
    for line in done.stdout.splitlines():
        read_own(line, tally)
    positions = kinematics.global_positions(clip.skeleton, clip.root_positions, clip.rotations)
    error = largest_error_mm(tally.joints, {float(n): joints for n, joints in enumerate(positions, start=1)})
    good = tally.frames == frames and error is not None and error <= LARGEST_ERROR_MM
    figures = {"sent": frames, "received": tally.frames, "poses_compared": len(tally.joints), "error_mm": error}
    return figures | {"verdict": "ok" if good else "joints elsewhere"}


def _show(preset: Path, seconds: float) -> None:
    command = [sys.executable, str(ROOT / "run_server.py"), str(preset), "--no-page", "--seconds", str(seconds)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)


def _preset(scratch: Path, outputs: list[dict[str, Any]]) -> Path:
    show = {
        "format": 1,
        "clock": {"follow": "dancer", "fps": 60},
        "seed": 1,
        "dancers": {"dancer1": {"receive": "bvh", "file": str(DEMO)}},
        "partners": {"partner1": {"dancer": "dancer1", "model": str(ROOT / "presets/models/salsa_match.onnx")}},
        "control": None,
        "stage_page": False,
        "outputs": outputs,
    }
    file = scratch / "interop.yaml"
    file.write_text(yaml.safe_dump(show))
    return file


def _wait_for(listeners: list[Listener], sent: Reference) -> None:
    """Until all have got what was sent, for a moment, or nobody gets any more."""
    before, since = (-1, -1), time.monotonic()
    while time.monotonic() - since < STILL:
        received = [listener.received for listener in listeners]
        if (now := (sum(received), sent.count)) != before:
            before, since = now, time.monotonic()
        if min(received, default=0) >= sent.count > 0 and time.monotonic() - since > SETTLED:
            return
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
