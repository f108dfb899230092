"""From takes to a fitted DuetMatch: regressors, then the database and the axes on which it is searched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from training.dataset import Pair
from training.match import database, features
from training.match.database import GROUPS, Side
from training.match.pace import Pace
from training.match.regressors import KernelRidge, standardised, train_placement

if TYPE_CHECKING:
    from training.models.duet_match import DuetMatch

_INNER = 3  # folds by take for the spread of predictions on unseen takes


def fit(
    model: DuetMatch,
    pairs: Sequence[Pair],
    mirror: bool,
    swap: bool,
    seed: int,
    epochs: int = 22,
    pace: Pace | None = None,
    share: float = 1.0,
) -> DuetMatch:
    """Fits everything in `model` to the takes. share: which part of the pace's time the placement networks take.

    Raises ValueError when the takes are too few or too short.
    """
    pace = pace or Pace(quiet=True)
    config, generator = model.config, torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    played = database.sides(list(pairs), mirror, False)
    shortest = database.FIRST_ENTRY + database.LAST_ENTRY + 10
    if short := [pair.name for pair in pairs if len(pair.lead) * features.RATE / pair.fps < shortest]:
        raise ValueError(f"too short to be played from (under {shortest / features.RATE:.1f} s): {', '.join(short)}")
    learned = database.sides(list(pairs), mirror, swap)
    groups = len(learned) // len(pairs)
    take = [number // groups for number in range(len(learned))]

    seen, placements, wants, owner = [], [], [], []
    for side, number in zip(learned, take, strict=True):
        rows = features.context(features.past_of(side.given))
        parts = features.body(side.positions)
        seen.append(rows)
        placements.append(
            features.placement(parts, side.given[:, 0, 0::2], features.lefts(side.given), config.horizons)
        )
        wants.append(features.intention(parts))
        owner.append(torch.full((len(rows),), number))
    x, place, want, own = (torch.cat(parts) for parts in (seen, placements, wants, owner))
    model.seen_mean, model.seen_scale = standardised(x)
    x = model.standardise(x)

    for ridge in model.placers:
        ridge.fit(x, place, generator)
    model.placement_mean.copy_(place.mean(0))
    each = share / max(len(model.networks), 1)
    for number, net in enumerate(model.networks):
        train_placement(net, x, place - place.mean(0), 0.3 if number % 2 == 0 else 0.2, epochs, generator, pace, each)
    for ridge in model.intents:
        ridge.fit(x, want, generator)
    _unshrink(model, x, want, own, generator)
    _fill(model, played)
    return model.eval()


@torch.no_grad()
def _unshrink(model: DuetMatch, x: Tensor, want: Tensor, take: Tensor, generator: torch.Generator) -> None:
    """How much less than followers the intention varies on takes it has not seen."""
    config = model.config
    count = min(_INNER, int(take.max()) + 1)
    said = []
    for fold in range(count):
        held = take % count == fold
        if not held.any() or held.all():
            said.append(model.intents[0](x))
            continue
        dims = config.intention_dims[0]
        ridge = KernelRidge(x.shape[1], dims, config.intention_centres // 2, want.shape[1])
        said.append(ridge.fit(x[~held], want[~held], generator)(x[held]))
    spread = torch.cat(said).std(0)
    model.wants_mean.copy_(want.mean(0))
    model.wants_gain.copy_((want.std(0) / spread.clamp(min=1e-6)).clamp(1.0, config.most_gain))


@torch.no_grad()
def _fill(model: DuetMatch, played: list[Side]) -> None:
    """The database: poses, spans and the table of features on their axes."""
    config = model.config
    poses, ends, doors, own, rows = [], [], [], [], []
    start = 0
    for side in played:
        parts, past = features.body(side.positions), features.past_of(side.given)
        context = model.placers[0].project(model.standardise(features.context(past)))
        poses.append(database.clips(side, parts))
        own.append(features.own(parts))
        rows.append(database.row_groups(side, parts, past, context))
        frames = len(side.given)
        ends.append(torch.full((frames,), float(start + frames - 1)))
        frame = torch.arange(frames)
        inside = (frame >= database.FIRST_ENTRY) & (frame < frames - database.LAST_ENTRY)
        doors.append(start + frame[inside & (frame % 2 == 0)])
        start += frames
    scales, tables = [], []
    for group in GROUPS:
        values = torch.cat([row[group] for row in rows])
        scale = config.weight(group) / values.var(0).sum().sqrt().clamp(min=1e-6)
        scales.append(scale.expand(values.shape[1]))
        tables.append(values * scale)
    rest, scaled = torch.cat(tables, dim=1), torch.cat(own)
    scaled = (scaled - scaled.mean(0)) * (config.weight_own / scaled.var(0).sum().sqrt().clamp(min=1e-6))
    mean = rest.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov(rest.T))
    count = min(config.axes, rest.shape[1])
    turn, spread = vectors[:, -count:].flip(1), values[-count:].flip(0).clamp(min=0.0).sqrt()
    table = torch.cat([(rest - mean) @ turn, scaled], dim=1)
    model.poses, model.ends, model.table = torch.cat(poses), torch.cat(ends), table.contiguous()
    model.doors = torch.cat(doors).float()
    model.scale, model.mean, model.turn = torch.cat(scales), mean, turn
    wander = torch.zeros(config.noise, count)
    first = min(config.noise, count)
    wander[:first, :first] = torch.diag(config.wander * spread[:first])
    model.wander = wander
