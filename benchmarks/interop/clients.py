"""Programs that hear the show: what each needs, how it is started, and what its lines say.

A client prints as it receives; `read` turns a line into a `Tally`. A row more is a client more.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.interop import unity
from benchmarks.interop.vrm import vrm
from motion.skeleton import HUMANOID, Array

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent


@dataclass
class Tally:
    """What a client says it got. bones: messages by bone name. times: of its frames. joints: (J, 3) by time.

    frames: how many, for clients that count them themselves.
    """

    bones: Counter[str] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)
    joints: dict[float, Array] = field(default_factory=dict)
    frames: int | None = None
    others: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Client:
    """needs: what must be there, as `missing` knows it. start: the command for a scratch folder and a port.

    output: the preset's output, without actor and port. per_frame: for outputs that are no VMC, an address that comes
    once a frame. commands: lines for its standard input. stops: how it ends, a signal or the end of its standard input.
    digits: how many decimals of a time it prints.
    """

    needs: tuple[str, ...]
    start: Callable[[Path, int], list[str]]
    read: Callable[[str, Tally], None]
    output: dict[str, Any] = field(default_factory=lambda: {"send": "vmc"})
    per_frame: str = ""
    commands: Callable[[int], list[str]] = lambda port: []
    stops: Literal["signal", "input"] = "signal"
    digits: int = 5


def missing(client: Client, scratch: Path) -> list[str]:
    """What a client needs and this machine has not: programs, `npm:NAME`, `pip:NAME`."""
    return [need for need in client.needs if not _is_there(need, scratch)]


def _is_there(need: str, scratch: Path) -> bool:
    kind, _, name = need.rpartition(":")
    if kind == "npm":
        return (scratch / "node_modules" / name).is_dir()
    if kind == "pip":
        return any((scratch / "python/lib").glob(f"python*/site-packages/{name}"))
    return shutil.which(name) is not None


# Starting.


def _node(script: str, *more: str) -> Callable[[Path, int], list[str]]:
    def command(scratch: Path, port: int) -> list[str]:
        return ["env", f"NODE_PATH={scratch / 'node_modules'}", "node", str(HERE / script), *more, str(port)]

    return command


def _three_vrm(scratch: Path, port: int) -> list[str]:
    (scratch / "avatar.vrm").write_bytes(vrm(HUMANOID))
    browser = shutil.which("chromium") or ""
    return [*_node("three_vrm.js", str(scratch))(scratch, port), browser]


def _oscjack(scratch: Path, port: int) -> list[str]:
    sources = sorted((scratch / "node_modules/jp.keijiro.osc-jack/Runtime/Base").rglob("*.cs"))
    program = scratch / "oscjack.exe"
    subprocess.run(["mcs", f"-out:{program}", *map(str, sources), str(HERE / "OscJack.cs")], check=True)
    return ["mono", str(program), str(port)]


def _unity(scratch: Path, port: int) -> list[str]:
    return ["mono", str(unity.compile_player(scratch))]


def _avatar(port: int) -> list[str]:
    identity = np.tile([0.0, 0.0, 0.0, 1.0], (len(HUMANOID), 1))
    return [f"set port {port}", *unity.avatar(HUMANOID, identity), "listen"]


def _pure_data(name: str) -> Callable[[Path, int], list[str]]:
    def command(scratch: Path, port: int) -> list[str]:
        quiet = ["-nogui", "-noaudio", "-nomidi", "-stderr"]
        patches = ["-open", str(ROOT / "clients/max/poses.pd"), "-open", str(HERE / "print_sends.pd")]
        ports = [f"{patch}_port {port if patch == name else 0}" for patch in ("vmc", "mocap")]  # 0: deaf
        return ["puredata", *quiet, *patches, *(word for one in ports for word in ("-send", one))]

    return command


def _python(script: str) -> Callable[[Path, int], list[str]]:
    return lambda scratch, port: [str(scratch / "python/bin/python"), "-u", str(HERE / script), str(port)]


def _blender(scratch: Path, port: int) -> list[str]:
    body = {"names": HUMANOID.names, "parents": HUMANOID.parents, "places": HUMANOID.rest_positions.tolist()}
    (scratch / "body.json").write_text(json.dumps(body))
    python, script = scratch / "python/bin/python", HERE / "blender_receive.py"
    return [str(python), "-u", str(script), str(scratch / "body.json"), str(port)]


# Reading.


def _read_oscdump(line: str, tally: Tally) -> None:
    """Lines like: e9c1f0b2.5a1cac08 /VMC/Ext/Bone/Pos sfffffff "Hips" 0.000000 ..."""
    words = line.split()
    if len(words) > 3 and words[1] == "/VMC/Ext/Bone/Pos":
        tally.bones[words[3].strip('"')] += 1
    elif len(words) > 3 and words[1] == "/VMC/Ext/T":
        tally.times.append(float(words[3]))


def _read_pure_data(line: str, tally: Tally) -> None:
    """Lines like: bone: Hips 0 0.88 0 0 0 0 1"""
    words = line.split()
    if words[:1] == ["bone:"]:
        tally.bones[words[1]] += 1
    elif words[:1] == ["time:"]:
        tally.times.append(float(words[1]))
    elif words[:1] == ["mocap:"]:
        tally.others["/".join(words[:4])] += 1


def read_own(line: str, tally: Tally) -> None:
    """Lines of the receivers in this folder."""
    kind, _, rest = line.strip().partition(" ")
    if kind == "bone":
        tally.bones[rest] += 1
    elif kind == "time":
        tally.times.append(float(rest))
    elif kind == "joints":
        number, time, text = rest.split(" ", 2)
        places = {re.sub("^.", lambda m: m[0].upper(), name): place for name, place in json.loads(text).items()}
        tally.frames = int(number)
        tally.joints[float(time)] = np.array([places[name] for name in HUMANOID.names])
    elif kind.startswith("/"):
        tally.others[kind] += 1


def _read_unity(line: str, tally: Tally) -> None:
    if line.startswith("pose "):
        words = line.split(" ", 3)
        tally.frames = int(words[1])
        tally.joints[float(words[2])] = unity.positions(line, HUMANOID)


CLIENTS: dict[str, Client] = {
    "liblo oscdump": Client(("oscdump",), lambda scratch, port: ["oscdump", "-L", str(port)], _read_oscdump),
    "Pure Data, VMC": Client(("puredata",), _pure_data("vmc"), _read_pure_data, digits=3),
    "Pure Data, AI-Toolbox": Client(
        ("puredata",), _pure_data("mocap"), _read_pure_data, {"send": "ai_toolbox"}, "mocap:/0/joint/pos_world"
    ),
    "npm osc": Client(("node", "npm:osc"), _node("osc_receive.js"), read_own),
    "npm osc, TouchDesigner": Client(
        ("node", "npm:osc"), _node("osc_receive.js"), read_own, {"send": "touchdesigner"}, "/p1/hips:tx"
    ),
    "npm osc, VMC unbundled": Client(
        ("node", "npm:osc"), _node("osc_receive.js"), read_own, {"send": "vmc", "bundle": False}
    ),
    "OscJack under mono": Client(("mcs", "mono", "npm:jp.keijiro.osc-jack"), _oscjack, read_own, stops="input"),
    "clients/unity under mono": Client(unity.NEEDS, _unity, _read_unity, commands=_avatar, stops="input"),
    "vmcp": Client(("pip:vmcp",), _python("vmcp_receive.py"), read_own),
    "Blender, clients/blender": Client(("pip:bpy",), _blender, read_own),
    "three-vrm in Chromium": Client(
        ("node", "chromium", "npm:osc", "npm:ws", "npm:three", "npm:@pixiv/three-vrm", "npm:playwright-core"),
        _three_vrm,
        read_own,
        stops="input",
    ),
}
# In no registry: their sources would have to be fetched by hand.
NOT_INSTALLABLE = {"uOSC and EVMC4U": "github only", "VMC4B": "github only"}
