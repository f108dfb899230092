"""Wire to wire: a client process sends VMC frames and times the partner's packet for the very same frame.

    python -m benchmarks.latency --preset presets/live_vmc.yaml --fps 120 --seconds 60
    python -m benchmarks.latency --suits vmc mocopi --receivers 3
    python -m benchmarks.latency --against presets/partner_follows_hand.yaml --seconds 20

The frame is known by the float bits of `/VMC/Ext/T`, which the server echoes, whatever the suit. With several
receivers a partner's packet is timed, and must arrive, at each of them. The clock starts before the client's
send and stops after its receive has parsed. The floor is the least any server could do in the same run: the same
datagrams through an echo process on loopback, plus the model's step alone.

The client stands for another computer: where there are two cores it has one to itself and stays awake and warm, so that
the wire and the server are timed, not its own waking; the floor's echo stays awake as well. Its sender is punctual;
--jitter makes it less so.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import select
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from benchmarks import report
from benchmarks.suit import SUITS
from motion.load import load_humanoid
from server.clock import MonotonicClock
from server.onnx_model import OnnxModel
from server.preset import PresetError, load
from server.protocols.frames import PoseFrame
from server.protocols.vmc import VmcDecoder
from server.receivers.bvh_player import BvhPlayer

ROOT = Path(__file__).resolve().parents[1]
LOOPBACK = "127.0.0.1"
GRACE_SECONDS = 0.5  # an answer later than this is lost
FLOOR_SECONDS = 5.0
TELL_TIME = ("mocopi", "rokoko", "vmc")  # the suits whose time comes back bit for bit
AHEAD_SECONDS = 0.0005  # the client stops listening so long before it sends
_CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
_CLIENT_CORES, _SERVER_CORES = (set(_CORES[:1]), set(_CORES[1:])) if len(_CORES) > 1 else (set(), set())


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
            stack.enter_context(_process(_spin))
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
        lanes = stack.enter_context(_server(preset, suits, options.receivers, options.fps))
        result = _measure(frames, lanes, options.fps, options.seconds, options.jitter / 1e3)
    floor_ms = float(np.percentile(floor["latencies"], 50)) * 1e3 + model_us / 1e3
    latencies = np.array(result["latencies"]) * 1e3
    p50 = float(np.percentile(latencies, 50)) if len(latencies) else None
    return {
        "frames": result["sent"],
        "lost": result["sent"] * options.receivers - len(latencies),
        "p50_ms": p50,
        "p99_ms": float(np.percentile(latencies, 99)) if len(latencies) else None,
        "p999_ms": float(np.percentile(latencies, 99.9)) if len(latencies) else None,
        "max_ms": float(latencies.max()) if len(latencies) else None,
        "send_jitter_p99_ms": float(np.percentile(result["send_errors"], 99)) * 1e3,
        "floor_p50_ms": floor_ms,
        "ratio_to_floor": None if p50 is None else p50 / floor_ms,
    }


def _medians(runs: list[dict[str, float | None]]) -> dict[str, float | None]:
    """Of every figure that every run has."""
    return {
        key: None if any(run[key] is None for run in runs) else float(np.median([run[key] for run in runs]))  # type: ignore[misc]
        for key in runs[0]
    }


def _floor(frames: list[PoseFrame], fps: float) -> dict[str, Any]:
    """As `_measure`, of a process that sends every datagram back at once."""
    with contextlib.ExitStack() as stack:
        with _on_cores(_SERVER_CORES):
            echo = stack.enter_context(_process(_echo, port := _free_ports(1)[0]))
        time.sleep(0.5)  # until it has bound its port
        assert echo.is_alive()
        return _measure(frames, [Lane("vmc", port, ())], fps, FLOOR_SECONDS)


class Lane(NamedTuple):
    """One dancer's way: in a suit, into a port, and where their partner's packets come out; none for an echo's own."""

    suit: str
    into: int
    out: tuple[int, ...]


def _measure(
    frames: list[PoseFrame], lanes: list[Lane], fps: float, seconds: float, jitter: float = 0.0
) -> dict[str, Any]:
    """Sends into each lane in turn, evenly spread over a frame's time, and times the answers.

    jitter: standard deviation of the sending times, seconds.
    """
    client, clock, random = _Client(lanes), MonotonicClock(), np.random.default_rng(0)
    send_errors = []
    begin = clock.now() + 0.01
    with _on_cores(_CLIENT_CORES):
        for number, frame in enumerate(frames[: int(seconds * fps)]):
            for place in range(len(lanes)):
                due = begin + (number + place / len(lanes)) / fps
                deadline = due + float(np.clip(random.normal(0.0, jitter), -0.25 / fps, 0.25 / fps))
                client.receive(deadline - AHEAD_SECONDS)
                clock.sleep_until(deadline)
                send_errors.append(abs(clock.now() - due))
                client.send(frame, place)
        client.receive(clock.now() + GRACE_SECONDS)
    client.close()
    return {"latencies": client.latencies, "sent": client.sent, "send_errors": send_errors}


class _Client:
    """Sends frames and times the answers."""

    def __init__(self, lanes: list[Lane]) -> None:
        self.latencies: list[float] = []
        self.sent = 0
        self._lanes = lanes
        self._encode = [SUITS[lane.suit](f"dancer{place}") for place, lane in enumerate(lanes)]
        self._sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._places: dict[socket.socket, tuple[int, VmcDecoder]] = {}  # whose answers come here
        for place, lane in enumerate(lanes):
            for out in lane.out or (None,):
                listener = self._sender if out is None else socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
                if out is not None:
                    listener.bind((LOOPBACK, out))
                listener.setblocking(False)
                self._places[listener] = place, VmcDecoder("partner")
        self._pending: dict[tuple[socket.socket, bytes], float] = {}
        self._spare = VmcDecoder("partner")
        self._answers: deque[bytes] = deque(maxlen=4)  # the last ones, to stay warm with

    def send(self, frame: PoseFrame, place: int) -> None:
        datagrams = self._encode[place](frame)
        begun = time.perf_counter()
        for key in [key for key, since in self._pending.items() if begun - since > GRACE_SECONDS]:
            del self._pending[key]  # lost
        mark = struct.pack(">f", frame.sender_time or 0.0)
        for listener, (whose, _) in self._places.items():
            if whose == place:
                self._pending[listener, mark] = begun
        for datagram in datagrams:
            self._sender.sendto(datagram, (LOOPBACK, self._lanes[place].into))
        self.sent += 1

    def receive(self, until: float) -> None:
        while (remaining := until - time.perf_counter()) > 0:
            for listener in select.select(list(self._places), [], [], 0.0 if _CLIENT_CORES else remaining)[0]:
                (_, decoder), answer = self._places[listener], listener.recv(65536)
                for frame in decoder.feed(answer, time.perf_counter()):
                    mark = struct.pack(">f", frame.sender_time or 0.0)
                    if (begun := self._pending.pop((listener, mark), None)) is not None:
                        self.latencies.append(time.perf_counter() - begun)
                self._answers.append(answer)
            if not self._pending and _CLIENT_CORES:
                self._rehearse()

    def _rehearse(self) -> None:
        """Parses the last answers once more, so that the next ones do not meet a client grown cold."""
        for answer in self._answers:
            self._spare.feed(answer, time.perf_counter())

    def close(self) -> None:
        for listener in self._places:
            listener.close()
        self._sender.close()


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


@contextlib.contextmanager
def _server(preset: Path, suits: list[str], receivers: int, fps: float) -> Iterator[list[Lane]]:
    """The preset's show as a process of its own on free ports, with a dancer in each suit and a partner for each."""
    data = yaml.safe_load(preset.read_text())
    partner = next(iter(data["partners"].values()))
    for section in (partner, partner.get("sample", {})):
        if "model" in section:
            section["model"] = str((preset.parent / section["model"]).resolve())
    bind, control, *ports = _free_ports(2 + len(suits) * (1 + receivers))
    lanes = []
    for suit in suits:
        into, *out = (ports.pop() for _ in range(1 + receivers))
        lanes.append(Lane(suit, into, tuple(out)))
    data["dancers"], data["partners"] = {}, {}
    outputs = []
    for place, lane in enumerate(lanes, start=1):
        data["dancers"][f"dancer{place}"] = {"receive": lane.suit, "port": lane.into}
        data["partners"][f"partner{place}"] = {**partner, "dancer": f"dancer{place}"}
        outputs += [{"send": "vmc", "actor": f"partner{place}", "port": port} for port in lane.out]
    others = [output for output in data["outputs"] if output["send"] == "ai_toolbox"]
    data["outputs"] = [*outputs, *others, {"send": "zmq", "bind": f"tcp://{LOOPBACK}:{bind}"}]
    data["clock"] = {**data["clock"], "follow": "dancer", "fps": fps}
    data["control"] = {"port": control}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / preset.name
        file.write_text(yaml.safe_dump(data))
        command = [sys.executable, str(ROOT / "run_server.py"), str(file), "--no-page"]
        with _on_cores(_SERVER_CORES):
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            while "Ctrl-C" not in (line := process.stdout.readline()):
                if not line:
                    raise SystemExit(f"the server did not start from {preset}; exit code {process.wait()}")
            yield lanes
        finally:
            process.terminate()
            process.wait(timeout=10)


@contextlib.contextmanager
def _on_cores(cores: set[int]) -> Iterator[None]:
    """This thread, and every process it starts meanwhile, stay on these cores; anywhere if there are none."""
    if cores:
        os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        if cores:
            os.sched_setaffinity(0, _CORES)


@contextlib.contextmanager
def _process(target: Any, *arguments: Any) -> Iterator[multiprocessing.process.BaseProcess]:
    process = multiprocessing.get_context("spawn").Process(target=target, args=arguments, daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.terminate()
        process.join()


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


def _free_ports(count: int) -> list[int]:
    """UDP and TCP ports that were free a moment ago."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    for candidate in sockets:
        candidate.bind((LOOPBACK, 0))
    ports = [candidate.getsockname()[1] for candidate in sockets]
    for candidate in sockets:
        candidate.close()
    return ports


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
