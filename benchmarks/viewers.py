"""What a show pays for those who look at its stage page: the same show without viewers and with twenty at once.

    python -m benchmarks.viewers --viewers 20 --seconds 20

The show and its page run as everywhere: two processes. A client plays the suits and times the answers, as
`benchmarks.latency` does. A viewer is a connection that reads what a browser reads and unpacks it as a browser does;
all of them are one process, the least urgent on this machine, for browsers run on other computers.

    wire_p50_ms, wire_p99_ms  from the sending of a frame to the partner's packet for it, at the client
    tick_p99_ms               the server's own: from a frame's arrival to the last packet of its tick
    late                      ticks that were late, by the server's count
    show_cpu, page_cpu        percent of a core
    pictures_fps              poses that a viewer is shown in a second, the mean of all; and of whoever is shown least
    page_mb_s                 what the page sends to all of them
    send_late                 frames that the client itself sent late; a busy machine's
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import struct
import time
from collections.abc import Iterator, MutableSequence, Sequence
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import msgspec
import numpy as np
import viser
import yaml
import zmq
import zstandard
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from benchmarks import report
from benchmarks.live import CLIENT_CORES, LOOPBACK, ROOT, Danced, dance, free_ports, on_cores, process, serving, shipped
from benchmarks.processes import command_of, cpu_seconds, family
from benchmarks.profile import suits_of
from motion.load import load_humanoid
from server.preset import Preset, PresetError, load
from server.protocols import packed
from server.receivers.bvh_player import BvhPlayer

SETTLED = 4.0  # seconds until everybody has the scene
PATIENCE = 20.0  # seconds for the page to open, and for viewers to get in
BODIES = "/stage/limbs"  # the page's name for what moves with every pose
CAMERA = {
    "type": "ViewerCameraMessage",
    **{"wxyz": (1.0, 0.0, 0.0, 0.0), "position": (0.0, 0.0, 4.0), "look_at": (0.0, 0.0, 0.0)},
    **{"up_direction": (0.0, 1.0, 0.0), "fov": 0.6, "near": 0.01, "far": 100.0},
    **{"image_height": 720, "image_width": 1280},
}
Counts = MutableSequence[float]  # of each viewer: poses, bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", type=Path, default=ROOT / "presets/live_vmc.yaml")
    parser.add_argument(
        "--take", type=Path, default=ROOT / "presets/clips/demo_dancer.bvh", help="what the suits dance"
    )
    parser.add_argument("--viewers", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3, help="without and with viewers by turns; medians are told")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    try:
        preset = load(options.preset)
    except PresetError as error:
        parser.error(str(error))
    player = BvhPlayer(load_humanoid(options.take).clip, preset.clock.fps, loop=True)
    rounds = [
        [look_on(options.preset, preset, player, count, options.seconds) for count in (0, options.viewers)]
        for _ in range(options.rounds)
    ]
    subjects = {
        f"{count} viewers": report_of([turn[place] for turn in rounds])
        for place, count in enumerate((0, options.viewers))
    }
    title = f"{options.preset.stem} at {preset.clock.fps:g} fps, medians of {options.rounds} rounds; load {_load()}"
    report.show(title, subjects, options.json)


def report_of(turns: Sequence[dict[str, float | None]]) -> dict[str, float | None]:
    """Medians; None where a turn has none."""
    return {
        name: None if any(turn[name] is None for turn in turns) else float(np.median([turn[name] for turn in turns]))
        for name in turns[0]
    }


def look_on(path: Path, preset: Preset, player: BvhPlayer, viewers: int, seconds: float) -> dict[str, float | None]:
    """The figures of one show, with so many who look on. Raises SystemExit where it, or its page, does not start."""
    (port,), said = free_ports(1), []

    def server(file: Path) -> list[str]:
        data = yaml.safe_load(file.read_text())
        file.write_text(yaml.safe_dump({**data, "stage_page": {"port": port}}))
        said.extend(output["bind"] for output in data["outputs"] if output["send"] == "zmq")
        return [word for word in shipped(file) if word != "--no-page"]

    fps, suits = preset.clock.fps, suits_of(preset)
    with serving(path, suits, 1, fps, server) as served:
        page = _page_of(served.pid, port)
        with looking(port, viewers) as counts, zmq.Context() as context, context.socket(zmq.SUB) as figures:
            figures.setsockopt(zmq.CONFLATE, 1)
            figures.subscribe(packed.STATS_TOPIC)
            figures.connect(said[-1])
            dance(islice(player.frames(), int(SETTLED * fps)), served.lanes, fps)
            before = _spent(served.pid, page), np.array(counts[:]), packed.decode_stats(figures.recv())["late"]
            began = time.monotonic()
            danced = dance(islice(player.frames(), int(seconds * fps)), served.lanes, fps)
            after = _spent(served.pid, page), np.array(counts[:])
            took, stats = time.monotonic() - began, packed.decode_stats(figures.recv())
    poses, sent = ((after[1] - before[1]).reshape(-1, 2) / took).T if viewers else (None, None)
    return {
        **_wire(danced),
        "tick_p99_ms": stats["latency_p99_ms"],
        "late": stats["late"] - before[2],
        "show_cpu": _percent(before[0][0], after[0][0], took),
        "page_cpu": _percent(before[0][1], after[0][1], took),
        "pictures_fps": None if poses is None else float(poses.mean()),
        "pictures_fps_least": None if poses is None else float(poses.min()),
        "page_mb_s": None if sent is None else float(sent.sum() / 1e6),
        "send_late": sum(error > 1.0 / fps for error in danced.send_errors),
    }


@contextlib.contextmanager
def looking(port: int, count: int) -> Iterator[Counts]:
    """So many viewers in a process of their own: what each has been shown. Returns when everybody has something."""
    counts: Counts = multiprocessing.get_context("spawn").Array("d", 2 * count, lock=False)
    if not count:
        yield counts
        return
    with on_cores(CLIENT_CORES), process(_look, port, counts):
        end = time.monotonic() + PATIENCE
        while not all(counts[1::2]):
            if time.monotonic() > end:
                raise SystemExit(f"{sum(map(bool, counts[1::2]))} of {count} viewers see anything of the page")
            time.sleep(0.05)
        yield counts


def read(message: bytes) -> list[dict[str, Any]]:
    """What one message of the page says, as a browser unpacks it: its arrays are views of the message."""
    length, zipped = struct.unpack_from("<QQ", message)
    told = msgspec.msgpack.decode(zstandard.decompress(message[16 : 16 + zipped], length))
    place = 16 + zipped
    arrays = []
    for size in told["binaryBufferLengths"]:
        place += -place % 8
        arrays.append(memoryview(message)[place : place + size])
        place += size
    if place != len(message):
        raise ValueError(f"{len(message)} bytes; its own figures make {place}")
    messages: list[dict[str, Any]] = told["messages"]
    return messages


def _look(port: int, counts: Counts) -> None:
    os.nice(19)
    asyncio.run(_look_together(port, counts))


async def _look_together(port: int, counts: Counts) -> None:
    await asyncio.gather(*(_look_at(port, counts, place) for place in range(0, len(counts), 2)))


async def _look_at(port: int, counts: Counts, place: int) -> None:
    asked = [Subprotocol(f"viser-v{viser.__version__}")]
    async with connect(f"ws://{LOOPBACK}:{port}", subprotocols=asked, max_size=None) as page:
        await page.send(msgspec.msgpack.encode(CAMERA))
        async for message in page:
            assert isinstance(message, bytes)
            counts[place] += any(told.get("name") == BODIES and "updates" in told for told in read(message))
            counts[place + 1] += len(message)


def _page_of(show: int, port: int) -> int | None:
    """The page's process, when the page is open; None where nobody knows it."""
    end = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(OSError), urlopen(f"http://{LOOPBACK}:{port}", timeout=1.0):
            return next((pid for pid in family(show) if "server.stage_view" in command_of(pid)), None)
        if time.monotonic() > end:
            raise SystemExit(f"no stage page on port {port}")
        time.sleep(0.05)


def _spent(show: int, page: int | None) -> tuple[float | None, float | None]:
    return cpu_seconds([show]), cpu_seconds([page]) if page is not None else None


def _percent(before: float | None, after: float | None, seconds: float) -> float | None:
    return None if before is None or after is None else 100.0 * (after - before) / seconds


def _wire(danced: Danced) -> dict[str, float | None]:
    if not danced.latencies:
        return {"wire_p50_ms": None, "wire_p99_ms": None}
    half, most = 1e3 * np.percentile(danced.latencies, [50, 99])
    return {"wire_p50_ms": float(half), "wire_p99_ms": float(most)}


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


if __name__ == "__main__":
    main()
