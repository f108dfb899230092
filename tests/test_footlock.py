"""Planted feet stand, feet keep over the floor, and nothing else changes: on walks made up here, no recordings."""

import numpy as np
import pytest

from motion import footlock, kinematics
from motion import rotations as rot
from motion.clip import Clip
from motion.skeleton import HUMANOID

TOES = [HUMANOID.index("LeftToes"), HUMANOID.index("RightToes")]
LEGS = [HUMANOID.index(side + bone) for side in footlock.SIDES for bone in ("UpperLeg", "LowerLeg", "Foot")]


def crouched(frames: int, fps: float = 60.0) -> Clip:
    """Somebody with bent knees, toes 2 cm over the floor, who drifts to the left at 0.1 m/s without stepping."""
    rotations = np.tile(rot.IDENTITY, (frames, len(HUMANOID), 1))
    for side in footlock.SIDES:
        for bone, angle in (("UpperLeg", -0.5), ("LowerLeg", 1.0), ("Foot", -0.5)):
            rotations[:, HUMANOID.index(side + bone)] = rot.from_euler("X", np.array([angle]))
    root = np.zeros((frames, 3))
    root[:, 0] = 0.1 * np.arange(frames) / fps
    feet = kinematics.global_positions(HUMANOID, root, rotations)[0, TOES[0], 1]
    root[:, 1] += 0.02 - feet
    return Clip(HUMANOID, fps, root, rotations)


def toes(clip: Clip) -> np.ndarray:
    return kinematics.global_positions(HUMANOID, clip.root_positions, clip.rotations)[:, TOES]


@pytest.mark.parametrize("side", footlock.SIDES)
def test_reach_moves_the_foot_by_what_was_asked(side):
    clip = crouched(40)
    shift = np.random.default_rng(0).uniform(-0.06, 0.06, (40, 3))
    moved = footlock.reach(HUMANOID, clip.root_positions, clip.rotations, side, shift)
    toe = HUMANOID.index(side + "Toes")
    before = kinematics.global_positions(HUMANOID, clip.root_positions, clip.rotations)[:, toe]
    after = kinematics.global_positions(HUMANOID, clip.root_positions, moved)[:, toe]
    np.testing.assert_allclose(after, before + shift, atol=1e-9)


def test_reach_keeps_the_foot_s_direction_and_the_rest_of_the_body():
    clip = crouched(10)
    moved = footlock.reach(HUMANOID, clip.root_positions, clip.rotations, "Left", np.full((10, 3), 0.05))
    foot = HUMANOID.index("LeftFoot")
    turns = [kinematics.local_to_global(HUMANOID, q)[:, foot] for q in (clip.rotations, moved)]
    assert rot.angle(*turns).max() < 1e-6  # arctan2 near zero
    others = [joint for joint in range(len(HUMANOID)) if joint not in LEGS[:3]]
    np.testing.assert_array_equal(moved[:, others], clip.rotations[:, others])


def test_reach_without_a_shift_changes_nothing():
    clip = crouched(5)
    same = footlock.reach(HUMANOID, clip.root_positions, clip.rotations, "Right", np.zeros((5, 3)))
    np.testing.assert_allclose(np.abs(np.sum(same * clip.rotations, axis=-1)), 1.0, atol=1e-12)


def test_a_straight_leg_can_be_bent_and_an_unreachable_target_gives_a_straight_leg():
    clip = Clip(HUMANOID, 60.0, np.zeros((1, 3)), np.tile(rot.IDENTITY, (1, len(HUMANOID), 1)))
    for height in (0.1, -0.5):
        moved = footlock.reach(HUMANOID, clip.root_positions, clip.rotations, "Left", np.array([[0.0, height, 0.0]]))
        assert np.isfinite(moved).all()
        foot = kinematics.global_positions(HUMANOID, clip.root_positions, moved)[0, HUMANOID.index("LeftFoot")]
        assert foot[1] == pytest.approx(-0.822 + max(height, 0.0), abs=1e-3)  # 0.368 + 0.454 m of leg


def test_a_bent_knee_never_snaps_straight_however_far_the_target():
    clip = crouched(50)
    far = np.linspace(0.0, 0.5, 50)[:, None] * np.array([0.0, -1.0, 0.0])
    moved = footlock.reach(HUMANOID, clip.root_positions, clip.rotations, "Left", far)
    places = kinematics.global_positions(HUMANOID, clip.root_positions, moved)
    leg = np.linalg.norm(places[:, HUMANOID.index("LeftFoot")] - places[:, HUMANOID.index("LeftUpperLeg")], axis=-1)
    assert (np.diff(leg) > -1e-9).all()
    assert leg.max() < 0.995 * 0.822  # of a leg of 0.368 + 0.454 m


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
