"""Files that are there whole or not at all, and several only together: a reader never sees half of what was made."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


class Places:
    """Where to write instead of a path, and instead of a folder, whose files come into the one that may be there."""

    def __init__(self) -> None:
        self._files: list[tuple[Path, Path]] = []
        self._folders: list[tuple[Path, Path]] = []

    def file(self, path: Path) -> Path:
        number, name = tempfile.mkstemp(prefix=".", suffix=f".part{path.suffix}", dir=path.parent)
        os.close(number)
        self._files.append((Path(name), path))
        return Path(name)

    def folder(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._folders.append((Path(tempfile.mkdtemp(prefix=".", suffix=".part", dir=path.parent)), path))
        return self._folders[-1][0]

    def move(self) -> None:
        for part, folder in self._folders:
            folder.mkdir(exist_ok=True)
            self._files += [(path, folder / path.name) for path in sorted(part.iterdir())]
        for part, path in self._files:
            part.chmod(0o644)
            os.replace(part, path)

    def clear(self) -> None:
        for part, _ in self._files:
            part.unlink(missing_ok=True)
        for part, _ in self._folders:
            shutil.rmtree(part, ignore_errors=True)


@contextmanager
def together() -> Iterator[Places]:
    """What is written to the places is moved to its paths at the end; when the block raises, those stay what they were.

    Raises OSError.
    """
    places = Places()
    try:
        yield places
        places.move()
    finally:
        places.clear()


def write_text(path: Path, parts: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(parts)
