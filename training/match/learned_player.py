"""The player without a database: networks say what it plays, how that goes on and where to jump."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from training.match import features
from training.match.learned import KNOTS, onward
from training.match.player import Player
from training.models.duet_match import CATMULL_ROM

_MOST_ROWS = 3  # in one step: a live rate of 10 Hz


class LearnedPlayer(Player):
    """Where Player remembers a row, this one remembers by how many rows it has come on, how far it is from one code to
    the next, and the codes around. Between codes it goes as Player does between rows.
    """

    def _remember(self) -> None:
        self.learned = self.model.learned
        self.memory = 2 + KNOTS * self.learned.code

    def _onward(self, kept: Tensor, seconds: Tensor) -> tuple[Tensor, ...]:
        age, fraction, knots = kept.split([1, 1, KNOTS * self.learned.code], dim=-1)
        rows = (features.RATE * seconds).clamp(max=_MOST_ROWS)
        learned, code, fraction = self.learned, self.learned.code, fraction + rows
        for _ in range(_MOST_ROWS):
            over = fraction >= 1.0
            after = onward(knots[:, -code:], over, learned.longest, list(learned.stepper.layers.parameters()))
            knots = torch.where(over, torch.cat([knots[:, code:], after], dim=-1), knots)
            fraction = torch.where(over, fraction - 1.0, fraction)
        powers = torch.cat([torch.ones_like(fraction), fraction, fraction**2, fraction**3], dim=-1)
        between = ((powers @ CATMULL_ROM).unsqueeze(1) @ knots.view(-1, KNOTS, code))[:, 0]
        flat, found, around = learned.row(between)
        moving = flat[:, -4:] * (rows * (1.0 / features.RATE))
        age = age + rows
        at = torch.cat([age, fraction, knots, found, around], dim=-1)
        return flat, at, moving[:, 1:3], moving[:, 3:], age > self.config.learned_seconds * features.RATE

    def _choose(
        self, rest: Tensor, flat: Tensor, at: Tensor, due: Tensor, ending: Tensor, started: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        found = at[:, self.memory : self.memory + self.learned.features]
        query = torch.cat([rest, found[:, self.learned.axes :] * started], dim=-1)
        knots = self.learned.projector(query)
        best, there, around = self.learned.row(knots[:, 1])
        stay, go = ((query - row).square().sum(-1, keepdim=True) for row in (found, there))
        jump = (due & (go < stay * self.config.learned_gain)) | ending
        best_at = torch.cat([F.pad(knots.flatten(1), (2, 0)), there, around], dim=-1)
        return torch.where(jump, best, flat), torch.where(jump, best_at, at), jump

    def _slip(self, rest: Tensor, at: Tensor) -> Tensor:
        found, around = at[:, self.memory :].split([self.learned.features, 2 * self.learned.axes], dim=-1)
        return self.model.slip_of(rest, self.learned.near(found, around))

    def _kept(self, at: Tensor, pose: dict[str, Tensor]) -> Tensor:
        return at[:, : self.memory]
