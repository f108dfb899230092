"""A checkpoint becomes an .onnx file that describes itself: graph, manifest in the metadata, parity checked first.

    python -m exporters.onnx runs/mine/last.ckpt presets/models/mine.onnx
    python -m exporters.onnx runs/mine/last.ckpt presets/models/mine_meter.onnx --graph effort_meter

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
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

from exporters.graphs import OTHER_GRAPHS, Graph, drmm, effort_meter, graph_of, upsampler
from motion import features
from motion import rotations as rot
from motion.manifest import METADATA_KEY, Manifest, Param, Port
from training.models import read_checkpoint, rebuild

TOLERANCE = 1e-4  # metres and matrix entries
STEPS, WINDOWS = 300, 20  # of the example: frames, or windows of models that see windows
OPSET = 17

EXAMPLES = {  # of kinds that are asked, not danced at
    "upsampler": upsampler.example,
    "sampler": drmm.example,
    "meter": effort_meter.example,
}

Values = dict[str, NDArray[np.float32]]
FloatArray = NDArray[np.floating]


class ParityError(ValueError):
    """torch and onnxruntime disagree; nothing was written."""


def export(checkpoint: str | Path, out: str | Path, name: str | None = None, graph: str | None = None) -> Path:
    """Write `out` from a checkpoint; graph: another one than that of its kind, of OTHER_GRAPHS.

    Raises ValueError for a bad checkpoint, ParityError when the runtimes differ.
    """
    checkpoint, out = Path(checkpoint), Path(out)
    stored = read_checkpoint(checkpoint)
    step = graph_of(stored["kind"], rebuild(stored), graph)
    about = stored.get("about", {})
    made_from = {
        "checkpoint_sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
        "takes": about.get("takes", []),
        "contains_recordings": bool(getattr(step, "contains_recordings", False)),
        "licence": about.get("licence", "not stated"),
        "source": about.get("source", ""),
        "command": about.get("command", ""),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }
    return write(step, replace(step.label(name or out.stem), made_from=made_from), out)


def write(step: Graph, label: Manifest, out: Path) -> Path:
    """Write `out` from a graph and its label, once both runtimes agree on the label's example. Raises ParityError."""
    proto = to_onnx(step, label)
    steps = example_steps(label, STEPS if label.window == 1 else WINDOWS, seed=0)
    expected = run_torch(step, label, steps)
    choices = tuple(getattr(step, "choices", ()))
    made = run_onnx(proto.SerializeToString(), steps, forced=expected if choices else None)
    worst = step.parity(expected, made) if hasattr(step, "parity") else parity(expected, made, choices)
    if not worst <= TOLERANCE:
        raise ParityError(
            f"{out.name} is not written: torch and onnxruntime differ by {worst:.2g} (at most {TOLERANCE})"
        )
    pose = last_pose(run_onnx(proto.SerializeToString(), steps) if choices else made)  # what the file does, left alone
    example = {"seed": 0, "steps": len(steps), "pose": pose, "parity_max_abs": float(f"{worst:.3g}")}
    entry = proto.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, replace(label, example=example).to_json()
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=out.parent, suffix=".part", delete=False) as part:
        part.write(proto.SerializeToString())
    Path(part.name).chmod(0o644)
    Path(part.name).replace(out)  # a server that reads the folder never sees half a file
    return out


def to_onnx(step: Graph, label: Manifest) -> onnx.ModelProto:
    """The graph of a step with its ports named as its label says and a dynamic batch axis."""
    inputs, outputs = [port.name for port in label.inputs], [port.name for port in label.outputs]
    if label.kind in EXAMPLES:  # every question at once: an expert that nobody asks leaves no trace
        rows = EXAMPLES[label.kind](label, 8, 0)
        example = tuple(torch.from_numpy(np.concatenate([row[name] for row in rows])) for name in inputs)
    else:
        example = tuple(torch.zeros(2, *map(int, port.shape[1:])) for port in label.inputs)
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations: the graph it makes is the leaner one
        torch.onnx.export(
            step,
            example,
            file,
            dynamo=False,
            opset_version=OPSET,
            input_names=inputs,
            output_names=outputs,
            dynamic_axes={
                port.name: {axis: size for axis, size in enumerate(port.shape) if isinstance(size, str)}
                for port in (*label.inputs, *label.outputs)
            },
        )
    proto = onnx.load_from_string(file.getvalue())
    onnx.checker.check_model(proto, full_check=True)
    return proto


def example_steps(label: Manifest, count: int, seed: int, batch: int = 1) -> list[Values]:
    """A made-up dancer who walks, turns and waves: the inputs of `count` steps, without states.

    Frame-stepped models see irregular rates, windowed ones their own rate and windows `hop` frames apart. Knobs stand
    at their default, or a tenth off where the default would leave a part of the graph unused (0, or the high end).
    """
    if label.kind in EXAMPLES:
        return EXAMPLES[label.kind](label, count, seed)
    random = np.random.default_rng(seed)
    dancer = label.ports("motion")[0]
    knobs = {param.name: _aside(param) for param in label.params}
    sizes = {port.name: tuple(map(int, port.shape[1:])) for port in label.inputs}
    body = random.normal(0.0, 0.3, (batch, len(label.skeleton), 3)) + np.array([0.0, 0.9, 0.0])
    swing = random.normal(0.0, 0.08, (batch, len(label.skeleton), 3))
    steps, now = [], 0.0
    for number in range(count):
        if label.fps_in is None:
            dt = float(random.choice([1 / 120, 1 / 60, 1 / 50, 1 / 30, 0.021]))
            now += dt
            times = np.array([now])
        else:
            dt = 1.0 / label.fps_in
            times = (number * label.hop + np.arange(label.window)) * dt
        moved = _dance(label, dancer, body, swing, times)
        values = {dancer.name: moved[:, 0] if label.window == 1 else moved}
        for port in label.inputs:
            if port.role == "time":
                values[port.name] = np.full((batch, *sizes[port.name]), dt)
            elif port.role == "noise":
                values[port.name] = random.normal(size=(batch, *sizes[port.name]))
            elif port.role == "condition":
                values[port.name] = np.full((batch, *sizes[port.name]), knobs.get(port.name, 0.0))
        steps.append({name: np.asarray(value, dtype=np.float32) for name, value in values.items()})
    return steps


def _dance(label: Manifest, port: Port, body: FloatArray, swing: FloatArray, times: FloatArray) -> FloatArray:
    """The made-up dancer at `times` (T,) in the layout of `port`, (batch, T, D)."""
    yaw = 0.8 * np.sin(0.7 * times)
    wave = np.sin(5.0 * times)[:, None, None]
    path = np.stack([np.sin(0.4 * times), np.zeros_like(times), 0.5 * times], axis=-1)
    if tuple(port.layout) == ("global_positions",):  # points of no body in particular
        zero, one = np.zeros_like(yaw), np.ones_like(yaw)
        turn = np.stack([np.cos(yaw), zero, -np.sin(yaw), zero, one, zero, np.sin(yaw), zero, np.cos(yaw)], axis=-1)
        points = (body[:, None] + swing[:, None] * wave) @ turn.reshape(-1, 3, 3) + path[:, None]
        return points.reshape(len(body), len(times), -1)
    rotations = rot.from_euler("ZXY", body[:, None] - [0.0, 0.9, 0.0] + 3.0 * swing[:, None] * wave)
    rotations[:, :, 0] = rot.yaw(yaw)
    root = np.broadcast_to(path + np.array([0.0, 0.9, 0.0]), (*rotations.shape[:2], 3))
    return features.encode(port.layout, label.skeleton, root, rotations)


def _aside(param: Param) -> float:
    if param.default == 0.0:
        return 0.1
    return param.default - 0.1 * (param.high - param.low) if param.default == param.high else param.default


@torch.no_grad()
def run_torch(step: Graph, label: Manifest, steps: list[Values]) -> list[Values]:
    """All outputs of every step, states fed back, from zeros. States are named as the inputs that they feed."""
    batch = len(next(iter(steps[0].values())))
    names = [port.feeds or port.name for port in label.outputs]
    state = {port.name: torch.zeros(batch, *map(int, port.shape[1:])) for port in label.ports("state")}
    results = []
    for values in steps:
        given = {name: torch.from_numpy(value) for name, value in values.items()} | state
        made = step(*(given[port.name] for port in label.inputs))
        made = dict(zip(names, made if isinstance(made, tuple) else (made,), strict=True))
        state = {name: made[name] for name in state}
        results.append({name: value.numpy() for name, value in made.items()})
    return results


def run_onnx(model: bytes, steps: list[Values], forced: list[Values] | None = None) -> list[Values]:
    """As `run_torch`, by onnxruntime on one thread. forced: every step starts from these results' states instead."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [port.name.removesuffix("_next") for port in session.get_outputs()]
    given = {port.name: port.shape[1:] for port in session.get_inputs()}
    batch = len(next(iter(steps[0].values())))
    state = {n: np.zeros((batch, *shape), dtype=np.float32) for n, shape in given.items() if n not in steps[0]}
    results = []
    for number, values in enumerate(steps):
        made = dict(zip(names, session.run(None, {**values, **state}), strict=True))
        state = {name: (made if forced is None else forced[number])[name] for name in state}
        results.append(made)
    return results


def parity(a: list[Values], b: list[Values], choices: tuple[str, ...] = ()) -> float:
    """The largest absolute difference of any output at any step; infinite when one is not finite.

    choices: states whose first number is a choice among things that may be equally good. One step in a thousand, from
    the same state, may choose otherwise; it is not compared.
    """
    same = [all(np.abs(x[name] - y[name])[:, 0].max() < 0.5 for name in choices) for x, y in zip(a, b, strict=True)]
    if len(same) - sum(same) > max(len(same) // 1000, 1 if choices else 0):
        return float("inf")
    compared = [(x, y) for x, y, agree in zip(a, b, same, strict=True) if agree]
    worst = max(float(np.abs(x[name] - y[name]).max()) for x, y in compared for name in x)
    return worst if np.isfinite(worst) else float("inf")


def last_pose(results: list[Values]) -> list[float]:
    """The last step's pose (of a window its middle frame) of the first dancer, for telling whether a file still does
    what it did: another processor rounds otherwise, by less than a millimetre. Of a sampler its first candidate, of a
    meter its first reading.
    """
    last = results[-1]
    if "samples" in last:
        return [round(float(value), 4) for value in last["samples"][0, 0]]
    made = last[next((name for name in ("partner", "pose") if name in last), next(iter(last)))][0]
    pose = made if made.ndim == 1 else made[len(made) // 2]
    return [round(float(value), 4) for value in pose]


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m exporters.onnx", description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("out")
    parser.add_argument("--graph", choices=list(OTHER_GRAPHS), help="another graph than that of the checkpoint's kind")
    options = parser.parse_args(arguments)
    try:
        out = export(options.checkpoint, options.out, graph=options.graph)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
