"""A duet model against takes of two people: quality, reactivity and placement, beside naive partners and the floor.

    python -m training.scorecard duet presets/models/salsa_duet.onnx --lead 60_01.bvh --follow 61_01.bvh

The model dances through the live pipeline, frame by frame, to the raw leads. A take it was trained on is marked `seen`;
as soon as one take is unseen, only unseen ones count. The fitted baselines learn from the model's own training takes,
looked for by hash beside the given files and in ../shared/data, and never from the take they are judged by; without
those takes they are null. With --folds the model's own recipe is trained anew for each fold, and what a fold's model
has not seen counts.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from motion.metrics.joints import FPS
from server.onnx_model import OnnxModel
from training.scorecards import folds, rows, takes
from training.scorecards.figures import FLOORED, KEYS, Truth
from training.scorecards.rows import Row
from training.scorecards.takes import Library, Reading, Take

SHOWN = (
    *KEYS,
    *("planted_share_ratio", "seed_difference_m"),  # when these are off, the slide or the sensitivity does not count
    *(f"{name}_ratio" for name in FLOORED),
    *(f"{name}_fold_ratio" for name in FLOORED),
)
RECORDINGS = Path(__file__).resolve().parents[3] / "shared" / "data"
SUBJECTS = ("model", "hold", "nearest", "random", "rotated", "glued", "ridge", "truth_floor")


@dataclass(frozen=True)
class Scorecard:
    """rows: figures by subject and key, NaN for what cannot be had. about: lines that say what was judged how."""

    rows: dict[str, Row]
    about: list[str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="an .onnx file")
    parser.add_argument("--lead", type=Path, nargs="+", required=True, help="recordings of the dancers it answers")
    parser.add_argument("--follow", type=Path, nargs="+", required=True, help="their true partners, in the same order")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds of the partner's noise")
    parser.add_argument(
        "--folds", type=int, default=0, help="also train the model's recipe anew, so many folds by take"
    )
    parser.add_argument("--fold-models", type=Path, nargs="+", default=[], help="models of folds trained before")
    parser.add_argument("--fold-out", type=Path, default=Path("runs/folds"), help="where models of folds are trained")
    parser.add_argument("--config", type=Path, help="training config of the folds (default: the one the model names)")
    parser.add_argument(
        "--training-takes",
        type=Path,
        nargs="+",
        default=[RECORDINGS],
        help="more folders with the model's training takes",
    )
    parser.add_argument("--fps", type=float, default=120.0, help="the rate at which the dancer's frames arrive")
    parser.add_argument("--drop-first", type=int, default=10, help="frames of each take that are danced but not judged")
    parser.add_argument("--scale", default="auto", help="metres per unit of the files")


def run(options: argparse.Namespace) -> Scorecard:
    """The scorecard the options ask for. Raises ValueError and OSError naming what is wrong with them."""
    _check(options)
    reading = Reading(options.fps, options.drop_first, options.scale)
    model, seeds = OnnxModel(options.model), range(options.seeds)
    given = [takes.read_take(lead, follow, reading) for lead, follow in zip(options.lead, options.follow, strict=True)]
    casts = folds.casts_of(_fold_models(options, model), given)
    beside = [path.parent for path in (*options.lead, *options.follow)]
    library = Library(given, [*beside, *options.training_takes], reading)

    seen = [take for take in given if takes.has_seen(model.manifest, take)]
    judged = [take for take in given if take not in seen] or given
    truth = Truth(judged)
    table = {"model": rows.model_row(truth, rows.dance([(model, judged)], seeds), [range(len(judged))])}
    table |= rows.baseline_rows(truth, seeds, lambda take: library.trainers(model.manifest, take))
    table["truth_floor"] = truth.floor_row() | {"leader_sensitivity": np.nan}
    about = _about(options, truth, seen)
    if not takes.training_hashes(model.manifest):
        about.append("the model's manifest names no training takes: none can be known as seen")
    if not library.of(model.manifest):
        about.append("the model's training takes are not all here: nearest, random, glued and ridge are null")
    if casts:
        about.append(folds.add_folds(table, casts, seeds, library))
    for row in table.values():
        row |= {f"{name}_ratio": row[name] / truth.floors[name].median for name in FLOORED}
    table["model"] |= {"takes": len(given), "takes_seen": len(seen), "takes_judged": len(judged)}
    for row in table.values():
        row |= {key: np.nan for key in table["model"].keys() & set(SHOWN) if key not in row}
    order = [subject for subject in (*SUBJECTS, "model_held_out") if subject in table]
    return Scorecard({subject: table[subject] for subject in order}, about)


def _check(options: argparse.Namespace) -> None:
    if len(options.lead) != len(options.follow):
        raise ValueError(f"{len(options.lead)} leads need as many follows, not {len(options.follow)}")
    if options.seeds < 1 or options.folds == 1 or options.folds < 0:
        raise ValueError(f"--seeds must be at least 1 and --folds 0 or at least 2: {options.seeds}, {options.folds}")


def _fold_models(options: argparse.Namespace, model: OnnxModel) -> list[OnnxModel]:
    """The models of the folds: those given, or trained now; none when no folds are asked for."""
    if options.fold_models or not options.folds:
        return [OnnxModel(path) for path in options.fold_models]
    folders = sorted({path.parent for path in (*options.lead, *options.follow)})
    if len(folders) > 1:
        raise ValueError(f"--folds trains on one folder of takes, not on {', '.join(map(str, folders))}")
    return folds.train_folds(model.manifest, folders[0], options.folds, options.fold_out, options.config)


def _about(options: argparse.Namespace, truth: Truth, seen: Sequence[Take]) -> list[str]:
    judged = truth.takes
    warning = " -- EVERY TAKE IS SEEN: its figures prove nothing about other dancers" if judged[0] in seen else ""
    floors = [
        f"{name} {floor.median:.1f} ({floor.low:.1f} to {floor.high:.1f} in 80 % of {floor.splits} splits)"
        for name, floor in truth.floors.items()
        if floor.splits
    ]
    return [
        f"{options.model.name} dances at {options.fps:g} fps with seeds 0..{options.seeds - 1}; "
        f"{sum(map(len, judged)) / FPS:.0f} s are judged, after the first {options.drop_first} frames of each take",
        f"seen in training: {', '.join(take.name for take in seen) or 'none'}{warning}",
        f"judged: {', '.join(take.name for take in judged)}",
        "floor, truth against truth in halves by take: " + ("; ".join(floors) or "needs at least two takes"),
    ]
