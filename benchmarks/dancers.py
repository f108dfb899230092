"""How many pairs one server carries: dancers in suits at 60 fps, a partner each, until poses come too late.

    python -m benchmarks.dancers --pairs 1 2 4 8 16 24 32 48 64

pairs_at_60fps: the most of those tried whose p99, wire to wire, is less than a frame and of whom no pose was lost.
Dancers are spread evenly over a frame's time, as suits that know nothing of each other are on average.
"""

from __future__ import annotations

import numpy as np

from benchmarks import report
from benchmarks.live import dance, serving
from benchmarks.options import opened, show_parser
from motion.load import load_humanoid
from server.receivers.bvh_player import BvhPlayer


def main() -> None:
    parser = show_parser(__doc__)
    parser.add_argument("--pairs", type=int, nargs="+", default=[1, 2, 4, 8, 16, 24, 32, 48, 64])
    parser.add_argument("--fps", type=float, default=60.0)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each number of pairs")
    options = parser.parse_args()
    opened(parser, options.preset)
    frames = list(BvhPlayer(load_humanoid(options.take).clip, options.fps, loop=False).frames())[
        : int(options.seconds * options.fps)
    ]
    rows = {}
    for pairs in sorted(options.pairs):
        with serving(options.preset, ["vmc"] * pairs, 1, options.fps) as served:
            danced = dance(frames, served.lanes, options.fps)
        latencies = 1e3 * np.array(danced.latencies) if danced.latencies else np.array([np.inf])
        p50, p99 = np.percentile(latencies, (50, 99))
        rows[pairs] = {"p50_ms": float(p50), "p99_ms": float(p99), "lost": danced.sent - len(danced.latencies)}
    carried = [pairs for pairs, row in rows.items() if row["p99_ms"] < 1e3 / options.fps and not row["lost"]]
    print(
        report.table(f"wire to wire at {options.fps:g} fps, by pairs", {str(pairs): row for pairs, row in rows.items()})
    )
    print(f"carried: {max(carried, default=0)} pairs")
    if options.json:
        figures = {
            "pairs_at_60fps": max(carried, default=0),
            "p50_ms_by_pairs": {str(pairs): _finite(row["p50_ms"]) for pairs, row in rows.items()},
            "p99_ms_by_pairs": {str(pairs): _finite(row["p99_ms"]) for pairs, row in rows.items()},
        }
        report.write(options.json, {options.preset.stem: figures}, nested=False)


def _finite(number: float) -> float | None:
    return number if np.isfinite(number) else None


if __name__ == "__main__":
    main()
