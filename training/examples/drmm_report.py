"""What mixture models are good for, and what they are not: the figures of the paper, in kind.

    python -m training.examples.drmm_report [--quick] [--train] [--only SECTION ...] [--out runs/drmm_report]
        [--data RECORDINGS] [--motion-model FILE] [--json FILE]

    depth        layers x components against plain mixtures of Gaussians with as many parameters
    curriculum   trained in three stages, or everything at once
    reach        a figure of 16 bones pinned, walled in, and brought there exactly; ten models from ten seeds
    motion       a partner's next half second, and a partner who is told where to go and to look, as films

Models that a run before has left in --out are taken as they are; --train makes them anew. Pictures, films and a table a
section. The motion model is the shipped one, or --motion-model; couples in --data say how near it comes to them.
Log-likelihoods are of held-out points, in nats a point; of the mixture models as the mean of several walks, which is
never too good on average. Precision, recall and F1 are of 2,000 samples, with the last layer's spread, among as many
points.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from training.examples import drmm_depth, drmm_motion, drmm_reach
from training.examples.drmm_studio import FULL, QUICK, Figures, Studio

MOTION_MODEL = Path(__file__).resolve().parents[2] / "presets/models/motion_drmm.onnx"
SECTIONS: dict[str, Callable[[Studio], dict[str, Figures]]] = {
    "depth": drmm_depth.depth,
    "curriculum": drmm_depth.curriculum,
    "reach": drmm_reach.reach,
    "motion": drmm_motion.motion,
}


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns 0, or 2 for an error that has been printed."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(1)  # steps are small: more threads only wait for each other
    size = QUICK if options.quick else FULL
    studio = Studio(options.out, size, options.train, options.seed, options.data, options.motion_model)
    figures: dict[str, dict[str, Figures]] = {}
    for name in options.only or SECTIONS:
        begun = time.perf_counter()
        try:
            figures[name] = SECTIONS[name](studio)
        except (ValueError, OSError) as error:
            print(f"error: {name}: {error}", file=sys.stderr)
            return 2
        print(f"\n{name}: {time.perf_counter() - begun:.0f} s, pictures in {options.out}")
        print(table(figures[name]))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


def table(figures: dict[str, Figures]) -> str:
    """A line a row; what a row has no figure for is empty."""
    wide = max(map(len, figures))
    keys = list(dict.fromkeys(key for row in figures.values() for key in row if key != "layers"))
    lines = [" " * wide + "".join(f"{key:>{_wide(key)}s}" for key in keys)]
    for name, row in figures.items():
        cells = (f"{row[key]:.{0 if key == 'parameters' else 3}f}" if key in row else "" for key in keys)
        lines.append(
            name.ljust(wide) + "".join(f"{cell:>{_wide(key)}s}" for key, cell in zip(keys, cells, strict=True))
        )
    return "\n".join(lines)


def _wide(key: str) -> int:
    return max(len(key), 8) + 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.examples.drmm_report", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--quick", action="store_true", help="fewer sizes, shorter training")
    parser.add_argument("--train", action="store_true", help="also what --out has already")
    parser.add_argument("--only", nargs="+", choices=list(SECTIONS), help="these sections")
    parser.add_argument("--out", type=Path, default=Path("runs/drmm_report"))
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="recordings of couples, for motion")
    parser.add_argument("--motion-model", type=Path, default=MOTION_MODEL, metavar="FILE", help="default: the shipped")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
