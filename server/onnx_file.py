"""What a model file asks for, before anything of it is run: whose operators, and which other files.

Only as much of the format is read as tells that: protobuf's fields, https://protobuf.dev/programming-guides/encoding/,
numbered as in https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. Weights are skipped, not read.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

LARGEST = 2_000_000_000  # bytes, with weights beside the file; protobuf itself ends at 2 GiB
# Operators that onnxruntime brings itself. No others are ever registered: a library with some is code.
DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}
METADATA = 14  # the field of a ModelProto that has a StringStringEntryProto for each pair

# Which fields of a message are messages that matter here, and of what kind.
MESSAGES = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto",
        6: "GraphProto",
        10: "TensorProto",
        11: "GraphProto",
        22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
    "TensorProto": {13: "StringStringEntryProto"},
    "StringStringEntryProto": {},
}
# And which of their fields are texts that matter.
TEXTS = {
    "NodeProto": {4: "op_type", 7: "domain"},
    "FunctionProto": {1: "name", 10: "domain"},
    "StringStringEntryProto": {1: "key", 2: "value"},
}


class Asked(NamedTuple):
    """operators: (domain, name) of every node. functions: of those that the file itself is made of. files: names of
    files with weights."""

    operators: set[tuple[str, str]]
    functions: set[tuple[str, str]]
    files: set[str]


def check(path: Path) -> set[str]:
    """The names of a model's operators. Raises ValueError in words for a model that may not be opened, OSError for a
    file that cannot be read.
    """
    size = path.stat().st_size
    asked = _asked(path) if 0 < size <= LARGEST else Asked(set(), set(), set())
    strange = sorted(f"{d}.{n}" for d, n in asked.operators - asked.functions if d not in DOMAINS)
    if strange:
        some = ", ".join(strange[:5])
        raise ValueError(
            f"it needs operators of somebody's own ({some}), which would be code from elsewhere; known are those of "
            f"{', '.join(sorted(DOMAINS - {''}))}"
        )
    folder = path.parent.resolve()
    for name in sorted(asked.files):
        file = (folder / name).resolve()
        if Path(name).is_absolute() or not file.is_relative_to(folder):
            raise ValueError(f"it keeps weights in {name!r}, outside its own folder; they must lie beside it")
        if not file.is_file():
            raise ValueError(f"it keeps weights in {name!r}, which is not there; they must lie beside it")
        size += file.stat().st_size
    if size > LARGEST:
        raise ValueError(f"it has {size:,} bytes with its weights; a model has at most {LARGEST:,}")
    return {name for _, name in asked.operators}


def metadata(path: Path) -> dict[str, str]:
    """What a model says of itself. Raises ValueError for what is no model, OSError for a file that cannot be read."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        pairs = [
            [data[first:last].decode("utf-8") for _, first, last in _fields(data, begins, ends)]
            for number, begins, ends in _fields(data, 0, len(data))
            if number == METADATA
        ]
    return {key: value for key, value in (pair for pair in pairs if len(pair) == 2)}


def _asked(path: Path) -> Asked:
    asked = Asked(set(), set(), set())
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        waiting = [("ModelProto", 0, len(data))]
        while waiting:
            kind, start, end = waiting.pop()
            texts = {"domain": ""}
            for number, begins, ends in _fields(data, start, end):
                if (part := MESSAGES[kind].get(number)) is not None:
                    waiting.append((part, begins, ends))
                elif (text := TEXTS.get(kind, {}).get(number)) is not None:
                    texts[text] = data[begins:ends].decode("utf-8", "backslashreplace")
            if kind == "NodeProto":
                asked.operators.add((texts["domain"], texts.get("op_type", "")))
            elif kind == "FunctionProto":
                asked.functions.add((texts["domain"], texts.get("name", "")))
            elif texts.get("key") == "location":
                asked.files.add(texts.get("value", ""))
    return asked


def _fields(data: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The fields of a message that have a length: number, and where their bytes begin and end."""
    while start < end:
        key, start = _varint(data, start, end)
        number, wire = key >> 3, key & 7
        if wire == 0:
            _, start = _varint(data, start, end)
        elif wire in (1, 5):
            start += 8 if wire == 1 else 4
        elif wire == 2:
            length, start = _varint(data, start, end)
            if length <= end - start:
                yield number, start, start + length
            start += length
        else:
            raise ValueError(f"byte {start} begins no field of a model")
        if start > end:
            raise ValueError(f"the field that ends at byte {start} is longer than what it is in")


def _varint(data: mmap.mmap, start: int, end: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where it ends."""
    value = 0
    for place in range(start, min(start + 10, end)):
        value |= (data[place] & 0x7F) << (7 * (place - start))
        if data[place] < 0x80:
            return value, place + 1
    raise ValueError(f"byte {start} begins no number")
