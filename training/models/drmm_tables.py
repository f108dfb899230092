"""Mixture models of any table: files of rows in, a trained model out.

A `.csv` file has the variables' names in its first line; a column named `weight` says how much a row counts. An `.npz`
file has `rows` (N, D), `variables` (D,) and, if rows count differently, `weights` (N,). Every file is one take: all of
it trains or is held out.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from motion.skeleton import Skeleton
from training.models.drmm import Config as Model
from training.models.drmm import Drmm, Rows
from training.run import Run, by_gradient

Values = NDArray[np.float32]
WEIGHT = "weight"
NOBODY = Skeleton(("Root",), (-1,), np.zeros((1, 3)))  # a table is of no body; a model's label names one


@dataclass(frozen=True)
class Config:
    """files: name patterns in the data folder. test_share: of the rows is held out, whole files."""

    files: tuple[str, ...] = ("*.csv", "*.npz")
    test_share: float = 0.0
    licence: str = "not stated"  # goes into the model's manifest
    source: str = ""


@dataclass(frozen=True)
class Table:
    """One file: rows (N, D), weights (N,). Cut and counted like the pairs of training.dataset."""

    name: str
    sha256: str
    variables: tuple[str, ...]
    rows: Values
    weights: Values
    skeleton: Skeleton = NOBODY
    fps: float = 0.0  # rows are in no order

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: slice) -> Table:
        return replace(self, rows=self.rows[chosen], weights=self.weights[chosen])

    def files(self) -> list[dict[str, str]]:
        """Its name and hash, for the manifest."""
        return [{"take": self.name, "sha256": self.sha256}]


def load(
    config: Config, folder: str | Path, cache: str | Path | None = None, report: str | Path | None = None
) -> list[Table]:
    """Every table that `config` asks for, ordered by name. Nothing is cached or reported.

    Raises ValueError when there is none, with a line for every file that cannot be read, and when tables differ in
    their variables.
    """
    paths = sorted({path for pattern in config.files for path in Path(folder).glob(pattern)})
    if not paths:
        raise ValueError(f"no tables {' '.join(config.files)} in {folder}")
    tables, faults = [], []
    for path in paths:
        try:
            tables.append(read(path))
        except (ValueError, OSError) as error:
            faults.append(f"{path.name}: {error}")
    for table in tables[1:]:
        if table.variables != tables[0].variables:
            faults.append(
                f"{table.name}: its variables are {_told(table)}, those of {tables[0].name} {_told(tables[0])}"
            )
    if faults:
        raise ValueError("\n".join(faults))
    return tables


def read(path: Path) -> Table:
    """The table of one file. Raises ValueError saying what is wrong with it."""
    content = path.read_bytes()
    if path.suffix == ".csv":
        names, rows = _csv(content)
        weights = np.ones(len(rows), dtype=np.float32)
        if WEIGHT in names:
            place = names.index(WEIGHT)
            weights, rows = rows[:, place], np.delete(rows, place, axis=1)
            names = names[:place] + names[place + 1 :]
    else:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            if missing := {"rows", "variables"} - set(file.files):
                raise ValueError(f"it lacks {', '.join(sorted(missing))}; it has: {', '.join(file.files)}")
            rows, names = file["rows"].astype(np.float32), [str(name) for name in file["variables"]]
            weights = (file["weights"] if "weights" in file.files else np.ones(len(rows))).astype(np.float32)
    if rows.ndim != 2 or rows.shape[1] != len(names) or weights.shape != rows.shape[:1] or not len(rows):
        raise ValueError(f"rows {rows.shape} do not fit {len(names)} variables and weights {weights.shape}")
    if not np.isfinite(rows).all():
        row, column = np.argwhere(~np.isfinite(rows))[0]
        raise ValueError(f"row {row + 1}: {names[column]} is {rows[row, column]}, which is no number")
    if not (np.isfinite(weights).all() and weights.min() >= 0.0 and weights.sum() > 0.0):
        raise ValueError("weights must be 0 or more, and not all 0")
    return Table(path.name, hashlib.sha256(content).hexdigest(), tuple(names), rows, weights)


def windows(run: Run, tables: Sequence[Table], augment: bool) -> Rows:
    """All rows."""
    rows, weights = (np.concatenate([getattr(table, name) for table in tables]) for name in ("rows", "weights"))
    return Rows(torch.from_numpy(rows), torch.from_numpy(weights))


def train(run: Run) -> Path:
    """By gradients, through the stages of the curriculum."""

    def build(config: Model, skeleton: Skeleton) -> Drmm:
        model = Drmm(replace(config, variables=run.trained[0].variables), skeleton)
        model.epochs = run.training.epochs
        return model

    return by_gradient(replace(run, kind=replace(run.kind, build=build)))


def _csv(content: bytes) -> tuple[list[str], Values]:
    text = content.decode("utf-8")
    names = [name.strip() for name in text.partition("\n")[0].split(",")]
    return names, np.loadtxt(io.StringIO(text), delimiter=",", skiprows=1, ndmin=2, dtype=np.float32)


def _told(table: Table) -> str:
    return ", ".join(table.variables[:8]) + (", ..." if len(table.variables) > 8 else "")
