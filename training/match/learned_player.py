"""The player without a database: networks say what it plays, how that goes on and where to jump."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from training.match import features
from training.match.database import CLIP
from training.match.learned import KNOTS, POSE, UNLEARNED, onward
from training.match.player import Player, pose_columns
from training.models.duet_match import CATMULL_ROM

_MOST_ROWS = 3  # in one step: a live rate of 10 Hz
_STILL = 0.3  # m/s; what is learned of a standing toe errs by as much
_POWERS = torch.arange(4.0)


class LearnedPlayer(Player):
    """Where Player remembers a row, this one remembers by how many rows it has come on, how far it is from one code to
    the next, and the codes around. Between codes it goes as Player does between rows.
    """

    def _remember(self) -> None:
        self.learned = learned = self.model.learned
        self.memory = 2 + KNOTS * learned.code
        learnt = {name: size for name, size in CLIP.items() if name not in UNLEARNED}
        self.columns = {**pose_columns(learnt), "found": learned.features, "around": 2 * learned.axes}
        # The decompressor's last layer and its linear map are one, without the weights.
        linear, last = learned.decompressor.linear, learned.decompressor.rest[-1]
        weights = learned.decompressor.weights
        row = torch.cat([linear.weight, last.weight], dim=1) / weights[:, None]
        self.register_buffer("row_weight", row.detach())
        self.register_buffer("row_bias", ((linear.bias + last.bias) / weights).detach())

    def row(self, code: Tensor) -> Tensor:
        """Of codes (B, C): the database's rows, with their features and what is around them, as `columns` has them."""
        hidden = self.learned.decompressor.rest[:-1](code)
        return F.linear(torch.cat([code, hidden], dim=-1), self.row_weight, self.row_bias)

    def _onward(self, kept: Tensor, seconds: Tensor) -> tuple[Tensor, ...]:
        age, fraction, knots = kept.split([1, 1, KNOTS * self.learned.code], dim=-1)
        rows = (features.RATE * seconds).clamp(max=_MOST_ROWS)
        learned, age = self.learned, age + rows
        stepper = list(learned.stepper.layers.parameters())
        knots, fraction = onward(knots, fraction + rows, learned.longest, stepper)
        shares = (fraction**_POWERS @ CATMULL_ROM).unsqueeze(1)
        row = self.row((shares @ knots.view(-1, KNOTS, learned.code)).view(-1, learned.code))
        going = row[:, POSE - 3 : POSE] * (rows * (1.0 / features.RATE))
        at = torch.cat([age, fraction, knots], dim=-1)
        return row, at, going, age > self.config.learned_seconds * features.RATE

    def _choose(
        self, rest: Tensor, row: Tensor, at: Tensor, due: Tensor, ending: Tensor, started: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        found = self._parts(row)["found"]
        query = torch.cat([rest, found[:, self.learned.axes :] * started], dim=-1)
        knots = self.learned.projector(query)
        best = self.row(knots[:, 1])
        there = self._parts(best)["found"]
        stay, go = ((query - features).norm(dim=-1, keepdim=True) for features in (found, there))
        jump = (due & (go < stay * self.config.learned_gain**0.5)) | ending
        return torch.where(jump, best, row), torch.where(jump, F.pad(knots.flatten(1), (2, 0)), at), jump

    def _slip(self, rest: Tensor, at: Tensor, pose: dict[str, Tensor]) -> Tensor:
        return self.model.slip_of(rest, self.learned.near(pose["found"], pose["around"]))

    def _toes(self, pose: dict[str, Tensor]) -> Tensor:
        ways = pose["toes"].view(-1, 2, 2)
        speed = ways.norm(dim=-1, keepdim=True)
        return (ways * (speed * (1.0 / _STILL) - 1.0).clamp(0.0, 1.0)).flatten(1)

    def _kept(self, at: Tensor, pose: dict[str, Tensor]) -> Tensor:
        return at
