"""Cleaning: what no body did is interpolated, the rest is left alone, and the causal median is the same live."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import median_filter

from motion import rotations as rot
from motion.clean import TrailingMedian, lead_in, median_taps, repair, resample, smooth_truth, trailing_median
from motion.clip import Clip
from motion.kinematics import global_positions
from motion.load import load_clip, load_humanoid
from motion.skeleton import HUMANOID

HIPS, CHEST, ARM, HAND, LEG = (
    HUMANOID.index(n) for n in ("Hips", "Chest", "LeftUpperArm", "LeftHand", "RightUpperLeg")
)


def dance(seconds: float = 1.0, fps: float = 120.0, seed: int = 4) -> Clip:
    """Every joint swings by some 0.3 rad at 0.3 to 1.5 Hz, the root drifts: smooth, and no faster than a dancer."""
    random = np.random.default_rng(seed)
    times = np.arange(round(seconds * fps))[:, None, None] / fps
    swing = 0.3 * np.sin(2 * np.pi * random.uniform(0.3, 1.5, (22, 3)) * times + random.uniform(0, 6, (22, 3)))
    root = np.array([0.0, 0.9, 0.0]) + 0.3 * np.sin(times[:, 0] * random.uniform(0.5, 2.0, 3))
    return Clip(HUMANOID, fps, root, rot.from_euler("XYZ", swing))


def changed(a: Clip, b: Clip) -> np.ndarray:
    """(T, J): which rotations differ."""
    return rot.angle(a.rotations, b.rotations) > 1e-6


def with_rotation(clip: Clip, frames, joint: int, degrees: float) -> Clip:
    rotations = clip.rotations.copy()
    turn = rot.from_euler("Y", np.radians([degrees]))
    rotations[frames, joint] = rot.multiply(rotations[frames, joint], turn)
    return Clip(clip.skeleton, clip.fps, clip.root_positions, rotations)


@pytest.mark.parametrize("fps", [30.0, 60.0, 120.0, 240.0])
def test_a_clean_clip_is_left_as_it_is(fps):
    clip = dance(fps=fps)
    repaired, report = repair(clip)
    assert (report.glitches, report.gaps) == (0, 0)
    np.testing.assert_array_equal(repaired.root_positions, clip.root_positions)
    assert not changed(repaired, clip).any()


@pytest.mark.parametrize("joint", [ARM, HAND, LEG])
def test_a_single_wrong_frame_is_interpolated_in_its_limb_alone(joint):
    clip = dance()
    repaired, report = repair(with_rotation(clip, 60, joint, 40.0))
    assert 1 <= report.glitches <= 3
    assert np.degrees(rot.angle(repaired.rotations, clip.rotations)).max() < 0.5
    frames, joints = np.nonzero(changed(repaired, clip))
    assert set(frames) <= {59, 60, 61}
    assert CHEST not in joints


def test_swapped_markers_are_bridged_from_end_to_end():
    clip = dance()
    repaired, report = repair(with_rotation(clip, slice(50, 58), HIPS, 60.0))
    assert 8 <= report.glitches <= 20
    assert np.degrees(rot.angle(repaired.rotations, clip.rotations)).max() < 5.0


def test_a_jumping_root_is_interpolated_with_the_whole_pose():
    clip = dance()
    root = clip.root_positions.copy()
    root[60] += [0.2, 0.0, 0.1]
    repaired, report = repair(Clip(clip.skeleton, clip.fps, root, clip.rotations))
    assert report.glitches == 3
    np.testing.assert_allclose(repaired.root_positions, clip.root_positions, atol=2e-3)


def test_gaps_are_interpolated_and_counted():
    clip = dance()
    rotations, root = clip.rotations.copy(), clip.root_positions.copy()
    rotations[20:25, ARM], rotations[40, HAND], rotations[0:2, LEG] = np.nan, 0.0, np.inf
    root[90:95] = np.nan
    repaired, report = repair(Clip(clip.skeleton, clip.fps, root, rotations))
    assert report.gaps == 5 + 1 + 2 + 5
    np.testing.assert_allclose(repaired.root_positions, clip.root_positions, atol=2e-3)
    assert np.degrees(rot.angle(repaired.rotations, clip.rotations)).max() < 5.0


@pytest.mark.parametrize("frames", [0, 1, 2, 3])
def test_the_shortest_clips_pass_through_everything(frames):
    clip = dance()[:frames]
    for same in (repair(clip)[0], smooth_truth(clip), trailing_median(clip), resample(clip, 120.0)):
        assert len(same) == frames
        np.testing.assert_allclose(same.root_positions, clip.root_positions, atol=1e-2)
    assert lead_in(clip) == 0


def test_a_clip_of_gaps_alone_becomes_a_rest_pose():
    nothing = np.full((5, 22, 4), np.nan)
    repaired, report = repair(Clip(HUMANOID, 60.0, np.full((5, 3), np.nan), nothing))
    assert report.gaps == 5
    np.testing.assert_array_equal(repaired.rotations, np.broadcast_to(rot.IDENTITY, (5, 22, 4)))


def test_no_salsa_joint_outruns_a_dancer_after_repair(shared):
    clip = load_humanoid(shared / "data/salsa_pairs/60_13.bvh").clip
    clip = clip[lead_in(clip) :]
    repaired, report = repair(clip)
    fastest = []
    for c in (clip, repaired):
        positions = global_positions(c.skeleton, c.root_positions, c.rotations)
        fastest.append(np.linalg.norm(np.diff(positions, axis=0), axis=-1).max() * c.fps)
    assert fastest[0] > 70.0
    assert fastest[1] < 12.0  # measured 7.8
    assert 0.005 < report.glitch_fraction < 0.03


def test_the_blend_in_of_a_cgspeed_take_is_found(shared):
    clip = load_clip(shared / "data/salsa_pairs/60_01.bvh").clip
    assert 7 <= lead_in(clip) <= 12
    assert lead_in(clip[12:]) == 0
    assert lead_in(dance()) == 0


@pytest.mark.parametrize("fps", [24.0, 30.0, 90.0, 120.0, 240.0])
def test_resampling_keeps_the_motion(fps):
    fine = dance(2.0, 960.0)
    coarse = Clip(fine.skeleton, 120.0, fine.root_positions[::8], fine.rotations[::8])
    there = resample(coarse, fps)
    times = np.rint(np.arange(len(there)) / fps * 960.0).astype(int)
    assert abs(there.seconds - coarse.seconds) < 2 / min(fps, 120.0)
    np.testing.assert_allclose(there.root_positions, fine.root_positions[times], atol=1e-3)
    assert np.degrees(rot.angle(there.rotations, fine.rotations[times])).max() < 0.3


def test_resampling_to_a_divisor_takes_the_frames_themselves():
    clip = dance()
    there = resample(clip, 30.0)
    np.testing.assert_allclose(there.root_positions, clip.root_positions[::4], atol=1e-12)
    assert rot.angle(there.rotations, clip.rotations[::4]).max() < 1e-7


def test_the_truth_loses_spikes_and_noise_but_not_the_dance():
    clip = dance(2.0)
    noise = np.random.default_rng(1).normal(scale=0.003, size=clip.root_positions.shape)
    spiked = with_rotation(clip, 100, ARM, 30.0)
    smooth = smooth_truth(Clip(clip.skeleton, clip.fps, clip.root_positions + noise, spiked.rotations))
    assert np.degrees(rot.angle(smooth.rotations, clip.rotations)).max() < 1.0
    assert np.abs(smooth.root_positions - clip.root_positions).std() < 0.6 * noise.std()


def test_the_truth_has_no_delay():
    clip = dance(2.0)
    error = np.abs(smooth_truth(clip).root_positions - clip.root_positions)
    assert error[20:-20].max() < 1e-4


def test_signs_of_quaternions_do_not_matter_to_any_filter():
    clip = dance()
    signs = np.where(np.random.default_rng(0).random((len(clip), 22, 1)) < 0.5, -1.0, 1.0)
    flipped = Clip(clip.skeleton, clip.fps, clip.root_positions, clip.rotations * signs)
    for smoother in (smooth_truth, trailing_median, lambda c: repair(c)[0], lambda c: resample(c, 50.0)):
        assert rot.angle(smoother(flipped).rotations, smoother(clip).rotations).max() < 1e-6


@pytest.mark.parametrize(
    ("fps", "taps"), [(24, 1), (30, 1), (44, 1), (45, 3), (60, 3), (89, 3), (90, 5), (120, 5), (240, 5)]
)
def test_the_median_spans_at_most_17_ms_of_delay(fps, taps):
    assert median_taps(1 / fps) == taps
    assert (taps - 1) / 2 / fps < 0.0235  # two frames at 90 fps, one at 45


@settings(deadline=None, max_examples=20)
@given(fps=st.sampled_from([30.0, 60.0, 120.0]), seed=st.integers(0, 1000))
def test_the_median_streamed_is_the_median_of_the_clip_exactly(fps, seed):
    clip = with_rotation(dance(0.5, fps, seed), 7, ARM, 50.0)
    whole = trailing_median(clip)
    live = TrailingMedian()
    for frame, pose in enumerate(clip):
        root, rotations = live.step(pose.root_position, pose.rotations, 1.0 / fps)
        np.testing.assert_array_equal(root, whole.root_positions[frame])
        np.testing.assert_array_equal(rotations, whole.rotations[frame])


def test_the_median_is_scipys_of_the_frames_before():
    clip = dance()
    expected = median_filter(clip.root_positions, size=(5, 1), origin=(2, 0))
    np.testing.assert_array_equal(trailing_median(clip).root_positions[4:], expected[4:])


def test_the_median_never_sees_the_future():
    clip = dance()
    cut = trailing_median(clip[:50])
    np.testing.assert_array_equal(trailing_median(clip).rotations[:50], cut.rotations)


@pytest.mark.parametrize("frames", [1, 2])
def test_the_median_removes_up_to_two_wrong_frames(frames):
    clip = dance()
    cleaned = trailing_median(with_rotation(clip, slice(60, 60 + frames), ARM, 60.0))
    assert np.degrees(rot.angle(cleaned.rotations, trailing_median(clip).rotations)).max() < 5.0


def test_the_median_starts_anew_after_reset_and_with_another_body():
    live, clip = TrailingMedian(), dance()
    for pose in clip[:10]:
        live.step(pose.root_position, pose.rotations, 1 / 120)
    np.testing.assert_allclose(live.step(np.ones(3), clip.rotations[50, :20], 1 / 120)[0], 1.0)
    live.reset()
    np.testing.assert_allclose(live.step(np.zeros(3), clip.rotations[50], 1 / 120)[0], 0.0)
