"""Throws broken datagrams at every port of a show in which somebody dances: no frame of theirs may be lost.

    python -m benchmarks.flood --datagrams 1000000

By turns, five times: the suit alone, and the suit with a share of the datagrams beside it, half of them at the suit's
own port, the others at the control port and at those of `--beside`, suits that are not there. They are what
`benchmarks.fuzz` makes of real ones, and come from another address than the suit's. The client that times the dancer
sends them while it waits: nobody else takes a core from the server. Exit code 1: it answers no more.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from random import Random

import numpy as np

from benchmarks import report
from benchmarks.fuzz import inputs
from benchmarks.fuzz_seeds import targets
from benchmarks.live import LOOPBACK, ROOT, Client, Danced, Lane, dance, serving
from motion.load import load_humanoid
from server.receivers.bvh_player import BvhPlayer

KINDS = 20_000  # datagrams that are made beforehand for each port
LONGEST = 9_000  # bytes: larger ones take the client so long that it would be late for its dancer
BURST = 8  # datagrams at once: a client that was held up does not make good for all of it
WORN, OTHERS = "vmc", ("ai_toolbox", "mediapipe", "mocopi", "openpose", "rokoko", "xsens")


def main() -> int:
    options = _options()
    frames = list(
        islice(BvhPlayer(load_humanoid(options.take).clip, options.fps).frames(), int(options.seconds * options.fps))
    )
    rounds: list[tuple[Danced, Danced]] = []
    thrown = 0
    suits = (WORN, *options.beside)
    with serving(options.preset, suits, 1, options.fps) as served:
        kinds = broken((*suits, "osc"), [*(lane.into for lane in served.lanes), served.control])
        worn = served.lanes[:1]
        dance(frames[: int(options.fps)], worn, options.fps)  # everybody is awake
        for _ in range(options.rounds):
            alone = dance(frames, worn, options.fps)
            flood = Flood(worn, kinds, options.datagrams / options.rounds / options.seconds)
            rounds.append((alone, dance(frames, worn, options.fps, client=flood)))
            thrown += flood.thrown
        lives = bool(dance(frames[: int(options.fps)], worn, options.fps).latencies)
    rows = {
        name: _figures([one[place] for one in rounds]) | {"datagrams": thrown * place}
        for place, name in enumerate(("alone", "flooded"))
    }
    ratios = [float(np.median([_p(other, q) / _p(one, q) for one, other in rounds])) for q in (50, 99)]
    rows["ratio"] = {"p50_ms": ratios[0], "p99_ms": ratios[1]}
    report.show(f"wire to wire beside broken datagrams, medians of {options.rounds} rounds", rows, options.json)
    if not lives:
        print("the server answers no more", file=sys.stderr)
    return int(not lives)


class Flood(Client):
    """A client that sends datagrams of `kinds`, by port, `rate` a second while it waits for answers: every other one to
    the first port.
    """

    def __init__(self, lanes: Sequence[Lane], kinds: dict[int, list[bytes]], rate: float) -> None:
        super().__init__(lanes)
        self._ports, self._kinds, self._rate = list(kinds), kinds, rate
        self._thrower = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._due = time.perf_counter()
        self.thrown = 0

    def receive(self, until: float) -> None:
        while (now := time.perf_counter()) < until:
            self._due = max(self._due, now - BURST / self._rate)
            while self._due <= now:
                self._throw()
                self._due += 1.0 / self._rate
            super().receive(min(until, self._due))

    def _throw(self) -> None:
        first, *others = self._ports
        number, odd = divmod(self.thrown, 2)
        port = others[number % len(others)] if odd else first
        self._thrower.sendto(self._kinds[port][number % len(self._kinds[port])], (LOOPBACK, port))
        self.thrown += 1

    def close(self) -> None:
        super().close()
        self._thrower.close()


def broken(suits: Sequence[str], ports: Sequence[int], count: int = KINDS) -> dict[int, list[bytes]]:
    """Datagrams for each port, of what is spoken there."""
    random, every = Random(0), targets()
    return {
        port: [datagram[:LONGEST] for datagram in inputs(every[name.replace("_", "")], count, random)]
        for port, name in zip(ports, suits, strict=True)
    }


def _figures(runs: Sequence[Danced]) -> dict[str, float]:
    sent = sum(run.sent for run in runs)
    return {
        "frames": sent,
        "lost": sent - sum(len(run.latencies) for run in runs),
        "p50_ms": 1e3 * float(np.median([_p(run, 50) for run in runs])),
        "p99_ms": 1e3 * float(np.median([_p(run, 99) for run in runs])),
    }


def _p(run: Danced, percent: float) -> float:
    """A percentile of the latencies, infinite where nothing came."""
    return float(np.percentile(run.latencies, percent)) if run.latencies else float("inf")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", type=Path, default=ROOT / "presets/live_vmc.yaml")
    parser.add_argument(
        "--take", type=Path, default=ROOT / "presets/clips/demo_dancer.bvh", help="what the suit dances"
    )
    parser.add_argument("--beside", nargs="*", choices=OTHERS, default=(), help="suits that are not there")
    parser.add_argument("--datagrams", type=int, default=1_000_000, help="in all rounds")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each half of a round")
    parser.add_argument("--fps", type=float, default=120.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    for name in ("datagrams", "rounds", "seconds", "fps"):
        if not getattr(options, name) > 0:
            parser.error(f"--{name} {getattr(options, name)}: more than 0")
    return options


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
