"""A recording in which a limb was lost for a while -> the same with that limb filled in, by a mixture model of motion.

    python -m exporters.infill take.bvh --gap LeftArm 3.0 4.5 [--gap RightLeg 7 8] --out filled.bvh
        [--dancer other.bvh] [--model presets/models/motion_drmm.onnx] [--seed 0]

Seconds from the recording's beginning. The rest of the body must be there, and the limb a third of a second before.
--dancer is whoever dances with them, recorded together; without one the model knows of nobody beside. Written on the
standard body; outside the gaps nothing is changed.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import numpy as np

from motion import upsampling
from motion.bvh import write_bvh
from motion.clip import Clip
from motion.conditions import Space
from motion.infill import LIMBS, Infill
from motion.load import load_humanoid
from motion.motion_layout import RATE
from motion.motion_vectors import Track
from motion.sampling import Values
from motion.skeleton import HUMANOID
from server.onnx_model import OnnxModel

SHIPPED = Path(__file__).resolve().parents[1] / "presets/models/motion_drmm.onnx"


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns 0, or 2 for an error that has been printed."""
    options = _parser().parse_args(arguments)
    try:
        if options.out.resolve() in (options.take.resolve(), options.dancer and options.dancer.resolve()):
            raise ValueError(f"{options.out} is what is read; give another --out")
        clip = load_humanoid(options.take).clip
        dancer = load_humanoid(options.dancer).clip if options.dancer else None
        infill, random = infill_of(OnnxModel(options.model)), np.random.default_rng(options.seed)
        for limb, begin, end in options.gap:
            clip = filled(infill, clip, limb, _seconds(begin), _seconds(end), random, dancer)
        write_bvh(options.out, clip)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    gaps = ", ".join(f"{limb} from {begin} to {end} s" for limb, begin, end in options.gap)
    print(f"{options.out}: {gaps}")
    return 0


def infill_of(model: OnnxModel) -> Infill:
    """Raises ValueError for a model that is no sampler of motion."""
    if model.manifest.kind != "sampler":
        raise ValueError(f"{model.path} is of kind {model.manifest.kind}; a limb is filled in by a sampler of motion")
    shape = next(port.shape for port in model.manifest.inputs if port.name == "gumbel")

    def run(values: Values) -> Values:
        model.inputs.update(values)
        return model.step()

    return Infill(run, Space.of(model.manifest), [int(size) for size in shape[1:]])


def filled(
    infill: Infill,
    clip: Clip,
    limb: str,
    begin: float,
    end: float,
    random: np.random.Generator,
    dancer: Clip | None = None,
) -> Clip:
    """The clip, on HUMANOID, with a limb filled in from one second to another. Raises ValueError as Infill."""
    if not 0.0 <= begin < end <= clip.seconds:
        raise ValueError(f"a gap from {begin:g} to {end:g} s: it must be within 0 and {clip.seconds:g} s, and be a gap")
    first, until = math.ceil(begin * RATE - 1e-6), math.ceil(end * RATE - 1e-6)
    while math.ceil((first - 1) / RATE * clip.fps - 1e-6) >= begin * clip.fps:
        first -= 1  # a moment that lies between two frames is known if both are
    while math.floor(until / RATE * clip.fps + 1e-6) < end * clip.fps - 1e-6:
        until += 1
    body = _track(clip)
    until = min(until, len(body))
    made = infill(body, limb, first, until, random, dancer and _track(dancer))
    bones = [HUMANOID.index(joint) for joint in LIMBS[limb][:3]]
    times = np.arange(len(clip)) / clip.fps
    gone = np.flatnonzero((times > begin - 1e-9) & (times < end - 1e-9))
    around = np.arange(first - 1, min(until + 1, len(body)))
    moments = np.minimum(times[gone], around[-1] / RATE)
    rotations = clip.rotations.copy()
    rotations[gone[:, None], bones] = upsampling.poses_at(
        "slerp", around / RATE, body.root[around], made[around][:, bones], moments
    )[1]
    return Clip(clip.skeleton, clip.fps, clip.root_positions, rotations)


def _track(clip: Clip) -> Track:
    """At the rate of motion vectors."""
    times = np.arange(len(clip)) / clip.fps
    moments = np.arange(math.floor(times[-1] * RATE + 1e-6) + 1) / RATE
    return Track(*upsampling.poses_at("slerp", times, clip.root_positions, clip.rotations, moments))


def _seconds(told: str) -> float:
    try:
        seconds = float(told)
    except ValueError:
        raise ValueError(f"--gap: {told!r} is no number of seconds; it takes LIMB FROM TO") from None
    if not math.isfinite(seconds):
        raise ValueError(f"--gap: {told} is no number of seconds; it takes LIMB FROM TO")
    return seconds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m exporters.infill", description=__doc__.splitlines()[0])
    parser.add_argument("take", type=Path, help="a recording: .bvh, .fbx or .npz")
    parser.add_argument(
        "--gap",
        nargs=3,
        action="append",
        required=True,
        metavar=("LIMB", "FROM", "TO"),
        help=f"seconds; limbs: {', '.join(LIMBS)}",
    )
    parser.add_argument("--out", type=Path, required=True, help="a .bvh file")
    parser.add_argument("--dancer", type=Path, help="who dances with them, recorded together")
    parser.add_argument("--model", type=Path, default=SHIPPED, help="a sampler of motion (default: the shipped one)")
    parser.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
