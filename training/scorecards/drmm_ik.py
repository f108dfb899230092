"""Can a pose model's bodies be pinned? Recorded poses say where to, so somebody can reach it.

A question: one to six of hands, feet, head and hips at the places that a recorded pose, brought within the joint
limits, has them. The model sees it from beside and askew, as on stage, where nobody knows how the body will stand. Its
likeliest candidates are brought there (motion.posing); the best one's farthest pin is the error. How far all of its
joints are from the recorded pose says how likely a body it made; the same of a neutral pose brought to the same pins
says what reaching does without a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from motion import kinematics, pose_vectors, posing, reach
from motion import rotations as rot
from motion.conditions import Space
from motion.ground_frames import GroundFrame
from motion.joint_limits import humanoid_limits
from motion.posing import Wish
from motion.reach_goals import PINS, Goals, Pin
from motion.sampling import Run
from motion.skeleton import HUMANOID, Array
from training.models.motion_takes import Take

BESIDE, ASKEW = 0.1, 0.3  # metres, radians: deviations of where the model sees a pose from
MET = 10.0  # mm


@dataclass(frozen=True)
class Asked:
    """What can be asked: run and space as motion.sampling has them, shape of the gumbel numbers of a question."""

    run: Run
    space: Space
    shape: tuple[int, int, int]


def figures(model: Asked, takes: Sequence[Take], count: int, seed: int) -> dict[str, float]:
    """Errors in mm, shares in percent, of `count` questions."""
    random = np.random.default_rng(seed)
    root, rotations = _poses(takes, count, random)
    positions = kinematics.global_positions(HUMANOID, root, rotations)
    frames = pose_vectors.frame_of(root, rotations)
    errors, kept, apart = np.empty(count), np.empty(count, dtype=np.bool_), np.empty((count, 2))
    for number in range(count):
        chosen = random.permutation(len(PINS))[: random.integers(1, len(PINS) + 1)]
        pins = tuple(Pin(PINS[pin], positions[number, HUMANOID.index(PINS[pin])]) for pin in chosen)
        off = random.normal(0.0, BESIDE, 3) * [1.0, 0.0, 1.0]
        frame = GroundFrame(frames.origin[number] + off, frames.yaw[number] + random.normal(0.0, ASKEW))
        reached, _ = posing.poses(model.run, model.space, model.shape, Wish(pins), frame, random)
        best = reached.best()
        errors[number] = 1000.0 * reached.errors[best].max()
        plain = reach.polish(*_neutral(frame), Goals(pins))
        for place, (each, shown) in enumerate(((reached, best), (plain, 0))):
            made = kinematics.global_positions(HUMANOID, each.root[shown], each.rotations[shown])
            apart[number, place] = 1000.0 * np.linalg.norm(made - positions[number], axis=-1).mean()
        kept[number] = humanoid_limits().kept(reached.rotations).all()
    return {
        "ik_p95_mm": float(np.percentile(errors, 95)),
        "ik_p99_mm": float(np.percentile(errors, 99)),
        "ik_median_mm": float(np.median(errors)),
        "ik_met_percent": 100.0 * float((errors < MET).mean()),
        "ik_pose_mm": float(np.mean(apart[:, 0])),
        "neutral_pose_mm": float(np.mean(apart[:, 1])),
        "joint_limits_percent": 100.0 * float(kept.mean()),
    }


def _neutral(frame: GroundFrame) -> tuple[Array, Array]:
    """The middle of all joint limits, standing where the model sees the pose from and looking where it does."""
    limits = humanoid_limits()
    rotations = limits.clip(limits.centres[None])
    rotations[0, 0] = rot.yaw(frame.yaw)
    return frame.origin[None] + np.array([0.0, HUMANOID.hip_height, 0.0]), rotations


def _poses(takes: Sequence[Take], count: int, random: np.random.Generator) -> tuple[Array, Array]:
    """`count` poses of all takes, each frame as likely as any other, within the joint limits."""
    root = np.concatenate([dancer.root for take in takes for dancer in take.dancers]).astype(np.float64)
    rotations = np.concatenate([dancer.rotations for take in takes for dancer in take.dancers]).astype(np.float64)
    chosen = random.integers(len(root), size=count)
    return root[chosen], humanoid_limits().clip(rotations[chosen])
