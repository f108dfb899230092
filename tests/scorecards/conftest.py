"""Made-up takes of two people and tiny models of two folds, for the scorecard's tests."""

from pathlib import Path

import numpy as np
import pytest

from motion.bvh import write_bvh
from motion.clip import Clip
from motion.rotations import IDENTITY, multiply, yaw
from motion.skeleton import HUMANOID
from training import train
from training.scorecards import takes

FPS = 120.0


def dancer(seed: int, role: int, seconds: float = 4.2) -> Clip:
    """Somebody who walks in a circle around the middle with swinging arms; role 1 stands opposite role 0."""
    random = np.random.default_rng((seed, role))
    time = np.arange(round(seconds * FPS)) / FPS
    around = 0.7 * time + seed + np.pi * role
    root = np.stack([0.5 * np.sin(around), np.full_like(time, 0.88), 0.5 * np.cos(around)], axis=-1)
    q = np.tile(IDENTITY, (len(time), len(HUMANOID), 1))
    q[:, 0] = yaw(around + np.pi)
    for joint in range(1, len(HUMANOID)):
        swing = random.uniform(0.0, 0.25) * np.sin(random.uniform(2.0, 7.0) * time + random.uniform(0, 6))
        axis = np.zeros((len(time), 4))
        axis[:, joint % 3], axis[:, 3] = np.sin(swing / 2), np.cos(swing / 2)
        q[:, joint] = multiply(q[:, joint], axis)
    return Clip(HUMANOID, FPS, root, q)


@pytest.fixture(scope="session")
def make_dancer():
    """The function of a seed and a role that makes up somebody who dances."""
    return dancer


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """Four made-up takes of two dancers."""
    folder = tmp_path_factory.mktemp("takes")
    for seed in range(4):
        for role, name in enumerate(("lead", "follow")):
            write_bvh(folder / f"{name}_{seed}.bvh", dancer(seed, role))
    return folder


@pytest.fixture(scope="session")
def read(folder) -> list[takes.Take]:
    pairs = [(folder / f"lead_{seed}.bvh", folder / f"follow_{seed}.bvh") for seed in range(4)]
    return [takes.read_take(lead, follow, takes.Reading(scale=0.01)) for lead, follow in pairs]


@pytest.fixture(scope="session")
def models(folder) -> list[Path]:
    """Models of two folds, trained for a moment."""
    config = folder / "tiny.yaml"
    config.write_text(
        "data: {lead: 'lead_*.bvh', follow: 'follow_*.bvh', swap_roles: false}\n"
        "model: {placement_width: 16, pose_width: 16, code: 4, latent: 2}\n"
        "training: {epochs: 1, batch_size: 64, stride: 12}\n"
    )
    for fold in (1, 2):
        out = folder / f"fold{fold}"
        assert train.main(["duet", f"{config}", "--data", f"{folder}", "--out", f"{out}", "--fold", f"{fold}/2"]) == 0
    return [folder / f"fold{fold}" / f"fold{fold}.onnx" for fold in (1, 2)]
