"""Joint limits: the numbers of a rotation give it back, clipping keeps every limit and leaves what was within."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motion import joint_limits
from motion import rotations as rot
from motion.joint_limits import TABLE, JointLimits, humanoid_limits
from motion.skeleton import HUMANOID
from training import prepare_joint_limits
from training.mirror import opposite_joints

seeds = st.integers(0, 2**32 - 1)


def poses(seed: int, count: int = 8, spread: float = 3.0) -> np.ndarray:
    """Any rotations at all."""
    return rot.from_vector(np.random.default_rng(seed).normal(0.0, spread, (count, len(HUMANOID), 3)))


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_the_numbers_of_a_rotation_give_it_back(seed):
    limits, q = humanoid_limits(), poses(seed)
    assert rot.angle(limits.rotations(limits.numbers(q)), q).max() < 1e-6


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_what_is_clipped_keeps_every_limit_and_clipping_again_changes_nothing(seed):
    limits = humanoid_limits()
    clipped = limits.clip(poses(seed))
    assert limits.kept(clipped).all()
    assert rot.angle(limits.clip(clipped), clipped).max() < 1e-6


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_a_pose_within_the_limits_stays_as_it_is(seed):
    limits = humanoid_limits()
    low, high = np.nan_to_num(limits.low, neginf=-1.0), np.nan_to_num(limits.high, posinf=1.0)
    share = np.random.default_rng(seed).uniform(0.05, 0.95, low.shape)
    q = limits.rotations(low + share * (high - low))
    assert limits.kept(q).all()
    assert rot.angle(limits.clip(q), q).max() < 1e-6


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_a_quaternion_and_its_negative_are_one_rotation(seed):
    limits, q = humanoid_limits(), poses(seed)
    np.testing.assert_allclose(limits.numbers(-q), limits.numbers(q), atol=1e-6)


def test_left_and_right_have_the_same_limits():
    limits, q = humanoid_limits(), poses(5, 200, 0.6)
    mirrored = q[:, opposite_joints(HUMANOID)] * [1.0, -1.0, -1.0, 1.0]
    # The table's numbers are rounded to 1e-4, and a middle joint's centre to 1e-6.
    np.testing.assert_array_equal(limits.kept(q, 1e-3), limits.kept(mirrored, 1e-3))


def test_the_root_turns_as_it_likes():
    limits, q = humanoid_limits(), poses(1)
    np.testing.assert_array_equal(limits.clip(q)[:, 0], q[:, 0])


def test_a_body_can_raise_an_arm_and_bend_a_knee_but_not_backwards():
    limits = humanoid_limits()
    q = np.tile(rot.IDENTITY, (3, len(HUMANOID), 1))
    q[:] = limits.clip(q)
    q[0, HUMANOID.index("LeftUpperArm")] = rot.multiply(
        rot.from_euler("Z", np.array([0.6])), q[0, HUMANOID.index("LeftUpperArm")]
    )
    q[1, HUMANOID.index("LeftLowerLeg")] = rot.from_euler("X", np.array([1.2]))
    q[2, HUMANOID.index("LeftLowerLeg")] = rot.from_euler("X", np.array([-0.8]))
    beyond = limits.beyond(q).max(axis=-1)
    assert beyond[0, HUMANOID.index("LeftUpperArm")] < 0.2
    assert beyond[1, HUMANOID.index("LeftLowerLeg")] < 0.1
    assert beyond[2, HUMANOID.index("LeftLowerLeg")] > 0.5


def test_limits_are_what_was_written():
    limits = humanoid_limits()
    again = JointLimits.from_dict(json.loads(json.dumps(limits.to_dict())))
    np.testing.assert_allclose(again.low[1:], limits.low[1:], atol=1e-12)
    np.testing.assert_allclose(again.centres, limits.centres, atol=2e-6)


def test_a_table_without_a_joint_and_a_range_past_half_a_turn_are_refused():
    table = json.loads(TABLE.read_text(encoding="utf-8"))["joints"]
    with pytest.raises(ValueError, match="lack Neck"):
        JointLimits.from_dict({name: row for name, row in table.items() if name != "Neck"})
    with pytest.raises(ValueError, match="half a turn"):
        JointLimits.from_dict(table | {"Head": table["Head"] | {"swing_a": [-3.2, 0.1]}})
    with pytest.raises(ValueError, match="empty"):
        JointLimits.from_dict(table | {"Head": table["Head"] | {"twist": [0.2, 0.1]}})


def test_a_bone_s_axes_are_a_right_handed_frame_along_it():
    frames = joint_limits.bone_frames(HUMANOID)
    np.testing.assert_allclose(frames.swapaxes(1, 2) @ frames, np.broadcast_to(np.eye(3), (22, 3, 3)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(frames), 1.0)
    np.testing.assert_allclose(frames[HUMANOID.index("LeftUpperLeg"), :, 2], [0.0, -1.0, 0.0], atol=1e-12)


def test_measured_limits_hold_99_percent_of_each_number():
    recorded = [poses(seed, 400, 0.2) for seed in range(3)]
    limits = prepare_joint_limits.measure(recorded)
    share = (limits.beyond(np.concatenate(recorded)) > 0.0)[:, 1:].mean()
    assert 0.005 < share < 0.015  # one in a hundred is outside, by the percentiles' meaning


def test_a_recording_with_its_feet_back_to_front_says_nothing_of_feet():
    good, bad = poses(1, 400, 0.2), poses(2, 40, 0.2)
    foot, knee = HUMANOID.index("LeftFoot"), HUMANOID.index("LeftLowerLeg")
    bad[:, foot] = rot.multiply(rot.yaw(np.full(40, 3.1)), bad[:, foot])
    limits = prepare_joint_limits.measure([good, bad])
    assert np.abs(limits.high[foot]).max() < 1.0
    assert np.isfinite(limits.high[knee]).all()


def test_the_command_writes_the_table_and_says_what_it_cannot_find(tmp_path, capsys, shared):
    out = tmp_path / "table.json"
    folder = tmp_path / "takes"
    folder.mkdir()
    (folder / "a.bvh").symlink_to(shared / "data" / "identity_action" / "02_01.bvh")
    assert prepare_joint_limits.main([str(folder), "--out", str(out)]) == 0
    JointLimits.from_dict(json.loads(out.read_text(encoding="utf-8"))["joints"])
    assert prepare_joint_limits.main([str(tmp_path / "none"), "--out", str(out)]) == 2
    assert "no recordings" in capsys.readouterr().err
