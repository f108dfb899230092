"""A flame graph of a show that dances: where the server's time goes, line by line, as an SVG for a browser.

    python -m benchmarks.profile presets/live_vmc.yaml --out profile.svg

The samples are py-spy's (`pip install py-spy`), which looks at the server from outside; dancers are played as
`benchmarks.latency` plays them. A thread that waits is left out, unless `--idle`.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
from itertools import islice
from pathlib import Path

from benchmarks.live import ROOT, dance, serving, shipped
from benchmarks.suit import SUITS
from motion.load import load_humanoid
from server.preset import Preset, PresetError, load
from server.receivers.bvh_player import BvhPlayer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("preset", type=Path)
    parser.add_argument(
        "--take", type=Path, default=ROOT / "presets/clips/demo_dancer.bvh", help="what the suit dances"
    )
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=int, default=500, help="samples a second")
    parser.add_argument("--idle", action="store_true", help="with threads that wait")
    parser.add_argument("--out", type=Path, default=Path("profile.svg"))
    options = parser.parse_args()
    spy = shutil.which("py-spy") or shutil.which("py-spy", path=str(Path(sys.executable).parent))
    if spy is None:
        parser.exit(2, "py-spy is not installed: pip install py-spy\n")
    try:
        preset = load(options.preset)
    except PresetError as error:
        parser.error(str(error))
    record = [spy, "record", "--rate", str(options.rate), "--output", str(options.out)]
    record += ["--idle", "--"] if options.idle else ["--"]
    fps = preset.clock.fps
    frames = islice(BvhPlayer(load_humanoid(options.take).clip, fps).frames(), int(options.seconds * fps))
    with serving(
        options.preset, suits_of(preset), 1, fps, lambda file: [*record, *shipped(file)], signal.SIGINT
    ) as served:
        danced = dance(frames, served.lanes, fps)
    if not options.out.is_file():
        parser.exit(1, f"py-spy wrote no {options.out}; its own words are above\n")
    print(f"{options.out}: {danced.sent} frames at {fps:g} fps; {len(danced.latencies)} answers")


def suits_of(preset: Preset) -> list[str]:
    """What each dancer of a preset wears; VMC where they come from a file or a place of their own."""
    return [dancer.receive if dancer.receive in SUITS else "vmc" for dancer in preset.dancers.values()]


if __name__ == "__main__":
    main()
