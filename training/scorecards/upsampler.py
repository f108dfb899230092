"""Upsamplers against the plain ways: what was between key frames, what comes after them, and what comes out of it.

    python -m training.scorecard upsampler presets/models/upsampler.onnx --takes 60_03.bvh 61_03.bvh 05_12.bvh

Every file is one dancer. The plain columns are of all takes that count; where some are slow and others are not, the
same figures stand with `lively_` and `slow_` before their names, because a way that serves salsa may harm slow dancing.
A `_ratio` is to the baseline that its bar names, of the same run and group. A take that the model was trained on is
marked `seen`; as soon as one is unseen, only unseen ones count. With --fold-models every take is judged by the model
that has not seen it. Where the label's table says that a spline is nearer, it answers for the model, as it does on
stage and offline; --label measures that table and writes it into a model.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exporters.labels import relabel
from exporters.upsampling import Upsampler
from motion import spline_table
from server.onnx_model import OnnxModel
from training.scorecards import table, upsampler_speed, upsampler_table, upsampler_takes
from training.scorecards.cast import Cast, cast_folds, cast_unseen
from training.scorecards.upsampler_figures import MOVEMENT, Row, Sums, judged, pooled
from training.scorecards.upsampler_model import Learned, spline_serves
from training.scorecards.upsampler_takes import FPS, SLOW, Take
from training.scorecards.upsampler_tasks import BASELINES, HORIZONS, LAG, TASKS, Subject, question

KEYS = (
    *("zero_delay_30_120_raw_mm", "zero_delay_15_120_raw_mm", "clean_8x_2ahead_mm", "clean_8x_1ahead_mm"),
    *("clean_16x_2ahead_mm", "corrupted_8x_mm", "forecast_33_mm", "forecast_50_mm", "forecast_100_mm"),
    *("jerk_ratio", "own_slide_ratio", "bone_length_error_m", "ten_minutes_8x_s", "ten_minutes_8x_mb"),
)
MODEL = "model"
AGAINST = {task.name: task.against for task in TASKS} | {f"forecast_{horizon}": "extrapolate" for horizon in HORIZONS}
RATIOS = tuple(f"{name}_ratio" for name in AGAINST)
MORE = (
    "ten_minutes_8x_cpu_s",
    *RATIOS,
    *("one_key_30_120_raw_mm", "two_keys_30_120_raw_mm"),
    *(f"{figure}_{task}" for figure in ("jerk_ratio", "own_slide_ratio") for task in MOVEMENT),
)
BY_TAKE = ("zero_delay_30_120_raw", "zero_delay_15_120_raw", "clean_8x_2ahead", "clean_16x_2ahead", "corrupted_8x")
GROUPS = ("", "lively_", "slow_")
SHOWN = (*KEYS, *MORE, *(group + key for group in GROUPS[1:] for key in (*KEYS[:11], *RATIOS)))


@dataclass(frozen=True)
class Scorecard:
    """rows: figures by subject and key, NaN for what cannot be had. about: lines that say what was judged how.

    sums: of each subject, by judged take.
    """

    rows: dict[str, Row]
    about: list[str]
    cast: Cast
    sums: dict[str, list[Sums]]
    shown = SHOWN

    def details(self, picture: Path) -> str:
        """Take by take, the model and its ratio to its baseline; no picture."""
        lines = [["take", "seconds", "m/s", *(f"{name}, mm (ratio)" for name in BY_TAKE), "seen"]]
        for number, (place, take) in enumerate(zip(self.cast.judged, self.cast.takes, strict=True)):
            row = {name: pooled([sums[number]]) for name, sums in self.sums.items()}
            pairs = [(row[MODEL][f"{name}_mm"], row[AGAINST[name]][f"{name}_mm"]) for name in BY_TAKE]
            cells = [f"{mm:.2f} ({mm / against:.2f})" for mm, against in pairs]
            seen = "yes" if self.cast.seen_by(place) else "no"
            lines.append([take.name, f"{len(take) / FPS:.1f}", f"{take.speed:.2f}", *cells, seen])
        return f"Take by take:\n\n{table.lines(lines)}\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, nargs=1, help="the .onnx file")
    parser.add_argument("--takes", type=Path, nargs="+", required=True, help="recordings of one dancer each")
    parser.add_argument("--fold-models", type=Path, nargs="+", default=[], help="models of folds, trained before")
    parser.add_argument("--drop-first", type=int, default=10, help="frames at the start of each take that are left out")
    parser.add_argument("--scale", default="auto", help="metres per unit of the files")
    parser.add_argument(
        "--label",
        type=Path,
        metavar="MODEL",
        help="measure where a spline is nearer, and write it into this model's label",
    )
    parser.add_argument(
        "--no-speed", action="store_true", help="leave out how long ten minutes take, and how much memory"
    )


def run(options: argparse.Namespace) -> Scorecard:
    """The scorecard the options ask for. Raises ValueError and OSError naming what is wrong with them."""
    if options.drop_first < 0:
        raise ValueError(f"--drop-first must be 0 or more, not {options.drop_first}")
    models = [OnnxModel(path) for path in (*options.model, *options.fold_models)]
    given = upsampler_takes.read_takes(options.takes, options.drop_first, options.scale)
    cast = cast_folds({MODEL: models[1:]}, given) if options.fold_models else cast_unseen({MODEL: models[0]}, given)
    upsamplers = {id(model): Upsampler(model) for model in models}
    answering = [upsamplers[id(model)] for model in cast.team(MODEL)]
    scorecard = models[0].manifest.scorecard
    if options.label is not None:
        if cast.seen_by(cast.judged[0]):
            raise ValueError("--label needs takes that the model has not seen, or --fold-models")
        scorecard = upsampler_table.measure(cast.takes, answering)
        relabel(options.label, scorecard=scorecard)
    team = [Learned(upsampler, scorecard) for upsampler in answering]
    sums = _judged(cast.takes, {MODEL: team, **{name: [way] * len(team) for name, way in BASELINES.items()}})
    rows = _rows(cast.takes, sums)
    if not options.no_speed:
        for name, row in rows.items():
            row |= upsampler_speed.ten_minutes(cast.takes[0].clean, name, options.model[0])
    seen = sum(bool(cast.seen_by(place)) for place in range(len(given)))
    rows[MODEL] |= {"takes": len(given), "takes_seen": seen, "takes_judged": len(cast.takes)}
    shown = [key for key in SHOWN if key in KEYS or any(key in row for row in rows.values())]
    rows = {name: dict.fromkeys(shown, np.nan) | row for name, row in rows.items()}
    return Scorecard(rows, [*_about(options, cast), *_served(scorecard)], cast, sums)


def _judged(takes: Sequence[Take], subjects: dict[str, Sequence[Subject]]) -> dict[str, list[Sums]]:
    """What every subject did in every take; subjects: who answers for it, take by take."""
    sums: dict[str, list[Sums]] = {name: [] for name in subjects}
    for number, take in enumerate(takes):
        questions = [question(take, task) for task in TASKS]
        for name, team in subjects.items():
            sums[name].append(judged(take, team[number], questions))
    return sums


def _rows(takes: Sequence[Take], sums: dict[str, list[Sums]]) -> dict[str, Row]:
    """The figures of every subject, of all takes and, where both kinds are there, of lively and slow ones."""
    rows: dict[str, Row] = {name: {} for name in sums}
    slow = [take.slow for take in takes]
    for group in GROUPS if any(slow) and not all(slow) else GROUPS[:1]:
        chosen = [place for place, is_slow in enumerate(slow) if not group or (group == "slow_") == is_slow]
        figures = {name: pooled([of_takes[place] for place in chosen]) for name, of_takes in sums.items()}
        for name, row in figures.items():
            whole = row | {
                f"{key}_ratio": row[f"{key}_mm"] / figures[base][f"{key}_mm"] for key, base in AGAINST.items()
            }
            rows[name] |= {group + key: value for key, value in whole.items()}
    return rows


def _about(options: argparse.Namespace, cast: Cast) -> list[str]:
    seconds = sum(map(len, cast.takes)) / FPS
    seen = [take.name for place, take in enumerate(cast.given) if cast.seen_by(place)]
    slow = [take.name for take in cast.takes if take.slow]
    about = [
        f"{options.model[0].name}: {seconds:.0f} s of single dancers at {FPS:g} fps on HUMANOID, the first "
        f"{options.drop_first} frames of each take left out",
        f"judged: {', '.join(take.name for take in cast.takes)}",
        f"seen in training: {', '.join(seen) or 'none'}",
        f"slow (the mean point under {SLOW:g} m/s): {', '.join(slow) or 'none'}",
        "truth: median of 5, then zero-phase Butterworth of 4th order at 20 Hz; clean keys are of it, raw keys and the "
        "forecast's frames of the unfiltered take",
        f"mm: mean distance of 24 points in frames that are no keys (corrupted: in all); forecast: extrapolate goes on "
        f"with the speed of the last {LAG} frames",
        "ratios: " + ", ".join(f"{name} over {base}" for name, base in AGAINST.items()),
    ]
    if cast.in_folds:
        folded = [", ".join(cast.takes[place].name for place in fold) for fold in cast.folds]
        about.append(f"each take is judged by the model of the fold that holds it out: {' | '.join(folded)}")
    elif len(seen) == len(cast.given):
        about.append("EVERY TAKE IS SEEN: these figures prove nothing about other dancers")
    if not any(model.manifest.made_from.get("takes") for model in cast.teams[MODEL]):
        about.append("no manifest names its training takes: none can be known as seen")
    return about


def _served(scorecard: Mapping[str, Any]) -> list[str]:
    """What the label's table makes of the model's rows."""
    rows = scorecard.get("spline_is_better", ())
    by_spline = [task.name for task in TASKS if spline_serves(scorecard, task)]
    return [
        f"the label says where a spline is nearer: {'; '.join(spline_table.told(rows)) or 'nowhere'}",
        f"there it answers for the model, as it is served: {', '.join(by_spline) or 'in no row'}",
    ]
