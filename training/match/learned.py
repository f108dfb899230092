"""Networks that learned a player's database, so that what is shipped holds no recording (Learned Motion Matching,
Holden, Kanoun, Perepichka, Popa 2020).

A code stands for a row of the database. The decompressor turns it into the row's pose and features, the stepper moves
it on by a row, and the projector answers a search: from a query to the code of the row that would be found. Nothing is
stored per row.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.match.database import CLIP

UNLEARNED = ("root", "yaw")  # a code knows no place: it moves by its velocities
KNOTS = 4  # codes in a row: the one before, the one that plays, the two after
POSE = sum(size for name, size in CLIP.items() if name not in UNLEARNED)


class Decompressor(nn.Module):
    """Code -> pose (POSE), features (F) and the features' slope and bend over nine rows (2 axes), scaled by `weights`:
    a linear map, and a network for what is left.
    """

    def __init__(self, code: int, outputs: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(code, outputs)
        self.rest = nn.Sequential(
            nn.Linear(code, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, outputs)
        )
        self.register_buffer("weights", torch.ones(outputs))

    def forward(self, code: Tensor) -> Tensor:
        """Weighted, as it is trained."""
        return self.linear(code) + self.rest(code)


class Stepper(nn.Module):
    """Code -> the code a row on."""

    def __init__(self, code: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(code, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, code)
        )

    def forward(self, code: Tensor) -> Tensor:
        return stepped(code, list(self.layers.parameters()))


def stepped(code: Tensor, weights: list[Tensor]) -> Tensor:
    """`Stepper` of its weights: what is scripted, as `onward` is, knows no modules."""
    w1, b1, w2, b2, w3, b3 = weights
    return code + F.linear(F.silu(F.linear(F.silu(F.linear(code, w1, b1)), w2, b2)), w3, b3)


class Projector(nn.Module):
    """Query -> knots (B, KNOTS, code): the code that was learned for the place in the features' space that is nearest
    to the query, and how it goes on.

    Places are k-means centres of rows where one may jump to, codes the means of their rows' codes. A network trained on
    distances answers with means of everything that fits, and the partner hardly moves: places answer with one thing.
    """

    def __init__(self, query: int, code: int, places: int) -> None:
        super().__init__()
        self.nearness = nn.Linear(query, places)
        self.codes = nn.Parameter(torch.zeros(places, KNOTS, code))

    def forward(self, query: Tensor) -> Tensor:
        return self.codes[self.nearness(query).argmax(dim=-1)]


@torch.jit.script_if_tracing
def onward(knots: Tensor, fraction: Tensor, longest: Tensor, weights: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Moves knots (B, KNOTS * C) a row on wherever the fraction (B, 1) of a row is a whole one, until none is: the code
    that comes is what the stepper says, kept from getting away.

    Three of four live frames want none, so it travels as an `If`.
    """
    if bool(fraction.max() >= 1.0):
        size = weights[0].shape[1]
        while bool(fraction.max() >= 1.0):
            code = stepped(knots[:, -size:], weights)
            code = code * (longest / code.square().sum(-1, keepdim=True).sqrt().clamp(min=1e-6)).clamp(max=1.0)
            over = fraction >= 1.0
            knots = torch.where(over, torch.cat([knots[:, size:], code], dim=-1), knots)
            fraction = torch.where(over, fraction - 1.0, fraction)
    return knots, fraction


class Learned(nn.Module):
    """The three networks. axes: numbers of a query, own: numbers of the body that a jump must fit; width: the
    stepper's, which has the most to learn.
    """

    def __init__(self, axes: int, own: int, code: int, width: int, places: int) -> None:
        super().__init__()
        self.axes, self.code = axes, code
        self.features = axes + own
        self.decompressor = Decompressor(code, POSE + self.features + 2 * axes, width // 2)
        self.stepper = Stepper(code, width)
        self.projector = Projector(self.features, code, places)
        self.register_buffer("longest", torch.full((1,), 2.0 * code**0.5))  # no code gets away
        steps = torch.arange(-4.0, 5.0)
        self.register_buffer("steps", torch.stack([steps, steps**2 - 60.0 / 9.0], dim=1))

    def near(self, found: Tensor, around: Tensor) -> Tensor:
        """The features on the axes four rows back to four rows on, (B, 9, axes)."""
        return found[:, : self.axes].unsqueeze(1) + (self.steps - self.steps[4]) @ around.view(-1, 2, self.axes)
