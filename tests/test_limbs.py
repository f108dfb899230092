"""Two-bone limbs: ends go where they are asked to, elbows and knees bend the way they do."""

import numpy as np
import pytest

from made_up_limbs import crouched
from motion import kinematics
from motion import rotations as rot
from motion.clip import Clip
from motion.limbs import ARMS, LEGS, Limb, reach
from motion.skeleton import HUMANOID


@pytest.mark.parametrize("limb", [*LEGS, *ARMS], ids=lambda limb: limb.end)
def test_a_limb_s_end_moves_by_what_was_asked(limb: Limb) -> None:
    clip = crouched(40)
    shift = np.random.default_rng(0).uniform(-0.06, 0.06, (40, 3))
    moved = reach(HUMANOID, clip.root_positions, clip.rotations, limb, shift)
    beyond = limb.end if limb.end.endswith("Hand") else limb.end.replace("Foot", "Toes")
    before, after = (
        kinematics.global_positions(HUMANOID, clip.root_positions, q)[:, HUMANOID.index(beyond)]
        for q in (clip.rotations, moved)
    )
    np.testing.assert_allclose(after, before + shift, atol=1e-9)


def test_reach_keeps_the_foot_s_direction_and_the_rest_of_the_body() -> None:
    clip = crouched(10)
    moved = reach(HUMANOID, clip.root_positions, clip.rotations, LEGS[0], np.full((10, 3), 0.05))
    foot = HUMANOID.index("LeftFoot")
    turns = [kinematics.local_to_global(HUMANOID, q)[:, foot] for q in (clip.rotations, moved)]
    assert rot.angle(*turns).max() < 1e-6  # arctan2 near zero
    others = [joint for joint in range(len(HUMANOID)) if HUMANOID.names[joint] not in LEGS[0][:3]]
    np.testing.assert_array_equal(moved[:, others], clip.rotations[:, others])


def test_reach_without_a_shift_changes_nothing() -> None:
    clip = crouched(5)
    same = reach(HUMANOID, clip.root_positions, clip.rotations, LEGS[1], np.zeros((5, 3)))
    np.testing.assert_allclose(np.abs(np.sum(same * clip.rotations, axis=-1)), 1.0, atol=1e-12)


def test_a_straight_leg_can_be_bent_and_an_unreachable_target_gives_a_straight_leg() -> None:
    clip = Clip(HUMANOID, 60.0, np.zeros((1, 3)), np.tile(rot.IDENTITY, (1, len(HUMANOID), 1)))
    for height in (0.1, -0.5):
        moved = reach(HUMANOID, clip.root_positions, clip.rotations, LEGS[0], np.array([[0.0, height, 0.0]]))
        assert np.isfinite(moved).all()
        foot = kinematics.global_positions(HUMANOID, clip.root_positions, moved)[0, HUMANOID.index("LeftFoot")]
        assert foot[1] == pytest.approx(-0.822 + max(height, 0.0), abs=1e-3)  # 0.368 + 0.454 m of leg


@pytest.mark.parametrize("arm", ARMS, ids=lambda limb: limb.end)
def test_a_straight_arm_bends_its_elbow_backwards_so_that_the_forearm_comes_forwards(arm: Limb) -> None:
    clip = Clip(HUMANOID, 60.0, np.zeros((1, 3)), np.tile(rot.IDENTITY, (1, len(HUMANOID), 1)))
    inwards = -0.2 * np.sign(HUMANOID.rest_positions[HUMANOID.index(arm.end), 0])
    moved = reach(HUMANOID, clip.root_positions, clip.rotations, arm, np.array([[inwards, 0.0, 0.0]]))
    places = kinematics.global_positions(HUMANOID, clip.root_positions, moved)[0]
    shoulder, elbow, hand = (places[HUMANOID.index(joint)] for joint in arm[:3])
    assert elbow[2] < min(shoulder[2], hand[2]) - 0.05


def test_a_bent_knee_never_snaps_straight_however_far_the_target() -> None:
    clip = crouched(50)
    far = np.linspace(0.0, 0.5, 50)[:, None] * np.array([0.0, -1.0, 0.0])
    moved = reach(HUMANOID, clip.root_positions, clip.rotations, LEGS[0], far)
    places = kinematics.global_positions(HUMANOID, clip.root_positions, moved)
    leg = np.linalg.norm(places[:, HUMANOID.index("LeftFoot")] - places[:, HUMANOID.index("LeftUpperLeg")], axis=-1)
    assert (np.diff(leg) > -1e-9).all()
    assert leg.max() < 0.995 * 0.822  # of a leg of 0.368 + 0.454 m
