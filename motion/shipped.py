"""Files that come with the project, found by name: shows, clips, training configurations.

They lie in `presets`, beside the packages, in a checkout and where the project is installed.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "presets"


def find(name: str | Path, kind: str = "", suffix: str = ".yaml") -> Path:
    """The file `name`, or the shipped one of that name: `demo`, `demo.yaml` and `presets/demo.yaml` are the same show.

    kind: the folder in `presets`: "" (shows), "clips" or "training". A name of nothing is returned as it is.
    """
    path = Path(name)
    if path.is_file() or path.is_absolute():
        return path
    beside = FOLDER.parent / path if path.parts[:1] == (FOLDER.name,) else FOLDER / kind / path
    return next((found for found in (beside, beside.with_name(f"{beside.name}{suffix}")) if found.is_file()), path)


def names(kind: str = "", suffix: str = ".yaml") -> list[str]:
    """What `find` knows by name, without the suffix."""
    return sorted(path.stem for path in (FOLDER / kind).glob(f"*{suffix}"))
