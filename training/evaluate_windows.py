"""Windows that a labelled partner is judged by: recorded ones, and such as it draws from its prior or from tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training.labels import NONE
from training.models import labelled_pose as pose
from training.models.labelled import Labelled
from training.models.labelled_takes import FPS, Labelling, Take

DRAWN, DANCED = 600, 4  # windows made from the prior, and how many are danced for each
TILES = ((0.1, 3, 0.80), (0.2, 3, 0.75), (0.4, 1, 0.75))  # PirouNet's: size, windows more than, share of the label


@dataclass(frozen=True)
class Real:
    """Windows of recordings: moves (N, T, WIDTH), labels (N, sets), and which take (N,) each is of."""

    moves: Tensor
    labels: Tensor
    takes: Tensor

    @classmethod
    def of(cls, takes: Sequence[Take], labelling: Labelling, stride: int) -> Real:
        """Every `stride`th window of takes."""
        moves, labels, places = [], [], []
        for place, take in enumerate(takes):
            for dancer in take.dancers:
                if len(dancer) >= labelling.window:
                    given = pose.moves(dancer.root, dancer.rotations, FPS).unfold(0, labelling.window, stride)
                    moves.append(given.transpose(1, 2))
                    labels.append(torch.from_numpy(labelling.windows(dancer)[::stride]))
                    places.append(torch.full((len(given),), place))
        if not moves:
            raise ValueError(f"no take is as long as a window of {labelling.window} frames")
        return cls(torch.cat(moves), torch.cat(labels), torch.cat(places))


@dataclass(frozen=True)
class Drawn:
    """Windows that were made up, moves (N, T, WIDTH), and the labels (N, sets) that were asked for. They are cut out of
    dances without a break, wherever a window of the model happens to begin in them.
    """

    moves: Tensor
    labels: Tensor


def draw(model: Labelled, random: torch.Generator, count: int = DRAWN) -> Drawn:
    """From the prior: z ~ N(0, 1), as many windows of every label, all after a window of any label."""
    labels = model.choices[torch.arange(count) % len(model.choices)]
    before = model.choices[torch.randint(len(model.choices), (count,), generator=random)]
    z = torch.randn(DANCED, count, model.config.latent, generator=random)
    return Drawn(cut(dance(model, z, [before, *[labels] * (DANCED - 1)]), random), labels)


def dance(model: Labelled, z: Tensor, labels: Sequence[Tensor]) -> Tensor:
    """Moves (N, W · T, WIDTH) of a dance without a break, of z (W, N, latent) and labels (N, sets) of each window."""
    moves, state = [], None
    for one, known in zip(z, labels, strict=True):
        moved, state = model.generate(one, known, state)
        moves.append(moved)
    return torch.cat(moves, dim=1)


def cut(moves: Tensor, random: torch.Generator) -> Tensor:
    """A window (N, T, WIDTH) of each dance (N, DANCED · T, WIDTH): it begins somewhere in the last window but one."""
    window = moves.shape[1] // DANCED
    begin = (DANCED - 2) * window + torch.randint(window + 1, (len(moves), 1), generator=random)
    return moves[torch.arange(len(moves))[:, None], begin + torch.arange(window)]


def tiles(model: Labelled, real: Real, random: torch.Generator, each: int = 100) -> Drawn:
    """As PirouNet draws: from tiles of the plane of a label's two largest components in which many recordings of that
    label lie, and few of others. Tiles grow until there are such. What two components do not say of z, which is most
    of it here, is drawn as the label's recordings have it. Only of the first label set.
    """
    made, asked = [], []
    known = (real.labels != NONE).all(dim=1)
    truth = real.labels[known]
    if truth.numel():
        mu, _ = model.encode(real.moves[known], truth)
    for label, tile in enumerate(TILES[: model.config.sizes[0]] if truth.numel() else ()):
        own = mu[truth[:, 0] == label]
        if len(own) < 3:
            continue
        middle = own.mean(dim=0)
        _, _, axes = torch.linalg.svd(own - middle, full_matrices=False)
        axes = axes[:2]
        good, size = _good_tiles((mu - middle) @ axes.T, truth[:, 0] == label, *tile)
        if len(good):
            plane = (
                good[torch.randint(len(good), (each,), generator=random)] + torch.rand(each, 2, generator=random)
            ) * size
            rest = torch.randn(each, mu.shape[1], generator=random) * own.std(dim=0)
            made.append(middle + plane @ axes + rest - rest @ axes.T @ axes)
            labels = model.choices[torch.randint(len(model.choices), (each,), generator=random)].clone()
            labels[:, 0] = label
            asked.append(labels)
    if not made:
        return Drawn(real.moves[:0], real.labels[:0])
    labels = torch.cat(asked)
    return Drawn(model.generate(torch.cat(made), labels)[0], labels)


def _good_tiles(plane: Tensor, own: Tensor, size: float, least: int, share: float) -> tuple[Tensor, float]:
    """The numbers (G, 2) of tiles with more than `least` and a `share` of windows that are a label's `own` (N,), of
    windows on a plane (N, 2); and how large tiles are: as large as they must be for there to be any.
    """
    good, size, far = plane[:0], 0.5 * size, plane.abs().max()
    while not len(good) and size < far:
        size *= 2.0
        found, which = torch.unique(torch.floor(plane / size).long(), dim=0, return_inverse=True)
        every, mine = torch.bincount(which, minlength=len(found)), torch.bincount(which[own], minlength=len(found))
        good = found[(mine > least) & (mine > share * every)]
    return good, size
