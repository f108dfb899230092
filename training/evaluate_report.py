"""An evaluation of a labelled partner: what is read, who judges, and a folder with everything that came of it.

OUT has figures.json and report.md, judge.ckpt, pictures and films (training.evaluate_pictures), and `blind/`: clips
whose labels are only in key.csv, for people to say them without knowing.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from motion import rotations as rot
from motion.bvh import write_bvh
from motion.clip import Clip
from motion.skeleton import HUMANOID
from training import config, evaluate_judge, evaluate_labelled, evaluate_pictures, evaluate_windows, labels, loggers
from training.evaluate_judge import Judge
from training.evaluate_labelled import Row
from training.evaluate_windows import Drawn, Real
from training.models import labelled_pose as pose
from training.models import read_checkpoint, rebuild
from training.models.labelled import Labelled
from training.models.labelled_takes import FPS, Config, Labelling, Take, load_takes

STRIDE, TAUGHT_STRIDE = 5, 2  # frames between windows that are judged, and that a judge is taught by
BLIND = 30  # clips for people
SHOWN = (
    *("label_recognised_percent", "requested_tertile_percent", "classifier_ceiling_percent", "same_z_order_percent"),
    *("label_change_step_ratio", "seam_acceleration_ratio", "dance_acceleration_ratio", "place_acceleration_ratio"),
    *("recorded_place_acceleration_ratio", "lowest_toe_cm", "recorded_lowest_toe_cm", "lowest_toe_most_cm"),
    *("recorded_lowest_toe_most_cm", "slide_mps", "recorded_slide_mps", "macro_f1", "majority_f1"),
    *("majority_accuracy_percent", "diversity_ratio", "multimodality_ratio"),
    *("kl_nats", "reconstruction_mm", "reconstruction_world_mm", "accuracy_percent", "fid", "fid_floor"),
    *("tile_label_recognised_percent", "tile_requested_tertile_percent", "human_recognised_percent"),
)


def run(options: argparse.Namespace) -> str:
    """All of it, as the options say; returns what is told. Raises ValueError and OSError naming what is wrong."""
    loggers.require(options.logger)
    stored = read_checkpoint(options.checkpoint)
    if stored["kind"] != "labelled":
        raise ValueError(f"{options.checkpoint} is a {stored['kind']!r} model; `labelled` evaluates labelled ones")
    model = rebuild(stored)
    if not model.config.label_sets:
        raise ValueError(f"{options.checkpoint} was trained without labels: there is nothing to recognise")
    out = options.out or options.checkpoint.parent / "evaluation"
    out.mkdir(parents=True, exist_ok=True)
    data = data_of(stored, options.checkpoint)
    takes = load_takes(data, options.data, options.cache or out / "cache")
    names = {take["sha256"] for take in stored.get("about", {}).get("takes", ())}
    seen = [take for take in takes if any(file["sha256"] in names for file in take.files())]
    judged = [take for take in takes if take not in seen]
    labelling = Labelling(model.config.label_sets, model.config.thresholds, model.config.window, data.spread, data.fill)
    real = Real.of(judged or takes, labelling, STRIDE)
    judge, judged_by = _judge(options, seen or takes, judged, labelling, out)
    rows = [evaluate_labelled.figures(model, judge, real, options.seed + each) for each in range(options.seeds)]
    row = merged(rows)
    row["human_recognised_percent"] = _returned(options.returned, out) if options.returned else math.nan
    about = [
        f"{options.checkpoint.name}: {len(judged)} takes are judged, {len(real.moves)} windows; {len(seen)} were seen",
        *([] if judged else ["EVERY TAKE WAS TRAINED ON: these figures prove nothing about other dancers"]),
        judged_by,
        *_left_out(takes, labelling),
        f"{options.seeds} seeds; ± is half of what lies between them",
    ]
    random = torch.Generator().manual_seed(options.seed)
    if options.pictures:
        evaluate_pictures.write(out, model, judge, real, random)
        blind(out / "blind", model, evaluate_windows.draw(model, random, BLIND))
    told = _told(out, about, row, options.json)
    if options.logger == "wandb":
        loggers.evaluated(out, stored["about"], _names(stored), row, sorted([*out.glob("*.gif"), *out.glob("*.png")]))
    return told


def _left_out(takes: Sequence[Take], labelling: Labelling) -> list[str]:
    """What is told about labels of recordings that the model does not know."""
    known = {(name, label) for name, of_set in labelling.sets for label in of_set}
    given = {(each.label_set, each.label) for take in takes for dancer in take.dancers for each in dancer.labels}
    odd = ", ".join(f"{name} {label}" for name, label in sorted(given - known))
    return [f"labels that the model was not trained with are left out: {odd}"] if odd else []


def data_of(stored: dict[str, Any], path: Path) -> Config:
    """How recordings were read and labelled when the model was trained."""
    known, faults = config.section(Config, stored.get("about", {}).get("data", {}), f"{path}: data")
    if faults:
        raise ValueError("\n".join(faults))
    return known


def _names(stored: dict[str, Any]) -> loggers.Names:
    """As the run was called that the checkpoint is of."""
    training = stored.get("run", {}).get("training", {})
    return loggers.Names(**{name: training[name] for name in asdict(loggers.Names()) if name in training})


def merged(rows: Sequence[Row]) -> Row:
    """Means over seeds, and the ends of what they lie between."""
    row: Row = {}
    for key in rows[0]:
        values = np.array([each[key] for each in rows])
        row |= {key: float(values.mean()), f"{key}_low": float(values.min()), f"{key}_high": float(values.max())}
    return row


def blind(folder: Path, model: Labelled, drawn: Drawn) -> None:
    """Clips as BVH files in no order, blind.csv to be filled in, and key.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    lines, key = [], []
    root, sixd = pose.global_pose(drawn.moves, FPS)
    for number, place in enumerate(np.random.default_rng(0).permutation(len(drawn.moves))):
        clip = Clip(HUMANOID, FPS, root[place].double().numpy(), rot.from_6d(sixd[place].double().numpy()))
        name = f"{number:03}.bvh"
        write_bvh(folder / name, clip)
        for column, (of_set, choices) in enumerate(model.config.label_sets):
            lines.append((name, of_set, ""))
            key.append((name, of_set, choices[int(drawn.labels[place, column])]))
    for file, table in (("blind.csv", lines), ("key.csv", key)):
        with open(folder / file, "w", newline="", encoding="utf-8") as text:
            csv.writer(text).writerows([("clip", "label set", "label"), *table])


def agreement(returned: Path, key: Path) -> float:
    """How many percent of the clips somebody has labelled as they were meant. Raises ValueError for other files."""
    said, meant = (_read(path) for path in (returned, key))
    known = {clip: label for clip, label in said.items() if label}
    choices: dict[str, set[str]] = {}
    for (_, of_set), label in meant.items():
        choices.setdefault(of_set, set()).add(label)
    if unknown := sorted(set(known) - set(meant)):
        raise ValueError(f"{returned}: {unknown[0][0]} ({unknown[0][1]}) is not in {key}")
    if odd := [(*clip, label) for clip, label in known.items() if label not in choices[clip[1]]]:
        name, of_set, label = odd[0]
        known_labels = ", ".join(sorted(choices[of_set]))
        raise ValueError(f"{returned}: {name} has the {of_set} {label!r}; it is one of {known_labels}")
    return 100.0 * float(np.mean([meant[clip] == label for clip, label in known.items()])) if known else math.nan


def _read(path: Path) -> dict[tuple[str, str], str]:
    with labels.opened(path) as text:
        try:
            return {(line["clip"], line["label set"]): line["label"].strip() for line in csv.DictReader(text)}
        except KeyError as error:
            raise ValueError(f"{path} has no column {error}; it must have clip, label set, label") from None


def _returned(returned: Path, out: Path) -> float:
    return agreement(returned, out / "blind/key.csv")


def _judge(
    options: argparse.Namespace, taught_by: Sequence[Take], judged: Sequence[Take], labelling: Labelling, out: Path
) -> tuple[Judge, str]:
    """The judge of the options, or a new one, and what is told about it."""
    if options.judge is None:
        real = Real.of(taught_by, labelling, TAUGHT_STRIDE)
        judge = evaluate_judge.taught(real.moves, real.labels, labelling.sets, options.judge_steps, options.seed)
        files = [file for take in taught_by for file in take.files()]
        path = evaluate_judge.save(judge, out / "judge.ckpt", files)
        return judge, f"the judge was taught by {len(real.moves)} windows of the takes trained on: {path.name}"
    judge, about = evaluate_judge.load(options.judge)
    if judge.config.label_sets != labelling.sets:
        raise ValueError(f"{options.judge} judges {judge.config.label_sets}, the model has {labelling.sets}")
    known = {take["sha256"] for take in about.get("takes", ())}
    seen = [take.name for take in judged if any(file["sha256"] in known for file in take.files())]
    warned = f"; IT HAS SEEN {', '.join(seen)}: its ceiling is too high" if seen else ""
    return judge, f"the judge is {options.judge.name}{warned}"


def _told(out: Path, about: Sequence[str], row: Row, extra: Path | None) -> str:
    shown = {key: row[key] for key in SHOWN}
    plain = {key: value if math.isfinite(value) else None for key, value in (shown | row).items()}
    for path in (out / "figures.json", *([extra] if extra else [])):
        path.write_text(json.dumps({"model": plain}, indent=1) + "\n", encoding="utf-8")
    lines = [f"| {key} | {_cell(row, key)} |" for key in SHOWN]
    text = "\n".join([*(f"- {line}" for line in about), "", "| figure | |", "|---|---|", *lines])
    (out / "report.md").write_text(text + "\n", encoding="utf-8")
    return f"{text}\n\nall of it: {out}"


def _cell(row: Row, key: str) -> str:
    value = row[key]
    if not math.isfinite(value):
        return "-"
    spread = 0.5 * (row.get(f"{key}_high", value) - row.get(f"{key}_low", value))
    return f"{value:.3g}" + (f" ±{spread:.2g}" if spread > 0.0 else "")
