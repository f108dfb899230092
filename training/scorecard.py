"""Judge a model on recordings: a table for people, and with --json one flat object per subject for machines.

    python -m training.scorecard duet MODEL --lead A.bvh [B.bvh ...] --follow C.bvh [D.bvh ...] --json figures.json
    python -m training.scorecard labelled CHECKPOINT --takes A.bvh [B.bvh ...] --json figures.json
    python -m training.scorecard identity_action CHECKPOINT --takes A.bvh [B.bvh ...] --json figures.json
    python -m training.scorecard upsampler MODEL --takes A.bvh [B.bvh ...] --json figures.json
    python -m training.scorecard drmm MODEL --takes A.bvh [B.bvh ...] --json figures.json

What each figure means is said where it is computed, in motion.metrics; each kind of model has its file in scorecards/.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from training.scorecards import drmm, duet, identity_action, labelled, present, upsampler

SCORECARDS = {
    "duet": duet,
    "upsampler": upsampler,
    "drmm": drmm,
    "labelled": labelled,
    "identity_action": identity_action,
}


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns 0, or 1 for an error that has been printed."""
    options = _parser().parse_args(arguments)
    kind = SCORECARDS[options.kind]
    try:
        scorecard = kind.run(options)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    name = ", ".join(path.stem for path in options.model)
    print(present.text(scorecard, f"{options.kind} {name}"))
    if options.json:
        present.write_json(options.json, scorecard)
    if options.markdown:
        present.write_markdown(options.markdown, scorecard, name)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.scorecard", description=__doc__.splitlines()[0])
    kinds = parser.add_subparsers(dest="kind", required=True)
    for name, kind in SCORECARDS.items():
        sub = kinds.add_parser(name, help=kind.__doc__.splitlines()[0], description=kind.__doc__.splitlines()[0])
        kind.add_arguments(sub)
        sub.add_argument("--json", type=Path, help="write the figures here")
        sub.add_argument("--markdown", type=Path, help="write the scorecard here, for people")
    return parser


if __name__ == "__main__":
    sys.exit(main())
