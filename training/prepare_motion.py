"""Motion as training data: any folder of recordings -> one file of takes, clean, on HUMANOID, 30 frames a second.

    python -m training.prepare_motion RECORDINGS [--out runs/motion.npz] [--together "60_*.bvh" "61_*.bvh"]
    python -m training.train motion_drmm presets/training/motion_drmm.yaml --data runs/motion.npz --out runs/mine

BVH, FBX and AMASS files at any depth; LaFAN1's folder (THEME_subjectN.bvh, everybody alone) is one. Files whose names
a pair of --together patterns matches, with the same text for the star, are two people of one take. A blend-in at a
file's start is found by its speed and left out. Many data sets have licences of their own (LAFAN1: CC BY-NC-ND 4.0):
what is trained on them has to keep to those.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from motion.load import READERS
from motion.motion_layout import GROUPS, HORIZON
from motion.motion_vectors import RATE
from training.models.motion_takes import AUTO, Config, Take, gathered, write_set

SHORTEST = HORIZON - GROUPS[0][0] + 1  # frames that give one vector


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns 0, or 2 for an error that has been printed."""
    options = _parser().parse_args(arguments)
    try:
        takes = prepare(options)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    twos = sum(len(take.dancers) == 2 for take in takes)
    frames = sum(len(take) * len(take.dancers) for take in takes)
    print(f"{options.out}: {len(takes)} takes, {twos} of them of two people; {frames / RATE:.0f} s of single dancers")
    return 0


def prepare(options: argparse.Namespace) -> list[Take]:
    """Write the set that the options ask for; its takes. What cannot be used is named on stderr and left out.

    Raises ValueError when nothing can be used, and OSError.
    """
    if not options.folder.is_dir():
        raise ValueError(f"{options.folder} is no folder")
    paths = sorted(path for path in options.folder.rglob("*") if path.suffix.lower() in READERS and path.is_file())
    if not paths:
        raise ValueError(f"{options.folder} has no recordings at any depth; formats: {', '.join(sorted(READERS))}")
    together = tuple(map(tuple, options.together)) if options.together else Config.together
    config = Config(drop_first=options.drop_first, scale=options.scale, together=together)
    takes, faults = gathered(config, paths)
    faults += [f"{take.name}: {len(take)} frames are fewer than {SHORTEST}" for take in takes if len(take) < SHORTEST]
    for fault in faults:
        print(f"left out: {fault}", file=sys.stderr)
    takes = [take for take in takes if len(take) >= SHORTEST]
    if not takes:
        raise ValueError(f"none of the {len(paths)} recordings in {options.folder} can be used")
    write_set(options.out, takes)
    return takes


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.prepare_motion", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="recordings, at any depth")
    parser.add_argument("--out", type=Path, default=Path("runs/motion.npz"), help="the .npz file to write")
    parser.add_argument(
        "--together", nargs=2, action="append", metavar="PATTERN", help="names of the two files of a take, a star each"
    )
    parser.add_argument(
        "--drop-first", type=int, default=AUTO, help="frames of every file; -1: as long as it blends in"
    )
    parser.add_argument("--scale", type=_scale, default="auto", help="metres per unit of the files")
    return parser


def _scale(text: str) -> float | str:
    if text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor auto") from None


if __name__ == "__main__":
    sys.exit(main())
