"""The mixture model's speed: a training step, and an answer of its graph with so many limits.

    python -m benchmarks.drmm [--threads 2] [--json FILE]

Training: 4 layers of 512 components, 450 variables, batch 256, in each stage of the curriculum, Adam and all. Beside it
`products_ms`: only the matrix products that no such step can do without, timed in turns with it; the ratio of the two
tells more than milliseconds on a machine that is busy, and so do `cpu_ms`, of processors. Answers: onnxruntime on one
thread, 64 candidates of the same model by limits, and 32 candidates of a model of a pose with three pins.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks import report
from exporters.graphs.drmm import DrmmStep
from exporters.onnx import write
from motion.conditions import Conditions, Space
from motion.sampling import chance
from server.onnx_model import OnnxModel
from training.models.drmm import Config, Drmm
from training.models.drmm_tables import NOBODY

BATCH, FACTORS = 256, 20
MOTION = {"size": 450, "layers": 4, "components": 512, "candidates": 64}
POSE = {"size": 150, "layers": 6, "components": 256, "candidates": 32}
STAGES = {"stage_1": 0.1, "stage_2": 0.5, "stage_3": 0.9}


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    motion, pose = (made_up(**sizes, steps=options.warm_up) for sizes in (MOTION, POSE))
    figures = {"training": training(motion, options.steps)}
    with tempfile.TemporaryDirectory() as folder:
        figures["motion"] = answers(motion, Path(folder) / "motion.onnx", options.answers, (0, 1, 2, 4, 8, 16))
        figures["pose, 3 pins"] = answers(pose, Path(folder) / "pose.onnx", options.answers, (0, 4), pins=3)
    report.show(f"mixture models, {options.threads} threads for training", figures, options.json)
    return 0


def made_up(size: int, layers: int, components: int, candidates: int, steps: int) -> Drmm:
    """A model of so many variables that follow FACTORS others, trained for a few steps, for scores as in earnest."""
    torch.manual_seed(0)
    mixing = torch.randn(FACTORS, size)
    names = tuple(f"joint{number // 3}/{'xyz'[number % 3]}" for number in range(size))
    model = Drmm(Config(names, layers, components, start="rows", candidates=candidates), NOBODY)
    model.fit_statistics({"rows": torch.randn(8192, FACTORS) @ mixing})
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3, weight_decay=0.0, fused=True)
    for number in range(steps):
        model.progress = number / steps
        _step(model, optimizer, torch.randn(BATCH, FACTORS) @ mixing)
    return model


def training(model: Drmm, count: int) -> dict[str, float]:
    """Milliseconds of a step in every stage, and of its matrix products alone."""
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, weight_decay=0.0, fused=True)
    rows = model.ancestral(BATCH)
    figures: dict[str, float] = {}
    for stage, progress in STAGES.items():
        model.progress = progress
        step, bare = _in_turns(lambda: _step(model, optimizer, rows), lambda: _products(model, rows), count)
        figures |= {f"{stage}_ms": step[0], f"{stage}_cpu_ms": step[1], f"{stage}_to_products": step[0] / bare[0]}
    return {**figures, "products_ms": bare[0], "products_cpu_ms": bare[1]}


def answers(model: Drmm, path: Path, count: int, limits: tuple[int, ...], pins: int = 0) -> dict[str, float]:
    """Milliseconds of an answer (p50) by how many limits it keeps to, of `path`, which is written."""
    step = DrmmStep(model)
    ready = OnnxModel(write(step, step.label(path.stem), path))
    space, random = Space.of(ready.manifest), np.random.default_rng(0)
    centre, scale = (np.array(ready.manifest.vectors[name]) for name in ("centre", "scale"))
    figures = {}
    for many in limits:
        times = []
        for _ in range(count):
            wanted = Conditions(space)
            known = np.arange(len(centre)) < 3 * pins if pins else random.random(len(centre)) < 0.4
            wanted.know(None, random.normal(centre, 0.5 * scale), known.astype(float))
            for _ in range(many):
                a = random.normal(size=len(centre)) / scale
                wanted.limit(a, float(a @ centre) + 1.0)
            for name, value in wanted.question().inputs(space.slots).items():
                ready.inputs[name][...] = value
            ready.inputs["gumbel"][...] = chance(random, ready.inputs["gumbel"].shape)
            begun = _now()
            ready.step()
            times.append(_now() - begun)
        wall, processor = 1e3 * np.median(times, axis=0)
        figures |= {f"limits_{many}_p50_ms": float(wall), f"limits_{many}_cpu_ms": float(processor)}
    return figures


def _step(model: Drmm, optimizer: torch.optim.Optimizer, rows: torch.Tensor) -> None:
    model.train()
    total, _ = model.loss({"rows": rows})
    optimizer.zero_grad()
    total.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1e6)
    optimizer.step()


def _products(model: Drmm, rows: torch.Tensor) -> None:
    """Every layer's distances, and what their gradients need for means and for what is left."""
    with torch.no_grad():
        for means in model.means:
            scores = rows @ means.T
            scores.T @ rows
            scores @ means


def _in_turns(a: Callable[[], None], b: Callable[[], None], count: int) -> list[np.ndarray]:
    """Milliseconds (wall, processors) of either, p50; a and b by turns so that both meet the same neighbours."""
    times: list[list[np.ndarray]] = [[], []]
    for _ in range(count + 3):
        for each, taken in zip((a, b), times, strict=True):
            begun = _now()
            each()
            taken.append(_now() - begun)
    return [1e3 * np.median(taken[3:], axis=0) for taken in times]


def _now() -> np.ndarray:
    """Seconds of the wall's clock and of processors."""
    return np.array([time.perf_counter(), time.process_time()])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drmm", description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2, help="of training; answers have one")
    parser.add_argument("--steps", type=int, default=20, help="of training that are timed, in each stage")
    parser.add_argument("--warm-up", type=int, default=40, help="steps of training before anything is timed")
    parser.add_argument("--answers", type=int, default=60)
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
