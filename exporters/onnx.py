"""A checkpoint becomes an .onnx file that describes itself: graph, manifest in the metadata, parity checked first.

    python -m exporters.onnx runs/mine/last.ckpt presets/models/mine.onnx

torch and onnxruntime walk the same steps, state fed back; a file whose outputs differ by more than TOLERANCE is never
written. Nothing is tuned for one machine in the file: onnxruntime optimises it when it is loaded.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import io
import sys
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

from exporters.graphs import DuetStep
from motion.manifest import METADATA_KEY, Manifest, Param, Port
from motion.skeleton import Skeleton
from training.models import read_checkpoint, rebuild

TOLERANCE = 1e-4  # metres and matrix entries
STEPS = 300
OPSET = 17

Values = dict[str, NDArray[np.float32]]


class ParityError(ValueError):
    """torch and onnxruntime disagree; nothing was written."""


def export(checkpoint: str | Path, out: str | Path, name: str | None = None) -> Path:
    """Write `out` from a checkpoint. Raises ValueError for a bad checkpoint, ParityError when the runtimes differ."""
    checkpoint, out = Path(checkpoint), Path(out)
    stored = read_checkpoint(checkpoint)
    model = rebuild(stored)
    step = DuetStep(model).eval()
    proto = to_onnx(step)
    steps = example_steps(step.ports()[0], STEPS, seed=0)
    expected = run_torch(step, steps)
    worst = parity(expected, run_onnx(proto.SerializeToString(), steps))
    if not worst <= TOLERANCE:
        raise ParityError(
            f"{out.name} is not written: torch and onnxruntime differ by {worst:.2g} (at most {TOLERANCE})"
        )
    about = stored.get("about", {})
    manifest = duet_manifest(
        step,
        name or out.stem,
        model.skeleton,
        made_from={
            "checkpoint_sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
            "takes": about.get("takes", []),
            "licence": about.get("licence", "not stated"),
            "source": about.get("source", ""),
            "command": about.get("command", ""),
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        },
        example={"seed": 0, "steps": STEPS, "digest": digest(expected), "parity_max_abs": float(f"{worst:.3g}")},
    )
    entry = proto.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, manifest.to_json()
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=out.parent, suffix=".part", delete=False) as part:
        part.write(proto.SerializeToString())
    Path(part.name).chmod(0o644)
    Path(part.name).replace(out)  # a server that reads the folder never sees half a file
    return out


def to_onnx(step: DuetStep) -> onnx.ModelProto:
    """The graph of a step with its ports named and a dynamic batch axis."""
    inputs, states = step.ports()
    names = [*inputs, *states]
    outputs = ["partner", *(f"{state}_next" for state in states)]
    example = tuple(torch.zeros(2, *shape) for shape in (*inputs.values(), *states.values()))
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations: the graph it makes is the leaner one
        torch.onnx.export(
            step,
            example,
            file,
            dynamo=False,
            opset_version=OPSET,
            input_names=names,
            output_names=outputs,
            dynamic_axes={name: {0: "batch"} for name in (*names, *outputs)},
        )
    proto = onnx.load_from_string(file.getvalue())
    onnx.checker.check_model(proto, full_check=True)
    return proto


def duet_manifest(
    step: DuetStep, name: str, skeleton: Skeleton, made_from: dict[str, Any], example: dict[str, Any]
) -> Manifest:
    """The label of a duet graph."""
    inputs, states = step.ports()
    roles = {"dt": "time", "noise": "noise", "variety": "condition", "distance": "condition"}
    ports = [Port("dancer", "motion", ("batch", *inputs["dancer"]), layout=("global_positions",))]
    ports += [Port(port, roles[port], ("batch", *inputs[port])) for port in roles]
    ports += [Port(state, "state", ("batch", *shape)) for state, shape in states.items()]
    width = 3 + 6 * len(skeleton)
    results = [Port("partner", "motion", ("batch", width), layout=("root_position", "rotations_6d"))]
    results += [Port(f"{state}_next", "state", ("batch", *shape), feeds=state) for state, shape in states.items()]
    params = (
        Param("variety", 1.0, 0.0, 2.0, 0.3, "how far the partner strays from the mean partner"),
        Param("distance", 0.0, -0.5, 1.5, 0.3, "metres added between dancer and partner"),
    )
    return Manifest(name, "duet", skeleton, tuple(ports), tuple(results), params, made_from=made_from, example=example)


def example_steps(inputs: Mapping[str, tuple[int, ...]], count: int, seed: int, batch: int = 1) -> list[Values]:
    """A made-up dancer who walks, turns and waves at irregular rates: the inputs of `count` steps, without states.

    inputs: the shapes of a duet graph's inputs without the batch axis.
    """
    random = np.random.default_rng(seed)
    joints = inputs["dancer"][0] // 3
    body = random.normal(0.0, 0.3, (batch, joints, 3)) + np.array([0.0, 0.9, 0.0])
    swing = random.normal(0.0, 0.08, (batch, joints, 3))
    steps, now = [], 0.0
    for _ in range(count):
        dt = float(random.choice([1 / 120, 1 / 60, 1 / 50, 1 / 30, 0.021]))
        now += dt
        yaw = 0.8 * np.sin(0.7 * now)
        turn = np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]])
        place = (body + swing * np.sin(5.0 * now)) @ turn + [np.sin(0.4 * now), 0.0, 0.5 * now]
        values = {
            "dancer": place.reshape(batch, -1),
            "dt": np.full((batch, 1), dt),
            "noise": random.normal(size=(batch, *inputs["noise"])),
            "variety": np.ones((batch, 1)),
            "distance": np.full((batch, 1), 0.1),
        }
        steps.append({name: np.asarray(value, dtype=np.float32) for name, value in values.items()})
    return steps


@torch.no_grad()
def run_torch(step: DuetStep, steps: list[Values]) -> list[Values]:
    """All outputs of every step, states fed back, from zeros."""
    inputs, states = step.ports()
    batch = len(steps[0]["dt"])
    state = [torch.zeros(batch, *shape) for shape in states.values()]
    results = []
    for values in steps:
        partner, *state = step(*(torch.from_numpy(values[name]) for name in inputs), *state)
        results.append({"partner": partner.numpy(), **{n: s.numpy() for n, s in zip(states, state, strict=True)}})
    return results


def run_onnx(model: bytes, steps: list[Values]) -> list[Values]:
    """As `run_torch`, by onnxruntime on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    given = set(steps[0])
    shapes = {port.name: port.shape[1:] for port in session.get_inputs() if port.name not in given}
    state = {name: np.zeros((len(steps[0]["dt"]), *shape), dtype=np.float32) for name, shape in shapes.items()}
    results = []
    for values in steps:
        partner, *rest = session.run(None, {**values, **state})
        state = dict(zip(state, rest, strict=True))
        results.append({"partner": partner, **state})
    return results


def parity(a: list[Values], b: list[Values]) -> float:
    """The largest absolute difference of any output at any step; infinite when one is not finite."""
    worst = max(float(np.abs(x[name] - y[name]).max()) for x, y in zip(a, b, strict=True) for name in x)
    return worst if np.isfinite(worst) else float("inf")


def digest(results: list[Values]) -> str:
    """A hash of the last step's pose to the millimetre, for telling whether a file still does what it did."""
    rounded = np.round(results[-1]["partner"], 3) + 0.0
    return hashlib.sha256(rounded.astype(np.float32).tobytes()).hexdigest()[:16]


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m exporters.onnx", description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("out")
    options = parser.parse_args(arguments)
    try:
        out = export(options.checkpoint, options.out)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
