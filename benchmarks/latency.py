"""Wire to wire: a client process sends VMC frames and times the partner's packet for the very same frame.

    python -m benchmarks.latency --preset presets/live_vmc.yaml --fps 120 --seconds 60
    python -m benchmarks.latency --all --seconds 10 --stages
    python -m benchmarks.latency --suits vmc mocopi --receivers 3
    python -m benchmarks.latency --against presets/partner_follows_hand.yaml --seconds 20

The frame is known by the float bits of `/VMC/Ext/T`, which the server echoes, whatever the suit. With several
receivers a partner's packet is timed, and must arrive, at each of them. The clock starts before the client's
send and stops after its receive has parsed. The floor is the least any server could do in the same run: the same
datagrams through an echo process on loopback, plus the model's step alone.

--all: every shipped preset at its own rate, each dancer in their own suit where that tells its time, over VMC where it
does not. A show with beats of its own answers no frame; what is told of it is `beat_jitter_p99_ms`, how much later its
poses come than the most punctual one. --stages: where the time goes in the server (`benchmarks.stages`), microseconds
that add up to wire to wire, means of the middle half of frames, in a run of its own; `wire` is what is left for
loopback, waking and the client.

The client (`live`) and the floor's echo stay awake; its sender is punctual, --jitter makes it less so.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml

from benchmarks import report
from benchmarks.live import (
    LOOPBACK,
    ROOT,
    SERVER_CORES,
    Danced,
    Lane,
    Server,
    dance,
    free_ports,
    on_cores,
    process,
    serving,
    shipped,
)
from benchmarks.options import opened, show_parser
from motion.clip import Clip
from motion.load import load_humanoid
from server.onnx_model import OnnxModel
from server.protocols.frames import PoseFrame
from server.receivers.bvh_player import BvhPlayer

FPS = 120.0
FLOOR_SECONDS = 5.0
TELL_TIME = ("mocopi", "rokoko", "vmc")  # the suits whose time comes back bit for bit


def main() -> None:
    options = _options()
    shows = sorted((ROOT / "presets").glob("*.yaml")) if options.all else [options.preset]
    shows += [options.against] if options.against else []
    runs = [_run(show, options) for show in shows]
    clip = load_humanoid(options.take).clip
    with contextlib.ExitStack() as stack:
        for _ in range(options.busy):
            stack.enter_context(process(_spin))
        rounds = options.rounds if options.against else 1
        measured = [[_figures(run, clip, options) for run in runs] for _ in range(rounds)]
        stages = {run.preset.stem: _stages(run, clip, options) for run in runs} if options.stages else {}
    rows = {run.preset.stem: _medians([turn[place] for turn in measured]) for place, run in enumerate(runs)}
    if options.against:
        one, other = rows.values()
        rows["ratio"] = {
            key: other[key] / one[key] if one[key] and other[key] is not None else None for key in ("p50_ms", "p99_ms")
        }
    if stages:
        print(report.table("microseconds of a frame, by part", stages) + "\n")
        rows = {
            name: figures | {f"{part.replace(' ', '_')}_us": mean for part, mean in stages.get(name, {}).items()}
            for name, figures in rows.items()
        }
    suits = "each in a suit of its own" if options.all else " + ".join(runs[0].suits)
    report.show(f"wire to wire, {suits} in -> VMC out", rows, options.json, turned=options.all)


class Run(NamedTuple):
    """A preset, who dances in it, in which suits, and how many frames a second come."""

    preset: Path
    suits: list[str]
    fps: float
    follows: bool  # the frames, or has beats of its own


def _run(preset: Path, options: argparse.Namespace) -> Run:
    """As the options want it."""
    data = yaml.safe_load(preset.read_text())
    fps, follows = options.fps or (data["clock"]["fps"] if options.all else FPS), "follow" in data["clock"]
    suits = options.suits or ["vmc"] * options.dancers
    if options.all:
        worn = [dancer["receive"] for dancer in data["dancers"].values()]
        suits = [suit if suit in TELL_TIME else "vmc" for suit in worn]
    return Run(preset, suits, fps, follows)


def _figures(run: Run, clip: Clip, options: argparse.Namespace) -> dict[str, float | None]:
    """Of one run of a preset and of its floor."""
    frames = _frames(run, clip, options.seconds)
    echo = floor(list(islice(frames, int(FLOOR_SECONDS * run.fps))), run.fps)
    model_us = _model_step_us(run.preset)
    result = _danced(run, frames, options, shipped)
    floor_ms = float(np.percentile(echo.latencies, 50)) * 1e3 + model_us / 1e3
    latencies = np.array(result.latencies if run.follows else []) * 1e3
    p50 = float(np.percentile(latencies, 50)) if len(latencies) else None
    offsets = np.array(result.offsets) - min(result.offsets, default=0.0)
    return {
        "fps": run.fps,
        "frames": result.sent,
        "lost": result.sent * options.receivers - len(latencies) if run.follows else None,
        "p50_ms": p50,
        "p99_ms": float(np.percentile(latencies, 99)) if len(latencies) else None,
        "p999_ms": float(np.percentile(latencies, 99.9)) if len(latencies) else None,
        "max_ms": float(latencies.max()) if len(latencies) else None,
        "send_jitter_p99_ms": float(np.percentile(result.send_errors, 99)) * 1e3,
        "floor_p50_ms": floor_ms,
        "floor_p99_ms": float(np.percentile(echo.latencies, 99)) * 1e3 + model_us / 1e3,
        "floor_p999_ms": float(np.percentile(echo.latencies, 99.9)) * 1e3 + model_us / 1e3,
        "ratio_to_floor": None if p50 is None else p50 / floor_ms,
        **({} if run.follows else {"beat_jitter_p99_ms": 1e3 * float(np.percentile(offsets, 99))}),
    }


def _stages(run: Run, clip: Clip, options: argparse.Namespace) -> dict[str, float]:
    """Where the time of a frame goes; empty for a show that has beats of its own."""
    if not run.follows:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "stages.json"
        command = (sys.executable, "-m", "benchmarks.stages")
        danced = _danced(
            run, _frames(run, clip, options.seconds), options, lambda file: [*command, str(file), str(out)]
        )
        latencies = np.array(danced.latencies)
        parts: dict[str, float] = json.loads(out.read_text())
    if not parts or not len(latencies):
        return {}
    low, high = np.percentile(latencies, (25, 75))
    whole = 1e6 * float(latencies[(low <= latencies) & (latencies <= high)].mean())
    afterwards = parts.pop("afterwards")
    return {**parts, "wire": whole - parts["server"], "wire to wire": whole, "afterwards": afterwards}


def _danced(run: Run, frames: list[PoseFrame], options: argparse.Namespace, server: Server) -> Danced:
    with serving(run.preset, run.suits, options.receivers, run.fps, server) as served:
        return dance(frames, served.lanes, run.fps, options.jitter / 1e3)


def _frames(run: Run, clip: Clip, seconds: float) -> list[PoseFrame]:
    return list(islice(BvhPlayer(clip, run.fps).frames(), int(seconds * run.fps)))


def _medians(runs: list[dict[str, float | None]]) -> dict[str, float | None]:
    """Of every figure that every run has."""
    return {
        key: None if any(run[key] is None for run in runs) else float(np.median([run[key] for run in runs]))  # type: ignore[misc]
        for key in runs[0]
    }


def floor(frames: list[PoseFrame], fps: float) -> Danced:
    """As `dance`, of a process that sends every datagram back at once."""
    with contextlib.ExitStack() as stack:
        with on_cores(SERVER_CORES):
            stack.enter_context(process(_echo, port := free_ports(1)[0]))
        _await_echo(port)
        return dance(frames, [Lane("vmc", port, ())], fps)


def _await_echo(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(0.1)
        for _ in range(300):
            probe.sendto(b"?", (LOOPBACK, port))
            with contextlib.suppress(TimeoutError):
                probe.recv(16)
                return
    raise SystemExit("the echo of the floor did not start within 30 s")


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


def _options() -> argparse.Namespace:
    parser = show_parser(__doc__)
    parser.add_argument("--all", action="store_true", help="every shipped preset, in place of --preset")
    parser.add_argument("--fps", type=float, help=f"{FPS:g}, with --all each preset's own")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--busy", type=int, default=0, help="keep so many cores busy meanwhile")
    parser.add_argument("--dancers", type=int, default=1, help="all over VMC")
    parser.add_argument("--suits", nargs="+", choices=TELL_TIME, help="a dancer in each, in place of --dancers")
    parser.add_argument("--receivers", type=int, default=1, help="of each partner, over VMC")
    parser.add_argument("--jitter", type=float, default=0.0, help="standard deviation of the sending times, ms")
    parser.add_argument("--stages", action="store_true", help="where the time goes, in a run of its own")
    parser.add_argument("--against", type=Path, help="another preset, measured in turns with the first")
    parser.add_argument("--rounds", type=int, default=5, help="of both presets; the medians are shown")
    options = parser.parse_args()
    if options.all and (options.against or options.suits or options.dancers > 1):
        parser.error("--all measures every preset with its own dancers; --against, --suits and --dancers are for one")
    opened(parser, options.preset, *([options.against] if options.against else []))
    return options


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
