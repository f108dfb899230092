"""What one VMC frame of all of Unity's 55 bones costs to build and to parse, here and with python-osc.

    python -m benchmarks.codecs --json codecs.json

Both sides do the whole job: a pose to datagrams, and datagrams to the numbers of a pose. Our decoder makes a pose of
the 22 bones it dances with and reads past fingers and face; python-osc's side reads every bone.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from pythonosc.osc_bundle import OscBundle
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message_builder import OscMessageBuilder

from benchmarks import report
from motion import rotations as rot
from motion.skeleton import HUMANOID, Array, Skeleton
from server.protocols import osc
from server.protocols.frames import PoseFrame
from server.protocols.vmc import VmcDecoder, VmcEncoder
from server.protocols.vmc_bones import UNITY_BONES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bones", type=int, choices=(22, 55), default=55, help="with or without fingers and face")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    body = with_fingers() if options.bones == 55 else HUMANOID
    random = np.random.default_rng(options.seed)
    rotations = rot.normalize(random.normal(size=(len(body), 4)))
    frame = PoseFrame(body, random.normal(size=3), rotations, 1.0, 0.0, 1)
    encoder, decoder = VmcEncoder(body), VmcDecoder()
    datagrams = encoder.encode(frame)
    sizes = [len(osc.parse(datagram)) for datagram in datagrams]
    figures = {
        "vmc_build_us": _median_us(lambda: encoder.encode(frame), options.repeats),
        "vmc_parse_us": _median_us(lambda: [decoder.feed(datagram, 0.0) for datagram in datagrams], options.repeats),
        "python_osc_build_us": _median_us(lambda: _build(frame, sizes), options.repeats // 10),
        "python_osc_parse_us": _median_us(lambda: _parse(datagrams, body.names), options.repeats // 10),
    }
    report.show(
        f"one VMC frame of {len(body)} bones, {sum(sizes)} messages in {len(sizes)} datagrams",
        {"codecs": figures},
        options.json,
    )
    for work in ("build", "parse"):
        ratio = figures[f"python_osc_{work}_us"] / figures[f"vmc_{work}_us"]
        print(f"python-osc takes {ratio:.0f} times as long to {work}")


def with_fingers() -> Skeleton:
    """HUMANOID with eyes, jaw and fingers."""
    names, parents, offsets = list(HUMANOID.names), list(HUMANOID.parents), HUMANOID.offsets.tolist()
    for name in UNITY_BONES[len(HUMANOID) :]:
        side = "Left" if name.startswith("Left") else "Right"
        if name.endswith("Proximal"):
            above = f"{side}Hand"
        elif name.endswith(("Intermediate", "Distal")):
            above = names[-1]
        else:
            above = "Head"
        names.append(name)
        parents.append(names.index(above))
        offsets.append([0.03 if side == "Left" else -0.03, 0.0, 0.0])
    return Skeleton(tuple(names), tuple(parents), np.array(offsets))


def _median_us(work: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(max(repeats, 10)):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return float(np.median(times)) * 1e6


def _build(frame: PoseFrame, sizes: list[int]) -> list[bytes]:
    """The same frame with python-osc's builders, in as many bundles of as many messages."""
    messages: list[tuple[str, list[int | float | str]]] = [
        ("/VMC/Ext/OK", [1]),
        ("/VMC/Ext/Root/Pos", ["root", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]),
    ]
    positions = frame.skeleton.offsets.tolist()
    positions[0] = frame.root_position.tolist()
    for name, (x, y, z), (qx, qy, qz, qw) in zip(
        frame.skeleton.names, positions, frame.rotations.tolist(), strict=True
    ):
        messages.append(("/VMC/Ext/Bone/Pos", [name, -x, y, z, qx, -qy, -qz, qw]))
    messages.append(("/VMC/Ext/T", [1.0]))
    queue = iter(messages)
    datagrams = []
    for size in sizes:
        bundle = OscBundleBuilder(IMMEDIATELY)
        for _ in range(size):
            address, arguments = next(queue)
            builder = OscMessageBuilder(address)
            for argument in arguments:
                builder.add_arg(argument)
            bundle.add_content(builder.build())
        datagrams.append(bundle.build().dgram)
    return datagrams


def _parse(datagrams: list[bytes], names: Sequence[str]) -> tuple[Array, Array]:
    """The root position and the rotations of the same frame with python-osc's parser."""
    bones: dict[str, list[float]] = {}
    for datagram in datagrams:
        for message in OscBundle(datagram):
            if message.address == "/VMC/Ext/Bone/Pos":
                bones[message.params[0]] = message.params[1:]
    numbers = np.array([bones[name] for name in names])
    return numbers[0, :3] * [-1.0, 1.0, 1.0], rot.normalize(numbers[:, 3:] * [1.0, -1.0, -1.0, 1.0])


if __name__ == "__main__":
    main()
