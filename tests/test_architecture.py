"""The house rules: who may import whom. Read from the source, so that a forbidden import cannot hide in a function.

A file obeys the longest row that its path begins with; a file with imports and no row is a fault, too.
"""

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("motion", "server", "training", "exporters", "benchmarks", "clients")
OURS = {*ROOMS, "run_server", "tests"}

LEARNING = {"h5py", "lightning", "matplotlib", "numpy", "torch", "tqdm", "wandb", "yaml"}
PAGE = {
    "motion",
    "server.allowed",
    "server.keys",
    "server.page_secrets",
    "server.params",
    "server.protocols",
    "server.stage_view",
}
RECEIVERS = {
    *("motion", "server.admission", "server.allowed", "server.params", "server.protocols"),
    *("server.receivers", "server.timeline"),
}
KEYS = {"server.allowed", "server.keys"}  # who may connect, and by which key

# path: what it may import of ours, and of others beside the standard library
MAY_IMPORT: dict[str, tuple[set[str], set[str]]] = {
    "motion/": ({"motion"}, {"numpy", "scipy"}),
    "motion/bvh.py": ({"motion"}, {"bvhio", "numpy"}),
    "motion/fbx.py": ({"motion"}, {"numpy", "ufbx"}),
    # What a frame passes through: no sockets, no files, no clock of its own.
    "server/protocols/": ({"motion", "server.protocols"}, {"numpy"}),
    "server/protocols/lz4_frame.py": ({"server.protocols"}, {"lz4"}),
    "server/protocols/msgpack_poses.py": ({"motion", "server.protocols"}, {"msgpack", "numpy"}),
    "server/params.py": ({"motion"}, {"numpy"}),
    "server/timeline.py": ({"motion", "server.clock_skew", "server.protocols"}, {"numpy"}),
    "server/clock_skew.py": (set(), {"numpy"}),
    "server/stages/": (
        {"motion", "server.onnx_model", "server.params", "server.protocols", "server.stages"},
        {"numpy"},
    ),
    "server/pipeline.py": ({"motion", "server.lines", "server.params", "server.protocols", "server.stages"}, set()),
    "server/lines.py": ({"motion", "server.params", "server.protocols", "server.stages", "server.timeline"}, set()),
    "server/onnx_model.py": ({"motion", "server.onnx_cuda", "server.onnx_file"}, {"numpy", "onnxruntime"}),
    "server/onnx_cuda.py": (set(), {"numpy", "onnxruntime"}),
    # Doors: each owns its socket or its file.
    "server/receivers/": (RECEIVERS, {"numpy"}),
    "server/keys.py": (set(), {"zmq"}),
    "server/page_secrets.py": ({"server.keys"}, set()),
    "server/receivers/zmq.py": ({*RECEIVERS, *KEYS}, {"numpy", "zmq"}),
    "server/receivers/playback.py": ({*RECEIVERS, "server.recording", "server.records"}, set()),
    "server/receivers/replay.py": ({*RECEIVERS, "server.recording", "server.records", "server.turn"}, set()),
    "server/senders/": ({"server.protocols", "server.senders"}, set()),
    "server/senders/bvh.py": ({"motion", "server.protocols", "server.senders"}, {"numpy"}),
    "server/senders/zmq.py": ({"server.protocols", "server.senders", *KEYS}, {"zmq"}),
    "server/senders/doorman.py": ({"server.allowed"}, {"zmq"}),
    "server/control.py": (
        {"server.admission", "server.allowed", "server.desk", "server.errands", "server.preset_control"}
        | {"server.protocols"},
        set(),
    ),
    "server/osc_query.py": (
        {"server.addresses", "server.admission", "server.allowed", "server.control", "server.desk"},
        set(),
    ),
    "server/discovery.py": (set(), {"ifaddr", "zeroconf"}),
    # What a show can be asked, whoever asks.
    "server/desk.py": (
        {"server.addresses", "server.asked", "server.cues", "server.errands", "server.params", "server.pipeline"}
        | {"server.stages.sample_wishes"},
        set(),
    ),
    "server/asked.py": ({"server.errands"}, set()),
    "server/addresses.py": (
        {"server.cues", "server.errands", "server.params", "server.pipeline", "server.protocols"}
        | {"server.stages.effort", "server.stages.sample_wishes"},
        {"numpy"},
    ),
    "server/cues.py": ({"server.params", "server.preset_control", "server.stages.sample_wishes"}, set()),
    "server/player_commands.py": (
        {"motion", "server.errands", "server.preset", "server.preset_dancers", "server.receivers"},
        set(),
    ),
    "server/switch.py": (
        {"server.cues", "server.dry_run", "server.errands", "server.pipeline", "server.preset"}
        | {"server.preset_control", "server.tick", "server.variants"},
        set(),
    ),
    "server/steering.py": (
        {
            "server.control",
            "server.desk",
            "server.discovery",
            "server.keys",
            "server.osc_query",
            "server.preset_control",
        },
        set(),
    ),
    "server/preset.py": (
        {
            "motion",
            "server.preset_control",
            "server.preset_dancers",
            "server.preset_doors",
            "server.preset_faults",
            "server.preset_outputs",
            "server.preset_partners",
            "server.preset_values",
            "server.preset_yaml",
        },
        {"pydantic"},
    ),
    "server/preset_yaml.py": (set(), {"yaml"}),
    "server/preset_control.py": (
        {"server.allowed", "server.preset_values", "server.stages.sample_wishes"},
        {"pydantic"},
    ),
    "server/preset_partners.py": (
        {"motion", "server.preset_faults", "server.preset_values", "server.stages.sample_wishes"},
        {"pydantic"},
    ),
    "server/preset_doors.py": (
        {"server.allowed", "server.preset_control", "server.preset_dancers", "server.preset_outputs"}
        | {"server.preset_values"},
        {"pydantic"},
    ),
    "server/preset_dancers.py": ({"server.preset_values"}, {"pydantic"}),
    "server/preset_outputs.py": ({"motion", "server.preset_values", "server.protocols"}, {"pydantic"}),
    "server/preset_faults.py": (set(), {"pydantic"}),
    "server/preset_values.py": (set(), {"pydantic"}),
    # What runs the show.
    "server/stats.py": (set(), {"numpy"}),
    "server/outputs.py": (
        {"motion", "server.keys", "server.preset", "server.preset_outputs", "server.protocols", "server.senders"},
        set(),
    ),
    "server/calibrations.py": ({"motion", "server.params", "server.preset", "server.show"}, set()),
    "server/inputs.py": (
        {"motion", "server.admission", "server.keys", "server.preset", "server.preset_dancers"}
        | {"server.protocols", "server.receivers"},
        set(),
    ),
    "server/rehearsal.py": ({"server.outputs", "server.pipeline", "server.protocols"}, set()),
    "server/tick.py": (
        {"server.clock", "server.lateness", "server.outputs", "server.params", "server.pipeline", "server.protocols"}
        | {"server.rehearsal", "server.stages.ladder", "server.stats", "server.timeline", "server.turn"}
        | {"server.way_out", "server.worker"},
        set(),
    ),
    "server/way_out.py": (
        {"server.clock", "server.outputs", "server.pipeline", "server.protocols", "server.stats"},
        set(),
    ),
    "server/lateness.py": (set(), set()),
    "server/crash.py": ({"server.about", "server.recorder"}, set()),
    "server/logs.py": ({"server.report"}, set()),
    "server/metrics.py": ({"server.stages.ladder", "server.stats"}, {"prometheus_client"}),
    "server/watchdog.py": ({"server.tick"}, set()),
    "server/ladder_command.py": ({"server.errands", "server.params", "server.pipeline", "server.stages"}, set()),
    "server/records.py": ({"motion", "server.params", "server.protocols", "server.turn"}, {"numpy"}),
    "server/recording.py": ({"motion", "server.records"}, {"pydantic"}),
    "server/about.py": ({"server.calibrations", "server.preset", "server.recording", "server.variants"}, set()),
    "server/recorder.py": (
        {"server.protocols", "server.receivers", "server.recording", "server.records", "server.turn"},
        set(),
    ),
    "server/tapes.py": ({"server"}, set()),
    "server/variants.py": ({"motion", "server.onnx_file", "server.preset", "server.preset_partners"}, set()),
    "server/turn.py": ({"server.params", "server.protocols"}, set()),
    "server/worker.py": ({"server.stages"}, set()),
    "server/apart.py": (set(), set()),
    "server/experts.py": ({"server.apart", "server.pipeline", "server.stages.worker"}, set()),
    "server/page_command.py": ({"server.preset_doors", "server.preset_values"}, set()),
    "server/show.py": (
        {"motion", "server.lines", "server.onnx_model", "server.params", "server.pipeline", "server.preset"}
        | {"server.preset_dancers"}
        | {"server.preset_partners", "server.stages"},
        set(),
    ),
    "server/dry_run.py": ({"motion", "server.lines", "server.pipeline", "server.protocols"}, {"numpy"}),
    "server/render.py": ({"motion", "server.pipeline", "server.protocols", "server.receivers"}, {"numpy"}),
    "server/report.py": (
        {"motion", "server.lines", "server.preset", "server.receivers", "server.stages", "server.steering"}
        | {"server.tapes", "server.tick"},
        set(),
    ),
    "server/terminal.py": ({"server.report"}, set()),
    "server/app.py": ({"motion", "server"}, set()),
    "run_server.py": (
        {
            "motion.shipped",
            "server.app",
            "server.dry_run",
            "server.logs",
            "server.preset",
            "server.preset_doors",
            "server.preset_values",
            "server.recording",
            "server.render",
        }
        | {"server.show", "server.terminal"},
        set(),
    ),
    # The stage page: a process of its own.
    "server/stage_view/": (PAGE, {"numpy"}),
    "server/stage_view/deck.py": (PAGE, {"viser"}),
    "server/stage_view/dials.py": (PAGE, {"viser"}),
    "server/stage_view/fader.py": (PAGE, {"viser"}),
    "server/stage_view/feed.py": (PAGE, {"zmq"}),
    "server/stage_view/opening.py": (PAGE, {"viser", "websockets"}),
    "server/stage_view/panel.py": (PAGE, {"viser"}),
    "server/stage_view/tape.py": (PAGE, {"viser"}),
    "server/stage_view/pins.py": (PAGE, {"numpy", "viser"}),
    "server/stage_view/scene.py": (PAGE, {"numpy", "viser"}),
    "server/stage_view/__main__.py": (PAGE, {"viser"}),
    # Training, and the commands that judge with the server's own model class.
    "training/": ({"motion", "training"}, LEARNING),
    "training/examples/": ({"motion", "training"}, {*LEARNING, "scipy"}),
    "training/examples/drmm_motion.py": (
        {"exporters.gif", "motion", "server.onnx_model", "server.protocols", "server.stages", "training"},
        {"matplotlib", "numpy"},
    ),
    "training/train.py": ({"exporters", "motion", "training"}, LEARNING),
    "training/scorecard": (
        {"benchmarks", "exporters", "motion", "training"}
        | {"server.lines", "server.onnx_model", "server.pipeline", "server.preset", "server.protocols", "server.show"},
        {"matplotlib", "numpy"},
    ),
    "training/scorecards/drmm": (
        {"exporters", "motion", "server.onnx_model", "training"},
        {"numpy", "torch"},
    ),
    # The labelling page draws on the stage page's stage.
    "training/label.py": ({"motion", "server.stage_view.opening", "training"}, {"numpy"}),
    "training/label_page.py": (
        {"motion", "server.protocols.frames", "server.stage_view.scene", "training"},
        {"numpy", "viser"},
    ),
    "training/quickstart.py": ({"benchmarks.report", "motion", "training"}, LEARNING),
    "training/sweep.py": ({"motion", "training"}, {"optuna", "yaml"}),
    "training/evaluate": ({"exporters", "motion", "training"}, LEARNING),
    "training/results/": ({"exporters", "motion", "training"}, {"numpy"}),
    "training/results/identity_": ({"exporters", "motion", "training"}, {"numpy", "torch"}),
    "exporters/": ({"exporters", "motion", "training"}, {"numpy", "onnx", "onnxruntime", "torch"}),
    "exporters/infill.py": ({"motion", "server.onnx_model"}, {"numpy"}),
    "exporters/upsample_keypoints.py": ({"exporters", "motion", "server.onnx_model"}, {"numpy", "scipy"}),
    "exporters/upsample_poses.py": ({"exporters", "motion", "server.onnx_model"}, {"numpy"}),
    "exporters/upsampling.py": ({"exporters", "motion", "server.onnx_model"}, {"numpy"}),
    "exporters/recording.py": ({"motion", "server.protocols", "server.recording", "server.records"}, {"numpy"}),
    "exporters/gif.py": ({"motion"}, {"PIL", "imageio", "matplotlib", "numpy"}),
    "exporters/gltf.py": ({"motion"}, {"numpy", "pygltflib"}),
    "exporters/fbx.py": ({"motion"}, {"bpy"}),
    "benchmarks/": (set(ROOMS), {"numpy", "pythonosc", "yaml"}),
    "benchmarks/drmm.py": (set(ROOMS), {"numpy", "torch"}),
    "benchmarks/fuzz_seeds.py": (set(ROOMS), {"msgpack", "numpy"}),
    "benchmarks/page.py": (set(ROOMS), {"numpy", "playwright", "yaml"}),
    "benchmarks/training.py": (set(ROOMS), {"lightning", "numpy", "torch"}),
    "benchmarks/viewers.py": (
        set(ROOMS),
        {"msgspec", "numpy", "viser", "websockets", "yaml", "zmq", "zstandard"},
    ),
    "benchmarks/interop/blender_": (set(), {"bpy", "import_recording", "receive_vmc"}),  # clients/blender's
    "benchmarks/interop/vmcp_receive.py": (set(), {"vmcp"}),
    "clients/": (set(), {"numpy", "zmq"}),
    "clients/blender/": (set(), {"bpy", "mathutils"}),
}
# Where programs begin: nobody imports them but the files named here.
ONLY_FOR = {
    "server.app": ("benchmarks/stages.py", "run_server.py"),
    "server.stage_view": ("server/stage_view/", "training/label.py", "training/label_page.py"),
    "training.train": ("training/scorecards/", "training/quickstart.py", "training/sweep.py"),
    "training.scorecard": (),
    "training.scorecards": ("training/quickstart.py", "training/scorecard", "training/train.py"),
    "training.examples": ("training/examples/",),
}
# Plain synchronous Python: bytes, numbers and poses in and out.
SYNCHRONOUS = ("motion/", "server/protocols/", "server/stages/", "server/pipeline.py", "server/timeline.py")
WAITING = {"asyncio", "select", "socket", "threading"}


def imports(source: str) -> set[str]:
    """Everything a file imports, by its full name; a relative import keeps its dots."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = "." * node.level + (node.module or "")
            names |= {f"{start}.{alias.name}" for alias in node.names}
    return names


def is_in(name: str, rooms: set[str]) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def faults(place: str, source: str) -> list[str]:
    """What the file at `place` may not import, in words; empty when it keeps the rules."""
    found = []
    row = max((path for path in MAY_IMPORT if place.startswith(path)), key=len, default=None)
    ours, others = MAY_IMPORT[row] if row else (set(), set())
    for name in sorted(imports(source)):
        top = name.split(".")[0]
        if top in sys.stdlib_module_names:
            if top in WAITING and place.startswith(SYNCHRONOUS):
                found.append(f"{place} may not import {name}: it neither waits nor opens anything")
        elif row is None:
            found.append(f"{place} imports {name} and has no row in MAY_IMPORT")
        elif not is_in(name, ours if top in OURS else others):
            choices = ", ".join(sorted(ours if top in OURS else others)) or "nothing"
            found.append(f"{place} may not import {name}; there it may: {choices}")
        for program, users in ONLY_FOR.items():
            if is_in(name, {program}) and not place.startswith(users):
                found.append(f"{place} may not import {name}: that is for {', '.join(users) or 'nobody'}")
    return found


PLACES = sorted(str(path.relative_to(ROOT).as_posix()) for room in ROOMS for path in (ROOT / room).rglob("*.py"))
PLACES.append("run_server.py")


@pytest.mark.parametrize("place", PLACES)
def test_every_file_imports_only_what_its_room_may(place: str) -> None:
    assert faults(place, (ROOT / place).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("row", [*MAY_IMPORT, *(user for users in ONLY_FOR.values() for user in users), *SYNCHRONOUS])
def test_every_row_is_about_a_file_that_is_there(row: str) -> None:
    assert any(place.startswith(row) for place in PLACES)


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("motion/clip.py", "import torch"),
        ("motion/clip.py", "import zmq"),
        ("motion/clip.py", "from pythonosc import udp_client"),
        ("motion/clip.py", "import bvhio"),
        ("motion/clip.py", "from server.params import Params"),
        ("motion/clip.py", "import threading"),
        ("server/protocols/vmc.py", "import socket"),
        ("server/protocols/vmc.py", "from server.receivers.udp import UdpReceiver"),
        ("server/stages/safety.py", "def step():\n    import torch"),
        ("server/stages/safety.py", "import onnxruntime"),
        ("server/pipeline.py", "from server import preset"),
        ("server/onnx_model.py", "import onnx"),
        ("server/receivers/udp.py", "import zmq"),
        ("server/receivers/udp.py", "from server.senders.udp import UdpSender"),
        ("server/senders/udp.py", "from server import tick"),
        ("server/control.py", "from server import pipeline"),
        ("server/desk.py", "import socket\nfrom server import tick"),
        ("server/tick.py", "from server.preset import Preset"),
        ("server/tick.py", "import viser"),
        ("server/app.py", "from training import models"),
        ("server/app.py", "from exporters.onnx import export"),
        ("server/app.py", "from benchmarks import report"),
        ("server/app.py", "from server.stage_view import feed"),
        ("server/app.py", "from . import tick"),
        ("server/stage_view/bodies.py", "import viser"),
        ("server/stage_view/panel.py", "from server import tick"),
        ("run_server.py", "from server.tick import Tick"),
        ("training/losses.py", "from server import onnx_model"),
        ("training/models/duet.py", "import exporters.onnx"),
        ("training/models/duet.py", "from training import train"),
        ("exporters/onnx.py", "from server.onnx_model import OnnxModel"),
        ("benchmarks/report.py", "import run_server"),
        ("clients/python/subscribe.py", "from server.protocols import packed"),
        ("server/something_new.py", "import numpy"),
    ],
)
def test_a_broken_rule_is_found(place: str, source: str) -> None:
    assert len(faults(place, source)) == 1


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("server/stages/safety.py", "from motion import rotations as rot\nimport numpy as np\nimport math"),
        ("server/something_new.py", "import json"),
        ("exporters/onnx.py", "from training.models import load_checkpoint"),
    ],
)
def test_what_is_allowed_is_no_fault(place: str, source: str) -> None:
    assert faults(place, source) == []


HOUSE = (ROOT / "docs/house.md").read_text(encoding="utf-8")
PACKAGES = {Path(place).parent.as_posix() for place in PLACES if "/" in place}


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_the_house_names_every_package(package: str) -> None:
    assert f"`{package}/`" in HOUSE


@pytest.mark.parametrize("place", [path.name for path in sorted((ROOT / "server").glob("[!_]*.py"))])
def test_the_house_says_what_each_file_of_the_server_is_about(place: str) -> None:
    assert f"`{place}`" in HOUSE


@pytest.mark.parametrize("named", sorted(set(re.findall(r"`([\w/.]+(?:\.py|/))`", HOUSE))))
def test_what_the_house_names_is_there(named: str) -> None:
    assert (ROOT / named).exists() or (ROOT / "server" / named).is_file()
