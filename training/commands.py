"""The training commands by name, as they are called where the project is installed: `pas-de-deux-train` and so on.

Nothing else is imported before it is known that the packages for training are there.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys

NEEDED = ("torch", "lightning", "onnx", "matplotlib")


def quickstart() -> int:
    """Two recordings -> a partner."""
    return _begin("training.quickstart")


def train() -> int:
    """Recordings -> a model."""
    return _begin("training.train")


def export() -> int:
    """A checkpoint -> an .onnx file."""
    return _begin("exporters.onnx")


def scorecard() -> int:
    """A model's figures."""
    return _begin("training.scorecard")


def _begin(module: str) -> int:
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        print(
            f"training needs packages that are not installed here ({', '.join(missing)}); install the project with its "
            "extra `training`: pip install '.[training]' in a checkout, pip install 'FILE.whl[training]' from a wheel",
            file=sys.stderr,
        )
        return 1
    return int(importlib.import_module(module).main())
