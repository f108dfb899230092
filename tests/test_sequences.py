"""Whole windows of two dancers: they stay in their take, know where they are from, and are mirrored truly."""

import numpy as np
import pytest
import torch

from motion import kinematics
from motion import rotations as rot
from motion.skeleton import HUMANOID
from training import dataset
from training.sequences import Sequences, starts


def _pair(frames: int = 40) -> dataset.Pair:
    random = np.random.default_rng(0)
    tracks = []
    for _ in range(2):
        root, q = random.normal(size=(frames, 3)), rot.normalize(random.normal(size=(frames, 22, 4)))
        given = kinematics.global_positions(HUMANOID, root, q).astype(np.float32)
        tracks.append(dataset.Track("made up", "", given, root, q))
    return dataset.Pair("made up", 30.0, *tracks)


def test_windows_start_every_stride_and_end_within_the_take() -> None:
    assert list(starts(100, 64, 16)) == [0, 16, 32]
    assert list(starts(64, 64, 16)) == [0]
    assert list(starts(63, 64, 1)) == []
    assert len(Sequences([_pair(40), _pair(20), _pair(5)], HUMANOID, 8, 3, mirror=True)) == 2 * (11 + 5)


def test_a_partner_that_is_predicted_is_that_of_later_frames() -> None:
    windows, pair = Sequences([_pair()], HUMANOID, 8, 3, ahead=4), _pair()
    batch = windows.gather(torch.tensor([2]))
    np.testing.assert_allclose(batch["dancer_root"][0], pair.lead.root[6:14], atol=1e-6)  # float32
    np.testing.assert_allclose(batch["partner_root"][0], pair.follow.root[10:18], atol=1e-6)
    assert len(windows) == len(starts(40, 12, 3))


def test_a_take_shorter_than_a_window_is_refused() -> None:
    with pytest.raises(ValueError, match="window of 64 frames; the longest has 40"):
        Sequences([_pair()], HUMANOID, 64)


def test_a_window_is_the_takes_frames() -> None:
    batch, pair = Sequences([_pair()], HUMANOID, 8, 3).gather(torch.tensor([2])), _pair()
    np.testing.assert_allclose(batch["partner_root"][0], pair.follow.root[6:14], atol=1e-6)  # float32
    np.testing.assert_allclose(batch["dancer_rotations"][0], pair.lead.rotations[6:14], atol=1e-6)


def test_a_mirrored_window_is_the_body_in_a_mirror() -> None:
    windows = Sequences([_pair()], HUMANOID, 8, 3, mirror=True)
    batch = windows.gather(torch.arange(len(windows)))
    half = len(batch["dancer_root"]) // 2
    points = [
        kinematics.global_positions(HUMANOID, batch["dancer_root"][k], batch["dancer_rotations"][k]) for k in (0, half)
    ]
    opposite = dataset.opposite_joints(HUMANOID)
    np.testing.assert_allclose(points[1], points[0][:, opposite] * [-1.0, 1.0, 1.0], atol=1e-6)  # float32


def test_a_window_knows_its_take_and_frame() -> None:
    windows = Sequences([_pair(40), _pair(20)], HUMANOID, 8, 3, mirror=True)
    assert windows.origin(2) == ("made up", 6)
    assert windows.origin(11) == windows.origin(11 + len(windows) // 2) == ("made up", 0)  # the second take
