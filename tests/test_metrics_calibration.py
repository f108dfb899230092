"""The published calibration on real salsa (../shared/reference/metrics.md), where ../shared is here.

Eleven of its fourteen takes are, on HUMANOID instead of SMPL's body, filtered as the truth is here.
"""

from pathlib import Path

import numpy as np
import pytest

from motion.clean import smooth_truth
from motion.load import load_humanoid
from motion.metrics import beats, distributions, joints, physics, placement, window_features


def truth_of(path: Path) -> np.ndarray:
    return joints.body_points(smooth_truth(load_humanoid(path).clip[10:]))[::4]


@pytest.fixture(scope="module")
def salsa() -> list[tuple[np.ndarray, np.ndarray]]:
    folder = Path(__file__).resolve().parents[2] / "shared" / "data" / "salsa_pairs"
    if not folder.is_dir():
        pytest.skip("../shared is not here")
    followers = sorted(folder.glob("61_*.bvh"))
    return [(truth_of(folder / path.name.replace("61_", "60_")), truth_of(path)) for path in followers]


def test_calibration_of_the_floors(salsa):
    leads = [joints.windows(lead) for lead, _ in salsa]
    follows = [joints.windows(follow) for _, follow in salsa]
    kinetic = distributions.floor([window_features.kinetic_features(motion) for motion in follows])
    manual = [window_features.manual_features(motion) for motion in follows]
    cross = [window_features.cross_distance_features(a, b) for a, b in zip(leads, follows, strict=True)]
    assert sum(map(len, follows)) == 156
    # The spread of a median over 20 random splits, measured over 200: 23.1-26.4, 7.0-7.8, 6.5-12.3.
    assert kinetic.median == pytest.approx(24.0, rel=0.12)
    assert distributions.floor(manual, least_deviation=5e-3).median == pytest.approx(7.7, rel=0.12)
    assert 6.0 < distributions.floor(cross).median < 13.0


def test_calibration_of_true_salsa(salsa):
    follows = [follow for _, follow in salsa]
    windows = np.concatenate([joints.windows(follow) for follow in follows])
    echoes = [beats.beat_scores(beats.motion_beats(a), beats.motion_beats(b)) for a, b in salsa]
    assert np.concatenate(echoes).mean() == pytest.approx(0.449, abs=0.03)  # standard error of 156 beats
    assert np.mean([physics.jitter(window) for window in windows]) == pytest.approx(58.8, rel=0.1)  # other filter
    assert np.mean([physics.foot_slide(window) for window in windows]) == pytest.approx(3.04, rel=0.05)
    assert np.mean([physics.physical_foot_contact(window) for window in windows]) == pytest.approx(
        3.77, rel=0.15
    )  # same
    steps = np.concatenate([placement.root_steps(follow) for follow in follows])
    assert placement.teleport_threshold(steps) == pytest.approx(0.120, abs=0.005)


def distances(salsa, made) -> dict[str, float]:
    """Of windows made of each take (the leader's and the follower's windows) from the true ones."""
    true = [[joints.windows(points) for points in pair] for pair in salsa]
    shown = [made(lead, follow) for lead, follow in true]
    features = {
        "fid_k": lambda lead, follow: window_features.kinetic_features(follow),
        "fid_g": lambda lead, follow: window_features.manual_features(follow),
        "fid_cd": window_features.cross_distance_features,
    }
    return {
        name: distributions.fid(
            np.concatenate([of(*windows) for windows in true]),
            np.concatenate([of(lead, follow) for (lead, _), follow in zip(true, shown, strict=True)]),
            least_deviation=distributions.LEAST_DEVIATION if name == "fid_g" else 0.0,
        )
        for name, of in features.items()
    }


def test_calibration_of_a_frozen_partner(salsa):
    frozen = distances(salsa, lambda lead, follow: np.repeat(follow[:, :1], follow.shape[1], axis=1))
    assert frozen["fid_k"] == pytest.approx(229, rel=0.05)
    assert frozen["fid_g"] == pytest.approx(753, rel=0.05)
    assert frozen["fid_cd"] == pytest.approx(10.2, rel=0.15)
    errors = [placement.root_errors(w[:1].repeat(60, 0), w).mean() for _, f in salsa for w in joints.windows(f)]
    assert np.mean(errors) == pytest.approx(0.563, rel=0.03)


def test_calibration_of_a_turned_leader(salsa):
    turned = distances(salsa, lambda lead, follow: lead * [-1.0, 1.0, -1.0])
    assert turned["fid_k"] == pytest.approx(57.3, rel=0.05)
    assert turned["fid_g"] == pytest.approx(30.3, rel=0.20)  # the leader's low hands: other wrists, other takes


def test_calibration_of_noise_and_smoothing(salsa):
    random = np.random.default_rng(0)
    noisy = [follow + random.normal(0.0, 0.01, follow.shape) for _, follow in salsa]
    assert np.mean([physics.jitter(points) for points in noisy]) == pytest.approx(205, rel=0.05)
    errors = [placement.joint_errors(made, follow).mean() for made, (_, follow) in zip(noisy, salsa, strict=True)]
    assert np.mean(errors) == pytest.approx(0.016, rel=0.03)
