"""Ten minutes of two dancers train in less than 1.5 GB: windows are views, files are read in pieces."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from motion import rotations as rot
from motion.bvh import write_bvh
from motion.clip import Clip
from motion.skeleton import HUMANOID
from training import dataset
from training.sequences import Sequences
from training.windows import Windows

ROOT = Path(__file__).resolve().parents[1]
MEASURED = """
import resource, sys
from training.train import main
status = main(sys.argv[1:])
print("peak MB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
sys.exit(status)
"""


def _pair(frames: int) -> dataset.Pair:
    random = np.random.default_rng(0)
    tracks = [
        dataset.Track(
            f"{k}.bvh",
            f"{k}",
            random.normal(size=(frames, len(HUMANOID), 3)).astype(np.float32),
            random.normal(size=(frames, 3)),
            rot.normalize(random.normal(size=(frames, len(HUMANOID), 4))),
        )
        for k in range(2)
    ]
    return dataset.Pair("made up", 50.0, *tracks)


def _held(windows: object) -> int:
    return sum(value.nbytes for value in vars(windows).values() if isinstance(value, torch.Tensor))


def test_more_windows_of_the_same_frames_take_no_more_frames() -> None:
    pair, numbers = _pair(2000), 8  # bytes of a window's number
    sparse, dense = (
        Windows([pair], [0.5, 1.0], [0.0, 0.5], stride, mirror=True, swap_roles=True) for stride in (20, 1)
    )
    assert len(dense) == 20 * len(sparse)
    assert _held(dense) - _held(sparse) == (2000 - 100) * numbers
    sparse, dense = (Sequences([pair], HUMANOID, 64, stride, mirror=True) for stride in (20, 1))
    assert _held(dense) - _held(sparse) == (len(dense) - len(sparse)) // 2 * numbers


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read as Linux tells it")
@pytest.mark.parametrize("kind", ["duet", "duet_window"])
def test_a_ten_minute_pair_trains_in_a_gigabyte_and_a_half(tmp_path: Path, kind: str) -> None:
    time = np.arange(30_000) / 50.0
    for shift, name in enumerate(("a_1", "b_1")):
        waves = np.sin(time[:, None, None] * np.linspace(0.5, 3.0, len(HUMANOID))[:, None] + [0.0, 1.0, 2.0] + shift)
        root = np.stack([np.sin(time / 3) + shift, 0.9 + 0.0 * time, np.cos(time / 5)], axis=-1)
        write_bvh(tmp_path / f"{name}.bvh", Clip(HUMANOID, 50.0, root, rot.from_euler("ZXY", 0.3 * waves)))
    batches = "{epochs: 1, batch_size: 16, stride: 100}" if kind == "duet_window" else "{epochs: 1, stride: 4}"
    data = '{lead: "a_*.bvh", follow: "b_*.bvh", fps: 50, drop_first: 0}'
    (tmp_path / "config.yaml").write_text(f"data: {data}\ntraining: {batches}\n")
    command = [kind, "config.yaml", "--data", ".", "--out", "run", "--no-results"]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *command],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.rsplit("peak MB", 1)[1]) < 1500
