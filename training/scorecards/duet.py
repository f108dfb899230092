"""Duet models against takes of two people: quality, reactivity and placement, beside naive partners and the floor.

    python -m training.scorecard duet presets/models/salsa_match.onnx --lead 60_01.bvh --follow 61_01.bvh

A model dances through the live pipeline, frame by frame, to the raw leads. A take that any of the models was trained on
is marked `seen`; as soon as one take is unseen, only unseen ones count. With --folds every model's own recipe is
trained anew for each fold, and every take is danced by the model that holds it out. The fitted baselines learn from
the (first) model's own training takes, looked for by hash beside the given files and in ../shared/data, and never from
the take they are judged by; without those takes they are null. Several models stand beside each other.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from motion.metrics.joints import FPS
from motion.skeleton import Array
from server.onnx_model import OnnxModel
from training.scorecards import folds, plots, rows, table, takes
from training.scorecards.cast import Cast, cast_folds, cast_unseen
from training.scorecards.figures import FLOORED, KEYS, Made, Truth
from training.scorecards.rows import Row
from training.scorecards.takes import Library, Reading

SHOWN = (
    *KEYS,
    # when these are off, the slide or the sensitivity does not count
    *("planted_share_ratio", "seed_difference_m", "pose_sensitivity"),
    *(f"{name}_ratio" for name in FLOORED),
    *(f"{name}_fold_ratio" for name in FLOORED),
)
RECORDINGS = Path(__file__).resolve().parents[3] / "shared" / "data"
NAIVE = ("hold", "nearest", "random", "rotated", "glued", "ridge")
FLOOR = "truth_floor"
SHIPPED = "_shipped"


@dataclass(frozen=True)
class Scorecard:
    """rows: figures by subject and key, NaN for what cannot be had. about: lines that say what was judged how.

    danced: what the models and the ridge made of each judged take, with the first seed.
    """

    rows: dict[str, Row]
    about: list[str]
    cast: Cast
    danced: dict[str, list[Array]]
    shown = SHOWN

    def details(self, picture: Path) -> str:
        """Each take's error, and a picture of distances, errors and speeds."""
        plots.draw(picture, self.cast.takes, self.danced)
        errors = {name: plots.take_errors(self.cast.takes, points) for name, points in self.danced.items()}
        lines = [["take", "seconds", *(f"root ADE of {name}, m" for name in errors), "seen by"]]
        for number, (place, take) in enumerate(zip(self.cast.judged, self.cast.takes, strict=True)):
            values = [f"{of_subject[number]:.3f}" for of_subject in errors.values()]
            lines.append([take.name, f"{len(take) / FPS:.1f}", *values, ", ".join(self.cast.seen_by(place)) or "none"])
        return f"Take by take, seed 0:\n\n{table.lines(lines)}\n\n![distances, errors and speeds]({picture.name})\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, nargs="+", help=".onnx files; several stand beside each other")
    parser.add_argument("--lead", type=Path, nargs="+", required=True, help="recordings of the dancers it answers")
    parser.add_argument("--follow", type=Path, nargs="+", required=True, help="their true partners, in the same order")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds of the partner's noise")
    parser.add_argument("--folds", type=int, default=0, help="judge the recipes, trained anew in so many folds by take")
    parser.add_argument(
        "--fold-models", type=Path, nargs="+", default=[], help="models of folds trained before, each model's in turn"
    )
    parser.add_argument("--fold-out", type=Path, default=Path("runs/folds"), help="where models of folds are trained")
    parser.add_argument("--config", type=Path, help="training config of the folds (default: the one the model names)")
    parser.add_argument("--shipped", action="store_true", help="with folds: the models themselves too, on seen takes")
    parser.add_argument(
        "--training-takes",
        type=Path,
        nargs="+",
        default=[RECORDINGS],
        help="more folders with the model's training takes",
    )
    parser.add_argument("--fps", type=float, default=120.0, help="the rate at which the dancer's frames arrive")
    parser.add_argument("--drop-first", type=int, default=10, help="frames at the start of each take that are left out")
    parser.add_argument("--scale", default="auto", help="metres per unit of the files")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="takes rendered at once")
    parser.add_argument("--cache", type=Path, default=Path("runs/cache/scorecard"), help="folder of takes already read")


def run(options: argparse.Namespace) -> Scorecard:
    """The scorecard the options ask for. Raises ValueError and OSError naming what is wrong with them."""
    _check(options)
    models = _named([OnnxModel(path) for path in options.model])
    reading, seeds = Reading(options.fps, options.drop_first, options.scale), range(options.seeds)
    given = takes.read_takes(list(zip(options.lead, options.follow, strict=True)), reading, options.cache)
    fold_models = _fold_models(options, models)
    cast = cast_folds(fold_models, given) if fold_models else cast_unseen(models, given)
    beside = [path.parent for path in (*options.lead, *options.follow)]
    library = Library(given, [*beside, *options.training_takes], reading, options.cache)
    learner = [model.manifest for model in cast.team(next(iter(models)))]
    if options.shipped:
        cast = cast.with_models({name + SHIPPED: model for name, model in models.items()})

    truth = Truth(cast.takes)
    made = rows.dance({name: cast.team(name) for name in cast.teams}, cast.takes, seeds, options.processes)
    naive = rows.naive_partners(cast.takes, seeds, lambda place: library.trainers(learner[place], cast.takes[place]))
    whole = made | ({"ridge": naive["ridge"]} if naive["ridge"] else {})
    danced = {name: [pieces[0].points for pieces in by_seed[0]] for name, by_seed in whole.items()}
    about = [*_about(options, truth, cast), *_doubts(cast, learned=bool(naive["ridge"]))]
    return Scorecard(_rows(cast, truth, made, naive), about, cast, danced)


def _rows(cast: Cast, truth: Truth, made: dict[str, list[Made]], naive: dict[str, list[Made]]) -> dict[str, Row]:
    """The figures of every subject, from what they made of the takes, a list by seed."""
    figures = {name: rows.model_row(truth, by_seed, cast.folds) for name, by_seed in made.items()}
    figures |= {name: rows.naive_row(truth, naive[name]) for name in NAIVE} | {FLOOR: truth.floor_row()}
    if cast.in_folds:
        for subject, by_seed in (made | naive).items():
            figures[subject] |= truth.fold_ratios(by_seed, cast.folds)
    seen = [cast.seen_by(place) for place in range(len(cast.given))]
    for name in made:
        of_name = sum(name in subjects for subjects in seen)
        figures[name] |= {"takes": len(cast.given), "takes_seen": of_name, "takes_judged": len(cast.takes)}
    shown = [key for key in SHOWN if cast.in_folds or "fold" not in key]
    return {name: dict.fromkeys(shown, np.nan) | row for name, row in figures.items()}


def _check(options: argparse.Namespace) -> None:
    if len(options.lead) != len(options.follow):
        raise ValueError(f"{len(options.lead)} leads need as many follows, not {len(options.follow)}")
    if options.seeds < 1 or options.folds == 1 or options.folds < 0:
        raise ValueError(f"--seeds must be at least 1 and --folds 0 or at least 2: {options.seeds}, {options.folds}")
    if len(options.fold_models) % len(options.model):
        raise ValueError(
            f"--fold-models needs as many for each model: {len(options.fold_models)} for {len(options.model)} models"
        )
    if options.shipped and not (options.folds or options.fold_models):
        raise ValueError("--shipped stands beside folds: give --folds or --fold-models too")


def _named(models: Sequence[OnnxModel]) -> dict[str, OnnxModel]:
    """One model is `model`; several go by their files' names. Raises ValueError when those are not their own."""
    if len(models) == 1:
        return {"model": models[0]}
    named = {model.path.stem: model for model in models}
    if len(named) < len(models) or named.keys() & {*NAIVE, FLOOR}:
        files = ", ".join(str(model.path) for model in models)
        raise ValueError(f"several models need file names of their own, and none of {', '.join(NAIVE)}: {files}")
    return named


def _fold_models(options: argparse.Namespace, models: dict[str, OnnxModel]) -> dict[str, list[OnnxModel]]:
    """The models of each model's folds: those given, or trained now; none when no folds are asked for."""
    if options.fold_models:
        each = len(options.fold_models) // len(models)
        starts = range(0, len(options.fold_models), each)
        own = [[OnnxModel(path) for path in options.fold_models[start : start + each]] for start in starts]
        return dict(zip(models, own, strict=True))
    if not options.folds:
        return {}
    folders = sorted({path.parent for path in (*options.lead, *options.follow)})
    if len(folders) > 1:
        raise ValueError(f"--folds trains on one folder of takes, not on {', '.join(map(str, folders))}")
    return {
        name: folds.train_folds(model, folders[0], options.folds, options.fold_out, options.config)
        for name, model in models.items()
    }


def _about(options: argparse.Namespace, truth: Truth, cast: Cast) -> list[str]:
    seconds = sum(map(len, cast.takes)) / FPS
    seen = {take.name: cast.seen_by(place) for place, take in enumerate(cast.given)}
    several = len(options.model) > 1 or options.shipped
    marks = [f"{take} ({', '.join(by)})" if several else take for take, by in seen.items() if by]
    floors = [
        f"{name} {floor.median:.1f} ({floor.low:.1f}-{floor.high:.1f})"
        for name, floor in truth.floors.items()
        if floor.splits
    ]
    about = [
        f"{', '.join(path.name for path in options.model)}: frame by frame at {options.fps:g} fps through the live "
        f"pipeline, seeds 0..{options.seeds - 1}; {seconds:.0f} s, the first {options.drop_first} frames of each take "
        f"left out",
        f"seen in training: {', '.join(marks) or 'none'}",
        f"judged: {', '.join(take.name for take in cast.takes)}",
        "± is half the spread over seeds; a ratio to a floor is the median over seeds and named splits, with the 10th "
        "to 90th percentile",
        "floor, truth against truth in halves by take: " + (", ".join(floors) or "needs at least two takes"),
    ]
    if cast.in_folds:
        folded = [", ".join(cast.takes[place].name for place in fold) for fold in cast.folds]
        fours = ", ".join(f"{name} {truth.fold_floors[name].median:.1f}" for name in FLOORED)
        about.append(f"each take is danced by the model of the fold that holds it out: {' | '.join(folded)}")
        about.append(f"floor of four takes against four, for the folds: {fours}")
    return about


def _doubts(cast: Cast, learned: bool) -> list[str]:
    """What a reader must know before believing a figure."""
    doubts = []
    if not cast.in_folds and cast.seen_by(cast.judged[0]):
        doubts.append("EVERY TAKE IS SEEN: these figures prove nothing about other dancers; --folds does")
    if not any(takes.training_hashes(model.manifest) for team in cast.teams.values() for model in team):
        doubts.append("no manifest names its training takes: none can be known as seen")
    if not learned:
        doubts.append("the model's training takes are not all here: nearest, random, glued and ridge are null")
    return doubts
