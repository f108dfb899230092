"""The figures of an upsampler, as sums by take, so that any group of takes can be pooled; what cannot be had is NaN.

Errors are the mean distance of 24 points, mm, over the frames of all takes that are no keys (all, where keys are
spoilt). Jerk is the mean third difference of the points of a whole answer, key frames too, over the truth's; slide is
the speed of the answer's own planted toes over the truth's, at the answer's rate. Both are of 30 -> 120 fps from raw
keys with the least look-ahead a subject can do with, and of other answers under the task's name. A bone's error is how
far it is from the skeleton's length, the worst of all answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from motion.metrics import physics
from motion.metrics.joints import POINTS, points_of_joints
from motion.metrics.physics import Planting
from motion.skeleton import HUMANOID, Array
from training.scorecards.upsampler_takes import Take
from training.scorecards.upsampler_tasks import HORIZONS, TASKS, Question, Subject, asked_frames

Row = dict[str, float]
LIVE = ("zero_delay_30_120_raw", "one_key_30_120_raw", "two_keys_30_120_raw")
MOVEMENT = (*LIVE, "clean_8x_2ahead")  # whose jerk and slide are told


@dataclass
class Sums:
    """What one subject did in one take. errors: mm and frames by figure; thirds: third differences, its and the
    truth's; planted: toes, its and the truth's; bone: metres."""

    errors: dict[str, tuple[float, int]] = field(default_factory=dict)
    thirds: dict[str, tuple[float, float]] = field(default_factory=dict)
    planted: dict[str, tuple[Planting, Planting]] = field(default_factory=dict)
    bone: float = float("nan")


def judged(take: Take, subject: Subject, questions: Sequence[Question]) -> Sums:
    """Everything one subject is asked about one take."""
    sums = Sums()
    for question in questions:
        made = subject.between(question)
        if made is not None:
            _add(sums, question, made)
    frames = asked_frames(take)
    for horizon, made in (subject.ahead(take, frames) or {}).items():
        truth = take.clean_points[frames + HORIZONS[horizon]]
        sums.errors[f"forecast_{horizon}"] = _error(made, truth)
        sums.bone = np.fmax(sums.bone, bone_error(made))
    return sums


def _add(sums: Sums, question: Question, made: Array) -> None:
    task, truth = question.task, question.truth
    counted = slice(None) if task.spoilt else question.between
    sums.errors[task.name] = _error(made[counted], truth[counted])
    sums.bone = np.fmax(sums.bone, bone_error(made))
    if task.name in MOVEMENT:
        sums.thirds[task.name] = (_thirds(made), _thirds(truth))
        floor = physics.floor_height(truth)
        sums.planted[task.name] = (physics.planting(made, floor), physics.planting(truth, floor))


def pooled(parts: Sequence[Sums]) -> Row:
    """The figures of one subject over some takes, NaN where it was not asked in each."""
    row: Row = {}
    for name in (*(task.name for task in TASKS), *(f"forecast_{horizon}" for horizon in HORIZONS)):
        errors = [part.errors[name] for part in parts if name in part.errors]
        whole = len(errors) == len(parts) and parts
        row[f"{name}_mm"] = sum(e for e, _ in errors) / sum(n for _, n in errors) if whole else np.nan
    for name in MOVEMENT:
        row[f"jerk_ratio_{name}"], row[f"own_slide_ratio_{name}"] = _movement(parts, name)
    least = next((name for name in LIVE if np.isfinite(row[f"jerk_ratio_{name}"])), LIVE[0])
    row |= {figure: row[f"{figure}_{least}"] for figure in ("jerk_ratio", "own_slide_ratio")}
    bones = [part.bone for part in parts]
    row["bone_length_error_m"] = float(np.max(bones)) if np.isfinite(bones).any() else np.nan
    return row


def _movement(parts: Sequence[Sums], name: str) -> tuple[float, float]:
    """The ratios of jerk and of slide in one task."""
    of_takes = [(part.thirds[name], part.planted[name]) for part in parts if name in part.thirds]
    if not of_takes:
        return float("nan"), float("nan")
    made, truth = (sum(thirds[side] for thirds, _ in of_takes) for side in (0, 1))
    stands, stood = (physics.pooled([planted[side] for _, planted in of_takes]) for side in (0, 1))
    return made / truth, physics.own_slide_ratio(stands, stood)


def bone_error(points: Array) -> float:
    """How far the worst bone in (F, 24, 3) is from HUMANOID's length, metres."""
    lengths = np.linalg.norm(points[:, _CHILDREN] - points[:, _PARENTS], axis=-1)
    return float(np.abs(lengths - _LENGTHS).max(initial=0.0))


def _error(made: Array, truth: Array) -> tuple[float, int]:
    """The summed mean distances of the points, mm, and of how many frames."""
    return 1000.0 * float(np.linalg.norm(made - truth, axis=-1).mean(axis=-1).sum()), len(truth)


def _thirds(points: Array) -> float:
    return float(np.linalg.norm(np.diff(points, n=3, axis=0), axis=-1).sum())


def _bones() -> tuple[list[int], list[int], Array]:
    """The bones among the 24 points, child and parent, and their lengths."""
    places = points_of_joints(HUMANOID, np.arange(66.0).reshape(1, 22, 3))[0, :22, 0]  # which joint is which point
    joint_of = [int(place) // 3 for place in places]
    point_of = {joint: point for point, joint in enumerate(joint_of)}
    children = [point for point in range(1, 22)]
    parents = [point_of[HUMANOID.parents[joint_of[point]]] for point in children]
    lengths = np.linalg.norm(HUMANOID.offsets[[joint_of[point] for point in children]], axis=-1)
    assert len(POINTS) == 24
    return children, parents, lengths


_CHILDREN, _PARENTS, _LENGTHS = _bones()
