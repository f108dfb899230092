"""Takes as they are read, and poses in memory judged against them."""

import numpy as np
import pytest

from motion.bvh import write_bvh
from motion.clip import Clip
from motion.metrics import joints
from motion.rotations import IDENTITY
from motion.skeleton import HUMANOID
from training.scorecards import takes
from training.scorecards.quick import Judge


def test_the_first_frames_are_left_out_and_the_rest_compared_at_thirty_a_second(read, make_dancer):
    partner = make_dancer(0, 1)[10:]
    np.testing.assert_allclose(read[0].compared(partner), joints.body_points(partner[::4]))
    assert len(read[0].lead) == len(partner)
    assert len(read[0]) == len(partner[::4])


def test_another_rate_is_interpolated_to_thirty():
    clip = Clip(HUMANOID, 50.0, np.linspace(0, 1, 101)[:, None] * [1.0, 0, 0], np.tile(IDENTITY, (101, 22, 1)))
    thirty = takes.at_thirty(clip)
    assert thirty.fps == 30.0
    np.testing.assert_allclose(thirty.root_positions[:, 0], np.arange(len(thirty)) / 60.0, atol=1e-12)


def test_takes_of_different_length_are_refused(folder, tmp_path, make_dancer):
    write_bvh(tmp_path / "short.bvh", make_dancer(0, 1)[:400])
    with pytest.raises(ValueError, match="must be one take"):
        takes.read_take(folder / "lead_0.bvh", tmp_path / "short.bvh", takes.Reading())


@pytest.fixture(scope="module")
def judge_of_takes(folder) -> Judge:
    reading = takes.Reading(scale=0.01)
    return Judge.of_folder(folder, 2, "lead_*.bvh", "follow_*.bvh", reading, cache=folder / "cache")


def test_poses_in_memory_are_judged_like_the_model_they_will_be(judge_of_takes, read, make_dancer):
    true = {take.name: make_dancer(seed, 1) for seed, take in enumerate(read)}
    at_thirty = {name: (clip.rotations[10::4], clip.root_positions[10::4]) for name, clip in true.items()}
    live = {name: (clip.rotations[10:], clip.root_positions[10:]) for name, clip in true.items()}
    row, same = judge_of_takes.figures([at_thirty]), judge_of_takes.figures([live])
    assert row["root_ade_m"] < 0.01  # the truth is smoothed, the made-up takes hardly
    assert {key: value for key, value in row.items() if value == value} == {k: v for k, v in same.items() if v == v}
    assert "root_ade_m" in judge_of_takes.table({"mine": row, "ridge": judge_of_takes.ridge()})


def test_takes_are_the_same_from_the_cache(judge_of_takes, folder, read):
    again = Judge.of_folder(folder, 2, "lead_*.bvh", "follow_*.bvh", takes.Reading(scale=0.01), folder / "cache")
    for first, second, fresh in zip(judge_of_takes.takes, again.takes, read, strict=True):
        np.testing.assert_array_equal(first.follower, second.follower)
        np.testing.assert_array_equal(fresh.given, second.given)
        assert second.hashes == fresh.hashes


def test_poses_of_the_wrong_length_are_refused(judge_of_takes, read):
    with pytest.raises(ValueError, match=r"take lead_0 has \d+ frames at 30 fps or \d+ at 120; got 7"):
        judge_of_takes.figures([{take.name: take.follower[:7] for take in read}])
