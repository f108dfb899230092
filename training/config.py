"""A YAML file -> Config dataclasses, by their annotations. Every fault is told at once, with file, key and choices."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from motion import shipped


def read(path: Path, classes: Mapping[str, type]) -> dict[str, Any]:
    """The sections of a YAML file as their Configs. Raises ValueError with every fault."""
    content = load(path)
    faults = unknown(str(path), content, classes)
    sections = {}
    for name, cls in classes.items():
        sections[name], more = section(cls, content.get(name) or {}, f"{path}: {name}")
        faults += more
    if faults:
        raise ValueError("\n".join(faults))
    return sections


def load(path: Path) -> dict[str, Any]:
    """The plain mapping in a YAML file, or in the shipped one of that name. Raises ValueError when it is none, OSError
    when there is no file.
    """
    path = shipped.find(path, "training")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no YAML: {error}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ValueError(f"{path}: a mapping of sections expected, got {content!r}")
    return content


def section(cls: type, values: Any, where: str) -> tuple[Any, list[str]]:
    """A Config of a plain mapping, or None, and what is wrong with the mapping."""
    if not isinstance(values, dict):
        return None, [f"{where}: a mapping expected, got {values!r}"]
    kinds = typing.get_type_hints(cls)
    faults, good = unknown(where, values, kinds), {}
    for key, value in values.items():
        if key in kinds:
            good[key], more = _value(kinds[key], value, f"{where}: {key}")
            faults += more
    if faults:
        return None, faults
    try:
        return cls(**good), []
    except (TypeError, ValueError) as error:
        return None, [f"{where}: {error}"]


def unknown(where: str, keys: Iterable[Any], choices: Iterable[str]) -> list[str]:
    """A line for every key that is not among the choices, with the one that was probably meant."""
    choices = list(choices)
    faults = []
    for key in keys:
        if key not in choices:
            close = difflib.get_close_matches(str(key), choices, 1)
            hint = f"did you mean {close[0]}? " if close else ""
            faults.append(f"{where}: unknown key {key!r}; {hint}known: {', '.join(choices)}")
    return faults


def _value(kind: Any, value: Any, where: str) -> tuple[Any, list[str]]:
    """value as the annotation `kind` says, and what is wrong with it, also deep inside."""
    plain, inner = typing.get_origin(kind) or kind, typing.get_args(kind)
    if kind is Any:
        return value, []
    if dataclasses.is_dataclass(kind):
        return section(typing.cast(type, kind), value, where)
    if plain is typing.Literal:
        if any(value == choice and type(value) is type(choice) for choice in inner):
            return value, []
        close = difflib.get_close_matches(str(value), [str(choice) for choice in inner], 1)
        hint = f"did you mean {close[0]}? " if close else ""
        return None, [f"{where} = {value!r} is unknown; {hint}known: {', '.join(map(str, inner))}"]
    if plain in (typing.Union, types.UnionType):
        return _one_of(inner, value, where)
    if plain in (tuple, list) and isinstance(value, list):
        return _sequence(plain, inner, value, where)
    if plain is dict and isinstance(value, dict):
        return _mapping(inner or (Any, Any), value, where)
    if kind is float and type(value) is int:
        return float(value), []
    if isinstance(plain, type) and isinstance(value, plain) and isinstance(value, bool) == (plain is bool):
        return value, []
    return None, [f"{where} = {value!r} is no {_said(kind)}"]


def _one_of(kinds: tuple[Any, ...], value: Any, where: str) -> tuple[Any, list[str]]:
    faults: list[str] = []
    for kind in kinds:
        made, faults = _value(kind, value, where)
        if not faults:
            return made, []
    if isinstance(value, dict | list):
        return None, faults  # of the last alternative: more telling than that it is none of them
    return None, [f"{where} = {value!r} is no {' or '.join(map(_said, kinds))}"]


def _sequence(plain: type, inner: tuple[Any, ...], value: list[Any], where: str) -> tuple[Any, list[str]]:
    fixed = plain is tuple and inner and inner[-1] is not Ellipsis
    if fixed and len(inner) != len(value):
        return None, [f"{where} = {value!r} must have {len(inner)} entries, not {len(value)}"]
    kinds = inner if fixed else [inner[0] if inner else Any] * len(value)
    made, faults = [], []
    for place, (kind, entry) in enumerate(zip(kinds, value, strict=True)):
        one, more = _value(kind, entry, f"{where}[{place}]")
        made.append(one)
        faults += more
    return plain(made), faults


def _mapping(inner: tuple[Any, ...], value: dict[Any, Any], where: str) -> tuple[Any, list[str]]:
    made, faults = {}, []
    for key, entry in value.items():
        name, wrong = _value(inner[0], key, f"{where}: key")
        made[name], more = _value(inner[1], entry, f"{where}: {key}")
        faults += wrong + more
    return made, faults


def _said(kind: Any) -> str:
    """An annotation as a person would say it."""
    plain = typing.get_origin(kind) or kind
    names = {float: "number", int: "whole number", str: "text", bool: "true or false", tuple: "list", list: "list"}
    names |= {dict: "mapping", type(None): "null"}
    return names.get(plain, getattr(plain, "__name__", str(kind)))
