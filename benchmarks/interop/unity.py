"""The Unity receiver of `clients/unity`, compiled with mono's `mcs` against `tests/unity`, and an avatar for it.

`tests/unity/Player.cs` has the commands that the compiled program takes.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from motion import rotations as rot
from motion.skeleton import Array, Skeleton
from server.protocols.vmc import ROTATION_SIGNS
from server.protocols.vmc_bones import POSITION_SIGNS

ROOT = Path(__file__).resolve().parents[2]
NEEDS = ("mcs", "mono")  # Debian: mono-mcs, mono-runtime


def compile_player(folder: Path) -> Path:
    """The program in `folder`. Raises CalledProcessError with the compiler's words; a warning is an error."""
    program = folder / "unity_player.exe"
    sources = sorted([*ROOT.glob("clients/unity/*.cs"), *ROOT.glob("tests/unity/*.cs")])
    command = ["mcs", "-warnaserror", "-warn:4", f"-out:{program}", *map(str, sources)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return program


def avatar(skeleton: Skeleton, rest: Array) -> Iterator[str]:
    """The commands that make an avatar of a skeleton whose bones have the rotations `rest` (J, 4) in the T-pose.

    rest: global, xyzw, the project's axes; an avatar of a modelling program has any.
    """
    for joint, (name, parent) in enumerate(zip(skeleton.names, skeleton.parents, strict=True)):
        offset, turn = skeleton.offsets[joint], rest[joint]
        if parent >= 0:
            back = rot.inverse(rest[parent])
            offset, turn = rot.rotate(back, offset), rot.multiply(back, turn)
        numbers = [*(offset * POSITION_SIGNS), *(turn * ROTATION_SIGNS)]
        yield f"bone {name} {skeleton.names[parent] if parent >= 0 else '-'} {' '.join(f'{n:.9g}' for n in numbers)}"
    yield "awake"


def positions(line: str, skeleton: Skeleton) -> Array:
    """The joints (J, 3) of a line that begins with `pose`, in the project's axes."""
    words = line.split()
    places = {words[n]: [float(word) for word in words[n + 1 : n + 4]] for n in range(3, len(words), 4)}
    in_order: Array = POSITION_SIGNS * [places[name] for name in skeleton.names]
    return in_order
