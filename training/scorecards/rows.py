"""Rows of a scorecard: what models and their naive rivals make of some takes, averaged over seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from training.scorecards import baselines
from training.scorecards.cast import Team
from training.scorecards.figures import FLOORED, KEYS, Made, Piece, Truth, sensitivity
from training.scorecards.render import Dance, render
from training.scorecards.takes import Take

Row = dict[str, float]
Trainers = Callable[[int], list[Take]]  # what may be learned from when judged by a take, by its place


def dance(
    teams: Mapping[str, Team], takes: Sequence[Take], seeds: Sequence[int], processes: int = 1
) -> dict[str, list[Made]]:
    """For every team and seed the partners of all takes, in order."""
    who = [(subject, seed) for subject in teams for seed in seeds]
    dances = [
        Dance(take.lead, tuple((teams[subject][place].path, seed) for subject, seed in who))
        for place, take in enumerate(takes)
    ]
    rendered = render(dances, processes) if who else []
    made: dict[str, list[Made]] = {subject: [] for subject in teams}
    for number, (subject, _) in enumerate(who):
        clips = [of_take[number] for of_take in rendered]
        made[subject].append([[Piece(0, take.compared(clip))] for take, clip in zip(takes, clips, strict=True)])
    return made


def model_row(truth: Truth, made: Sequence[Made], folds: Sequence[Sequence[int]]) -> Row:
    """The figures of what one model danced, or each fold's model: folds are the places of its takes."""
    leaders = [take.leader for take in truth.takes]
    answers = [
        sensitivity([[pieces[take][0].points for take in fold] for pieces in made], [leaders[take] for take in fold])
        for fold in folds
    ]
    means = {key: _mean_of_finite([answer[key] for answer in answers]) for key in answers[0]}
    return _figures(truth, made) | means


def naive_row(truth: Truth, made: Sequence[Made]) -> Row:
    """The figures of a naive partner; NaN without seeds. None of them varies with a seed and follows a leader."""
    row = _figures(truth, made) if made else dict.fromkeys(KEYS, np.nan)
    return row | {"leader_sensitivity": np.nan}


def naive_partners(judged: Sequence[Take], seeds: Sequence[int], trainers: Trainers) -> dict[str, list[Made]]:
    """For every naive partner and seed the pieces of each take; no seeds where a take has no trainers."""
    made: dict[str, list[Made]] = {
        name: [[partner(take, 0) for take in judged]] for name, partner in baselines.UNFITTED.items()
    }
    fitted: dict[tuple[tuple[str, str], ...], dict[str, baselines.Fitted]] = {}
    for name in baselines.FITTED:
        made[name] = [[] for _ in (seeds if name in baselines.SEEDED else seeds[:1])]
    for place, take in enumerate(judged):
        learned_from = trainers(place)
        if not learned_from:
            return made | {name: [] for name in baselines.FITTED}
        key = tuple(other.hashes for other in learned_from)
        if key not in fitted:
            fitted[key] = {name: fit(learned_from) for name, fit in baselines.FITTED.items()}
        for name, partner in fitted[key].items():
            for seed, pieces in zip(seeds, made[name], strict=False):
                pieces.append(partner(take, seed))
    return made


def over_seeds(rows: Sequence[Row]) -> Row:
    """The mean over seeds of every figure, NaN where a seed's is, and with several seeds KEY_low and KEY_high."""
    merged: Row = {}
    for key in rows[0] if rows else ():
        values = [row[key] for row in rows]
        merged[key] = float(np.mean(values))
        if len(values) > 1:
            merged |= {f"{key}_low": min(values), f"{key}_high": max(values)}
    return merged


def _figures(truth: Truth, made: Sequence[Made]) -> Row:
    by_seed = [truth.figures(pieces) for pieces in made]
    return over_seeds(by_seed) | truth.ratios({name: [row[name] for row in by_seed] for name in FLOORED})


def _mean_of_finite(values: Sequence[float]) -> float:
    counted = [value for value in values if np.isfinite(value)]
    return float(np.mean(counted)) if counted else float("nan")
