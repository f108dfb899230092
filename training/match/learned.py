"""Networks that learned a player's database, so that what is shipped holds no recording (Learned Motion Matching,
Holden, Kanoun, Perepichka, Popa 2020).

A code stands for a row of the database. The decompressor turns it into the row's pose and features, the stepper moves
it on by any share of a row, and the projector answers a search: from a query to the code of the row that would be
found. Nothing is stored per row.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.match.database import CLIP

UNLEARNED = ("root", "yaw")  # a code knows no place: it moves by its velocities
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
    """Code, rows ahead (B, 1) -> the code there."""

    def __init__(self, code: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(code + 1, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, code)
        )

    def forward(self, code: Tensor, rows: Tensor) -> Tensor:
        return code + rows * self.layers(torch.cat([code, rows], dim=-1))


class Projector(nn.Module):
    """Query -> code: the code that was learned for the place in the features' space that is nearest to the query.

    Places are k-means centres of rows where one may jump to, codes the means of their rows' codes. A network trained on
    distances answers with means of everything that fits, and the partner hardly moves: places answer with one thing.
    """

    def __init__(self, query: int, code: int, places: int) -> None:
        super().__init__()
        self.places = nn.Linear(query, places)
        self.codes = nn.Linear(places, code, bias=False)

    def forward(self, query: Tensor) -> Tensor:
        return self.codes(self.places(query).softmax(dim=-1))


class Learned(nn.Module):
    """The three networks. axes: numbers of a query, own: numbers of the body that a jump must fit."""

    def __init__(self, axes: int, own: int, code: int, width: int, places: int) -> None:
        super().__init__()
        self.axes, self.code = axes, code
        self.features = axes + own
        self.decompressor = Decompressor(code, POSE + self.features + 2 * axes, width)
        self.stepper = Stepper(code, width)
        self.projector = Projector(self.features, code, places)
        self.register_buffer("longest", torch.full((1,), 2.0 * code**0.5))  # no code gets away
        steps = torch.arange(-4.0, 5.0)
        self.register_buffer("steps", torch.stack([steps, steps**2 - 60.0 / 9.0], dim=1))

    def row(self, code: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of codes (B, C): pose rows as the database has them (at no place), features (B, F), slope and bend."""
        flat = self.decompressor(code) / self.decompressor.weights
        pose, found, around = flat.split([POSE, self.features, 2 * self.axes], dim=-1)
        quats, height, rest = pose.split([CLIP["quats"], 1, POSE - CLIP["quats"] - 1], dim=-1)
        nowhere = torch.zeros_like(quats[:, :2])
        return torch.cat([quats, nowhere, height, nowhere[:, :1], rest], dim=-1), found, around

    def near(self, found: Tensor, around: Tensor) -> Tensor:
        """The features on the axes four rows back to four rows on, (B, 9, axes)."""
        ways = self.steps @ around.view(-1, 2, self.axes)
        now = found[:, : self.axes].unsqueeze(1)
        return now + ways - ways[:, 4:5]
