"""Search for a better configuration: many short trainings, each a folder, with Optuna deciding what to try next.

    python -m training.sweep duet presets/training/duet.yaml SPACE.yaml --data RECORDINGS --out runs/sweep --trials 20

SPACE.yaml says what to minimise and what may vary, by section and key of the config:

    metric: held_out_total            # a column of history.csv; of its last epoch
    space:
      training.learning_rate: {low: 1.0e-4, high: 1.0e-2, log: true}
      model.latent: {low: 8, high: 48, step: 8}
      model.pose_dropout: {choices: [0.0, 0.1, 0.2]}

All that is known lies in OUT/sweep.journal; the same command goes on where it was stopped, even within a trial.
Trials that do worse than most are given up early, and those whose loss is no number. OUT/best.yaml is a config for
training.train, OUT/trials.csv has all trials.
"""

from __future__ import annotations

import argparse
import copy
import csv
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.trial import TrialState

from training import config, history, loop, train
from training.checkpoint import read as read_checkpoint
from training.diverged import Diverged
from training.models import MODELS

STORAGE = "sweep.journal"
WARM_UP = 5  # epochs and trials that nothing is given up in


@dataclass(frozen=True)
class Range:
    """What one key may be: numbers low..high, in steps or on a logarithmic scale, or one of some choices."""

    low: int | float | None = None
    high: int | float | None = None
    step: int | float | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        if bool(self.choices) == (self.low is not None and self.high is not None):
            raise ValueError("either low and high or choices must be given")
        if not self.choices and not self.low < self.high:
            raise ValueError(f"low must be below high, not {self.low} and {self.high}")
        if self.log and (self.low or 0.0) <= 0.0:
            raise ValueError(f"log needs a low above 0, not {self.low}")
        if self.log and self.step is not None:
            raise ValueError("log and step do not go together")

    def suggest(self, trial: optuna.Trial, key: str) -> Any:
        """A value for this trial, as Optuna stores it."""
        if self.choices:  # by their place: Optuna stores plain values only, and a choice may be a list
            return trial.suggest_categorical(key, list(range(len(self.choices))))
        if all(isinstance(value, int) or value is None for value in (self.low, self.high, self.step)):
            return trial.suggest_int(key, int(self.low), int(self.high), step=int(self.step or 1), log=self.log)
        return trial.suggest_float(key, self.low, self.high, step=self.step, log=self.log)


@dataclass(frozen=True)
class Space:
    """What to vary and what to look at. A metric is a column of history.csv."""

    space: dict[str, Range]
    metric: str = "held_out_total"
    direction: str = "minimize"

    def __post_init__(self) -> None:
        if self.direction not in ("minimize", "maximize"):
            raise ValueError(f"direction must be minimize or maximize, not {self.direction!r}")

    def values(self, stored: dict[str, Any]) -> dict[str, Any]:
        """What Optuna stored for each key -> what the config gets."""
        return {key: self.space[key].choices[v] if self.space[key].choices else v for key, v in stored.items()}


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns 0, 1 for an error that has been printed, 130 when stopped."""
    options = _parser().parse_args(arguments)
    try:
        best = run(options)
    except loop.Stopped as stopped:
        print(f"\nstopped; {stopped}\nthe same command goes on from there")
        return 130
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("\ntrain with what was found:")
    print(f"  python -m training.train {options.kind} {best} --data {options.data} --out runs/NAME")
    return 0


def run(options: argparse.Namespace) -> Path:
    """Trials until there are as many as asked for; returns the best one's config. Raises ValueError for wrong files."""
    out = Path(options.out)
    base, space = config.load(Path(options.config)), read_space(options.kind, Path(options.space))
    train.read_config(options.kind, Path(options.config))
    out.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=storage(out),
        study_name=options.kind,
        direction=space.direction,
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=WARM_UP, n_warmup_steps=WARM_UP),
    )
    _continue(study, space)
    # A new seed for every sitting: with the old one a resumed search would try the first trials again.
    study.sampler = optuna.samplers.TPESampler(seed=options.seed + len(study.trials))
    while len(_finished(study)) < options.trials:
        trial = study.ask()
        try:
            value = one_trial(trial, options, base, space, out)
        except (ValueError, OSError):
            study.tell(trial, state=TrialState.FAIL)
            raise
        study.tell(trial, value, state=TrialState.PRUNED if value is None else TrialState.COMPLETE)
        print(_sentence(study.trials[trial.number], space))
    if not any(trial.state == TrialState.COMPLETE for trial in study.trials):
        raise ValueError(f"no trial came through; their errors stand in {out / STORAGE}")
    best = out / "best.yaml"
    best.write_text((Path(study.best_trial.user_attrs["folder"]) / "config.yaml").read_text(encoding="utf-8"))
    _write_table(study, space, out)
    return best


def storage(out: Path) -> optuna.storages.BaseStorage:
    """Where a sweep's trials are kept."""
    backend = optuna.storages.journal.JournalFileBackend(str(out / STORAGE))
    return optuna.storages.JournalStorage(backend)


def one_trial(
    trial: optuna.Trial, options: argparse.Namespace, base: dict[str, Any], space: Space, out: Path
) -> float | None:
    """Train one configuration; the metric, or None when it was given up. A trial that was begun before goes on."""
    sections = copy.deepcopy(base)
    stored = {key: values.suggest(trial, key) for key, values in space.space.items()}
    for key, value in space.values(stored).items():
        section, _, name = key.partition(".")
        sections.setdefault(section, {})[name] = value
    text = yaml.safe_dump(sections, sort_keys=False)
    folder = out / hashlib.sha256(f"{options.kind}{options.fold}{options.epochs}{text}".encode()).hexdigest()[:12]
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    trial.set_user_attr("folder", str(folder))
    arguments = [options.kind, str(folder / "config.yaml"), "--data", options.data, "--out", str(folder)]
    arguments += ["--cache", options.cache or str(out / "cache"), "--seed", str(options.seed)]
    arguments += ["--fold", options.fold] if options.fold else []
    arguments += ["--epochs", str(options.epochs)] if options.epochs else []
    arguments += ["--resume"] if _begun(folder) else []
    try:
        train.fit(train.parser().parse_args(arguments), watchers=[_Reporter(trial, space)])
    except _GivenUp:
        return None
    except Diverged as error:
        print(f"trial {trial.number}: {error}")
        return None
    return _metric(history.read(folder)[-1], space)


class _GivenUp(Exception):
    """A trial does worse than most."""


class _Reporter:
    """Tells Optuna how a trial does; raises _GivenUp when it had better end."""

    def __init__(self, trial: optuna.Trial, space: Space) -> None:
        self._trial, self._space = trial, space

    def batch(self, number: int, values: dict[str, float]) -> None: ...

    def epoch(self, line: dict[str, float]) -> None:
        self._trial.report(_metric(line, self._space), int(line["epoch"]))
        if self._trial.should_prune():
            raise _GivenUp

    def close(self) -> None: ...


def read_space(kind: str, path: Path) -> Space:
    """The search space in a YAML file. Raises ValueError with every fault: file, key, choices."""
    content = config.load(path)
    space, faults = config.section(Space, content, str(path))
    known = {
        f"{section}.{name}"
        for section, cls in (("model", MODELS[kind].config), ("training", MODELS[kind].training))
        for name in cls.__dataclass_fields__
    }
    faults += config.unknown(f"{path}: space", content.get("space") or {}, sorted(known))
    if faults:
        raise ValueError("\n".join(faults))
    if not space.space:
        raise ValueError(f"{path}: space is empty; name keys as training.learning_rate")
    return space


def _metric(line: dict[str, float], space: Space) -> float:
    if space.metric not in line:
        raise ValueError(
            f"metric {space.metric!r} is no column of history.csv; it has {', '.join(line)} (held_out_... needs takes "
            "that are held out: --fold 1/3, or data.test_share)"
        )
    return line[space.metric]


def _continue(study: optuna.Study, space: Space) -> None:
    """What was running when the last sitting ended is tried again with the same values, and so resumed."""
    for trial in study.get_trials(states=[TrialState.RUNNING]):
        study.tell(trial.number, state=TrialState.FAIL)
        if trial.params.keys() == space.space.keys():
            study.enqueue_trial(trial.params)


def _begun(folder: Path) -> bool:
    """Whether a training stopped here on its way."""
    if not (folder / loop.LAST).is_file():
        return False
    return "run" in read_checkpoint(folder / loop.LAST)


def _finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return study.get_trials(deepcopy=False, states=[TrialState.COMPLETE, TrialState.PRUNED])


def _sentence(trial: optuna.trial.FrozenTrial, space: Space) -> str:
    told = "given up" if trial.state == TrialState.PRUNED else f"{space.metric} {trial.value:.4f}"
    return f"trial {trial.number}: {told}  {json.dumps(space.values(trial.params))}"


def _write_table(study: optuna.Study, space: Space, out: Path) -> None:
    """trials.csv: every trial with its values, best first."""
    sign = 1.0 if space.direction == "minimize" else -1.0
    trials = sorted(study.trials, key=lambda each: float("inf") if each.value is None else sign * each.value)
    with open(out / "trials.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["trial", "state", space.metric, *space.space, "folder"], restval="")
        writer.writeheader()
        for trial in trials:
            told = {"trial": trial.number, "state": trial.state.name.lower(), space.metric: trial.value}
            writer.writerow(told | space.values(trial.params) | trial.user_attrs)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.sweep", description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=sorted(MODELS))
    parser.add_argument("config", help="what does not vary: a training config, for instance presets/training/duet.yaml")
    parser.add_argument("space", help="YAML: what varies, and what is minimised")
    parser.add_argument("--data", required=True, help="folder of recordings")
    parser.add_argument("--out", required=True, help="folder of the sweep; with the same one a sweep goes on")
    parser.add_argument("--trials", type=int, default=20, help="how many in all, earlier sittings included")
    parser.add_argument("--fold", help="K/N: hold out every N-th take from the K-th on")
    parser.add_argument("--epochs", type=int, help="of every trial")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", help="folder of takes already read (default: OUT/cache)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
