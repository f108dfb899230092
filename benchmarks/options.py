"""What benchmarks of a whole show are told alike: which preset, what its dancers dance, and where the figures go."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.live import ROOT
from server.preset import Preset, PresetError, load


def show_parser(about: str | None) -> argparse.ArgumentParser:
    """about: the docstring of the benchmark, of which the first line is shown."""
    parser = argparse.ArgumentParser(description=(about or "").splitlines()[0])
    parser.add_argument("--preset", type=Path, default=ROOT / "presets/live_vmc.yaml")
    parser.add_argument("--take", type=Path, default=ROOT / "presets/clips/demo_dancer.bvh", help="what suits dance")
    parser.add_argument("--json", type=Path)
    return parser


def opened(parser: argparse.ArgumentParser, *paths: Path) -> list[Preset]:
    """The presets; a fault of one ends the program as a wrong option does."""
    try:
        return [load(path) for path in paths]
    except PresetError as error:
        parser.error(str(error))
