"""The house rules: who may import whom. Read from the source, so that a forbidden import cannot hide in a function."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("motion", "server", "training", "exporters", "benchmarks")
# Third-party packages that only the named files may import.
ONLY_IN = {
    "bvhio": {"motion/bvh.py"},
    "ufbx": {"motion/fbx.py"},
    "onnxruntime": {"server/onnx_model.py", "exporters/", "benchmarks/", "training/", "tests/"},
    "viser": {"server/stage_view.py", "server/stage_view/", "server/stage_bodies.py"},
    "yaml": {"server/preset.py", "training/", "benchmarks/"},
    "pydantic": {"server/preset.py", "server/preset_faults.py"},
}
# For each folder or file: the rooms of ours that it may import (its own included).
MAY_IMPORT = {
    "motion/": {"motion"},
    "server/protocols/": {"motion", "server.protocols", "server.params"},
    "server/params.py": {"motion"},
    "server/clock.py": set(),
    "server/timeline.py": {"motion", "server.protocols"},
    "server/stages/": {"motion", "server.stages", "server.onnx_model", "server.params", "server.protocols"},
    "server/pipeline.py": {"motion", "server.params", "server.protocols", "server.stages", "server.timeline"},
    "server/onnx_model.py": {"motion"},
    "server/": {"motion", "server"},
    "training/models/": {"motion", "training"},
    "exporters/": {"motion", "training", "exporters"},
}
FORBIDDEN_IN_SERVER = {"torch", "onnx", "lightning", "training", "exporters", "benchmarks"}


def source_files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def allowed(name: str, rooms: set[str]) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


ALL = [path for room in ROOMS for path in source_files(room)]


@pytest.mark.parametrize("path", [*ALL, ROOT / "run_server.py"], ids=lambda p: str(p.relative_to(ROOT)))
def test_every_file_imports_only_what_its_room_may(path: Path) -> None:
    place = str(path.relative_to(ROOT))
    rule = next((rooms for prefix, rooms in MAY_IMPORT.items() if place.startswith(prefix)), None)
    for name in imports(path):
        top = name.split(".")[0]
        if place.startswith(("server/", "motion/")) or place == "run_server.py":
            assert top not in FORBIDDEN_IN_SERVER, f"{place} imports {name}"
        if rule is not None and top in ROOMS:
            assert allowed(name, rule), f"{place} may not import {name}"
        if top in ONLY_IN:
            assert place.startswith(tuple(ONLY_IN[top])), f"{place} may not import {name}"


@pytest.mark.parametrize("folder", ["server/protocols"])
def test_protocols_own_no_sockets(folder: str) -> None:
    for path in source_files(folder):
        assert not {"socket", "zmq", "threading"} & {name.split(".")[0] for name in imports(path)}, path.name
