"""What the training command hands to a model's training, and what a kind of model must bring.

A kind is one line in training.models.MODELS. Most kinds bring `config`, `build` and `windows` and are trained by
gradients (training.loop); one that is made otherwise brings a `train` of its own, which gets the same Run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightning.fabric import Fabric
from torch import nn

from motion.skeleton import HUMANOID, Skeleton
from training import checkpoint, dataset, history, loop
from training import split as splitting
from training.loggers import Logger

STATISTICS = 8192  # windows that normalisation is taken from


@dataclass(frozen=True)
class Run:
    """One call of the command. data, model and training are the three sections of the YAML file, as Configs."""

    name: str  # of the kind: the key in MODELS
    kind: Kind
    data: Any
    model: Any
    training: Any
    trained: Sequence[Any]  # pairs of training.dataset, or what the kind's own `load` gives
    held_out: Sequence[Any]  # may be empty
    fabric: Fabric  # launched
    out: Path
    seed: int = 0
    resume: bool = False
    about: dict[str, Any] = field(default_factory=dict)  # plain values for the checkpoint: takes, licence, command
    skeleton: Skeleton = HUMANOID
    logger: str = "csv"  # of training.loggers.LOGGERS
    watchers: Sequence[Logger] = ()  # told what the logger is told


def by_gradient(run: Run) -> Path:
    """How most kinds of models are trained. Returns the last checkpoint; history.csv and a plot lie beside it."""
    model = run.kind.build(run.model, run.skeleton)
    windows = run.kind.windows(run, run.trained, True)
    watched = run.kind.windows(run, run.held_out, False) if run.held_out else None
    if hasattr(model, "fit_statistics") and (count := getattr(model, "statistics", STATISTICS)):
        model.fit_statistics(loop.some(windows, count, run.seed))
    checkpoint.init_from(model, run.training.init_from)
    last = loop.train(
        run.name,
        model,
        windows,
        watched,
        run.training,
        run.out,
        run.fabric,
        run.seed,
        run.resume,
        run.about,
        run.logger,
        run.watchers,
    )
    if run.fabric.is_global_zero:
        history.plot(run.out)
    return last


def _load_pairs(*where: Any, **how: Any) -> list[Any]:
    return dataset.load_pairs(*where, **how)


def _split(data: Any, takes: Sequence[Any], fold: tuple[int, int] | None, seed: int) -> tuple[list[Any], list[Any]]:
    if fold is None:
        return splitting.hold_out_share(takes, data.test_share, seed)
    return dataset.split(takes, fold)


@dataclass(frozen=True)
class Kind:
    """A kind of model.

    config, training: dataclasses for the sections `model` and `training`. build(config, skeleton) makes the untrained
    module, also when a checkpoint is rebuilt. windows(run, pairs, augment) gives what training.loop draws batches
    from: `len(windows)` and `gather(numbers) -> batch`. train(run) trains and returns the path of a checkpoint.

    A module for training.loop has `config`, `skeleton` and `loss(batch) -> (total, parts)`. Where it has them, the
    loop also calls `fit_statistics(batch)` once with many windows (as many as `statistics` says, where it is there; at
    0 not at all), `start_epoch(epoch)` (from 0) before each epoch, for weights that follow a cycle, and
    `start_batch(share)` before each batch, with the share of the run that is done after it.

    A kind that is not trained on pairs brings `data`, the Config of its section, and `load`, which has the arguments of
    dataset.load_pairs; its takes have a name, a length, slices, a skeleton and `files()`. split(data, takes, fold,
    seed) gives (training, held out), by fold or, where it is None, as `data` says. partners: whether it makes
    partners, who get sequences, a scorecard and a show after training. exported: whether what is trained goes on stage;
    what is not remains a checkpoint.
    """

    config: type
    build: Callable[[Any, Skeleton], nn.Module]
    windows: Callable[[Run, Sequence[Any], bool], Any] | None = None
    train: Callable[[Run], Path] = by_gradient
    training: type = loop.Config
    data: type = dataset.Config
    load: Callable[..., list[Any]] = _load_pairs
    split: Callable[[Any, Sequence[Any], tuple[int, int] | None, int], tuple[list[Any], list[Any]]] = _split
    partners: bool = True
    exported: bool = True
