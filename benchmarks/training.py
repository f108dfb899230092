"""Training throughput of `duet_window` at the research's sizes, ours against plain PyTorch, and the memory each needs.

    python -m benchmarks.training [--minutes 10] [--batches 60] [--json FILE]

Windows of 64 frames, encoder and decoder of 2 x 256 bidirectional LSTM, dense 512, latent 32, batch 16, one made-up
pair of --minutes at 50 fps, every window of it. Ours: the training loop over windows that are views, as the shipped
preset trains, its LSTMs in bfloat16 where the CPU has it. The baseline: the same network, losses and optimiser in
float32 with nn.LSTM, eager; forward kinematics joint by joint, as the research has it; every window copied first (as
the research does: to a NumPy array, from it to a tensor), a DataLoader that shuffles them. A test holds the two to the
same loss and gradients. Each side is a process of its own, its memory that process's largest (ru_maxrss, PyTorch and
all that is imported included), its speed the best of some rounds, which the two sides run in turns.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from benchmarks import report
from motion import rotations as rot
from motion.skeleton import HUMANOID
from training import kinematics, lstm
from training.dataset import Pair, Track
from training.models.duet_window import Config, DuetWindow
from training.models.window_vae import matrices
from training.sequences import Sequences

BATCH, FPS, CLIP = 16, 50.0, 5.0
LEARNING_RATE = 1e-4


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    options = _parser().parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.side:
        print(json.dumps(SIDES[options.side](options)))
        return 0
    best: dict[str, dict[str, float]] = {}
    for _ in range(options.rounds):
        for side in SIDES:
            now = _in_its_own_process(side, options)
            before = best.get(side, now)
            best[side] = {
                "windows_per_s": max(before["windows_per_s"], now["windows_per_s"]),
                "peak_mb": max(before["peak_mb"], now["peak_mb"]),
            }
    ours, plain = best["ours"], best["baseline"]
    figures = {**ours, **{f"baseline_{name}": value for name, value in plain.items()}}
    report.show(f"training duet_window, batch {BATCH}, {torch.get_num_threads()} threads", {"": figures}, options.json)
    speed, memory = ours["windows_per_s"] / plain["windows_per_s"], plain["peak_mb"] / ours["peak_mb"]
    lstm.set_precision(network := model(), options.lstm_precision)
    print(lstm.sentence(network) or "LSTMs in float32")
    print(f"{speed:.2f} times as fast, in a {memory:.1f}th of the memory")
    return 0


def ours(options: argparse.Namespace) -> dict[str, float]:
    """The project's loop, as `python -m training.train duet_window` runs it, over some of all the windows."""
    from lightning.fabric import Fabric

    from training import loop

    windows = _Some(Sequences([made_up_pair(options.minutes)], HUMANOID, Config().window), options.batches * BATCH)
    config = loop.Config(
        epochs=2,
        batch_size=BATCH,
        learning_rate=LEARNING_RATE,
        schedule="constant",
        weight_decay=0.0,
        clip_norm=CLIP,
        lstm_precision=options.lstm_precision,
        save_interval=2,
    )
    seconds = _Seconds()
    with tempfile.TemporaryDirectory() as out:
        fabric = Fabric(accelerator="cpu", devices=1)
        loop.train("duet_window", model(), windows, None, config, Path(out), fabric, watchers=[seconds])
    return _figures(len(windows), seconds.last)


def baseline(options: argparse.Namespace) -> dict[str, float]:
    """The textbook way: every window a row of large tensors, a DataLoader, a loop."""
    arrays = every_window(made_up_pair(options.minutes), Config().window)
    loader = DataLoader(TensorDataset(*arrays.values()), BATCH, shuffle=True, drop_last=True)
    network = model()
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=0.0)
    network.train()
    with patch.object(kinematics, "joint_positions", joint_by_joint):
        for number, rows in enumerate(loader):
            if number == options.batches:  # as many to warm up as are counted, as ours has
                begun = time.perf_counter()
            total, _ = network.loss(dict(zip(arrays, rows, strict=True)))
            optimizer.zero_grad()
            total.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
            optimizer.step()
            if number == 2 * options.batches - 1:
                break
    return _figures(options.batches * BATCH, time.perf_counter() - begun)


def every_window(pair: Pair, window: int) -> dict[str, torch.Tensor]:
    """What Sequences gathers, for all windows at once, every one a copy."""
    starts = range(len(pair.lead) - window + 1)
    arrays = {}
    for name, track in (("dancer", pair.lead), ("partner", pair.follow)):
        for part in ("root", "rotations"):
            frames = getattr(track, part)
            windows = np.stack([frames[start : start + window] for start in starts])
            arrays[f"{name}_{part}"] = torch.tensor(windows, dtype=torch.float32)
            del windows
    return arrays


def joint_by_joint(parents: Sequence[int], offsets: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """kinematics.joint_positions as one writes it down: every joint from its parent's turn and place."""
    local = matrices(q.movedim(0, -1))  # (J, B, T, 3, 3)
    turns, places = [local[0]], [torch.zeros_like(local[0, ..., 0])]
    for joint, parent in enumerate(parents[1:], 1):
        places.append(places[parent] + turns[parent] @ offsets[joint])
        turns.append(turns[parent] @ local[joint])
    return torch.stack(places).movedim(-1, 0)


SIDES = {"ours": ours, "baseline": baseline}


def model() -> DuetWindow:
    """The research's network, the same weights on both sides."""
    torch.manual_seed(0)
    return DuetWindow(Config(), HUMANOID)


def made_up_pair(minutes: float) -> Pair:
    """Two bodies that swing their limbs and wander, at 50 fps; made in pieces, which takes little memory."""
    pieces = np.array_split(np.arange(round(60.0 * minutes * FPS)) / FPS, max(round(4.0 * minutes), 1))
    tracks = []
    for side in (0.0, 1.0):
        phases = np.arange(3 * len(HUMANOID)).reshape(-1, 3) + side
        rotations = [rot.from_euler("ZXY", 0.4 * np.sin(3.0 * t[:, None, None] + phases)) for t in pieces]
        root = [np.stack([np.sin(0.3 * t) + side, np.full_like(t, 0.9), np.cos(0.2 * t)], -1) for t in pieces]
        frames = [np.concatenate(part) for part in (root, rotations)]
        tracks.append(Track("made up", f"{side}", np.zeros((len(frames[0]), 0, 3), np.float32), *frames))
    return Pair("made up", FPS, *tracks)


class _Some:
    """`count` windows, spread over all of them."""

    def __init__(self, windows: Sequences, count: int) -> None:
        self._windows = windows
        self._numbers = torch.linspace(0, len(windows) - 1, count).long()

    def __len__(self) -> int:
        return len(self._numbers)

    def gather(self, numbers: torch.Tensor) -> dict[str, torch.Tensor]:
        return self._windows.gather(self._numbers[numbers])


class _Seconds:
    """Keeps how long the last epoch took."""

    last = float("nan")

    def batch(self, number: int, values: dict[str, float]) -> None: ...

    def epoch(self, line: dict[str, float]) -> None:
        self.last = line["seconds"]

    def close(self) -> None: ...


def _figures(windows: int, seconds: float) -> dict[str, float]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "windows_per_s": round(windows / seconds, 2),
        "peak_mb": round(peak / (1024.0**2 if sys.platform == "darwin" else 1024.0), 1),
    }


def _in_its_own_process(side: str, options: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.training", "--side", side, "--minutes", str(options.minutes)]
    command += ["--batches", str(options.batches), "--lstm-precision", options.lstm_precision]
    command += ["--threads", str(options.threads)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        raise RuntimeError(f"{side} failed:\n{made.stderr}")
    figures: dict[str, Any] = json.loads(made.stdout.splitlines()[-1])
    return figures


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="length of the made-up recording")
    parser.add_argument("--batches", type=int, default=40, help="that are timed, after as many that are not")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=0, help="0: as many as PyTorch takes")
    parser.add_argument("--lstm-precision", choices=["float32", "bfloat16", "auto"], default="auto")
    parser.add_argument("--side", choices=sorted(SIDES), help="measure this one here")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
