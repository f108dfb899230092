"""Processor against card: a step of every shipped model for 1, 8 and 64 dancers, and mixture models of more samples.

    python -m benchmarks.gpu [--models presets/models/salsa_duet.onnx ...] [--json FILE]

Milliseconds (p50) of a step, what goes in and comes out copied as in a show; `graph` whether the card ran it as a CUDA
graph, `difference` the largest one between both answers. The processor has one thread, as in a show. Without a card it
says so, and ends with 0.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import drmm, report
from benchmarks.models import SHIPPED
from exporters.graphs.drmm import DrmmStep
from exporters.onnx import write
from motion.manifest import Manifest
from server import onnx_cuda
from server.onnx_model import OnnxModel, measured

DANCERS, SAMPLES = (1, 8, 64), (64, 256, 1024)
MOMENTS = 16  # of an axis that has any length


def compare(cpu: OnnxModel, card: OnnxModel) -> dict[str, Any]:
    """Both models' step on the same inputs. They are of one file and one batch."""
    inputs = made_up(cpu.manifest, cpu.batch)
    for model in (cpu, card):
        model.inputs |= {name: values.copy() for name, values in inputs.items()}
    answers = cpu.step(), card.step()
    cpu_ms, card_ms = measured(cpu.step, card.step)
    return {
        "cpu_ms": cpu_ms,
        "card_ms": card_ms,
        "times_as_fast": cpu_ms / card_ms,
        "graph": card.is_graph,
        "difference": max(float(np.abs(answers[0][name] - answers[1][name]).max()) for name in answers[0]),
    }


def made_up(manifest: Manifest, batch: int) -> dict[str, np.ndarray]:
    """Inputs of somebody who moves, states aside."""
    random = np.random.default_rng(0)
    defaults = {param.name: param.default for param in manifest.params}
    inputs = {}
    for port in manifest.inputs:
        shape = (batch, *(MOMENTS if isinstance(size, str) else size for size in port.shape[1:]))
        if port.role == "time":
            values = np.full(shape, 1.0 / 120.0)
        elif port.name in defaults:
            values = np.full(shape, defaults[port.name])
        else:
            values = random.normal(0.0, 0.5, shape)
        if port.role != "state":
            inputs[port.name] = values.astype(np.float32)
    return inputs


def sampler(samples: int, folder: Path) -> Path:
    """A mixture model of motion's size that draws so many samples at once."""
    step = DrmmStep(drmm.made_up(**drmm.MOTION | {"candidates": samples}, steps=5))
    return write(step, step.label(f"drmm_{samples}"), folder / f"drmm_{samples}.onnx")


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="*", type=Path, help="default: every model in presets/models")
    parser.add_argument("--no-samples", action="store_true", help="without the mixture models of more samples")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    if why := onnx_cuda.missing():
        print(f"no GPU here: {why}")
        return 0
    figures: dict[str, dict[str, Any]] = {}
    shipped = options.models or sorted(SHIPPED.glob("*.onnx"))
    with tempfile.TemporaryDirectory() as folder:
        made = [] if options.no_samples else [sampler(samples, Path(folder)) for samples in SAMPLES]
        for path, crowds in [*((path, DANCERS) for path in shipped), *((path, (1,)) for path in made)]:
            rows = {}
            for dancers in crowds:
                cpu, card = OnnxModel(path, batch=dancers), OnnxModel(path, "cuda", dancers)
                rows[str(dancers)] = compare(cpu, card) if card.device == "cuda" else {"cpu_ms": measured(cpu.step)[0]}
            print(report.table(f"{path.stem}, by dancers", rows), flush=True)
            figures |= {f"{path.stem}, {dancers}": row for dancers, row in rows.items()}
    if options.json:
        report.write(options.json, figures, nested=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
