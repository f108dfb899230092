"""How fast, how large and how faithful the shipped models are, each through the server's own model class.

    python -m benchmarks.models [--device cpu] [--checkpoint salsa_duet=runs/salsa_duet/last.ckpt] [--json FILE]

parity_max_abs is measured here when the model's checkpoint is given. Without one, the model walks its own example: if
it still ends where its manifest says, the difference recorded at export stands, else the figure is null.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from exporters import onnx as exported
from exporters.graphs import graph_of
from motion.manifest import Manifest
from server.onnx_model import DEVICES, ModelError, OnnxModel
from training.models import read_checkpoint, rebuild

SHIPPED = Path(__file__).resolve().parents[1] / "presets/models"
WARM_UP = 200


def measure(path: Path, device: str = "cpu", steps: int = 3000, checkpoint: Path | None = None) -> dict[str, Any]:
    """The figures of one model. Raises ModelError when it cannot run on the device."""
    model = OnnxModel(path, device)
    steps = max(steps // model.manifest.window, 20)  # a window is as much work as its frames
    one, many = step_times(model, steps), step_times(OnnxModel(path, device, batch=64), max(steps // 10, 5))
    return {
        "step_p50_us": round(float(np.percentile(one, 50)), 1),
        "step_p99_us": round(float(np.percentile(one, 99)), 1),
        "batch64_p50_us": round(float(np.percentile(many, 50)), 1),
        "parity_max_abs": parity(path, model.manifest, checkpoint),
        "size_mb": round(path.stat().st_size / 1e6, 3),
    }


def step_times(model: OnnxModel, count: int, seed: int = 0) -> np.ndarray:
    """Microseconds of `count` steps of a moving dancer, after a warm-up; filling the inputs is not counted."""
    random = np.random.default_rng(seed)
    roles = {port.name: port.role for port in model.manifest.inputs if port.role != "state"}
    defaults = {param.name: param.default for param in model.manifest.params}
    bodies = {
        name: random.normal(0.0, 0.5, model.inputs[name].shape) for name, role in roles.items() if role == "motion"
    }
    times = []
    warm_up = min(WARM_UP, count)
    for number in range(warm_up + count):
        for name, role in roles.items():
            values = model.inputs[name]
            if role == "motion":
                values[...] = bodies[name] + 0.2 * np.sin(number / 40.0)
            elif role == "noise":
                values[...] = random.normal(size=values.shape)
            else:
                values[...] = 1.0 / 120.0 if role == "time" else defaults.get(name, 1.0)
        begun = time.perf_counter()
        model.step()
        times.append((time.perf_counter() - begun) * 1e6)
    return np.array(times[warm_up:])


def parity(path: Path, manifest: Manifest, checkpoint: Path | None) -> float | None:
    """The largest difference between torch and onnxruntime; None when nothing here can tell it."""
    if "pose" not in manifest.example:
        return None
    steps = exported.example_steps(manifest, manifest.example["steps"], manifest.example["seed"])
    results = exported.run_onnx(path.read_bytes(), steps)
    if checkpoint is not None:
        stored = read_checkpoint(checkpoint)
        other = "effort_meter" if manifest.kind == "meter" else None
        graph = graph_of(stored["kind"], rebuild(stored), other)
        return exported.parity(exported.run_torch(graph, manifest, steps), results)
    same = np.allclose(exported.last_pose(results), manifest.example["pose"], rtol=0.0, atol=1e-3)
    return manifest.example.get("parity_max_abs") if same else None


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.models", description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="*", type=Path, help="default: every model in presets/models")
    parser.add_argument("--device", choices=DEVICES, default="cpu")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--checkpoint", action="append", default=[], metavar="NAME=FILE", help="measure parity anew")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    checkpoints = {name: Path(file) for name, _, file in (text.partition("=") for text in options.checkpoint)}
    figures: dict[str, dict[str, Any]] = {}
    for path in options.models or sorted(SHIPPED.glob("*.onnx")):
        try:
            figures[path.stem] = measure(path, options.device, options.steps, checkpoints.get(path.stem))
        except ModelError as error:
            parser.exit(1, f"{error}\n")
    report.show(f"models, one thread, {options.device}", figures, options.json, nested=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
