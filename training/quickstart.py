"""Two recordings of a leader and a follower -> a partner that dances live.

    python -m training.quickstart LEAD.bvh FOLLOW.bvh
    python -m training.quickstart presets/clips/demo_dancer.bvh presets/clips/demo_partner.bvh

OUT/takes has both recordings on the standard body, the last fifth apart; OUT/judged is trained without that fifth and
judged by it, beside naive partners; OUT/partner is trained on everything. A stopped run goes on with the same command.
What the partner is and why, and what else can be trained: docs/quickstart.md and docs/training.md.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from benchmarks import report
from motion import shipped
from motion.bvh import write_bvh
from training import config, train, two_recordings
from training.cache import digest
from training.scorecards import after, table
from training.split import GAP

KIND = "duet_match"
HELD_OUT = 0.2  # of the recording, its end
NAIVE = ("hold", "rotated", "random", "nearest", "ridge")
FIGURES = {
    "root_ade_m": "metres from where the follower was",
    "own_slide_ratio": "sliding of standing feet (1: as the follower's)",
    "jitter_ratio": "liveliness (1: as the follower's)",
    "bed": "steps on the leader's beat (1: all)",
}


class Stopped(Exception):
    """Ctrl-C; says what was being done."""


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns 0, 1 for an error that has been printed, 130 when stopped."""
    options = parser().parse_args(arguments)
    begun = time.monotonic()
    try:
        show = run(options)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except Stopped as stopped:
        print(
            f"\nstopped while {stopped}; what is finished is kept in {options.out}\nthe same command goes on from there"
        )
        return 130
    print(f"\n{(time.monotonic() - begun) / 60:.1f} minutes. Run it live (the leader's recording dances):")
    print(f"  {train.live_command(show)}")
    print(f"with a dancer in a suit: name {show.with_name('partner.onnx')} in a copy of a presets/live_*.yaml")
    return 0


def run(options: argparse.Namespace) -> Path:
    """Everything that is not done yet; returns the show's preset. Raises ValueError, OSError, Stopped."""
    judged, partner = options.out / "judged", options.out / "partner"
    with _doing("reading the recordings"):
        begin(options)
    if not (judged / "judged.onnx").is_file():
        print(f"\ntraining without the last {HELD_OUT:.0%} of the recording, to be judged by it", flush=True)
        with _doing("training and judging"):
            _train(options, judged, "--fold", "2/2")
    elif not (judged / "scorecard.json").is_file():
        with _doing("judging"):
            held_out = [tuple(options.out / "takes" / f"{name}_2.bvh" for name in ("lead", "follow"))]
            print(*after.write(judged, judged / "judged.onnx", held_out), sep="\n")
    if (judged / "scorecard.json").is_file():
        print(f"\n{verdict(judged / 'scorecard.json')}")
        print(f"all figures: {judged / 'scorecard.md'}; to look at: {judged / 'results'}")
    if not (partner / "live.yaml").is_file():
        print("\ntraining on everything: this one is yours", flush=True)
        with _doing("training the partner"):
            _train(options, partner, "--no-results")
    return partner / "live.yaml"


def begin(options: argparse.Namespace) -> None:
    """Reads, checks and writes the takes and config.yaml; prints what was found. Nothing to do where that is done.

    Raises ValueError when the recordings are of no use or OUT is another run's, OSError.
    """
    made_of = {
        "recordings": [digest(path) for path in (options.lead, options.follow)],
        **{name: getattr(options, name) for name in ("scale", "trim", "learned", "seed", "minutes")},
    }
    note, takes = options.out / "quickstart.json", options.out / "takes"
    if note.is_file():
        if json.loads(note.read_text(encoding="utf-8")) != made_of:
            raise ValueError(
                f"{options.out} holds a run of other recordings or options; name another folder with --out, or "
                "delete it"
            )
        print(f"going on in {options.out}")
        return
    lead, follow, found = two_recordings.read(options.lead, options.follow, options.scale, options.trim)
    print(*found, sep="\n")
    edge, gap = round((1.0 - HELD_OUT) * len(lead)), round(GAP * lead.fps)
    takes.mkdir(parents=True, exist_ok=True)
    for name, clip in (("lead", lead), ("follow", follow)):
        write_bvh(takes / f"{name}_1.bvh", clip[: edge - gap], decimals=5)
        write_bvh(takes / f"{name}_2.bvh", clip[edge:], decimals=5)
    sections = _sections(options)
    (options.out / "config.yaml").write_text(yaml.safe_dump(sections, sort_keys=False), encoding="utf-8")
    note.write_text(json.dumps(made_of), encoding="utf-8")


def verdict(scorecard: Path) -> str:
    """The figures that say most, of the model and of naive partners, as a table."""
    rows = json.loads(scorecard.read_text(encoding="utf-8"))
    numbers = {
        name: {key: math.nan if (value := rows[name][key]) is None else value for key in rows[name]}
        for name in ("model", *NAIVE)
    }
    cells = table.readable(list(FIGURES), numbers)
    named = {name: {FIGURES[key]: cell for key, cell in column.items()} for name, column in cells.items()}
    return report.table("on the part that it has not seen, beside naive partners (docs/scorecard.md):", named)


def _sections(options: argparse.Namespace) -> dict[str, Any]:
    """The shipped configuration, with these recordings in it."""
    name = f"{KIND}_learned" if options.learned else KIND
    sections = config.load(shipped.find(name, "training"))
    names = f"{options.lead.name} and {options.follow.name}"
    sections["data"] |= {
        "lead": "lead_*.bvh",
        "follow": "follow_*.bvh",
        "drop_first": 0,
        "scale": 1.0,
        "licence": "that of your recordings",
        "source": names,
    }
    sections["training"]["minutes"] = options.minutes / 2
    return sections


def _train(options: argparse.Namespace, out: Path, *more: str) -> None:
    sections, takes = options.out / "config.yaml", options.out / "takes"
    arguments = [KIND, str(sections), "--data", str(takes), "--out", str(out), "--seed", str(options.seed)]
    train.run(train.parser().parse_args([*arguments, "--cache", str(options.out / "cache"), *more]))


@contextmanager
def _doing(what: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise Stopped(what) from None


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = math.nan
    if not 0.0 < minutes < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of minutes above 0")
    return minutes


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m training.quickstart", description=__doc__.splitlines()[0])
    made.add_argument("lead", type=Path, help="the leader's recording: BVH, FBX or AMASS npz")
    made.add_argument("follow", type=Path, help="the follower's, of the same moments")
    made.add_argument("--out", type=Path, default=Path("runs/quickstart"), help="folder of this run")
    made.add_argument("--minutes", type=_minutes, default=10.0, help="of training at most; a test needs 0.1")
    made.add_argument("--learned", action="store_true", help="a file that holds no recordings; five minutes more")
    made.add_argument("--trim", action="store_true", help="of two lengths take the shorter: they begin together")
    made.add_argument("--scale", default="auto", help="metres per unit of the files, where it is found wrongly")
    made.add_argument("--seed", type=int, default=0)
    return made


if __name__ == "__main__":
    sys.exit(main())
