"""The honest row of a scorecard: the model's own recipe trained anew for each fold, judged on what it has not seen."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path

from motion.manifest import Manifest
from server.onnx_model import OnnxModel
from training import train
from training.scorecards import rows
from training.scorecards.figures import FLOORED, Truth
from training.scorecards.rows import Cast, Row
from training.scorecards.takes import Library, Take, has_seen

CONFIGS = Path(__file__).resolve().parents[2] / "presets" / "training"


def train_folds(manifest: Manifest, folder: Path, count: int, out: Path, config: Path | None = None) -> list[OnnxModel]:
    """Models of `count` folds of the takes in `folder`, trained as `python -m training.train` does, kept in `out`.

    config: the training config; None for the one the manifest names. Raises ValueError when it cannot be had.
    """
    config = config or _config(manifest)
    models = []
    for fold in range(1, count + 1):
        run = out / f"{manifest.name}-fold{fold}"
        arguments = ["duet", str(config), "--data", str(folder), "--out", str(run)]
        arguments += ["--fold", f"{fold}/{count}", "--cache", str(out / "cache")]
        if train.main(arguments):
            raise ValueError(f"fold {fold} could not be trained: python -m training.train {shlex.join(arguments)}")
        models.append(OnnxModel(run / f"{run.name}.onnx"))
    return models


def casts_of(models: Sequence[OnnxModel], given: Sequence[Take]) -> list[Cast]:
    """Each fold's model with the given takes it has not seen. Raises ValueError unless every take has one model."""
    casts = [(model, [take for take in given if not has_seen(model.manifest, take)]) for model in models]
    for take in given if models else ():
        unseen_by = [model.path.name for model, cast in casts if take in cast]
        if len(unseen_by) != 1:
            raise ValueError(
                f"{take.name} must be unseen by one fold's model, not by: {', '.join(unseen_by) or 'none'}"
            )
    return [cast for cast in casts if cast[1]]


def add_folds(table: dict[str, Row], casts: Sequence[Cast], seeds: Sequence[int], library: Library) -> str:
    """Adds every subject's fold ratios and the row `model_held_out` to `table`; returns a line that says how."""
    truth = Truth([take for _, cast in casts for take in cast])
    edges = accumulate((len(cast) for _, cast in casts), initial=0)
    places = [range(start, stop) for start, stop in pairwise(edges)]
    of_take = {take.hashes: model.manifest for model, cast in casts for take in cast}

    made = rows.dance(casts, seeds)
    table["model_held_out"] = rows.model_row(truth, made, places)
    naive = rows.naive_partners(truth.takes, seeds, lambda take: library.trainers(of_take[take.hashes], take))
    for subject, by_seed in (naive | {"model": made}).items():
        table[subject] |= truth.fold_ratios(by_seed, places)
    floors = ", ".join(f"{name} {truth.fold_floors[name].median:.1f}" for name in FLOORED)
    held_out = " | ".join(", ".join(take.name for take in cast) for _, cast in casts)
    return f"folds hold out: {held_out}; floor of four takes against four: {floors}"


def _config(manifest: Manifest) -> Path:
    """The training config that a model's manifest names."""
    words = shlex.split(str(manifest.made_from.get("command", "")))
    named = next((word for word in words if word.endswith((".yaml", ".yml"))), None)
    if named is None or not (CONFIGS / Path(named).name).is_file():
        raise ValueError(f"the manifest of {manifest.name!r} names no config in {CONFIGS.name}; give one with --config")
    return CONFIGS / Path(named).name
