"""At which rates a spline is nearer than an upsampler: measured on takes it has not seen, for a model's label.

Raw keys every so many frames, against the clean movement between them. On stage the rival is the plain way through the
newest keys; offline it is the cubic spline through all keys, and two keys are always looked ahead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from exporters.upsampling import Upsampler
from motion import key_window, spline_table, upsampling
from motion.clip import Clip
from motion.metrics.joints import body_points
from motion.skeleton import HUMANOID, Array
from training.scorecards.upsampler_takes import FPS, Take
from training.scorecards.upsampler_tasks import Question, Task, question

STEPS = (2, 3, 4, 5, 6, 8, 12, 16, 24, 32)  # frames of 120 a second from key to key
Poses = tuple[Array, Array]


def measure(takes: Sequence[Take], team: Sequence[Upsampler]) -> dict[str, Any]:
    """A scorecard for a label. team: who answers, take by take."""
    rows = []
    for step in STEPS:
        for ahead in (0, 1, 2):
            task = Task(f"{ahead} ahead", step, max(step // 4, 1), ahead, raw=True)
            asked = [question(take, task) for take in takes]
            ways = {
                "model_mm": [model_at(one, model) for one, model in zip(asked, team, strict=True)],
                "live_mm": [live_at(one) for one in asked],
            }
            if ahead == key_window.AHEAD:
                ways["offline_mm"] = [offline_at(one) for one in asked]
            errors = {name: round(_error(asked, made), 3) for name, made in ways.items()}
            rows.append({"ahead": ahead, "fps": FPS / step, **errors})
    better = [
        row
        for where in ("live", "offline")
        for ahead in (0, 1, 2)
        for row in spline_table.ranges(
            {row["fps"]: (row["model_mm"], row[f"{where}_mm"]) for row in rows if _has(row, ahead, where)}, ahead, where
        )
    ]
    return {"spline_is_better": better, "spline_measured": rows}


def model_at(question: Question, model: Upsampler) -> Poses:
    keys = question.keys
    return model.between(keys.times, keys.root, keys.rotations, keys.valid, question.queries, question.task.ahead)


def live_at(question: Question) -> Poses:
    """The plain way of a show at a question's moments, each from the newest keys and those it may look ahead."""
    keys, count = question.keys, len(question.offsets)
    roots, rotations = [], []
    for left, queries in zip(question.left, question.queries.reshape(-1, count), strict=True):
        end = left + question.task.ahead + 1
        near = slice(max(end - upsampling.LIVE_KEYS, 0), end)
        made = upsampling.on_stage(keys.times[near], keys.root[near], keys.filled[near], queries)
        roots.append(made[0])
        rotations.append(made[1])
    return np.concatenate(roots), np.concatenate(rotations)


def offline_at(question: Question) -> Poses:
    """The cubic spline through all keys."""
    keys = question.keys
    return upsampling.poses_at("cubic", keys.times, keys.root, keys.filled, question.queries)


def _has(row: dict[str, Any], ahead: int, where: str) -> bool:
    return row["ahead"] == ahead and f"{where}_mm" in row


def _error(asked: Sequence[Question], made: Sequence[Poses]) -> float:
    """Mean distance of the points from the truth between keys, mm."""
    off = [
        np.linalg.norm(body_points(Clip(HUMANOID, FPS, *poses)) - one.truth, axis=-1)[one.between].mean(axis=-1)
        for one, poses in zip(asked, made, strict=True)
    ]
    return 1000.0 * float(np.concatenate(off).mean())
