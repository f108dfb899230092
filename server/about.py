"""What is on stage, as a recording's `show.json` has it: presets and the files they have open, by their content."""

from __future__ import annotations

import contextlib
import hashlib
import platform
from collections.abc import Callable
from datetime import datetime
from importlib import metadata
from pathlib import Path

from server.calibrations import Calibrations
from server.preset import Preset
from server.recording import About, FileMark, PresetMark
from server.variants import file_of


def mark(preset: Preset, path: Path) -> PresetMark:
    """A preset as it is now; path: its file. Raises OSError for a file that is gone."""
    files = {
        f"partners.{name}.{key}": file
        for name, partner in preset.partners.items()
        for key, file in partner.files().items()
    }
    for name, dancer in preset.dancers.items():
        files |= {f"dancers.{name}.{key}": file for key, file in dancer.files().items()}
    marks = {key: FileMark(name=file.name, sha256=_digest(file)) for key, file in files.items()}
    return PresetMark(name=path.name, text=file_of(path).read_text(encoding="utf-8"), files=marks)


def about_show(
    preset: Preset,
    path: Path,
    seed: int,
    seed_asked: bool,
    calibrations: Calibrations,
    now: Callable[[], float],
    whole: bool,
) -> About:
    """What is on stage. path: the preset's file. now: the show's clock. Raises OSError for a file that is gone."""
    opening = mark(preset, path)
    return About(
        begun=datetime.now().astimezone().isoformat(timespec="milliseconds"),
        clock=now(),
        whole=whole,
        preset=opening.name,
        text=opening.text,
        seed=seed,
        seed_asked=seed_asked,
        fps=preset.clock.fps,
        files=opening.files,
        versions=versions(),
        dancers={name: dancer.receive for name, dancer in preset.dancers.items()},
        calibrations={name: calibration.to_dict() for name, calibration in calibrations.newest.items()},
    )


def versions() -> dict[str, str]:
    """Of what a show is made of."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in ("pas-de-deux", "numpy", "onnxruntime", "onnxruntime-gpu"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
