"""Weights of identity_action as they were stored before, made into those of the model as it is now."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

POSTERIOR = "posterior.now.weight"


def brought_up(weights: Mapping[str, Tensor], now: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights, with what older ones lack so that they do what they did: a tempo that everybody has (rate 1), a d
    of which nothing is forgotten. now: those of the model that they are for.

    When there was no tempo, the posterior did not add what it follows to its mean: the layer that says the mean takes
    as much away. Raises ValueError naming what else is missing.
    """
    made = dict(weights)
    if "tempo.who" not in made:
        made["tempo.who"] = torch.zeros_like(now["tempo.who"])
        made.setdefault("tempo.varies", torch.ones_like(now["tempo.varies"]))
        if POSTERIOR in made:
            layer = made[POSTERIOR].clone()
            latent = len(layer) // 2  # rows: means, then deviations; columns: ..., what is followed, whether it is
            layer[:latent, -1 - latent : -1] -= torch.eye(latent, device=layer.device)
            made[POSTERIOR] = layer
    if "dynamics.kept" not in made:
        made["dynamics.kept"] = torch.eye(len(now["dynamics.kept"]))
        made.setdefault("dynamics.centre", torch.zeros_like(now["dynamics.centre"]))
    if missing := [name for name in now if name not in made]:
        raise ValueError(f"these weights are of another model, or of an older one: they lack {', '.join(missing)}")
    return made
