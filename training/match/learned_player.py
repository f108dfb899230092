"""The player without a database: networks say what it plays, how that goes on and where to jump."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from training.match import features
from training.match.player import Player

_MOST_ROWS = 3.0  # in one step: a live rate of 10 Hz


class LearnedPlayer(Player):
    """Where Player remembers a row, this one remembers by how many rows it has come on, and a code."""

    def _remember(self) -> None:
        self.learned = self.model.learned
        self.memory = self.learned.code + 1

    def _onward(self, kept: Tensor, seconds: Tensor) -> tuple[Tensor, ...]:
        age, code = kept.split([1, self.learned.code], dim=-1)
        rows = (features.RATE * seconds).clamp(max=_MOST_ROWS)
        code = self.learned.stepper(code, rows)
        code = code * (self.learned.longest / code.norm(dim=-1, keepdim=True).clamp(min=1e-6)).clamp(max=1.0)
        flat, found, around = self.learned.row(code)
        moving = flat[:, -4:] * seconds
        age = age + rows
        at = torch.cat([age, code, found, around], dim=-1)
        return flat, at, moving[:, 1:3], moving[:, 3:], age > self.config.learned_seconds * features.RATE

    def _choose(
        self, rest: Tensor, flat: Tensor, at: Tensor, due: Tensor, ending: Tensor, started: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        found = at[:, self.memory : self.memory + self.learned.features]
        query = torch.cat([rest, found[:, self.learned.axes :] * started], dim=-1)
        code = self.learned.projector(query)
        best, there, around = self.learned.row(code)
        stay, go = ((query - row).square().sum(-1, keepdim=True) for row in (found, there))
        jump = (due & (go < stay * self.config.learned_gain)) | ending
        best_at = torch.cat([F.pad(code, (1, 0)), there, around], dim=-1)
        return torch.where(jump, best, flat), torch.where(jump, best_at, at), jump

    def _slip(self, rest: Tensor, at: Tensor) -> Tensor:
        found, around = at[:, self.memory :].split([self.learned.features, 2 * self.learned.axes], dim=-1)
        return self.model.slip_of(rest, self.learned.near(found, around))

    def _kept(self, at: Tensor, pose: dict[str, Tensor]) -> Tensor:
        return at[:, : self.memory]
