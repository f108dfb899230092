"""Windows in another order: those first whose label a trained partner's classifier is least sure of.

A label of them teaches more than one drawn at random (uncertainty sampling: D. Lewis and W. Gale, A sequential
algorithm for training text classifiers, SIGIR 1994). How unsure it is, is the entropy of q(y|x) over the largest that
there is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch

from training.label_windows import Window
from training.models import labelled_pose as pose
from training.models import read_checkpoint, rebuild
from training.models.labelled_takes import FPS


def ordered(windows: Sequence[Window], checkpoint: Path, sets: Sequence[str]) -> list[Window]:
    """The windows, least sure first, by the mean over those of `sets` that the partner knows.

    Raises ValueError for a checkpoint of another kind or of none of the sets, and for windows at another rate.
    """
    stored = read_checkpoint(checkpoint)
    if stored["kind"] != "labelled":
        raise ValueError(
            f"--unsure {checkpoint} is a {stored['kind']!r} model; only labelled ones are unsure of labels"
        )
    model = rebuild(stored)
    known = [place for place, (name, _) in enumerate(model.config.label_sets) if name in sets]
    if not known:
        there = ", ".join(name for name, _ in model.config.label_sets) or "nothing"
        raise ValueError(f"--unsure {checkpoint} knows {there}, and none of {', '.join(sets)}")
    if any(window.fps != FPS for window in windows):
        raise ValueError(f"--unsure needs windows at {FPS:g} fps, which labelled partners think at")
    with torch.inference_mode():
        moves = torch.stack([pose.moves(window.root, window.rotations, FPS) for window in windows])
        said = model.classifier(moves, pose.positions(moves))
    each = [-(said[place].exp() * said[place]).sum(dim=1) / math.log(said[place].shape[1]) for place in known]
    order = torch.stack(each).mean(dim=0).argsort(descending=True, stable=True)
    return [windows[place] for place in order.tolist()]
