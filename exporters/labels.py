"""A model file's label, written anew: the graph stays as it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx

from exporters.whole import together
from motion.manifest import METADATA_KEY, Manifest


def relabel(path: Path, **changes: Any) -> None:
    """Puts other values into fields of the label of a model. Raises ValueError for a file without one, and OSError."""
    try:
        proto = onnx.load(path)
    except Exception as error:  # protobuf has its own
        raise ValueError(f"{path}: no model: {error}") from None
    labels = [entry for entry in proto.metadata_props if entry.key == METADATA_KEY]
    if not labels:
        raise ValueError(f"{path} has no label; `python -m exporters.onnx` writes models that have one")
    labels[0].value = replace(Manifest.from_json(labels[0].value), **changes).to_json()
    with together() as places:
        onnx.save(proto, places.file(path))
