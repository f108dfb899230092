"""Wire to wire: a client process sends VMC frames and times the partner's packet for the very same frame.

    python -m benchmarks.latency --preset presets/live_vmc.yaml --fps 120 --seconds 60
    python -m benchmarks.latency --suits vmc mocopi --receivers 3
    python -m benchmarks.latency --against presets/partner_follows_hand.yaml --seconds 20

The frame is known by the float bits of `/VMC/Ext/T`, which the server echoes, whatever the suit. With several
receivers a partner's packet is timed, and must arrive, at each of them. The clock starts before the client's
send and stops after its receive has parsed. The floor is the least any server could do in the same run: the same
datagrams through an echo process on loopback, plus the model's step alone.

The client (`live`) and the floor's echo stay awake; its sender is punctual, --jitter makes it less so.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import time
from pathlib import Path

import numpy as np
import yaml

from benchmarks import report
from benchmarks.live import LOOPBACK, ROOT, SERVER_CORES, Danced, Lane, dance, free_ports, on_cores, process, serving
from motion.load import load_humanoid
from server.onnx_model import OnnxModel
from server.preset import PresetError, load
from server.protocols.frames import PoseFrame
from server.receivers.bvh_player import BvhPlayer

FLOOR_SECONDS = 5.0
TELL_TIME = ("mocopi", "rokoko", "vmc")  # the suits whose time comes back bit for bit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", type=Path, default=ROOT / "presets/live_vmc.yaml")
    parser.add_argument(
        "--take", type=Path, default=ROOT / "presets/clips/demo_dancer.bvh", help="what the suit dances"
    )
    parser.add_argument("--fps", type=float, default=120.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--busy", type=int, default=0, help="keep so many cores busy meanwhile")
    parser.add_argument("--dancers", type=int, default=1, help="all over VMC")
    parser.add_argument("--suits", nargs="+", choices=TELL_TIME, help="a dancer in each, in place of --dancers")
    parser.add_argument("--receivers", type=int, default=1, help="of each partner, over VMC")
    parser.add_argument("--jitter", type=float, default=0.0, help="standard deviation of the sending times, ms")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--against", type=Path, help="another preset, measured in turns with the first")
    parser.add_argument("--rounds", type=int, default=5, help="of both presets; the medians are shown")
    options = parser.parse_args()
    shows = [options.preset, *([options.against] if options.against else [])]
    try:
        for show in shows:
            load(show)
    except PresetError as error:
        parser.error(str(error))

    frames = list(BvhPlayer(load_humanoid(options.take).clip, options.fps, loop=False).frames())
    with contextlib.ExitStack() as stack:
        for _ in range(options.busy):
            stack.enter_context(process(_spin))
        rounds = options.rounds if options.against else 1
        measured = [[_figures(show, frames, options) for show in shows] for _ in range(rounds)]
    rows = {show.stem: _medians([turn[place] for turn in measured]) for place, show in enumerate(shows)}
    if options.against:
        one, other = rows.values()
        rows["ratio"] = {
            key: other[key] / one[key] if one[key] and other[key] is not None else None for key in ("p50_ms", "p99_ms")
        }
    suits = " + ".join(options.suits or ["vmc"] * options.dancers)
    report.show(f"wire to wire, {suits} in -> VMC out", rows, options.json)


def _figures(preset: Path, frames: list[PoseFrame], options: argparse.Namespace) -> dict[str, float | None]:
    """One run of a preset and of its floor."""
    with contextlib.ExitStack() as stack:
        floor = _floor(frames, options.fps)
        model_us = _model_step_us(preset)
        suits = options.suits or ["vmc"] * options.dancers
        served = stack.enter_context(serving(preset, suits, options.receivers, options.fps))
        part = frames[: int(options.seconds * options.fps)]
        result = dance(part, served.lanes, options.fps, options.jitter / 1e3)
    floor_ms = float(np.percentile(floor.latencies, 50)) * 1e3 + model_us / 1e3
    latencies = np.array(result.latencies) * 1e3
    p50 = float(np.percentile(latencies, 50)) if len(latencies) else None
    return {
        "frames": result.sent,
        "lost": result.sent * options.receivers - len(latencies),
        "p50_ms": p50,
        "p99_ms": float(np.percentile(latencies, 99)) if len(latencies) else None,
        "p999_ms": float(np.percentile(latencies, 99.9)) if len(latencies) else None,
        "max_ms": float(latencies.max()) if len(latencies) else None,
        "send_jitter_p99_ms": float(np.percentile(result.send_errors, 99)) * 1e3,
        "floor_p50_ms": floor_ms,
        "ratio_to_floor": None if p50 is None else p50 / floor_ms,
    }


def _medians(runs: list[dict[str, float | None]]) -> dict[str, float | None]:
    """Of every figure that every run has."""
    return {
        key: None if any(run[key] is None for run in runs) else float(np.median([run[key] for run in runs]))  # type: ignore[misc]
        for key in runs[0]
    }


def _floor(frames: list[PoseFrame], fps: float) -> Danced:
    """As `dance`, of a process that sends every datagram back at once."""
    with contextlib.ExitStack() as stack:
        with on_cores(SERVER_CORES):
            echo = stack.enter_context(process(_echo, port := free_ports(1)[0]))
        time.sleep(0.5)  # until it has bound its port
        assert echo.is_alive()
        return dance(frames[: int(FLOOR_SECONDS * fps)], [Lane("vmc", port, ())], fps)


def _model_step_us(preset: Path) -> float:
    """The p50 of the preset's first model, alone."""
    settings = next(iter(yaml.safe_load(preset.read_text())["partners"].values()))
    model = OnnxModel(preset.parent / settings["model"], settings.get("device", "cpu"))
    times = []
    for _ in range(500):
        started = time.perf_counter()
        model.step()
        times.append(time.perf_counter() - started)
    return float(np.percentile(times, 50)) * 1e6


def _spin() -> None:
    while True:
        pass


def _echo(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as echo:
        echo.bind((LOOPBACK, port))
        echo.setblocking(False)
        while True:
            with contextlib.suppress(BlockingIOError):
                data, address = echo.recvfrom(65536)
                echo.sendto(data, address)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
