"""What past plans and the newest one say together: where to be, averaged so that it neither lags nor shakes.

A plan is a row (place x z, direction x z, 1) in the world for each horizon; a state holds them one after the other.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.match.features import RATE

PLANS = 20
_PERIOD = 1.0 / RATE
_FADED = 0.04
_AHEAD = (0.0, 10.0, 20.0)  # frames


class Plans(nn.Module):
    """horizons: frames; lead: seconds that the nearest answer is read ahead; forget: seconds."""

    def __init__(self, horizons: tuple[int, ...], lead: float, forget: float) -> None:
        super().__init__()
        edges = torch.tensor(horizons, dtype=torch.float32) * _PERIOD
        step = edges[1:] - edges[:-1]
        self.horizons, self.forget = len(horizons), forget
        self.register_buffer("leads", torch.tensor([lead, 0.0, 0.0]) + torch.tensor(_AHEAD) * _PERIOD)
        latest = torch.full((PLANS + 1, 1), torch.inf)  # the newest plan is asked for nothing beyond its last horizon
        latest[0] = edges[-1]
        self.register_buffer("latest", latest)
        # Between horizons a plan is a line; before the first it stands, after the last it fades within 0.1 s.
        # Between horizons a plan is a line up and one down; before the first it stands, after the last it fades
        # within 0.1 s.
        zero = torch.cat([torch.tensor([-10.0]), edges, edges[-1:] + 0.1])
        self.register_buffer("zeros", torch.cat([zero[:-2], zero[2:]]))
        self.register_buffer("slopes", 1.0 / torch.cat([torch.tensor([1.0]), step, -step, torch.tensor([-0.1])]))

    def forward(self, plans: Tensor, ages: Tensor, since: Tensor, lead: Tensor) -> Tensor:
        """Placements (B, 3, 4) = root and left now, 10 and 20 frames from now: plans (B, 1 + PLANS, 5 horizons) of ages
        (B, 1 + PLANS), the newest of age 0; since (B, 1) seconds since one was kept; lead (B, 1) seconds.
        """
        when = ages.view(-1, 1, PLANS + 1, 1) + (lead + self.leads).view(-1, 3, 1, 1)
        lines = (torch.minimum(when, self.latest) - self.zeros) * self.slopes
        up, down = lines.split(self.horizons, dim=-1)
        hat = torch.minimum(up, down).clamp(0.0, 1.0)  # (B, 3, 1 + PLANS, horizons)
        # The newest plan gains its weight until it is kept, and the oldest has none left: neither shows.
        newest = (since * ((1.0 - _FADED) / _PERIOD)).clamp((1.0 - _FADED) * 1e-3, 1.0 - _FADED)
        others = torch.relu(torch.exp(ages[:, 1:] * (-1.0 / self.forget)) - _FADED)
        weight = torch.cat([newest, others], dim=-1).view(-1, 1, PLANS + 1, 1)
        count = (PLANS + 1) * self.horizons
        total = (hat * weight).view(-1, 3, count) @ plans.view(-1, count, 5)
        placed, weight = total.split([4, 1], dim=-1)
        return placed / weight
