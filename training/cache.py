"""Takes already read: arrays and facts, kept under a key of everything that made them.

The key is of the file's content, the settings, the code that reads and the libraries it uses: another word in any of
them is another key, so nothing stale is ever found. Written whole or not at all, so processes may share a folder; what
cannot be read back is made again.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import tempfile
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

_ROOT = Path(__file__).resolve().parents[1]
# The code between a file's bytes and a track: a change here may change the result.
_CODE = ("motion/*.py", "training/reading.py", "training/cache.py")
_LIBRARIES = ("numpy", "scipy", "bvhio", "ufbx")


class Cache:
    """A folder of results. `folder` None keeps nothing."""

    def __init__(self, folder: str | Path | None) -> None:
        self._folder = None if folder is None else Path(folder)

    def get(self, key: str) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        """The arrays and facts under a key; None when there are none, or none that can be read."""
        if self._folder is None:
            return None
        try:
            with (self._folder / f"{key}.npz").open("rb") as file, np.load(file) as stored:
                arrays = {name: stored[name] for name in stored.files}
            return arrays, json.loads(str(arrays.pop("facts")))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def put(self, key: str, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
        """Keep arrays and JSON-ready facts. A folder that cannot be written is no fault of the training."""
        if self._folder is None:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            number, name = tempfile.mkstemp(suffix=".part", dir=self._folder)
        except OSError:
            return
        try:
            with os.fdopen(number, "wb") as file:
                np.savez(file, facts=json.dumps(facts), **arrays)
            os.replace(name, self._folder / f"{key}.npz")
        except OSError:
            Path(name).unlink(missing_ok=True)


def digest(path: Path) -> str:
    """The SHA-256 of a file's content, as manifests name it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def key(content: str, settings: dict[str, Any]) -> str:
    """The key of a file's digest read with JSON-ready settings."""
    whole = json.dumps([content, settings, code_digest(), library_versions()], sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()[:40]


@lru_cache
def code_digest() -> str:
    """Of the source of everything that turns a file into a track."""
    content = hashlib.sha256()
    for pattern in _CODE:
        for path in sorted(_ROOT.glob(pattern)):
            content.update(path.read_bytes())
    return content.hexdigest()


@lru_cache
def library_versions() -> tuple[str, ...]:
    """Of the libraries on that way, as installed."""
    versions = []
    for name in _LIBRARIES:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{name} -")
    return tuple(versions)
