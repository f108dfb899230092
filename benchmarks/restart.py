"""How long nobody dances when the server is killed and started again at once, as a service that always restarts is.

    python -m benchmarks.restart --preset presets/live_vmc.yaml --times 5

A suit sends on all the while; the clock runs from the kill to the first partner's pose for a frame sent after it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks import report
from benchmarks.live import Served, dance, serving
from benchmarks.options import opened, show_parser
from motion.load import load_humanoid
from server.protocols.frames import PoseFrame
from server.receivers.bvh_player import BvhPlayer

BEFORE, LONGEST = 1.0, 60.0  # seconds of dance before the kill, and of waiting after it


def main() -> None:
    parser = show_parser(__doc__)
    parser.add_argument("--fps", type=float, default=60.0)
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    opened(parser, options.preset)
    player = BvhPlayer(load_humanoid(options.take).clip, options.fps)
    seconds = [_once(options.preset, player, options.fps) for _ in range(options.times)]
    figures = {"seconds_p50": float(np.median(seconds)), "seconds_max": max(seconds)}
    report.show("killed and started again", {options.preset.stem: figures}, options.json)


def _once(preset: Path, player: BvhPlayer, fps: float) -> float:
    """Seconds until poses leave again. Raises SystemExit when they do not."""
    killed = back = math.inf

    def heard(place: int, frame: PoseFrame, latency: float) -> None:
        nonlocal back
        now = time.perf_counter()
        if now - latency > killed:
            back = min(back, now)

    def frames(served: Served) -> Iterator[PoseFrame]:
        nonlocal killed
        for number, frame in enumerate(islice(player.frames(), int((BEFORE + LONGEST) * fps))):
            if number == int(BEFORE * fps):
                killed = time.perf_counter()
                served.again()
            if back < math.inf:
                return
            yield frame

    with serving(preset, ["vmc"], 1, fps) as served:
        dance(frames(served), served.lanes, fps, heard=heard)
    if back == math.inf:
        raise SystemExit(f"no pose within {LONGEST:g} s of the restart")
    return back - killed


if __name__ == "__main__":
    main()
