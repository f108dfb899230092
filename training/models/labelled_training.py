"""How a labelled partner is trained: by gradients, on pieces of takes, once it is known what labels there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from training import labels as labelling
from training import loop
from training.models.labelled_takes import Labelling, Take
from training.models.labelled_windows import Windows
from training.run import Run, by_gradient

WATCHED_STRIDE = 8  # frames


@dataclass(frozen=True)
class Training(loop.Config):
    """As training.loop."""

    epochs: int = 1
    batch_size: int = 32
    learning_rate: float = 2e-3
    clip_norm: float = 1e4


def train(run: Run) -> Path:
    """By gradients, once it is known what labels there are."""
    made = Labelling.of(run.data, run.trained, run.model.window)
    known = replace(run.model, label_sets=made.sets, thresholds=made.thresholds)
    about = {**run.about, "data": asdict(run.data)}  # for training.evaluate, which reads and labels alike
    return by_gradient(replace(run, model=known, about=about))


def windows(run: Run, takes: Sequence[Take], augment: bool) -> Windows:
    """All pieces; those that are watched are fewer, not mirrored, and have all their labels."""
    labels = Labelling.of(run.data, run.trained, run.model.window)
    dancers = [dancer for take in takes for dancer in take.dancers]
    given = [labels.windows(dancer) for dancer in dancers]
    if augment:
        given = labelling.kept(given, run.data.share, run.model.window, run.seed)
        if faults := labelling.missing(given, labels.sets):
            raise ValueError("\n".join(faults))
    mirror, stride = augment and run.data.mirror, 1 if augment else WATCHED_STRIDE
    return Windows(dancers, given, run.model.window, mirror, stride)
