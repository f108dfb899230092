"""BVH while live: the rows are the frames, at a steady rate, and the file is readable at any moment."""

import os
import subprocess
import sys
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from motion import rotations as rot
from motion.bvh import read_bvh
from motion.skeleton import HUMANOID, Skeleton
from server.protocols.frames import PoseFrame
from server.senders import SenderError
from server.senders.bvh import BvhFile, BvhSender

ROOT = Path(__file__).resolve().parents[1]
EARLY_METRES = 0.0076  # 0.75 of a row at a metre a second, and rounding


def frames(times: Iterable[float]) -> list[PoseFrame]:
    """A wave that walks: one metre a second, and every joint turns."""
    axes = np.random.default_rng(0).normal(size=(len(HUMANOID), 3))
    made = []
    for number, time in enumerate(times):
        turns = rot.normalize(np.concatenate([0.2 * np.sin(time) * axes, np.ones((len(HUMANOID), 1))], axis=1))
        made.append(PoseFrame(HUMANOID, np.array([time, 0.9, 0.0]), turns, None, 100.0 + time, number, "partner1"))
    return made


def written(path: Path, times: Iterable[float], fps: float = 100.0, **options) -> BvhFile:
    with closing(BvhFile(path, fps, **options)) as file:
        for frame in frames(times):
            file.write([frame])
    return file


def test_rows_are_the_frames(tmp_path):
    sent = frames(np.arange(50) / 100)
    written(tmp_path / "a.bvh", np.arange(50) / 100)
    clip, _ = read_bvh(tmp_path / "a.bvh", 1.0)
    assert (clip.fps, clip.skeleton.names, len(clip)) == (pytest.approx(100.0), HUMANOID.names, 50)
    assert np.allclose(clip.skeleton.offsets, HUMANOID.offsets, atol=1e-8)
    assert np.allclose(clip.root_positions, [frame.root_position for frame in sent], atol=1e-5)
    assert rot.angle(clip.rotations, np.array([frame.rotations for frame in sent])).max() < 1e-6


def test_the_file_reads_back_after_every_write(tmp_path):
    with closing(BvhFile(tmp_path / "a.bvh", 100.0)) as file:
        for number, frame in enumerate(frames(np.arange(12) / 100), start=1):
            file.write([frame])
            assert len(read_bvh(tmp_path / "a.bvh", 1.0)[0]) == number


def test_jitter_and_a_slow_clock_cost_no_frame(tmp_path):
    jitter = np.random.default_rng(1).uniform(-0.3, 0.3, size=400)
    file = written(tmp_path / "a.bvh", (np.arange(400) + jitter) / 100)
    assert file.counts == {"frames": 400, "rows": 400}
    file = written(tmp_path / "b.bvh", np.arange(4000) / 100.01)
    assert file.counts["rows"] == 4000


@pytest.mark.parametrize(("rate", "counted"), [(25.0, "filled"), (250.0, "merged")])
def test_frames_at_another_rate_keep_their_moments(tmp_path, rate, counted):
    file = written(tmp_path / "a.bvh", np.arange(0.0, 2.0, 1.0 / rate))
    assert file.counts[counted] > 50
    clip, _ = read_bvh(tmp_path / "a.bvh", 1.0)
    moments = np.arange(len(clip)) / 100
    assert np.abs(clip.root_positions[:, 0] - moments).max() < EARLY_METRES


def test_a_lost_frame_is_filled_and_a_long_silence_left_out(tmp_path):
    file = written(tmp_path / "a.bvh", [0.0, 0.01, 0.04, 0.05, 60.0, 60.01])
    assert file.counts == {"frames": 6, "rows": 8, "filled": 2, "gaps": 1}
    clip, _ = read_bvh(tmp_path / "a.bvh", 1.0)
    assert np.allclose(clip.root_positions[:6, 0], np.arange(6) / 100, atol=1e-5)


def test_a_clock_that_is_set_back_goes_on_in_the_next_row(tmp_path):
    file = written(tmp_path / "a.bvh", [50.0, 50.01, 1.0, 1.01, 1.02])
    assert file.counts == {"frames": 5, "rows": 5, "gaps": 1}


def test_lengths_can_be_centimetres(tmp_path):
    written(tmp_path / "a.bvh", [0.0, 0.01], scale=100.0)
    clip, _ = read_bvh(tmp_path / "a.bvh", 1.0)
    assert clip.root_positions[1].tolist() == pytest.approx([1.0, 90.0, 0.0], abs=1e-4)
    assert np.allclose(clip.skeleton.offsets, 100 * HUMANOID.offsets)


def test_frames_of_other_joints_are_counted_and_left_out(tmp_path):
    other = Skeleton(("Hips",), (-1,), np.zeros((1, 3)))
    with closing(BvhFile(tmp_path / "a.bvh", 100.0)) as file:
        first, second = frames([0.0, 0.01])
        file.write([first, replace(first, skeleton=other, rotations=first.rotations[:1]), second])
    assert file.counts["other_joints"] == 1
    assert len(read_bvh(tmp_path / "a.bvh", 1.0)[0]) == 2


def test_a_recording_never_overwrites_another(tmp_path):
    senders = [BvhSender(tmp_path / "takes/anna.bvh", 100.0) for _ in range(3)]
    for sender in senders:
        sender.send(frames([0.0, 0.01]))
        sender.close()
    assert len({sender.path for sender in senders}) == len(list((tmp_path / "takes").glob("anna-*.bvh"))) == 3
    assert all(len(read_bvh(sender.path, 1.0)[0]) == 2 for sender in senders)


def test_a_frame_that_makes_no_sense_does_not_end_the_file(tmp_path):
    first, odd, second = frames([0.0, 0.01, 0.02])
    with closing(BvhFile(tmp_path / "a.bvh", 100.0)) as file:
        for frame in (first, replace(odd, rotations=odd.rotations[:, :3]), second):
            file.write([frame])
    assert file.counts["internal_error"] == 1
    assert len(read_bvh(tmp_path / "a.bvh", 1.0)[0]) == 3


def test_a_show_without_a_pose_leaves_no_file(tmp_path):
    BvhSender(tmp_path / "anna.bvh", 100.0).close()
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_an_error_that_names_it(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SenderError, match=r"cannot write .*anna\.bvh: .*; set the output's file"):
        BvhSender(tmp_path / "file/anna.bvh", 100.0)


WRITES_UNTIL_KILLED = """
import itertools, sys
from pathlib import Path
from server.senders.bvh import BvhSender
from test_bvh_sender import frames
sender = BvhSender(Path(sys.argv[1]), 100.0)
for number in itertools.count():
    sender.send(frames([number / 100]))
    if sender.counts["rows"] > 100 * int(sys.argv[2]):
        print(sender.counts["rows"], flush=True)
        sys.stdin.readline()
"""


def start(tmp_path: Path, *limits: str) -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    command = [*limits, sys.executable, "-c", WRITES_UNTIL_KILLED, str(tmp_path / "anna.bvh"), "1"]
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_killed_process_leaves_a_file_that_reads_back(tmp_path):
    with start(tmp_path) as process:
        rows = int(process.stdout.readline())
        process.kill()
    (path,) = tmp_path.iterdir()
    assert len(read_bvh(path, 1.0)[0]) >= rows


@pytest.mark.skipif(sys.platform == "win32", reason="a limit on the size of files is POSIX's")
def test_a_full_disk_costs_rows_and_not_the_file(tmp_path):
    import resource
    import signal

    old, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with closing(BvhFile(tmp_path / "a.bvh", 100.0)) as file:
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, old[1]))
            for frame in frames(np.arange(60) / 100):
                file.write([frame])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, old)
            signal.signal(signal.SIGXFSZ, handler)
        assert file.counts["write_error"] > 10
        clip, _ = read_bvh(tmp_path / "a.bvh", 1.0)
        assert len(clip) == file.counts["rows"] > 10
        file.write(frames([0.61]))  # there is room again
        clip, _ = read_bvh(tmp_path / "a.bvh", 1.0)
        assert np.allclose(clip.root_positions[:, 0], np.arange(62) / 100, atol=1e-5)
