"""Evaluate a trained model beyond its losses: figures, pictures, films, and what people are to judge.

    python -m training.evaluate labelled runs/mine/last.ckpt --data RECORDINGS --out runs/mine/evaluation

Recordings that a checkpoint does not name as trained on are judged; what each figure means is told in docs/labelled.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from training import evaluate_report


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns 0, or 1 for an error that has been printed."""
    options = parser().parse_args(arguments)
    try:
        print(evaluate_report.run(options))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__.splitlines()[0])
    kinds = parser.add_subparsers(dest="kind", required=True)
    one = kinds.add_parser("labelled", help="a partner that dances by labels")
    one.add_argument("checkpoint", type=Path)
    one.add_argument("--data", required=True, help="folder of recordings")
    one.add_argument("--out", type=Path, help="folder for everything (default: `evaluation` beside the checkpoint)")
    one.add_argument(
        "--judge", type=Path, help="the independent classifier of an earlier evaluation, or the shipped one"
    )
    one.add_argument("--judge-steps", type=int, default=400, help="steps that a new judge is taught for")
    one.add_argument("--seeds", type=int, default=2)
    one.add_argument("--seed", type=int, default=0, help="the first seed")
    one.add_argument("--returned", type=Path, help="blind.csv with labels that somebody has filled in")
    one.add_argument("--json", type=Path, help="write the figures here")
    one.add_argument("--cache", help="folder of takes already read (default: OUT/cache)")
    one.add_argument("--logger", choices=["none", "wandb"], default="none", help="where figures and films go, too")
    one.add_argument("--no-pictures", dest="pictures", action="store_false", help="figures alone")
    return parser


if __name__ == "__main__":
    sys.exit(main())
