"""What a labelled partner is made of and trained with, by the keys of its training configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from training.labels import LabelSets


@dataclass(frozen=True)
class Config:
    """label_sets, thresholds: filled in by training: what labels there are, and the tertiles of proxies.

    window: frames at 30 a second. latent: numbers of z; code: what the recurrent network is told of them. state,
    hidden: of the network; encoder, classifier: widths.
    scale: sizes of errors that weigh a nat: `fixed` ones, SCALES of training.models.labelled, times `scale_factor`, or
    `learned`. beta: of the divergence, after `warm_up` (share of the run). free_bits: nats a number. *_loss: weights in
    nats; alpha is of the classifier's cross-entropy, pull how much of U(x)'s gradient reaches it where everything is
    labelled, and as much less as less is: what a label explains of a window in hundreds of nats would shout down the
    few that are labelled. agree: of alpha, how much windows without a label are to have the one that a teacher gives
    them, which warms up, too. quality_loss and recognised_loss are of what is made from the prior.
    """

    label_sets: LabelSets = ()
    thresholds: dict[str, tuple[float, float]] = field(default_factory=dict)
    window: int = 40
    latent: int = 384
    code: int = 48
    state: int = 96
    hidden: int = 192
    encoder: int = 256
    classifier: int = 64
    dropout: float = 0.3
    scale: Literal["fixed", "learned"] = "fixed"
    scale_factor: float = 1.0
    beta: float = 1.0
    warm_up: float = 0.2
    free_bits: float = 0.02
    alpha: float = 100.0
    pull: float = 0.025
    agree: float = 0.5
    smoothing: float = 0.05
    quality_loss: float = 300.0
    recognised_loss: float = 15.0

    def __post_init__(self) -> None:
        for name in ("window", "latent", "code", "state", "hidden", "encoder", "classifier", "scale_factor"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many labels every set has."""
        return tuple(len(of_set) for _, of_set in self.label_sets)
