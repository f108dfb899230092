"""The mixture model of poses: recorded poses of anybody, seen from between their feet, as motion.pose_vectors has them.

Each pose is brought within the joint limits first (some recordings have feet back to front), and seen a few times from
beside and askew, because on stage nobody knows exactly where a pinned body will stand and look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from motion import pose_vectors
from motion.ground_frames import GroundFrame
from motion.joint_limits import humanoid_limits
from motion.skeleton import HUMANOID, Array, Skeleton
from training.mirror import opposite_joints
from training.models import drmm, drmm_clusters, motion_takes
from training.models.drmm import Drmm, Rows
from training.models.motion_takes import Take
from training.run import Run, by_gradient


@dataclass(frozen=True)
class Config(motion_takes.Config):
    """As of takes. views: how often each pose is seen; beside (metres), askew (radians): deviations of the views. blur:
    metres of noise on every number, so that joints that no recording turns are not known without end.
    """

    views: int = 4
    beside: float = 0.1
    askew: float = 0.3
    blur: float = 0.005


@dataclass(frozen=True)
class Model(drmm.Config):
    """As of any mixture model. shrink: as in training.models.drmm_clusters."""

    layers: int = 4
    components: int = 256
    variance: Literal["scalar", "diagonal"] = "diagonal"
    scaling: Literal["one", "group", "each"] = "one"
    candidates: int = 32
    shrink: float = 5.0


class PoseDrmm(Drmm):
    """A mixture model that starts from clusters."""

    statistics = 32768

    def fit_statistics(self, batch: dict[str, Tensor]) -> None:
        """Centre, scale, and where components start."""
        super().fit_statistics(batch)
        drmm_clusters.start(self, self.normalised(batch["rows"]), self.config.shrink)


def windows(run: Run, takes: Sequence[Take], augment: bool) -> Rows:
    """A row for each view of each pose; held-out poses are seen once, from where they are."""
    c = run.data
    root, rotations = recorded(takes, c.stride)
    if augment and c.mirror:
        mirrored = rotations[:, opposite_joints(HUMANOID)] * np.array([1.0, -1.0, -1.0, 1.0])
        root, rotations = np.concatenate([root, root * [-1.0, 1.0, 1.0]]), np.concatenate([rotations, mirrored])
    frame = pose_vectors.frame_of(root, rotations)
    if not augment:
        return Rows(torch.from_numpy(pose_vectors.encode(root, rotations, frame)))
    random, rows = np.random.default_rng(run.seed), []
    for _ in range(c.views):
        off = random.normal(0.0, c.beside, frame.origin.shape) * [1.0, 0.0, 1.0]
        view = GroundFrame(frame.origin + off, frame.yaw + random.normal(0.0, c.askew, frame.yaw.shape))
        seen = pose_vectors.encode(root, rotations, view)
        rows.append(seen + random.normal(0.0, c.blur, seen.shape).astype(np.float32))
    return Rows(torch.from_numpy(np.concatenate(rows)))


def recorded(takes: Sequence[Take], stride: int) -> tuple[Array, Array]:
    """Every stride-th pose of everybody within the joint limits: root (N, 3), rotations (N, 22, 4)."""
    dancers = [dancer for take in takes for dancer in take.dancers]
    root = np.concatenate([dancer.root[::stride] for dancer in dancers]).astype(np.float64)
    rotations = np.concatenate([dancer.rotations[::stride] for dancer in dancers]).astype(np.float64)
    return root, humanoid_limits().clip(rotations)


def train(run: Run) -> Path:
    """By gradients, through the stages of the curriculum."""
    return trained_on(run, pose_vectors.VARIABLES)


def trained_on(run: Run, variables: tuple[str, ...]) -> Path:
    """A mixture model of these variables, by gradients."""

    def build(config: drmm.Config, skeleton: Skeleton) -> Drmm:
        model = run.kind.build(replace(config, variables=variables), skeleton)
        assert isinstance(model, Drmm)
        model.epochs = run.training.epochs
        return model

    return by_gradient(replace(run, kind=replace(run.kind, build=build)))
