"""One process or several: the same training. Slow (three processes import torch), so only `pytest -m slow` runs it."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from made_up_takes import made_up_clip
from motion.bvh import write_bvh

ROOT = Path(__file__).resolve().parents[1]
BATCHES = 50
# Small, but with all that could depend on how many processes there are: dropout, noise, latents, batch statistics.
MODELS = {
    "duet": {"placement_width": 32, "pose_width": 32, "code": 8, "latent": 4},
    "duet_window": {"window": 16, "hop": 4, "latent": 4, "size": 16, "dense": [32]},
    "deepfake": {"window": 16, "hop": 4, "latent": 4, "size": 16, "dense": [32]},
}


def _losses(kind: str, recordings: Path, processes: int) -> np.ndarray:
    """The first losses (BATCHES, parts) of a run on so many processes, 64 windows in a batch of all."""
    out = recordings / f"{processes}"
    data = {"lead": "lead_*.bvh", "follow": "follow_*.bvh", "drop_first": 0, "scale": 1.0, "fps": 60.0}
    training = {"batch_size": 64 // processes, "epochs": 4, "stride": 1, "log_interval": 1, "learning_rate": 2.0e-3}
    config = recordings / f"{processes}.yaml"
    config.write_text(yaml.safe_dump({"data": data, "model": MODELS[kind], "training": training}))
    command = ["-m", "training.train", kind, str(config), "--data", str(recordings), "--out", str(out)]
    if processes > 1:
        command = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", *command]
    environment = {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    made = subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr[-3000:]
    assert (out / "live.yaml").is_file()
    with open(out / "batches.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return np.array([[float(value) for name, value in row.items() if name != "batch"] for row in rows[:BATCHES]])


@pytest.mark.slow
@pytest.mark.parametrize("kind", MODELS)
def test_two_processes_have_the_losses_of_one_with_twice_the_batch(kind: str, tmp_path: Path) -> None:
    for name, shift in (("lead", 0.0), ("follow", 1.0)):
        write_bvh(tmp_path / f"{name}_1.bvh", made_up_clip(15.0, 60.0, shift))
    one, two = _losses(kind, tmp_path, 1), _losses(kind, tmp_path, 2)
    assert len(one) == len(two) == BATCHES
    assert np.ptp(one[:, 0]) > 0.01  # it learns meanwhile: equal losses are no wonder of a model that stands still
    np.testing.assert_allclose(two, one, atol=1e-4)
