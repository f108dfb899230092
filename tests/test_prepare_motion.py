"""A folder of recordings becomes one file of takes: couples found by name, LaFAN1's layout read, faults told."""

import subprocess
import sys

import numpy as np
import pytest

from made_up_takes import made_up_clip
from motion.bvh_write import write_bvh
from motion.clip import Clip
from motion.profiles import PROFILES
from motion.skeleton import HUMANOID, Skeleton
from training import prepare_motion
from training.models import motion_takes
from training.models.motion_takes import Config, load_takes


def recorded(path, seconds: float = 2.0, fps: float = 60.0, names: dict[str, str] | None = None) -> None:
    clip = made_up_clip(seconds, fps)
    if names:
        skeleton = Skeleton(tuple(names[name] for name in HUMANOID.names), HUMANOID.parents, HUMANOID.offsets)
        clip = Clip(skeleton, fps, clip.root_positions, clip.rotations)
    write_bvh(path, clip)


def made(folder, tmp_path, *more: str) -> list[motion_takes.Take]:
    out = tmp_path / "set.npz"
    assert prepare_motion.main([str(folder), "--out", str(out), *more]) == 0
    return load_takes(Config(), out)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "takes" / "deep").mkdir(parents=True)
    return tmp_path / "takes"


def test_lafan1_s_layout_is_read_everybody_alone(folder, tmp_path):
    for name in ("walk1_subject1.bvh", "walk1_subject2.bvh", "dance2_subject4.bvh"):
        recorded(folder / name, fps=30.0, names=PROFILES["lafan1"])
    takes = made(folder, tmp_path)
    assert [take.name for take in takes] == ["dance2_subject4.bvh", "walk1_subject1.bvh", "walk1_subject2.bvh"]
    assert all(len(take.dancers) == 1 and abs(len(take) - 60) <= 1 for take in takes)


def test_two_files_of_one_take_stay_together_and_are_trimmed_to_one_length(folder, tmp_path):
    recorded(folder / "lead_3.bvh")
    recorded(folder / "deep" / "follow_3.bvh", seconds=2.5)
    (take,) = made(folder, tmp_path, "--together", "lead_*.bvh", "follow_*.bvh")
    assert {dancer.file for dancer in take.dancers} == {"follow_3.bvh", "lead_3.bvh"}
    assert len({len(dancer) for dancer in take.dancers}) == 1


def test_frames_are_at_30_fps_on_humanoid_and_on_the_floor(folder, tmp_path):
    recorded(folder / "one.bvh", seconds=3.0, fps=120.0)
    (take,) = made(folder, tmp_path, "--scale", "1")
    track = take.dancers[0].track()
    assert abs(len(take) - 90) <= 1
    toes = track.positions[:, HUMANOID.both_sides("Toes"), 1].min(axis=1)
    rest = HUMANOID.rest_positions[HUMANOID.index("LeftToes"), 1]
    assert abs(np.percentile(toes, 10) - rest) < 1e-3


def test_a_set_is_what_the_folder_is(folder, tmp_path):
    recorded(folder / "one.bvh")
    (stored,), (read,) = made(folder, tmp_path), load_takes(Config(), folder)
    np.testing.assert_allclose(stored.dancers[0].rotations, read.dancers[0].rotations, atol=1e-6)
    assert stored.files() == read.files()


def test_what_cannot_be_used_is_named_and_left_out(folder, tmp_path, capsys):
    recorded(folder / "good.bvh")
    recorded(folder / "short.bvh", seconds=0.5)
    (folder / "broken.bvh").write_text("HIERARCHY\nnonsense\n")
    takes = made(folder, tmp_path)
    assert [take.name for take in takes] == ["good.bvh"]
    told = capsys.readouterr().err
    assert "left out: broken.bvh" in told
    assert "left out: short.bvh: 15 frames are fewer than 40" in told


def test_nothing_to_use_is_an_error_and_writes_nothing(folder, tmp_path, capsys):
    out = tmp_path / "set.npz"
    assert prepare_motion.main([str(folder), "--out", str(out)]) == 2
    assert "no recordings at any depth" in capsys.readouterr().err
    (folder / "broken.bvh").write_text("HIERARCHY\nnonsense\n")
    assert prepare_motion.main([str(folder), "--out", str(out)]) == 2
    assert "none of the 1 recordings" in capsys.readouterr().err
    assert prepare_motion.main([str(tmp_path / "nowhere"), "--out", str(out)]) == 2
    assert not out.exists()


def test_a_file_that_is_no_set_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", rows=np.zeros(3))
    with pytest.raises(ValueError, match=r"other\.npz is no set of takes"):
        load_takes(Config(), tmp_path / "other.npz")


def test_another_rate_and_a_stride_of_nothing_are_refused():
    with pytest.raises(ValueError, match="fps 60 must be 30"):
        Config(fps=60.0)
    with pytest.raises(ValueError, match="stride 0"):
        Config(stride=0)
    with pytest.raises(ValueError, match="exactly one star"):
        Config(together=(("a*.bvh", "b.bvh"),))


def test_a_take_is_cut_like_a_pair(folder, tmp_path):
    recorded(folder / "one.bvh")
    (take,) = made(folder, tmp_path)
    assert len(take[5:25]) == 20
    np.testing.assert_array_equal(take[5:25].dancers[0].root, take.dancers[0].root[5:25])


def test_the_command_starts_by_itself():
    command = [sys.executable, "-m", "training.prepare_motion", "--help"]
    assert "recordings, at any depth" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
