"""Models that tell who moves from what is done: swaps, leaks, what the prior makes up; against copies and a mean shift.

    python -m training.scorecard identity_action runs/mine/last.ckpt --takes RECORDINGS/*.bvh [--pendulum CHECKPOINT]

MODEL is a checkpoint: the files of a show have no prior. Give it all takes, those that it was trained on, too: they
teach the judges, and say which cells (somebody doing something) it has seen. A take counts when it taught nobody. Who
and what are told as they were in training, or by --labels or --names. A model of pictures brings its own.
"""

from __future__ import annotations

import argparse
import fnmatch
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from math import nan
from pathlib import Path
from typing import Any

from training import evaluate_report, identity_figures, identity_judge
from training import identity_swings as swings
from training.identity_checkpoints import Trained, opened
from training.identity_figures import Real, Row
from training.identity_labels import some, told
from training.models import identity_films, identity_takes
from training.models.identity_takes import Names
from training.models.identity_windows import of_takes

KIND, PICTURES = "identity_action", "identity_action_images"
EACH = 20  # windows of every cell that are judged
KEYS = (
    *("acc_real_identity", "acc_real_action", "swap_identity", "swap_action", "copy_source_identity"),
    *("copy_source_action", "leak_action_from_s", "leak_identity_from_d", "chance_action", "chance_identity"),
    *("inter_entropy", "pendulum_period_error_percent", "reconstruction_mm"),
)
MORE = (
    *("swap_identity_ratio", "swap_action_ratio", "swap_frames_identity", "swap_frames_action"),
    *("seen_swap_identity", "seen_swap_action", "copy_donor_identity", "copy_donor_action"),
    *("leak_identity_from_s", "leak_action_from_d", "inter_entropy_share"),
    *("inter_entropy_identity", "inter_entropy_action", "intra_entropy_identity", "intra_entropy_identity_real"),
    *("intra_entropy_action", "intra_entropy_action_real", "consistent_identity", "consistent_action"),
    *("fid", "fid_floor", "reconstruction_pixel"),
)


@dataclass(frozen=True)
class Scorecard:
    """rows: figures by subject and key, NaN for what cannot be had. about: lines that say what was judged how."""

    rows: dict[str, Row]
    about: list[str]
    shown: tuple[str, ...] = (*KEYS, *MORE)

    def details(self, picture: Path) -> str:
        """None; no picture."""
        return ""


@dataclass(frozen=True)
class Cast:
    """Who has which part. taught: takes that teach the judges; seen: those that the model was trained on; judged: those
    that count.
    """

    taught: list[Any]
    seen: list[Any]
    judged: list[Any]
    about: list[str]

    def unseen(self, names: Names) -> list[tuple[int, int]]:
        """Cells by number of which the model was trained on nothing."""
        known = {cell for take in self.seen for cell in take.cells}
        return [
            (who, what)
            for who, identity in enumerate(names.identities)
            for what, action in enumerate(names.actions)
            if (identity, action) not in known
        ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, nargs=1, help="the checkpoint")
    parser.add_argument("--takes", type=Path, nargs="+", default=[], help="recordings, all there are")
    parser.add_argument(
        "--labels", default="", help="who and what: CSV file take,identity,action, or labels of --images"
    )
    parser.add_argument("--names", nargs="+", default=[], help="who and what: patterns as {action}_{identity}_*.bvh")
    parser.add_argument("--images", default="", help="films, for a model of pictures (default: as in training)")
    parser.add_argument("--pendulum", type=Path, help="the checkpoint of a model of the built-in pendulums")
    parser.add_argument("--judge-steps", type=int, default=identity_judge.STEPS)
    parser.add_argument("--seeds", type=int, default=3, help="judges and draws; their spread is printed")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")


def run(options: argparse.Namespace) -> Scorecard:
    """The scorecard the options ask for. Raises ValueError and OSError naming what is wrong with them."""
    (path,) = options.model
    trained = opened(path, {KIND: identity_takes.Config, PICTURES: identity_films.Config})
    pictures, model, data = trained.kind == PICTURES, trained.model, trained.data
    takes = _films(options, data) if pictures else _takes(options, data)
    parts = cast(takes, trained.known, getattr(data, "test_files", ()))
    names = Names.of(parts.taught)
    unseen, window = parts.unseen(names), model.config.window
    windows = of_takes(parts.taught, names, window, mirror=False, shown=1 if pictures else 0)
    if pictures:
        windows.tell_of(identity_judge.small)
    both = (parts.seen or parts.taught, parts.judged)
    seen, real = (Real.of(of_takes(each, names, window, mirror=False), EACH) for each in both)
    rows: list[dict[str, Row]] = []
    for seed in range(options.seed, options.seed + options.seeds):
        judge = identity_judge.taught(windows, names, options.judge_steps, seed)
        rows.append(identity_figures.figures(model, judge, seen, real, unseen, seed))
    merged = {subject: evaluate_report.merged([each[subject] for each in rows]) for subject in rows[0]}
    merged["model"]["pendulum_period_error_percent"] = _period_error(options.pendulum, trained)
    cells = [(names.identities[who], names.actions[what]) for who, what in unseen]
    about = [
        f"{path.name}: {len(real.x)} windows of {len(parts.judged)} takes, {len(names.identities)} identities, "
        f"{len(names.actions)} actions",
        *parts.about,
        f"swaps into {len(cells)} cells not seen in training: {told(cells[:12])}{' ...' if len(cells) > 12 else ''}"
        if cells
        else "NO CELL IS UNSEEN: swaps are into cells that the model was trained on",
        f"{options.seeds} seeds; ± is half of what lies between them",
    ]
    return Scorecard(merged, about)


def cast(takes: Sequence[Any], known: Collection[str], test_files: Sequence[str]) -> Cast:
    """Parts for takes. known: hashes of files that the model was trained on; test_files: patterns of those that teach
    nobody. Of cells that the model has not seen, others than those teach the judges; where nothing says which, the
    first half of them. Raises ValueError when nobody can be taught or judged.
    """
    seen = [take for take in takes if any(file["sha256"] in known for file in take.files())]
    kept = [
        take
        for take in takes
        if test_files and not any(fnmatch.fnmatch(file["take"], each) for file in take.files() for each in test_files)
    ]
    taught = [take for take in takes if take in seen or take in kept]
    if seen:  # who judges a cell must know it, also where the model is not to
        unknown = {cell for take in takes for cell in take.cells} - {cell for take in taught for cell in take.cells}
        for cell in unknown:
            of_cell = [take for take in takes if cell in take.cells]
            kept += of_cell[: len(of_cell) // 2]
        taught = [take for take in takes if take in seen or take in kept]
    judged = [take for take in takes if take not in taught]
    about = []
    if not taught or not judged:
        about.append(
            "EVERY TAKE IS SEEN: these figures prove nothing about other takes"
            if seen
            else "the model was trained on none of these takes"
        )
        judged = _last_of_cells(takes)
        taught = [take for take in takes if take not in judged]
        if not judged:
            raise ValueError(
                f"{len(takes)} takes teach the judges and none is left to be judged: give takes that were held out, "
                "too, or several of everybody doing everything"
            )
    names = Names.of(taught)
    strange = [
        take
        for take in judged
        if any(who not in names.identities or what not in names.actions for who, what in take.cells)
    ]
    if strange:
        about.append(f"nobody could be taught who or what is in {some([take.name for take in strange])}: left out")
    judged = [take for take in judged if take not in strange]
    if not judged or len(names.identities) < 2 or len(names.actions) < 2:
        raise ValueError(
            f"takes that teach the judges are of {', '.join(names.identities)} and {', '.join(names.actions)}: it "
            "takes two of both, and others of the same to be judged; give the takes that the model was trained on, too"
        )
    about.append(f"{len(taught)} takes teach the judges; the model was trained on {len(seen)} of all {len(takes)}")
    return Cast(taught, seen, judged, about)


def _last_of_cells(takes: Sequence[Any]) -> list[Any]:
    """The last take of every cell that has more than one."""
    cells: dict[Any, list[Any]] = {}
    for take in takes:
        cells.setdefault(tuple(take.cells), []).append(take)
    return [of_cell[-1] for of_cell in cells.values() if len(of_cell) > 1]


def _takes(options: argparse.Namespace, data: identity_takes.Config) -> list[Any]:
    if not options.takes:
        raise ValueError("--takes must name recordings, those that the model was trained on, too")
    files = [path.name for path in options.takes]
    fitting = {each: cell for each, cell in data.cast.items() if fnmatch.filter(files, each)}
    data = replace(data, cast=fitting)
    if options.labels or options.names:
        data = replace(data, cast={}, labels=options.labels, names=tuple(options.names))
    return identity_takes.read(data, options.takes, options.takes[0].parent)


def _films(options: argparse.Namespace, data: identity_films.Config) -> list[Any]:
    if options.images or options.labels:
        data = replace(data, images=options.images, labels=options.labels)
    return identity_films.load(data, None)


def _period_error(pendulum: Path | None, trained: Trained) -> float:
    """Of a model of the built-in pendulums: the one that is judged, or that of --pendulum."""
    if pendulum is not None:
        trained = opened(pendulum, {PICTURES: identity_films.Config})
    if trained.kind != PICTURES or trained.data.images:
        return nan
    return swings.period_error_percent(trained.model, trained.data)
