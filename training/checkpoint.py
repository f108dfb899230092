"""What a checkpoint is: plain values that rebuild a model without any data. Nothing in a file is ever executed.

This file does not know which models there are; training.models does.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import nn

FORMAT = 1


def describe(kind: str, model: nn.Module) -> dict[str, Any]:
    """Everything that rebuilds `model`: its kind, config, skeleton and weights (normalisation among them)."""
    return {
        "format": FORMAT,
        "kind": kind,
        "config": asdict(model.config),
        "skeleton": model.skeleton.to_dict(),
        "weights": model.state_dict(),
    }


def read(path: str | Path, kind: str | None = None) -> dict[str, Any]:
    """The checkpoint's plain contents. Raises ValueError when the file is none of ours, is of another format, or is
    not of `kind` where one is named.
    """
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ValueError(f"there is no checkpoint {path}") from None
    except Exception as error:  # torch raises many kinds for a file that is no checkpoint
        raise ValueError(f"{path} is no checkpoint: {error}") from None
    if not isinstance(stored, dict) or not {"format", "kind", "weights"} <= stored.keys():
        raise ValueError(f"{path} is no checkpoint of this project")
    if stored["format"] != FORMAT:
        raise ValueError(f"{path} is no checkpoint of format {FORMAT} but of format {stored['format']}; train it again")
    if kind is not None and stored["kind"] != kind:
        raise ValueError(f"{path} is a checkpoint of {stored['kind']!r}, not of {kind!r}")
    return stored


def save(fabric: Fabric, whole: Mapping[str, Any], path: Path, copy: Path | None = None) -> Path:
    """Write a checkpoint, and a copy of it; whoever reads the folder never sees half a file."""
    part = path.with_suffix(".part")
    fabric.save(part, dict(whole))
    if fabric.is_global_zero:
        part.replace(path)
        if copy is not None:
            shutil.copyfile(path, copy)
    fabric.barrier()
    return path


def same(stored: Mapping[str, Any], wanted: Mapping[str, Any], path: Path) -> None:
    """Raises ValueError unless a checkpoint is of the very model that is wanted: its sizes and its skeleton."""
    before, now = ({**each["config"], "skeleton": each["skeleton"]["names"]} for each in (stored, wanted))
    different = [name for name in now if _plain(before.get(name)) != _plain(now[name])]
    if different:
        told = "; ".join(f"{name} was {before.get(name)}, not {now[name]}" for name in different)
        raise ValueError(f"{path} is another model: {told}")


def init_from(model: nn.Module, sources: Mapping[str, str]) -> None:
    """Start parts of `model` from stored weights: {part: FILE} or {part: FILE#PART_THERE}; parts of parts have dots.

    Raises ValueError when a file is no checkpoint, a part is missing here or there, or their sizes differ.
    """
    for part, source in sources.items():
        file, _, there = source.partition("#")
        there = there or part
        try:
            module = model.get_submodule(part)
        except AttributeError:
            raise ValueError(f"init_from: the model has no part {part!r}; it has: {_parts(model)}") from None
        stored = read(file)
        prefix = f"{there}."
        weights = {name[len(prefix) :]: value for name, value in stored["weights"].items() if name.startswith(prefix)}
        if not weights:
            has = ", ".join(dict.fromkeys(name.partition(".")[0] for name in stored["weights"]))
            raise ValueError(f"init_from: {file}, a {stored['kind']!r}, has no part {there!r}; it has: {has}")
        wanted = {name: tuple(value.shape) for name, value in module.state_dict().items()}
        found = {name: tuple(value.shape) for name, value in weights.items()}
        if different := [name for name in wanted | found if wanted.get(name) != found.get(name)]:
            name = different[0]
            raise ValueError(
                f"init_from: {part} does not fit {there} of {file}: {name} is {found.get(name, 'missing')} there, "
                f"{wanted.get(name, 'unknown')} here"
            )
        module.load_state_dict(weights)


def _parts(model: nn.Module) -> str:
    return ", ".join(name for name, part in model.named_children() if part.state_dict())


def _plain(value: Any) -> Any:
    """Tuples as lists, everywhere: a stored config may have either."""
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return {key: _plain(entry) for key, entry in value.items()} if isinstance(value, dict) else value
