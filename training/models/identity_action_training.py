"""How identity_action is trained: stage 1 in OUT/stage1, then stage 2 in OUT, by one command that resumes either.

An epoch is as many windows as `windows` says, drawn anew, so that anneals have epochs to go by however long takes are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from motion.skeleton import Skeleton
from training import checkpoint, loop
from training.models import identity_windows
from training.models.identity_action import PARTS, IdentityAction
from training.models.identity_action_config import FRAMES, SEQUENCES, Config
from training.models.identity_takes import Names
from training.run import Run, by_gradient

STAGE1 = "stage1"  # folder of its run within that of the whole
FORGOTTEN, WATCHED_BATCH = 64, 128  # windows of every cell that d is made to forget by; and at a time
WATCHED = 4  # windows of every cell that an epoch is validated with


@dataclass(frozen=True)
class Stage(loop.Config):
    """As training.loop. windows: of an epoch."""

    epochs: int = 40
    batch_size: int = 24
    learning_rate: float = 1e-3
    windows: int = 768


@dataclass(frozen=True)
class Training(Stage):
    """Of stage 1; stage2: of the other. stage1: a checkpoint of stage 1 to begin stage 2 from, in place of training it.
    --epochs counts for stage 1.
    """

    stage1: str = ""
    stage2: Stage = field(default_factory=lambda: Stage(epochs=24))

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.stage2, dict):
            object.__setattr__(self, "stage2", Stage(**self.stage2))


class Drawn:
    """Windows drawn anew from others in every epoch; `count` of them are one."""

    def __init__(self, whole: Any, count: int) -> None:
        self._whole, self._count = whole, count
        self._drawn: dict[int, int] = {}  # of the last batch

    def __len__(self) -> int:
        return self._count

    def gather(self, numbers: Tensor) -> dict[str, Tensor]:
        """As many as numbers (B,) has, whichever they are."""
        chosen = (torch.rand(len(numbers)).double() * len(self._whole)).long()
        self._drawn = dict(zip(numbers.tolist(), chosen.tolist(), strict=True))
        return self._whole.gather(chosen)

    def origin(self, number: int) -> tuple[str, int]:
        """The file and first frame of what was drawn last for a number."""
        return self._whole.origin(self._drawn[number])


class Watched:
    """The windows of others with certain numbers."""

    def __init__(self, whole: Any, numbers: Tensor) -> None:
        self._whole, self._numbers = whole, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def gather(self, numbers: Tensor) -> dict[str, Tensor]:
        return self._whole.gather(self._numbers[numbers])


def train(run: Run) -> Path:
    """Both stages. Returns the checkpoint of the whole model."""
    names = Names.of(run.trained)
    known = replace(run.model, identities=names.identities, actions=names.actions)
    run = replace(run, about={**run.about, "data": asdict(run.data)})  # for who reads recordings alike
    first = Path(run.training.stage1) if run.training.stage1 else _stage1(run, known)
    if run.fabric.is_global_zero:
        _require(first, known)
    print_once(run, f"stage 2 begins from {first}")
    out = run.out / loop.LAST
    training = replace(run.training.stage2, init_from={part: str(first) for part in _parts(known)})
    run = replace(run, training=training, resume=run.resume and out.exists())
    last = _stage(run, replace(known, stage=SEQUENCES))
    if run.fabric.is_global_zero and known.images is None:
        _forget(replace(run, model=known), last)
    run.fabric.barrier()
    return last


def _forget(run: Run, path: Path) -> None:
    """Takes out of a checkpoint's d what tells identities apart in windows that it was trained on."""
    stored = checkpoint.read(path, run.name)
    model = IdentityAction(Config(**stored["config"]), run.skeleton)
    model.load_state_dict(stored["weights"])
    model.eval()
    whole = run.kind.windows(run, run.trained, False)
    numbers = whole.even(FORGOTTEN)
    batches = [whole.gather(part) for part in numbers.split(WATCHED_BATCH)]
    with torch.no_grad():
        e = torch.cat([model.read(batch["x"])[1] for batch in batches])
    model.dynamics.forget(e, torch.cat([batch["identity"] for batch in batches]))
    checkpoint.save(run.fabric, {**stored, "weights": model.state_dict()}, path)


def _stage1(run: Run, known: Config) -> Path:
    out = run.out / STAGE1
    print_once(run, f"stage 1, frames: {out}")
    resumed = run.resume and (out / loop.LAST).exists()
    training = Stage(**{name: getattr(run.training, name) for name in Stage.__dataclass_fields__})
    return _stage(replace(run, training=training, out=out, resume=resumed), replace(known, stage=FRAMES))


def _stage(run: Run, config: Config) -> Path:
    def build(config: Config, skeleton: Skeleton) -> IdentityAction:
        model = IdentityAction(config, skeleton)
        model.epochs = run.training.epochs
        return model

    def windows(own: Run, takes: Sequence[Any], augment: bool) -> Any:
        whole = run.kind.windows(own, takes, augment)
        return Drawn(whole, run.training.windows) if augment else Watched(whole, whole.even(WATCHED))

    torch.manual_seed(run.seed)  # so that a stage begins alike, whatever came before it
    return by_gradient(replace(run, model=config, kind=replace(run.kind, build=build, windows=windows)))


def _parts(known: Config) -> list[str]:
    """What stage 2 has from stage 1."""
    return [part for part in PARTS[FRAMES] if known.timed or part != "tempo"]


def _require(path: Path, known: Config) -> None:
    """Raises ValueError unless a checkpoint is a stage 1 of the same identities."""
    stored = checkpoint.read(path)
    there = {name.partition(".")[0] for name in stored["weights"]}
    missing = [part for part in _parts(known) if part not in there]
    if missing == ["tempo"]:
        raise ValueError(
            f"{path} is a stage 1 from before swaps had a tempo: train it again, or leave training.stage1 out"
        )
    if missing:
        raise ValueError(f"{path}, a {stored['kind']!r}, is no stage 1: it has no {', '.join(missing)}")
    before = tuple(stored["config"]["identities"])
    if before != known.identities:
        raise ValueError(
            f"{path} knows the identities {', '.join(before)}; the recordings have {', '.join(known.identities)}: "
            f"train stage 1 on them, or leave training.stage1 out"
        )


def print_once(run: Run, text: str) -> None:
    """In the first process."""
    if run.fabric.is_global_zero:
        print(text)


def windows(run: Run, takes: Sequence[Any], augment: bool) -> identity_windows.Sequences:
    """All windows of takes; those that are watched are not mirrored."""
    mirror = augment and run.data.mirror
    return identity_windows.of_takes(takes, Names.of(run.trained), run.model.window, mirror)
