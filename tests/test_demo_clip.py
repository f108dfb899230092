"""The clip that every new user sees first, as shipped: it is long, whole, on the floor, and moves as salsa leads do."""

from pathlib import Path

import numpy as np
import pytest

from motion.clean import lead_in, repair, resample, smooth_truth
from motion.clip import Clip
from motion.kinematics import global_positions
from motion.load import load_clip, load_humanoid
from motion.metrics import joints, physics
from motion.skeleton import HUMANOID

DEMO = Path(__file__).resolve().parents[1] / "presets" / "clips" / "demo_dancer.bvh"
# Measured on the eleven leads of CMU's salsa (60_*), cleaned, by `real_leads` below; they stand where ../shared is not.
JITTER, PLANTING = 39.3, physics.Planting(speed=0.429, share=0.618, frames=10388)
TELEPORT = 3.59  # m/s, what 99.9 % of real root steps stay under (30 fps)


@pytest.fixture(scope="module")
def demo() -> Clip:
    return load_clip(DEMO, scale=1.0).clip


@pytest.fixture(scope="module")
def points(demo):
    return joints.body_points(resample(demo, joints.FPS))  # (T, 24, 3)


def real_leads(shared) -> tuple[float, physics.Planting]:
    """Jitter and planting of the recorded leads, through the same door as the demo."""
    takes = []
    for path in sorted((shared / "data/salsa_pairs").glob("60_*.bvh")):
        clip = load_humanoid(path).clip
        clip = smooth_truth(repair(clip[lead_in(clip) :])[0])
        takes.append(joints.body_points(resample(clip, joints.FPS)))
    planting = physics.pooled([physics.planting(take, physics.floor_height(take)) for take in takes])
    return float(np.mean([physics.jitter(take) for take in takes])), planting


def test_it_is_humanoid_at_60_fps_for_three_minutes_in_a_small_file(demo):
    assert demo.skeleton.names == HUMANOID.names
    np.testing.assert_allclose(demo.skeleton.offsets[1:], HUMANOID.offsets[1:], atol=1e-6)  # eight decimals in the file
    assert demo.fps == pytest.approx(60.0)
    assert demo.seconds >= 180.0
    assert DEMO.stat().st_size < 8e6


def test_feet_are_on_the_floor_and_nothing_is_under_it(demo):
    positions = global_positions(HUMANOID, demo.root_positions, demo.rotations)
    toes = positions[:, HUMANOID.both_sides("Toes"), 1]
    assert positions[..., 1].min() > 0.0
    assert (toes.min(axis=1) < 0.07).mean() > 0.95  # somebody who dances salsa hardly ever leaves the floor
    assert toes.max() < 0.5


def test_it_stays_around_the_stage_centre(demo):
    assert np.linalg.norm(demo.root_positions[:, [0, 2]], axis=1).max() < 2.0


def test_it_never_teleports_nor_pops(points):
    steps = np.linalg.norm(np.diff(points, axis=0), axis=-1) * joints.FPS  # (T-1, 24) m/s
    assert steps[:, 0].max() < TELEPORT
    assert steps.max() < 10.0  # a wrist in a fast turn


def test_it_stands_upright(points):
    up = points[:, joints.POINT["head"]] - points[:, 0]
    assert (up[:, 1] / np.linalg.norm(up, axis=1)).min() > 0.6


def test_it_is_never_still_and_never_the_same_again(points):
    windows = np.stack([points[start : start + 30] for start in range(0, len(points) - 30, 15)])  # one second each
    speed = np.linalg.norm(np.diff(windows, axis=1), axis=-1).mean(axis=(1, 2)) * joints.FPS
    assert speed.min() > 0.15
    own = joints.to_frame(windows, windows[:, :1, 0], joints.facing(windows[:, :1])).reshape(len(windows), -1)
    apart = np.linalg.norm(own[:, None] - own[None], axis=-1) / np.sqrt(30 * 24)
    assert apart[np.triu_indices(len(own), k=4)].min() > 0.02  # metres, root mean square


def test_it_jitters_and_slides_as_recorded_leads_do(points):
    floor = physics.floor_height(points)
    assert 1 / 1.3 < physics.jitter(points) / JITTER < 1.3
    assert 1 / 1.3 < physics.own_slide_ratio(physics.planting(points, floor), PLANTING) < 1.3


def test_the_figures_of_recorded_leads_stand_here_as_measured(shared):
    jitter, planting = real_leads(shared)
    assert jitter == pytest.approx(JITTER, rel=0.1)
    assert planting.speed == pytest.approx(PLANTING.speed, rel=0.1)
    assert planting.share == pytest.approx(PLANTING.share, rel=0.1)
