"""Rows of a scorecard: what a model and its naive rivals make of some takes, averaged over seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from server.onnx_model import OnnxModel
from training.scorecards import baselines
from training.scorecards.figures import KEYS, Made, Piece, Truth, sensitivity
from training.scorecards.render import render_partner
from training.scorecards.takes import Take

Row = dict[str, float]
Cast = tuple[OnnxModel, Sequence[Take]]  # a model and the takes it dances
Trainers = Callable[[Take], list[Take]]  # what may be learned from when judged by a take


def dance(casts: Sequence[Cast], seeds: Sequence[int]) -> list[Made]:
    """For every seed the partners of all casts' takes, in order."""
    return [
        [[Piece(0, take.compared(render_partner(model, take.lead, seed)))] for model, cast in casts for take in cast]
        for seed in seeds
    ]


def model_row(truth: Truth, made: Sequence[Made], folds: Sequence[Sequence[int]]) -> Row:
    """The figures of what one model danced, or each fold's model: folds are the places of its takes."""
    leaders = [take.leader for take in truth.takes]
    answers = [
        sensitivity([[pieces[take][0].points for take in fold] for pieces in made], [leaders[take] for take in fold])
        for fold in folds
    ]
    means = {key: _mean([answer[key] for answer in answers]) for key in answers[0]}
    return over_seeds([truth.figures(pieces) for pieces in made]) | means


def baseline_rows(truth: Truth, seeds: Sequence[int], trainers: Trainers) -> dict[str, Row]:
    """A row for every naive partner; NaN for those that have nothing to learn from."""
    rows: dict[str, Row] = {}
    for name, made in naive_partners(truth.takes, seeds, trainers).items():
        rows[name] = over_seeds([truth.figures(pieces) for pieces in made]) if made else dict.fromkeys(KEYS, np.nan)
        rows[name]["leader_sensitivity"] = np.nan  # none of them varies with a seed and follows a leader
    return rows


def naive_partners(judged: Sequence[Take], seeds: Sequence[int], trainers: Trainers) -> dict[str, list[Made]]:
    """For every naive partner and seed the pieces of each take; no seeds where a take has no trainers."""
    made: dict[str, list[Made]] = {
        name: [[partner(take, 0) for take in judged]] for name, partner in baselines.UNFITTED.items()
    }
    fitted: dict[tuple[tuple[str, str], ...], dict[str, baselines.Fitted]] = {}
    for name in baselines.FITTED:
        made[name] = [[] for _ in (seeds if name in baselines.SEEDED else seeds[:1])]
    for take in judged:
        learned_from = trainers(take)
        if not learned_from:
            return made | {name: [] for name in baselines.FITTED}
        key = tuple(other.hashes for other in learned_from)
        if key not in fitted:
            fitted = {key: {name: fit(learned_from) for name, fit in baselines.FITTED.items()}}
        for name, partner in fitted[key].items():
            for seed, pieces in zip(seeds, made[name], strict=False):
                pieces.append(partner(take, seed))
    return made


def over_seeds(rows: Sequence[Row]) -> Row:
    """The mean over seeds of every figure and, with several seeds, KEY_low and KEY_high."""
    merged: Row = {}
    for key in rows[0] if rows else ():
        values = [row[key] for row in rows]
        merged[key] = _mean(values)
        if len(values) > 1:
            merged |= {f"{key}_low": min(values), f"{key}_high": max(values)}
    return merged


def _mean(values: Sequence[float]) -> float:
    counted = [value for value in values if np.isfinite(value)]
    return float(np.mean(counted)) if counted else float("nan")
