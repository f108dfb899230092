"""The calibrations of a show's dancers, in a file beside its preset: what was measured last survives a restart.

PRESET.calibration.json is plain JSON: {"format": 1, "dancers": {name: what `Calibration.to_dict` makes}}.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from motion.calibration import Calibration
from server.params import Changes, ControlChange
from server.preset import Preset
from server.show import calibrate_stage

FORMAT = 1
LARGEST_FILE = 1 << 20  # bytes
KINDS = ("t_pose", "first_frame", "off")
LONGEST_WAIT = 60.0  # seconds


class Calibrations:
    """A show's: `stages` by dancer, with what is kept for them. Raises ValueError for a file that is none.

    given: what a replay has for them; the file is then left alone.
    """

    def __init__(self, preset: Preset, path: Path, given: Mapping[str, Calibration] | None = None) -> None:
        keeps = {name for name, dancer in preset.dancers.items() if dancer.calibration.keep and given is None}
        known = given if given is not None else load(path) if keeps else {}
        self.stages = {
            name: calibrate_stage(dancer, known.get(name) if name in keeps or given is not None else None)
            for name, dancer in preset.dancers.items()
            if "calibrate" in dancer.stages
        }
        self.fault = ""  # why the newest is not kept; empty when it is
        self._keeps = keeps & self.stages.keys()
        self._path = path
        self._saved = {name: stage.changes for name, stage in self.stages.items()}

    @property
    def newest(self) -> dict[str, Calibration]:
        """What the dancers are calibrated by now, for whom there is one."""
        return {name: stage.calibration for name, stage in self.stages.items() if stage.calibration is not None}

    def save_changed(self) -> None:
        """Keeps what was measured since the last call. Not for the tick: it writes a file."""
        changed = [n for n, stage in self.stages.items() if n in self._keeps and stage.changes != self._saved[n]]
        if not changed:
            return
        self._saved |= {name: self.stages[name].changes for name in changed}
        try:
            save(self._path, {name: self.stages[name].calibration for name in changed})
            self.fault = ""
        except OSError as error:
            self.fault = f"{file_of(self._path)}: cannot be written: {error.strerror}; the next show will not have it"

    def ask(self, changes: Changes, arguments: tuple[object, ...]) -> str:
        """`/show/calibrate [dancer] [kind] [seconds from now]`, in any order: what was asked for, in words.

        Without a dancer everybody; without a kind a T-pose; seconds only beside one of them, since a number alone is a
        button's. Raises ValueError naming what there is.
        """
        names, kind, seconds = list(self.stages), "t_pose", 0.0
        for argument in arguments:
            if isinstance(argument, str) and argument in KINDS:
                kind = argument
            elif isinstance(argument, str) and argument in self.stages:
                names = [argument]
            elif isinstance(argument, int | float) and 0.0 <= argument <= LONGEST_WAIT:
                seconds = float(argument)
            else:
                there = ", ".join(self.stages) or "none that calibrates"
                raise ValueError(
                    f"{str(argument)[:40]!r} is no dancer ({there}), no kind ({', '.join(KINDS)}) and no wait of 0 to "
                    f"{LONGEST_WAIT:g} seconds"
                )
        if arguments and not any(isinstance(argument, str) for argument in arguments):
            raise ValueError(f"takes seconds beside a dancer or a kind: t_pose {seconds:g}; a 1 alone is a press")
        for name in names:
            changes.put(ControlChange(f"calibrate/{name}", kind, seconds))
        if not names:
            raise ValueError("no dancer of this show has the stage `calibrate`")
        return f"calibrates {', '.join(names)}: {kind}" + (f" in {seconds:g} s" if seconds else "")


def file_of(preset: Path) -> Path:
    """Where the calibrations of a preset are kept."""
    return preset.with_suffix(".calibration.json")


def load(preset: Path) -> dict[str, Calibration]:
    """What is kept for a preset, by dancer; empty when there is no file. Raises ValueError naming it and the dancer."""
    file = file_of(preset)
    try:
        with file.open("rb") as opened:
            text = opened.read(LARGEST_FILE + 1)
        if len(text) > LARGEST_FILE:
            raise ValueError(f"it has more than {LARGEST_FILE:,} bytes")
        data = json.loads(text)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{file}: cannot be read: {error}; delete it to calibrate anew") from None
    dancers = data.get("dancers") if isinstance(data, dict) and data.get("format") == FORMAT else None
    if not isinstance(dancers, dict):
        raise ValueError(f"{file}: no calibrations of format {FORMAT}; delete it to calibrate anew")
    found = {}
    for name, entry in dancers.items():
        try:
            found[name] = Calibration.from_dict(entry)
        except ValueError as error:
            raise ValueError(f"{file}: dancers.{name}: {error}; delete it to calibrate anew") from None
    return found


def save(preset: Path, calibrations: Mapping[str, Calibration | None]) -> None:
    """Keeps these beside those of other dancers; None forgets one. All or nothing. Raises OSError."""
    kept: dict[str, Calibration | None] = {}
    with contextlib.suppress(ValueError):  # a broken file is replaced by what was measured now
        kept.update(load(preset))
    kept.update(calibrations)
    data = {"format": FORMAT, "dancers": {name: one.to_dict() for name, one in kept.items() if one is not None}}
    file = file_of(preset)
    unfinished = file.with_suffix(".json.new")
    unfinished.write_text(json.dumps(data, indent=1), encoding="utf-8")
    os.replace(unfinished, file)
