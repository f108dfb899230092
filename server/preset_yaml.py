"""A preset's text as plain values: mappings, lists, texts and numbers, so many and no more. Nothing in it is run.

The size of a text says little of what it stands for: an alias of a list of aliases multiplies. What would come out is
counted before anything is made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

LARGEST_FILE = 1 << 18  # bytes
MOST_VALUES = 20_000  # with those that aliases repeat


def read(path: Path) -> Any:
    """What a file holds. Raises ValueError in words for one that is too large or is not YAML, OSError."""
    with path.open("rb") as file:
        text = file.read(LARGEST_FILE + 1)
    if len(text) > LARGEST_FILE:
        raise ValueError(f"a preset has at most {LARGEST_FILE} bytes")
    try:
        loader = _Loader(text.decode("utf-8"))
        root = loader.get_single_node()
        if root is None:
            return None
        _count(root, {})
        return loader.construct_document(root)
    except RecursionError:
        raise ValueError("not YAML: too deep, or a value that contains itself") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date or a number that is none
        raise ValueError(f"not YAML: {' '.join(str(error).split())}") from None


class _Loader(yaml.SafeLoader):
    """As YAML's safe one, but a key that stands twice is a fault, not a matter of which came last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        first: dict[str, yaml.Node] = {}
        for key, _ in node.value:
            if isinstance(key.value, str) and first.setdefault(key.value, key) is not key:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
        return super().construct_mapping(node, deep)


def _count(node: yaml.Node, counted: dict[int, int]) -> int:
    """How many values a node stands for. counted: those seen before, by id. Raises ValueError for too many."""
    known = counted.get(id(node))
    if known is not None:
        return known
    parts = node.value if isinstance(node, yaml.CollectionNode) else ()
    number = 1
    for part in parts:
        number += sum(_count(each, counted) for each in (part if isinstance(part, tuple) else (part,)))
        if number > MOST_VALUES:
            raise ValueError(f"a preset has at most {MOST_VALUES:,} values, with those that its aliases repeat")
    counted[id(node)] = number
    return number
