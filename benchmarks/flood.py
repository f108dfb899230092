"""Throws broken datagrams at every port of a show in which somebody dances: no frame of theirs may be lost.

    python -m benchmarks.flood --datagrams 1000000

By turns, `--rounds` times: the suit alone, and the suit with a share of the datagrams beside it, half of them at the
suit's own port, the others at the control port and at those of `--beside`, suits that are not there. They are what
`benchmarks.fuzz` makes of real ones, none of them whole: another suit that can be understood would take over. They come
from another address than the suit's, and from the client that times the dancer, while it waits: nobody else takes a
core from the server. Exit code 1: it answers no more.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from random import Random

import numpy as np

from benchmarks import report
from benchmarks.fuzz import inputs
from benchmarks.fuzz_seeds import Target, targets
from benchmarks.live import LOOPBACK, Client, Lane, dance, serving
from benchmarks.options import opened, show_parser
from motion.load import load_humanoid
from server.protocols.frames import PacketError, PoseFrame
from server.receivers.bvh_player import BvhPlayer

KINDS = 20_000  # datagrams that are made beforehand for each port
LONGEST = 9_000  # bytes: larger ones take the client so long that it would be late for its dancer
BURST = 8  # datagrams at once: a client that was held up does not make good for all of it
WORN, OTHERS = "vmc", ("ai_toolbox", "mediapipe", "mocopi", "openpose", "rokoko", "xsens")


def main() -> int:
    options = _options()
    suits = (WORN, *options.beside)
    player = BvhPlayer(load_humanoid(options.take).clip, options.fps).frames()
    with serving(options.preset, suits, 1, options.fps) as served:
        kinds = broken((*suits, "osc"), [*(lane.into for lane in served.lanes), served.control])
        flood = Flood(served.lanes[:1], kinds, options.datagrams / options.rounds / options.seconds, options.seconds)
        frames = islice(player, int((2 * options.rounds * options.seconds + 2.0) * options.fps))
        dance(frames, served.lanes[:1], options.fps, client=flood)
    # The first second is the show's to wake up, and the last one is danced alone again.
    rounds = [(flood.halves[2 * turn], flood.halves[2 * turn + 1]) for turn in range(options.rounds)]
    rows = {
        name: _figures([one[place] for one in rounds]) | {"datagrams": flood.thrown * place}
        for place, name in enumerate(("alone", "flooded"))
    }
    ratios = [float(np.median([other.percentile(q) / one.percentile(q) for one, other in rounds])) for q in (50, 99)]
    rows["ratio"] = {"p50_ms": ratios[0], "p99_ms": ratios[1]}
    report.show(f"wire to wire beside broken datagrams, medians of {options.rounds} rounds", rows, options.json)
    if not flood.halves[2 * options.rounds].latencies:
        print("the server answers no more", file=sys.stderr)
        return 1
    return 0


@dataclass
class Half:
    """Of a round: frames that were sent, and how long the answers took, in seconds."""

    sent: int = 0
    latencies: list[float] = field(default_factory=list)

    def percentile(self, percent: float) -> float:
        """Infinite where nothing came."""
        return float(np.percentile(self.latencies, percent)) if self.latencies else float("inf")


class Flood(Client):
    """A client that sends datagrams of `kinds`, by port, `rate` a second while it waits for answers, in every other
    half of `seconds`: every other one to the first port. A frame belongs to the half in which it was sent.
    """

    def __init__(self, lanes: Sequence[Lane], kinds: dict[int, list[bytes]], rate: float, seconds: float) -> None:
        super().__init__(lanes, self._hear)
        self._ports, self._kinds, self._rate, self._seconds = list(kinds), kinds, rate, seconds
        self._thrower = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._due = time.perf_counter()
        self._floods = False
        self.thrown = 0
        self.halves: defaultdict[int, Half] = defaultdict(Half)

    def send(self, frame: PoseFrame, place: int) -> None:
        half = self._half(frame)
        self.halves[half].sent += 1
        self._floods = half % 2 == 1
        super().send(frame, place)

    def receive(self, until: float) -> None:
        while (now := time.perf_counter()) < until:
            self._due = max(self._due, now - BURST / self._rate)
            while self._due <= now:
                if self._floods:
                    self._throw()
                self._due += 1.0 / self._rate
            super().receive(min(until, self._due))

    def close(self) -> None:
        super().close()
        self._thrower.close()

    def _half(self, frame: PoseFrame) -> int:
        """Which half a frame is of, by its own time; -1 in the first second."""
        return int(((frame.sender_time or 0.0) - 1.0) // self._seconds)

    def _hear(self, _: int, frame: PoseFrame, latency: float) -> None:
        self.halves[self._half(frame)].latencies.append(latency)

    def _throw(self) -> None:
        first, *others = self._ports
        number, odd = divmod(self.thrown, 2)
        port = others[number % len(others)] if odd else first
        self._thrower.sendto(self._kinds[port][number % len(self._kinds[port])], (LOOPBACK, port))
        self.thrown += 1


def broken(suits: Sequence[str], ports: Sequence[int], count: int = KINDS) -> dict[int, list[bytes]]:
    """Datagrams for each port, of what is spoken there, that no fresh decoder makes a frame of."""
    random, every = Random(0), targets()
    kinds = {}
    for port, name in zip(ports, suits, strict=True):
        target = every[name.replace("_", "")]
        kinds[port] = [datagram for datagram in inputs(target, count, random) if _is_broken(target, datagram)]
    return kinds


def _is_broken(target: Target, datagram: bytes) -> bool:
    """Whether it is short enough to be thrown, and refused."""
    if len(datagram) > LONGEST:
        return False
    try:
        target.fresh()(datagram, 0.0)
    except PacketError:
        return True
    return False


def _figures(halves: Sequence[Half]) -> dict[str, float]:
    sent = sum(half.sent for half in halves)
    return {
        "frames": sent,
        "lost": sent - sum(len(half.latencies) for half in halves),
        "p50_ms": 1e3 * float(np.median([half.percentile(50) for half in halves])),
        "p99_ms": 1e3 * float(np.median([half.percentile(99) for half in halves])),
    }


def _options() -> argparse.Namespace:
    parser = show_parser(__doc__)
    parser.add_argument("--beside", nargs="*", choices=OTHERS, default=(), help="suits that are not there")
    parser.add_argument("--datagrams", type=int, default=1_000_000, help="in all rounds")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each half of a round")
    parser.add_argument("--fps", type=float, default=120.0)
    options = parser.parse_args()
    for name in ("datagrams", "rounds", "seconds", "fps"):
        if not getattr(options, name) > 0:
            parser.error(f"--{name} {getattr(options, name)}: more than 0")
    opened(parser, options.preset)
    return options


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
