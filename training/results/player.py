"""An exported duet model plays a whole recording, offline: no latency, any kind of duet.

Models of frames step through it. Models of windows dance every window, `hop` frames apart, and where windows overlap
they are averaged by slerp, each weighing most in its middle (Hann): the offline ideal of what the server does live.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from exporters.inspect import read_manifest
from exporters.onnx import Values, run_onnx
from motion import features
from motion import rotations as rot
from motion.clip import Clip
from motion.skeleton import Array

Knobs = Mapping[str, Array | float]  # a number, or an array (runs, n) with a row for every run of the graph


class Player:
    """The model of a file. Noise is drawn from `seed`, anew for every clip. Raises ValueError for what is no duet."""

    def __init__(self, path: Path, seed: int = 0) -> None:
        self.manifest = read_manifest(path)
        if self.manifest.kind != "duet":
            raise ValueError(f"{path} is a {self.manifest.kind!r} model, not a duet")
        self._model, self._seed = path.read_bytes(), seed
        self._dancer = self.manifest.ports("motion")[0]

    def rate(self, fps: float) -> float:
        """Frames a second the model wants, where recordings have `fps`; those that take any get at most 60."""
        return self.manifest.fps_in or min(fps, 60.0)

    def has(self, *knobs: str) -> bool:
        """Whether the model has all these params."""
        return set(knobs) <= {param.name for param in self.manifest.params}

    def runs(self, frames: int) -> list[int]:
        """The first frames of the windows that a clip of so many frames is danced in; they may begin before it."""
        window, hop, ahead = self.manifest.window, self.manifest.hop, self.manifest.ahead_frames
        return list(range(frames)) if window == 1 else list(range(hop - window - ahead, frames - ahead, hop))

    def dance(self, dancer: Clip, **knobs: Array | float) -> Clip:
        """The partner of a clip at the model's rate, frame for frame."""
        made = run_onnx(self._model, self._steps(dancer, knobs))
        poses = np.stack([step["partner"][0] for step in made])  # (runs, [window,] D)
        layout = next(port.layout for port in self.manifest.outputs if port.role == "motion")
        roots, rotations = features.decode(layout, len(self.manifest.skeleton), poses)
        if self.manifest.window > 1:
            meant_for = [start + self.manifest.ahead_frames for start in self.runs(len(dancer))]
            roots, rotations = overlap_add(roots, rotations, meant_for, len(dancer))
        return Clip(self.manifest.skeleton, dancer.fps, roots, rotations)

    def latents(self, dancer: Clip) -> Array:
        """What a model with a latent reads from each window of a clip, (runs, latent)."""
        return np.concatenate([step["latent"] for step in run_onnx(self._model, self._steps(dancer, {}))])

    def _steps(self, dancer: Clip, knobs: Knobs) -> list[Values]:
        """The inputs of every run; before its first and after its last frame a clip stands still."""
        given = features.encode(self._dancer.layout, dancer.skeleton, dancer.root_positions, dancer.rotations)
        random = np.random.default_rng(self._seed)
        starts = self.runs(len(dancer))
        values: dict[str, Array] = {}
        for port in self.manifest.inputs:
            shape = (len(starts), *map(int, port.shape[1:]))
            if port.role == "time":
                values[port.name] = np.full(shape, 1.0 / dancer.fps)
            elif port.role == "noise":
                values[port.name] = random.standard_normal(shape)
        values |= {param.name: np.full((len(starts), param.size), param.default) for param in self.manifest.params}
        for name, value in knobs.items():
            values[name] = np.broadcast_to(value, values[name].shape)
        steps = []
        for number, start in enumerate(starts):
            frames = np.clip(np.arange(start, start + self.manifest.window), 0, len(given) - 1)
            step = {name: value[number : number + 1] for name, value in values.items()}
            step[self._dancer.name] = given[frames] if self.manifest.window == 1 else given[frames][None]
            steps.append({name: np.ascontiguousarray(value, dtype=np.float32) for name, value in step.items()})
        return steps


def overlap_add(roots: Array, rotations: Array, starts: list[int], frames: int) -> tuple[Array, Array]:
    """Windows (K, T, 3) and (K, T, J, 4) that begin at `starts` -> one dance (frames, 3) and (frames, J, 4).

    Each frame is the average of the windows that hold it, weighted by a Hann window that is nowhere zero; rotations by
    slerp, one window after the other. What lies outside the frames is left out.
    """
    window = roots.shape[1]
    hann = np.sin(np.pi * (np.arange(window) + 0.5) / window) ** 2
    total = np.zeros(frames)
    root, rotation = np.zeros((frames, 3)), np.tile(rot.IDENTITY, (frames, rotations.shape[2], 1))
    for start, at, turned in zip(starts, roots, rotations, strict=True):
        first, last = max(start, 0), min(start + window, frames)
        if first >= last:
            continue
        here, there = slice(first, last), slice(first - start, last - start)
        total[here] += hann[there]
        share = hann[there] / total[here]
        root[here] += share[:, None] * (at[there] - root[here])
        rotation[here] = rot.slerp(rotation[here], turned[there], share[:, None])
    return root, rotation
