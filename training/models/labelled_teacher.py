"""Who tells the labelled partner's classifier the labels of windows that nobody has labelled: an average of its own
weights over the last batches (mean teacher, Tarvainen & Valpola 2017).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from training.labels import NONE
from training.models.labelled_networks import Classifier

KEPT = 0.98  # of the average, a batch
BEGINS = 10.0  # batches in which it comes to keep that much
USUAL = 0.95  # of how often each label has been said lately, a batch


class Teacher:
    """No part of a checkpoint: a run that goes on begins with what the classifier knows by then."""

    def __init__(self) -> None:
        self._own: Classifier | None = None
        self._batches = 0
        self._usual: list[Tensor] = []  # of every set, how often each label is said

    @torch.no_grad()
    def labels(self, classifier: Classifier, given: Tensor) -> list[Tensor]:
        """How probable every set's labels are (N, its labels) of what windows are felt to be (N, T, 5J), after
        another batch of the classifier's. All labels come equally often: else the commonest takes over.
        """
        if self._own is None:
            self._own = copy.deepcopy(classifier).eval().requires_grad_(False)
            self._usual = [given.new_full((size,), 1.0 / size) for size in classifier.sizes]
        kept = min(KEPT, self._batches / (self._batches + BEGINS))
        for own, new in zip(self._own.parameters(), classifier.parameters(), strict=True):
            own.lerp_(new, 1.0 - kept)
        self._batches += 1
        said = [each.exp() for each in self._own.judged(given)]
        return [_even(each, usual) for each, usual in zip(said, self._usual, strict=True)]


def _even(said: Tensor, usual: Tensor) -> Tensor:
    """Probabilities (N, K), each label by how often it is `usual` (K,), which goes on with them."""
    usual.lerp_(said.mean(dim=0), 1.0 - USUAL)
    evened = said / usual
    return evened / evened.sum(dim=1, keepdim=True)


def agreement(labels: Tensor, log_q: Sequence[Tensor], taught: Sequence[Tensor]) -> Tensor:
    """How badly what is said of windows without a label agrees with what is taught of them, the mean over all windows
    and sets: the cross-entropy, less where more is labelled, and nothing where half is.

    labels (N, sets), NONE where nobody has labelled; log_q, taught: of every set (N, its labels).
    """
    losses = []
    for column, (said, wanted) in enumerate(zip(log_q, taught, strict=True)):
        unknown = (labels[:, column] == NONE).float()
        fades = (2.0 * unknown.mean() - 1.0).clamp(min=0.0)
        losses.append(-fades * (unknown * (wanted * said).sum(dim=1)).mean())
    return torch.stack(losses).mean() if losses else labels.new_zeros((), dtype=torch.float32)
