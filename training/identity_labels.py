"""Who moves in a recording, and what is done: told by a CSV file, by name patterns, or by what is in the files' names.

Of two that say something about a file the first of these counts. Only names here: no file of a recording is opened.
"""

from __future__ import annotations

import csv
import fnmatch
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

COLUMNS = ("take", "identity", "action")
FIELDS = ("{identity}", "{action}")
CHOICES = (
    "`labels` (a CSV file: take,identity,action), `cast` (60_*.bvh: [lead, salsa]) "
    "and `names` ({action}_{identity}_*.bvh)"
)

Cell = tuple[str, str]  # who does what


def who_and_what(
    table: Path | None, cast: Mapping[str, Cell], names: Sequence[str], files: Sequence[str]
) -> dict[str, Cell]:
    """Identity and action of every file. table: the CSV file; cast: of name patterns; names: patterns with fields.

    Raises ValueError with a line for every fault of the table, for patterns that no file fits, and for files that
    nothing is said about. OSError when there is no table.
    """
    given = read(table, files) if table else {}
    for pattern, cell in cast.items():
        fitting = fnmatch.filter(files, pattern)
        if not fitting:
            raise ValueError(f"cast: no file fits {pattern!r}; there are: {some(files)}")
        for name in fitting:
            given.setdefault(name, cell)
    patterns = [re.compile(_regex(each)) for each in names]
    for name in files:
        fit = next((fit for pattern in patterns if (fit := pattern.fullmatch(name))), None)
        if fit:
            given.setdefault(name, (fit["identity"], fit["action"]))
    if missing := [name for name in files if name not in given]:
        raise ValueError(
            f"nothing says who moves in {some(missing)} and what is done, {len(missing)} of {len(files)} files; "
            f"it can be said by {CHOICES}; or leave them out by `files`"
        )
    return given


def read(table: Path, files: Sequence[str]) -> dict[str, Cell]:
    """Identity and action of the files that a CSV file names, with or without their suffix. Raises ValueError with a
    line for every fault.
    """
    known = {Path(name).stem: name for name in files} | {name: name for name in files}
    given: dict[str, Cell] = {}
    faults = []
    with open(table, newline="", encoding="utf-8-sig") as file:
        lines = csv.DictReader(file)
        columns = [name.strip() for name in lines.fieldnames or ()]
        if missing := [name for name in COLUMNS if name not in columns]:
            raise ValueError(f"{table.name} lacks {', '.join(missing)}; its columns must be: {', '.join(COLUMNS)}")
        lines.fieldnames = columns
        for line in lines:
            take, identity, action = ((line[name] or "").strip() for name in COLUMNS)
            where = f"{table.name}:{lines.line_num}"
            if not (take and identity and action):
                faults.append(f"{where}: one of {', '.join(COLUMNS)} is empty: {take!r}, {identity!r}, {action!r}")
            elif take not in known:
                faults.append(f"{where}: there is no take {take!r}; there are: {some(files)}")
            elif given.setdefault(known[take], (identity, action)) != (identity, action):
                before = told([given[known[take]]])
                faults.append(f"{where}: {take} is {told([(identity, action)])} here, and {before} before")
    if faults:
        raise ValueError("\n".join(faults))
    return given


def check_names(names: Sequence[str]) -> None:
    """Raises ValueError when a pattern lacks a field."""
    if wrong := [each for each in names if any(each.count(name) != 1 for name in FIELDS)]:
        raise ValueError(f"names: {wrong[0]!r} must have {' and '.join(FIELDS)} once each")


def some(names: Sequence[str]) -> str:
    """The first of them, for people."""
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")


def told(cells: Sequence[Cell]) -> str:
    """Cells for people."""
    return ", ".join(f"{identity!r} doing {action!r}" for identity, action in cells)


def _regex(pattern: str) -> str:
    """Of a name pattern with fields and stars."""
    made = re.escape(pattern).replace(r"\*", ".*")
    for name in FIELDS:
        made = made.replace(re.escape(name), f"(?P<{name[1:-1]}>.+?)")
    return made
