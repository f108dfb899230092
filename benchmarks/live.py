"""A show as its audience has it: the server as a process of its own, and a client that plays suits and hears partners.

The client stands for another computer: where there are two cores it has one to itself and stays awake and warm, so that
the wire and the server are timed, not its own waking.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from benchmarks.suit import SUITS
from server.clock import MonotonicClock
from server.protocols.frames import PoseFrame
from server.protocols.vmc import VmcDecoder

ROOT = Path(__file__).resolve().parents[1]
LOOPBACK = "127.0.0.1"
_UNASKED_PORTS = (20_000, 32_000)
GRACE_SECONDS = 0.5  # an answer later than this is lost
AHEAD_SECONDS = 0.0005  # the client stops listening so long before it sends
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
Heard = Callable[[int, PoseFrame, float], None]  # whose answer, the pose, seconds
Server = Callable[[Path], Sequence[str]]
FILES = ("model", "light", "effort", "manner")  # keys of a preset's models
CLIENT_CORES, SERVER_CORES = (set(CORES[:1]), set(CORES[1:])) if len(CORES) > 1 else (set(), set())


class Lane(NamedTuple):
    """One dancer's way: in a suit, into a port, and where their partner's packets come out; none for an echo's own."""

    suit: str
    into: int
    out: tuple[int, ...]


class Served(NamedTuple):
    """A show that runs: the ways of its dancers, its process, its control port, and what kills and starts it anew."""

    lanes: tuple[Lane, ...]
    pid: int
    control: int
    again: Callable[[], None]


class Danced(NamedTuple):
    """latencies, and how far from its moment each frame was sent, seconds; sent: frames, each to one lane.

    offsets: seconds from what each pose says of its time to its arrival, for shows with beats of their own.
    """

    latencies: list[float]
    send_errors: list[float]
    sent: int
    offsets: list[float]


def dance(
    frames: Iterable[PoseFrame],
    lanes: Sequence[Lane],
    fps: float,
    jitter: float = 0.0,
    heard: Heard | None = None,
    client: Client | None = None,
) -> Danced:
    """Sends into each lane in turn, evenly spread over a frame's time, and times the answers.

    jitter: standard deviation of the sending times, seconds. heard: is told of every answer. client: of these lanes, if
    it is to be another than `Client`; it is closed.
    """
    client, clock, random = client or Client(lanes, heard), MonotonicClock(), np.random.default_rng(0)
    send_errors = []
    begin = clock.now() + 0.01
    with on_cores(CLIENT_CORES):
        for number, frame in enumerate(frames):
            for place in range(len(lanes)):
                due = begin + (number + place / len(lanes)) / fps
                deadline = due + float(np.clip(random.normal(0.0, jitter), -0.25 / fps, 0.25 / fps))
                client.receive(deadline - AHEAD_SECONDS)
                clock.sleep_until(deadline)
                send_errors.append(abs(clock.now() - due))
                client.send(frame, place)
        client.receive(clock.now() + GRACE_SECONDS)
    client.close()
    return Danced(client.latencies, send_errors, client.sent, client.offsets)


class Client:
    """Sends frames and times the answers."""

    def __init__(self, lanes: Sequence[Lane], heard: Heard | None = None) -> None:
        self._heard = heard
        self.latencies: list[float] = []
        self.offsets: list[float] = []
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
            for listener in select.select(list(self._places), [], [], 0.0 if CLIENT_CORES else remaining)[0]:
                (place, decoder), answer = self._places[listener], listener.recv(65536)
                for frame in decoder.feed(answer, time.perf_counter()):
                    self.offsets.append(time.perf_counter() - (frame.sender_time or 0.0))
                    mark = struct.pack(">f", frame.sender_time or 0.0)
                    if (begun := self._pending.pop((listener, mark), None)) is not None:
                        self.latencies.append(time.perf_counter() - begun)
                        if self._heard is not None:
                            self._heard(place, frame, self.latencies[-1])
                self._answers.append(answer)
            if not self._pending and CLIENT_CORES:
                self._rehearse()

    def _rehearse(self) -> None:
        """Parses the last answers once more, so that the next ones do not meet a client grown cold."""
        for answer in self._answers:
            self._spare.feed(answer, time.perf_counter())

    def close(self) -> None:
        for listener in self._places:
            listener.close()
        self._sender.close()


def shipped(file: Path) -> list[str]:
    """The command of a show."""
    return [sys.executable, str(ROOT / "run_server.py"), str(file), "--no-page"]


@contextlib.contextmanager
def serving(
    preset: Path,
    suits: Sequence[str],
    receivers: int,
    fps: float,
    server: Server = shipped,
    ends: signal.Signals = signal.SIGTERM,
    others: Sequence[Path] = (),
) -> Iterator[Served]:
    """The preset's show as a process of its own on free ports, with a dancer in each suit and a partner for each.

    server: the command that runs a preset's file; ends: what it takes for the end of the show. others: presets whose
    partners may take over, by the names of their files.
    """
    bind, control, *ports = free_ports(2 + len(suits) * (1 + receivers))
    lanes = []
    for suit in suits:
        into, *out = (ports.pop() for _ in range(1 + receivers))
        lanes.append(Lane(suit, into, tuple(out)))
    data = on_lanes(yaml.safe_load(preset.read_text()), preset.parent, lanes, fps)
    data["outputs"].append({"send": "zmq", "bind": f"tcp://{LOOPBACK}:{bind}"})
    data["control"] = {"port": control}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / preset.name
        file.write_text(yaml.safe_dump(data))
        for other in others:
            partners = on_lanes(yaml.safe_load(other.read_text()), other.parent, lanes, fps)["partners"]
            (Path(folder) / other.name).write_text(yaml.safe_dump({**data, "partners": partners}))

        def start() -> subprocess.Popen[str]:
            with on_cores(SERVER_CORES):
                return subprocess.Popen(server(file), stdout=subprocess.PIPE, text=True)

        def again() -> None:
            nonlocal served
            served.kill()
            served.communicate()
            served = start()

        served = start()
        try:
            assert served.stdout is not None
            while "Ctrl-C stops" not in (line := served.stdout.readline()):
                if not line:
                    raise SystemExit(f"the server did not start from {preset}; exit code {served.wait()}")
            yield Served(tuple(lanes), served.pid, control, again)
        finally:
            served.send_signal(ends)
            served.communicate(timeout=30)


def on_lanes(data: dict[str, Any], folder: Path, lanes: Sequence[Lane], fps: float) -> dict[str, Any]:
    """A preset's show with a dancer of its own kind, and a partner, for each lane; follows the frames if it did."""
    dancers, partners = list(data["dancers"].values()), list(data["partners"].values())
    data["dancers"], data["partners"], outputs = {}, {}, []
    for place, lane in enumerate(lanes):
        dancer, partner = f"dancer{place + 1}", f"partner{place + 1}"
        asked = dancers[place % len(dancers)]
        kept = {key: asked[key] for key in ("calibration", "effort", "forecast", "upsample") if key in asked}
        data["dancers"][dancer] = {"receive": lane.suit, "port": lane.into, **kept}
        data["partners"][partner] = {**partners[place % len(partners)], "dancer": dancer}
        outputs += [{"send": "vmc", "actor": partner, "port": port} for port in lane.out]
    for section in (*data["dancers"].values(), *data["partners"].values()):
        for part in (section, *(part for part in section.values() if isinstance(part, dict))):
            part.update({key: str((folder / part[key]).resolve()) for key in FILES if part.get(key)})
    data["outputs"] = [*outputs, *(output for output in data["outputs"] if output["send"] in ("ai_toolbox", "effort"))]
    data["clock"], data["stage_page"] = {**data["clock"], "fps": fps}, "off"
    if "follow" in data["clock"]:
        data["clock"]["follow"] = "dancer"
    return data


@contextlib.contextmanager
def on_cores(cores: set[int]) -> Iterator[None]:
    """This thread, and every process it starts meanwhile, stay on these cores; anywhere if there are none."""
    if cores:
        os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        if cores:
            os.sched_setaffinity(0, CORES)


@contextlib.contextmanager
def process(target: Any, *arguments: Any) -> Iterator[multiprocessing.process.BaseProcess]:
    started = multiprocessing.get_context("spawn").Process(target=target, args=arguments, daemon=True)
    started.start()
    try:
        yield started
    finally:
        started.terminate()
        started.join()


def free_ports(count: int) -> list[int]:
    """UDP ports that were free a moment ago, by chance from a range that no system gives to whoever asks for any port:
    a test beside this one does not take them meanwhile.
    """
    ports: list[int] = []
    while len(ports) < count:
        port = random.randrange(*_UNASKED_PORTS)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as candidate, contextlib.suppress(OSError):
            candidate.bind((LOOPBACK, port))
            ports += [port] if port not in ports else []
    return ports
