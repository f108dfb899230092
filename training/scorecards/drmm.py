"""Mixture models: a roll's samples, a pose model's pins, or how likely a motion model finds what came.

    python -m training.scorecard drmm presets/models/pose_drmm.onnx --takes 60_03.bvh 61_03.bvh
    python -m training.scorecard drmm presets/models/motion_drmm.onnx --takes 60_03.bvh 61_03.bvh --json figures.json

What a model is about is told by its variables; figures of other kinds are null. A take that the model was trained on
is marked `seen`; as soon as one is unseen, only unseen ones count. Two files whose names `--together` matches are one
take. Baselines of a motion model are fitted on its own training takes, found by their hash in the folders of the given
ones and of --library.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from exporters import drmm_file
from motion import pose_vectors
from motion.conditions import Conditions, Space
from motion.load import READERS
from motion.motion_layout import Layout
from motion.sampling import Values, chance
from server.onnx_model import OnnxModel
from training.cache import digest
from training.models import drmm_roll
from training.models.drmm import Drmm
from training.models.drmm_draw import Drawer
from training.models.drmm_motion import MotionDrmm
from training.models.drmm_motion_draw import MotionDrawer
from training.models.motion_takes import Config, Take, gathered
from training.scorecards import drmm_density, drmm_ik, drmm_infill
from training.scorecards.drmm_ik import Asked

KEYS = (
    *("within_roll_percent", "branch_tv", "inequality_w1_percent", "inequality_w3_percent", "projected_percent"),
    *("ik_p95_mm", "ik_p99_mm", "ik_median_mm", "cond_loglik", "gmm_cond_loglik", "linear_gaussian_cond_loglik"),
    *("candidates32_ms", "index_agreement_percent"),
)
MORE = (
    *("ik_met_percent", "joint_limits_percent", "ik_pose_mm", "neutral_pose_mm"),
    *("gmm_best_cond_loglik", "gmm_inside_cond_loglik", "gmm_components", "question_ms"),
    *drmm_infill.KEYS,
    *("takes", "takes_seen", "takes_judged"),
)
MODEL = "model"
PINNED = ("LeftHand", "RightFoot", "Head")
TIMED = 50


@dataclass(frozen=True)
class Scorecard:
    """rows: figures of the model, NaN for what cannot be had. about: lines that say what was judged how."""

    rows: dict[str, dict[str, float]]
    about: list[str] = field(default_factory=list)
    shown = (*KEYS, *MORE)

    def details(self, picture: Path) -> str:
        """Nothing more."""
        return ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, nargs=1, help="the .onnx file")
    parser.add_argument("--takes", type=Path, nargs="+", default=[], help="recordings, for poses and motion")
    parser.add_argument("--library", type=Path, nargs="+", default=[], help="folders with the model's training takes")
    parser.add_argument(
        "--together",
        nargs=2,
        action="append",
        metavar="PATTERN",
        help="names of the two files of a take, a star each; 60_*.bvh 61_*.bvh if left out",
    )
    parser.add_argument("--drop-first", type=int, default=10, help="frames at the start of each take that are left out")
    parser.add_argument(
        "--questions",
        type=int,
        default=600,
        help="poses that a pose model is pinned to; a tenth as many gaps of each length for a motion model",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, help="folder of takes already read")


def run(options: argparse.Namespace) -> Scorecard:
    """The scorecard the options ask for. Raises ValueError and OSError naming what is wrong with them."""
    path = options.model[0]
    live, model = OnnxModel(path), drmm_file.read(path)
    variables, row, about = live.manifest.variables, dict.fromkeys((*KEYS, *MORE), np.nan), []
    asked = _asked(live)
    row |= _speed(asked, options.seed)
    row["index_agreement_percent"] = _agreement(asked, model, options.seed)
    if variables == drmm_roll.VARIABLES:
        about.append("a Swiss roll: what is asked of it is told in training/models/drmm_roll.py")
        roll = drmm_roll.figures(drmm_roll.Oracle(asked.run, asked.space, asked.shape), options.seed)
        row |= {key: value for key, value in roll.items() if key in KEYS}
    elif variables in (pose_vectors.VARIABLES, Layout().names, Layout(dancer=False).names):
        judged, trained, told = _takes(options, live)
        row |= told
        about.append(f"judged: {', '.join(take.name for take in judged)}")
        if told["takes_seen"] == told["takes"]:
            about.append("EVERY TAKE IS SEEN: these figures prove nothing about other dancers")
        if isinstance(model, MotionDrmm):
            row |= drmm_density.figures(model, judged, trained, options.seed)
            row |= drmm_infill.figures(asked, judged, max(options.questions // 10, 1), options.seed)
            about.append(
                "cond_loglik: nats of the partner's next half second, in metres, given what was; every third frame"
            )
            about.append("infill: a limb left out for so long, elbow and hand or knee and foot, mean over the gap")
            if not trained:
                about.append("no baselines: not all of the model's training takes are in the folders (--library)")
        else:
            row |= drmm_ik.figures(asked, judged, options.questions, options.seed)
            about.append(f"pins: {options.questions} questions of 1 to 6; joint limits kept by every candidate shown")
    else:
        raise ValueError(f"{path.name} is about {', '.join(variables[:6])} ...: neither a roll, nor poses, nor motion")
    return Scorecard({MODEL: row}, [f"{path.name}: {len(variables)} variables, candidates {asked.shape[1]}", *about])


def _asked(live: OnnxModel) -> Asked:
    _, layers, candidates, components = (int(size) if size != "batch" else 1 for size in _port(live, "gumbel"))

    def run(values: Values) -> Values:
        live.inputs.update(values)
        return live.step()

    return Asked(run, Space.of(live.manifest), (layers, candidates, components))


def _port(live: OnnxModel, name: str) -> tuple[int | str, ...]:
    return next(port.shape for port in live.manifest.inputs if port.name == name)


def _question(asked: Asked, seed: int) -> Conditions:
    """Something usual: three pins for a body, all that was for a motion, one number for a table."""
    wanted, names = Conditions(asked.space), asked.space.variables
    if names == pose_vectors.VARIABLES:
        chosen = [f"{joint}/{axis}" for joint in PINNED for axis in "xyz"]
    else:
        chosen = [name for name in names if ".history." in name or name.startswith("dancer.facing")] or names[:1]
    return wanted.know(chosen, np.random.default_rng(seed).normal(0.0, 0.1, len(chosen)))


def _speed(asked: Asked, seed: int) -> dict[str, float]:
    """The median time of the graph's run on one thread; `candidates32_ms` where that is what it draws."""
    random = np.random.default_rng(seed)
    values = _question(asked, seed).question().inputs(asked.space.slots)
    times = []
    for _ in range(TIMED):
        gumbel = chance(random, (1, *asked.shape))
        begun = time.perf_counter()
        asked.run({**values, "gumbel": gumbel})
        times.append(1000.0 * (time.perf_counter() - begun))
    median = float(np.median(times))
    return {"question_ms": median, "candidates32_ms": median if asked.shape[1] == 32 else np.nan}


def _agreement(asked: Asked, model: Drmm, seed: int) -> float:
    """Of candidates, how many choose the same component in every layer in torch and onnxruntime, by the same chance."""
    random, same = np.random.default_rng(seed), []
    drawer = MotionDrawer(model) if isinstance(model, MotionDrmm) else Drawer(model)
    for number in range(8):
        values = _question(asked, seed + number).question().inputs(asked.space.slots)
        values["gumbel"] = chance(random, (1, *asked.shape))
        made = [run(values)["components"] for run in (asked.run, drawer.run)]
        same.append((made[0] == made[1]).mean())
    return 100.0 * float(np.mean(same))


def _takes(options: argparse.Namespace, live: OnnxModel) -> tuple[list[Take], list[Take], dict[str, float]]:
    """Takes that count, the model's own training takes (none where one is missing), and how many there are."""
    if not options.takes:
        raise ValueError("--takes: a model of poses or motion is judged by recordings")
    together = tuple(map(tuple, options.together)) if options.together else Config.together
    config = Config(drop_first=options.drop_first, together=together)
    given = _read(config, options.takes, options.cache)
    hashes = {str(entry["sha256"]) for entry in live.manifest.made_from.get("takes", ())}
    seen = [any(file["sha256"] in hashes for file in take.files()) for take in given]
    judged = [take for take, known in zip(given, seen, strict=True) if not known] or given
    counts = {"takes": len(given), "takes_seen": sum(seen), "takes_judged": len(judged)}
    trained: list[Take] = []
    if hashes and live.manifest.variables != pose_vectors.VARIABLES:
        folders = [*options.library, *(path.parent for path in options.takes)]
        files = sorted({path for folder in folders for path in folder.iterdir() if path.suffix.lower() in READERS})
        found = [path for path in files if digest(path) in hashes]
        if {digest(path) for path in found} == hashes:
            trained = _read(config, found, options.cache)
    return judged, trained, {name: float(count) for name, count in counts.items()}


def _read(config: Config, paths: Sequence[Path], cache: Path | None) -> list[Take]:
    takes, faults = gathered(config, sorted(paths, key=lambda path: path.name), cache)
    if faults:
        raise ValueError("\n".join(faults))
    return takes
