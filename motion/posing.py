"""Poses that meet pins, drawn from a pose model: it proposes whole bodies, the skeleton does the rest exactly.

The model (motion.pose_vectors) knows how bodies go with such hands and feet; what it says is decoded, so bones have
their length, and the likeliest candidates are brought to the pins by motion.reach, within the joint limits. No torch
and no onnxruntime here: whoever asks brings `run`, as for motion.sampling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from motion import pose_vectors, reach
from motion.conditions import Conditions, Space
from motion.ground_frames import GroundFrame
from motion.reach import Reached
from motion.reach_goals import Goals, HalfSpace, Pin, by_weight
from motion.sampling import Drawn, Run, chance, draw

FIRM = 3.0  # a plane of weight 1, as a limit's


@dataclass(frozen=True)
class Wish:
    """pins, half_spaces: as motion.reach_goals has them, places (3,) on stage. balance: metres the centre of mass may
    lie from over the feet, as a deviation; None: it may be anywhere. steps: of reaching; polished: candidates that are.
    """

    pins: tuple[Pin, ...] = ()
    half_spaces: tuple[HalfSpace, ...] = ()
    balance: float | None = None
    steps: int = reach.STEPS
    polished: int = 4


def conditions(space: Space, wish: Wish, frame: GroundFrame) -> Conditions:
    """What the model is asked: pins as known, planes as limits, balance as a prior, all as `frame` sees them.

    Pins and planes of joints that the model has no places of are left to reaching. Raises ConditionError.
    """
    wanted = Conditions(space)
    for pin in wish.pins:
        if pin.joint in pose_vectors.POINTS:
            place = frame.points(np.asarray(pin.position, dtype=np.float64)[None])[0]
            wanted.know([f"{pin.joint}/{axis}" for axis in "xyz"], place)
    for name, wall in by_weight(wish.half_spaces):
        if wall.joint in pose_vectors.POINTS:
            normal, limit = frame.plane(wall.normal, wall.limit)
            row = dict(zip((f"{wall.joint}/{axis}" for axis in "xyz"), map(float, normal), strict=True))
            wanted.limit(row, float(limit), FIRM * wall.weight, name)
    if wish.balance is not None:
        for axis in "xz":
            wanted.prior(f"centre_of_mass/{axis}", 0.0, wish.balance)
    return wanted


def poses(
    run: Run, space: Space, shape: Sequence[int], wish: Wish, frame: GroundFrame, random: np.random.Generator
) -> tuple[Reached, Drawn]:
    """Candidates brought to the wish, likeliest first, and what was drawn; `Reached.best` is the one to show.

    shape: of the graph's `gumbel`, without the batch: (L, C, K).
    """
    question = conditions(space, wish, frame).question()
    drawn = draw(run, space, question, chance(random, (1, *shape)), random, how="best", keep=wish.polished)
    root, rotations = pose_vectors.decode(drawn.samples[0], frame)
    goals = Goals(wish.pins, wish.half_spaces, 0.1 if wish.balance is not None else 0.0)
    return reach.polish(root, rotations, goals, wish.steps), drawn
