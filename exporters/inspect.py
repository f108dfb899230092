"""Print a model's label for people: what goes in, what comes out, which knobs it has, what it was made from.

python -m exporters.inspect presets/models/salsa_match.onnx
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import onnxruntime

from motion.manifest import METADATA_KEY, Manifest, Port


def read_manifest(path: str | Path) -> Manifest:
    """The manifest in a model file. Raises ValueError for a file that is no model or has no label, and OSError."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no model file {path}")
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises many types of its own for a file it cannot use
        raise ValueError(f"{path} is no ONNX model: {error}") from None
    label = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if label is None:
        raise ValueError(f"{path} has no {METADATA_KEY!r} label; was it exported by exporters.onnx?")
    return Manifest.from_json(label)


def describe(path: str | Path) -> str:
    """The label as text. Raises as `read_manifest`."""
    manifest = read_manifest(path)
    rate = "any rate" if manifest.fps_in is None else f"{manifest.fps_in:g} fps"
    lines = [
        f"{manifest.name}: a {manifest.kind} model, {Path(path).stat().st_size / 1e6:.2f} MB, {len(manifest.skeleton)} "
        f"joints, {rate}, {_pace(manifest)}",
        "",
        "inputs",
        *(_port(port) for port in manifest.inputs),
        "outputs",
        *(_port(port) for port in manifest.outputs),
    ]
    if manifest.params:
        lines.append("params")
        for param in manifest.params:
            lines.append(
                f"  {param.name:<16} {param.low:g} .. {param.high:g}, default {param.default:g}: {param.about}"
                + (f" ({param.size} numbers)" if param.size > 1 else "")
            )
    if manifest.vectors:
        lines += ["vectors", *(f"  {name:<16} {len(values)} numbers" for name, values in manifest.vectors.items())]
    lines.append("made from")
    for key, value in manifest.made_from.items():
        if key == "takes":
            lines.append(f"  {'takes':<16} {len(value)}")
            lines += [f"    {entry['take']:<20} sha256 {entry['sha256'][:16]}" for entry in value]
        else:
            lines.append(f"  {key:<16} {value}")
    for title, values in (("scorecard", manifest.scorecard), ("example", manifest.example)):
        if values:
            shown = {key: f"{len(it)} numbers" if isinstance(it, list) else it for key, it in values.items()}
            lines += [title, *(f"  {key:<16} {value}" for key, value in shown.items())]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m exporters.inspect", description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+")
    options = parser.parse_args(arguments)
    try:
        print("\n\n".join(describe(path) for path in options.models))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _pace(manifest: Manifest) -> str:
    if manifest.window == 1:
        return "frame by frame"
    if manifest.kind == "meter":
        return f"reads the last {manifest.window} frames every {manifest.hop}"
    behind = manifest.latency_frames - manifest.ahead_frames
    return f"windows of {manifest.window} frames every {manifest.hop}, on stage {behind} frames behind the dancer"


def _port(port: Port) -> str:
    shape = " x ".join(str(size) for size in port.shape)
    detail = "+".join(port.layout) or (f"-> {port.feeds}" if port.feeds else "")
    return f"  {port.name:<20} {port.role:<10} {shape:<20} {detail}".rstrip()


if __name__ == "__main__":
    sys.exit(main())
