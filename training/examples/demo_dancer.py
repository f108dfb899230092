"""A dancer nobody recorded: train `training.models.solo` on salsa pairs and let it dance into a BVH file.

    python -m training.examples.demo_dancer --data ../shared/data/salsa_pairs --out presets/clips/demo_dancer.bvh

This made the clip that the project ships. Every pose comes out of the trained network; `finish` then holds the planted
feet, keeps them over the floor and raises the rate. A seed gives one dance, always the same on one machine.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from motion import footlock, kinematics
from motion import rotations as rot
from motion.bvh import write_bvh
from motion.clip import Clip
from motion.skeleton import HUMANOID
from training.dataset import Config as Data
from training.dataset import load_pairs, opposite_joints
from training.models.solo import POSE, TOES, Config, Solo, positions

SKIPPED_SECONDS = 0.8  # at the start of a take both stand and wait
WARPS = (1.0, 0.9, 1.1)
TOE_HEIGHT = 0.036  # metres; where a standing toe joint is
FLOOR = 0.003  # metres; no toe joint is lower
FASTEST = 9.0  # m/s; a joint that is faster is a glitch in the recording


class Windows:
    """All training windows of (frames, role) takes: `gather(numbers)` makes a batch for `Solo.loss`."""

    def __init__(self, takes: list[tuple[NDArray[np.float32], float]], length: int, fps: float) -> None:
        self._frames = torch.from_numpy(np.concatenate([frames for frames, _ in takes]))
        self._length = torch.arange(length)
        starts, roles, first = [], [], 0
        for frames, role in takes:
            speed = positions(torch.from_numpy(frames)).diff(dim=0).norm(dim=-1).amax(dim=-1) * fps
            whole = torch.nn.functional.max_pool1d(speed[None, None], length - 1, stride=1)[0, 0] < FASTEST
            here = torch.nonzero(whole)[:, 0]
            starts.append(first + here)
            roles.append(torch.full((len(here),), role))
            first += len(frames)
        self._starts, self._roles = torch.cat(starts), torch.cat(roles)

    def __len__(self) -> int:
        return len(self._starts)

    def gather(self, numbers: torch.Tensor) -> dict[str, torch.Tensor]:
        return {
            "frames": self._frames[self._starts[numbers, None] + self._length],
            "role": self._roles[numbers],
        }


def read(folder: Path, config: Config, fps: float = 120.0) -> list[tuple[NDArray[np.float32], float]]:
    """Both dancers of all takes and their mirror images, a little slower and faster, in every phase of config.fps."""
    opposite, takes = opposite_joints(HUMANOID), []
    for pair in load_pairs(Data(fps=fps), folder):
        for track, role in ((pair.lead, 1.0), (pair.follow, 0.0)):
            root, rotations = (part[round(SKIPPED_SECONDS * fps) :] for part in (track.root, track.rotations))
            mirrored = root * [-1.0, 1.0, 1.0], rotations[:, opposite] * [1.0, -1.0, -1.0, 1.0]
            for clip in (Clip(HUMANOID, fps, root, rotations), Clip(HUMANOID, fps, *mirrored)):
                frames = _frames(clip)
                for warp in WARPS:
                    place = np.arange(0.0, len(frames) - 1, warp)
                    before, t = place.astype(np.intp), (place % 1.0)[:, None].astype(np.float32)
                    warped = frames[before] * (1 - t) + frames[before + 1] * t
                    step = round(fps / config.fps)
                    takes += [(warped[phase::step], role) for phase in range(step)]
    return takes


def train(config: Config, windows: Windows, steps: int, seed: int, batch: int = 256) -> Solo:
    """A trained dancer, its weights averaged (Izmailov et al. 2018); prints the losses as it goes."""
    torch.manual_seed(seed)
    model = Solo(config)
    model.begin(windows.gather(torch.randperm(len(windows))[:12000]))
    with torch.no_grad():
        parts = [model.examples(windows.gather(some)) for some in torch.arange(len(windows)).split(2000)]
    examples = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    average = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.998))
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.99), weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps, pct_start=0.03)
    started = time.perf_counter()
    model.train()
    for step in range(1, steps + 1):
        numbers = torch.randint(len(windows), (batch,))
        total, losses = model.loss({name: values[numbers] for name, values in examples.items()})
        optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        average.update_parameters(model)
        if step % 250 == 0 or step == steps:
            figures = "  ".join(f"{name} {float(value.detach()):.4f}" for name, value in losses.items())
            print(f"step {step}/{steps}  {time.perf_counter() - started:.0f} s  {figures}", flush=True)
    return average.module.eval()


def finish(frames: NDArray[np.float32], fps_in: float, fps: float = 60.0) -> Clip:
    """A generated dance (T, FRAME) as a clip at `fps`: splines between frames, feet held and over the floor."""
    times = np.arange(len(frames)) / fps_in
    wanted = np.arange(int((len(frames) - 1) / fps_in * fps) + 1) / fps
    smooth = CubicSpline(times, frames[:, :POSE].astype(np.float64))(wanted)
    rotations = rot.continuous(rot.from_6d(smooth[:, 3:].reshape(len(wanted), len(HUMANOID), 6)))
    clip = Clip(HUMANOID, fps, smooth[:, :3], rotations)
    stands = footlock.planted(clip, TOE_HEIGHT, height=0.03, speed=0.8)  # the network's feet drift while they stand
    return footlock.lock(clip, stands, FLOOR, blend=0.12, height=TOE_HEIGHT)


def _frames(clip: Clip) -> NDArray[np.float32]:
    """(T, FRAME): root position, 6-D rotations, which toes stand. The floor is put where the toes stand most."""
    toes = kinematics.global_positions(HUMANOID, clip.root_positions, clip.rotations)[:, TOES, 1]
    lift = TOE_HEIGHT - np.percentile(toes, 30.0)
    clip = Clip(HUMANOID, clip.fps, clip.root_positions + np.array([0.0, lift, 0.0]), clip.rotations)
    stands = footlock.planted(clip, TOE_HEIGHT, height=0.03, speed=0.35)
    sixd = rot.to_6d(clip.rotations).reshape(len(clip), -1)
    return np.concatenate([clip.root_positions, sixd, stands], axis=1).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with 60_*.bvh (leads) and 61_*.bvh (follows)")
    parser.add_argument("--out", type=Path, required=True, help="the BVH file to write")
    parser.add_argument("--checkpoint", type=Path, help="read if it exists, written after training otherwise")
    parser.add_argument("--seconds", type=float, default=200.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=10000, help="of training; 10000 take about 20 minutes on one core")
    options = parser.parse_args()
    torch.set_num_threads(1)  # a thread more would change the sums, and the dance with them
    if options.checkpoint and options.checkpoint.exists():
        stored = torch.load(options.checkpoint, weights_only=True)
        model = Solo(Config(**stored["config"]))
        model.load_state_dict(stored["weights"])
    elif options.data:
        config = Config()
        windows = Windows(read(options.data, config), config.history + config.future, config.fps)
        model = train(config, windows, options.steps, options.seed)
        if options.checkpoint:
            torch.save({"config": asdict(config), "weights": model.state_dict()}, options.checkpoint)
    else:
        parser.error("--data is needed to train; or give a --checkpoint that exists")
    frames = model.generate(options.seed, options.seconds)
    clip = finish(frames.numpy(), model.config.fps)
    write_bvh(options.out, clip, decimals=4)
    print(f"{options.out}: {clip.seconds:.1f} s at {clip.fps:g} fps, {options.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
