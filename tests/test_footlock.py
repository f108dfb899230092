"""Planted feet stand, feet keep over the floor, and nothing else changes: on walks made up here, no recordings."""

import numpy as np

from made_up_limbs import crouched
from motion import footlock, kinematics
from motion.clip import Clip
from motion.skeleton import HUMANOID

TOES = HUMANOID.both_sides("Toes")


def toes(clip: Clip) -> np.ndarray:
    return kinematics.global_positions(HUMANOID, clip.root_positions, clip.rotations)[:, TOES]


def test_planted_toes_do_not_slide_when_locked():
    clip = crouched(120)
    stands = np.zeros((120, 2), dtype=bool)
    stands[30:80] = True
    locked = toes(footlock.lock(clip, stands, floor=0.0))
    assert np.ptp(locked[30:80], axis=0).max() < 1e-9
    assert np.ptp(toes(clip)[30:80, :, 0], axis=0).min() > 0.08


def test_standing_toes_are_held_at_the_height_asked_for():
    clip = crouched(120)
    stands = np.zeros((120, 2), dtype=bool)
    stands[30:80] = True
    locked = toes(footlock.lock(clip, stands, floor=0.0, height=0.035))
    np.testing.assert_allclose(locked[30:80, :, 1], 0.035, atol=1e-9)


def test_locking_comes_and_goes_without_a_jump():
    clip = crouched(120)
    stands = np.zeros((120, 2), dtype=bool)
    stands[30:80] = True
    step = np.abs(np.diff(toes(footlock.lock(clip, stands, floor=0.0)), axis=0)).max()
    assert step < 0.012  # 0.04 m in 0.15 s at a smoothstep's steepest, 60 fps, over the drift


def test_no_toe_is_under_the_floor_after_locking():
    clip = crouched(60)
    sunk = Clip(HUMANOID, 60.0, clip.root_positions - [0.0, 0.05, 0.0], clip.rotations)
    locked = footlock.lock(sunk, np.zeros((60, 2), dtype=bool), floor=0.02)
    assert toes(locked)[..., 1].min() > 0.02 - 1e-9


def test_planted_is_low_and_slow_and_not_for_an_instant():
    clip = crouched(120)
    root = clip.root_positions.copy()
    root[40:80, 1] += 0.3
    root[100:102, 1] += 0.3
    stands = footlock.planted(Clip(HUMANOID, 60.0, root, clip.rotations), floor=0.0)
    assert stands[:40].all()
    assert not stands[40:80].any()
    assert stands[80:].all()
    fast = Clip(HUMANOID, 60.0, clip.root_positions * [10.0, 1.0, 1.0], clip.rotations)
    assert not footlock.planted(fast, floor=0.0).any()


def test_a_clip_of_one_frame_is_locked_too():
    clip = crouched(1)
    assert len(footlock.lock(clip, footlock.planted(clip, 0.0), floor=0.05)) == 1
