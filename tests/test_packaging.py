"""What is installed elsewhere: the wheel has everything a show needs, and nothing of whoever built it."""

import importlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("motion", "server", "training", "exporters", "benchmarks", "presets")
BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
COMMANDS = ("pas-de-deux", "pas-de-deux-quickstart", "pas-de-deux-train", "pas-de-deux-export", "pas-de-deux-scorecard")
LOAD = """
from motion import shipped
from server import preset
from training import config
for name in shipped.names():
    preset.load(shipped.find(name))
for name in shipped.names("training"):
    config.load(name)
print(shipped.find("demo"), len(shipped.names()), shipped.find("demo_dancer", "clips", ".bvh").is_file())
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is packed, for a build leaves things lying about."""
    folder = tmp_path_factory.mktemp("source")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "MANIFEST.in", "README.md", "run_server.py"):
        shutil.copy(ROOT / file, folder)
    (folder / "presets/live_vmc.calibration.json").write_text("{}")  # this machine's own
    return folder


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-W", "ignore", "-c", BUILD, str(folder)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    return zipfile.ZipFile(next(folder.glob("pas_de_deux-*-py3-none-any.whl")))


def test_a_wheel_has_every_source_file_and_no_more_packages(wheel: zipfile.ZipFile) -> None:
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    sources = {str(path.relative_to(ROOT).as_posix()) for room in PACKAGES for path in (ROOT / room).rglob("*.py")}
    assert packed >= sources | {"run_server.py", "motion/joint_limits.json", "training/lstm_steps.c"}
    assert {name.split("/")[0] for name in packed} == {*PACKAGES, "run_server.py"}


def test_a_wheel_has_shows_clips_and_models_but_no_calibrations(wheel: zipfile.ZipFile) -> None:
    packed = {name for name in wheel.namelist() if name.startswith("presets/")}
    wanted = {".yaml", ".onnx", ".bvh", ".ckpt"}
    files = {path for path in (ROOT / "presets").rglob("*") if path.suffix in wanted}
    assert packed == {str(path.relative_to(ROOT).as_posix()) for path in files}


def test_shows_and_configs_are_found_where_a_wheel_is_unpacked(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    there, elsewhere = tmp_path / "there", tmp_path / "elsewhere"
    wheel.extractall(there)
    elsewhere.mkdir()
    environment = os.environ | {"PYTHONPATH": str(there)}
    ran = subprocess.run(
        [sys.executable, "-c", LOAD], cwd=elsewhere, env=environment, check=True, capture_output=True, text=True
    )
    shows = len(list((ROOT / "presets").glob("*.yaml")))
    assert ran.stdout.split() == [str(there / "presets/demo.yaml"), str(shows), "True"]


def test_a_wheel_brings_the_commands(wheel: zipfile.ZipFile) -> None:
    named = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    commands = dict(line.split(" = ") for line in wheel.read(named).decode().splitlines() if " = " in line)
    assert commands.keys() == set(COMMANDS)
    for module, function in (place.split(":") for place in commands.values()):
        assert callable(getattr(importlib.import_module(module), function))


def test_training_commands_say_what_is_missing(tmp_path: Path) -> None:
    without = "import sys; sys.modules['torch'] = None; from training import commands; sys.exit(commands.train())"
    ran = subprocess.run(
        [sys.executable, "-c", without], cwd=tmp_path, capture_output=True, text=True, env=_here(), check=False
    )
    assert ran.returncode == 1
    assert ran.stderr.startswith("training needs packages that are not installed here (torch); install the project")


@pytest.mark.skipif(os.name != "posix", reason="start.bat is for this system")
@pytest.mark.parametrize("script", ["start.sh", "start.command"])
def test_a_start_script_starts_the_show_from_any_folder(tmp_path: Path, script: str) -> None:
    there = tmp_path / "pas de deux"
    (there / ".venv/bin").mkdir(parents=True)
    python = there / ".venv/bin/python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    for file in ("start.sh", "start.command", "pyproject.toml"):
        shutil.copy(ROOT / file, there)
    shutil.copy(ROOT / "pyproject.toml", there / ".venv/installed.toml")
    (there / "run_server.py").symlink_to(ROOT / "run_server.py")
    ran = subprocess.run(
        [there / script, "dmeo"], cwd=tmp_path, capture_output=True, text=True, env=_here(), check=False
    )
    assert ran.returncode == 2
    assert "'dmeo' is neither a file nor a shipped show" in ran.stderr


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="start.bat is for this system")
def test_a_start_script_makes_the_environment(source: Path, tmp_path: Path) -> None:
    shutil.copy(ROOT / "start.sh", source)
    ran = subprocess.run([source / "start.sh", "--help"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("First run: making the environment")
    again = subprocess.run([source / "start.sh", "--help"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert again.stdout.startswith("usage: ")


def test_the_windows_script_has_windows_lines() -> None:
    lines = (ROOT / "start.bat").read_bytes().split(b"\n")
    assert all(line.endswith(b"\r") for line in lines[:-1])
    assert (ROOT / "start.bat").read_bytes().isascii()


def _here() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}
