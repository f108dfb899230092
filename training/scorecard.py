"""Judge a model on recordings: a table for people, and with --json one flat object per subject for machines.

    python -m training.scorecard duet MODEL --lead A.bvh [B.bvh ...] --follow C.bvh [D.bvh ...] --json figures.json

What each figure means is said where it is computed, in motion.metrics; each kind of model has its file in scorecards/.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import report
from training.scorecards import duet, table

SCORECARDS = {"duet": duet}


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns 0, or 1 for an error that has been printed."""
    options = _parser().parse_args(arguments)
    kind = SCORECARDS[options.kind]
    try:
        scorecard = kind.run(options)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    shown = [key for key in kind.SHOWN if any(key in row for row in scorecard.rows.values())]
    print("\n".join(scorecard.about), end="\n\n")
    name = ", ".join(path.stem for path in options.model)
    report.show(f"{options.kind} {name}", table.readable(shown, scorecard.rows))
    if options.json:
        report.write(options.json, table.finite(scorecard.rows), nested=True)
    if options.markdown:
        about = "\n".join(f"- {line}" for line in scorecard.about)
        figures = table.markdown(shown, scorecard.rows)
        details = kind.details(scorecard, options.markdown.with_suffix(".png"))
        options.markdown.write_text(f"# Scorecard of {name}\n\n{about}\n\n{figures}\n\n{details}", encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.scorecard", description=__doc__.splitlines()[0])
    kinds = parser.add_subparsers(dest="kind", required=True)
    for name, kind in SCORECARDS.items():
        sub = kinds.add_parser(name, help=kind.__doc__.splitlines()[0], description=kind.__doc__.splitlines()[0])
        kind.add_arguments(sub)
        sub.add_argument("--json", type=Path, help="write the figures here")
        sub.add_argument("--markdown", type=Path, help="write the scorecard here, for people, with plots")
    return parser


if __name__ == "__main__":
    sys.exit(main())
