"""Partners that dance by labels: are labels recognised in what they make up, by a judge that had no part in training?

    python -m training.scorecard labelled runs/mine/last.ckpt --takes 60_03.bvh 61_03.bvh 05_12.bvh

MODEL is a checkpoint: the file of a show has no encoder. Every file is one dancer. A take that the model was trained on
is marked `seen`; as soon as one is unseen, only unseen ones count. What figures mean is told in docs/labelled.md.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

from training import evaluate_judge, evaluate_labelled, evaluate_report, evaluate_windows
from training.models import read_checkpoint, rebuild
from training.models.labelled_takes import Labelling, Take, load_takes

JUDGE = Path(__file__).resolve().parents[2] / "presets/models/labelled_judge.ckpt"
MODEL = "model"


@dataclass(frozen=True)
class Scorecard:
    """rows: figures by subject and key, NaN for what cannot be had. about: lines that say what was judged how."""

    rows: dict[str, dict[str, float]]
    about: list[str]
    shown: tuple[str, ...] = evaluate_report.SHOWN

    def details(self, picture: Path) -> str:
        """None; no picture."""
        return ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, nargs=1, help="the checkpoint")
    parser.add_argument("--takes", type=Path, nargs="+", required=True, help="recordings of one dancer each")
    parser.add_argument("--labels", type=Path, help="CSV of labels; without it only proxies are judged")
    parser.add_argument("--judge", type=Path, default=JUDGE, help="an independent classifier (training.evaluate)")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")


def run(options: argparse.Namespace) -> Scorecard:
    """The scorecard the options ask for. Raises ValueError and OSError naming what is wrong with them."""
    (path,) = options.model
    stored = read_checkpoint(path)
    if stored["kind"] != "labelled" or not stored["config"]["label_sets"]:
        raise ValueError(f"{path} is no labelled partner that was trained with labels")
    model = rebuild(stored)
    judge, taught = evaluate_judge.load(options.judge)
    if judge.config.label_sets != model.config.label_sets:
        raise ValueError(f"{options.judge} judges {judge.config.label_sets}, the model has {model.config.label_sets}")
    data = replace(evaluate_report.data_of(stored, path), folders=(".",), labels=str(options.labels or ""), orders={})
    given = [take for file in options.takes for take in load_takes(replace(data, files=(file.name,)), file.parent)]
    known = {file["sha256"] for file in stored.get("about", {}).get("takes", ())}
    judges = {file["sha256"] for file in taught.get("takes", ())}
    unseen = [take for take in given if not _among(take, known)]
    judged = unseen or given
    labelling = Labelling(model.config.label_sets, model.config.thresholds, model.config.window, data.spread, data.fill)
    real = evaluate_windows.Real.of(judged, labelling, evaluate_report.STRIDE)
    seeds = range(options.seed, options.seed + options.seeds)
    row = evaluate_report.merged([evaluate_labelled.figures(model, judge, real, seed) for seed in seeds])
    seen = _files([take for take in given if take not in unseen])
    judge_saw = _files([take for take in judged if _among(take, judges)])
    about = [
        f"{path.name}: {len(real.moves)} windows of {', '.join(_files(judged))}",
        f"seen in training: {', '.join(seen) or 'none'}",
        f"seen by the judge, {options.judge.name}: {', '.join(judge_saw) or 'none'}",
        f"{options.seeds} seeds; ± is half of what lies between them",
    ]
    if not unseen:
        about.append("EVERY TAKE IS SEEN: these figures prove nothing about other dancers")
    row |= {"takes": float(len(given)), "takes_seen": float(len(seen)), "takes_judged": float(len(judged))}
    return Scorecard({MODEL: row}, about)


def _among(take: Take, hashes: set[str]) -> bool:
    return any(file["sha256"] in hashes for file in take.files())


def _files(takes: list[Take]) -> list[str]:
    return [dancer.file for take in takes for dancer in take.dancers]
