"""The regressors and the query as one fitted model has them, folded to few large products for the live step."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.match import features


class Folded(nn.Module):
    """`forward` of what is seen of the leader: what the query needs of it. Equal to the model's own methods."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        ridges = [*model.placers, *model.intents]
        self.placers, self.networks = len(model.placers), model.networks
        self.dims = [ridge.axes.shape[1] for ridge in ridges]
        keep = self.register_buffer
        keep("mean", model.seen_mean)
        keep("scale", 1.0 / model.seen_scale)
        keep("axes", torch.cat([ridge.axes for ridge in ridges], dim=1))
        keep("squares", torch.block_diag(*(-1.0 / ridge.width.expand(ridge.axes.shape[1], 1) for ridge in ridges)))
        for number, ridge in enumerate(ridges):
            keep(f"centres_{number}", (2.0 / ridge.width * ridge.centres).T.contiguous())
            keep(f"lengths_{number}", -ridge.lengths)
        half = 0.5 if len(model.networks) else 1.0
        keep("place", torch.cat([ridge.weights for ridge in model.placers]) * (half / len(model.placers)))
        mean = sum(ridge.mean for ridge in model.placers) * (half / len(model.placers))
        keep("place_mean", mean + (1.0 - half) * model.placement_mean)
        # Of the intention, what it adds to the query and the speeds in it is all that is asked for.
        gain, wants = model.wants_gain, len(model.wants_mean)
        weights = torch.cat([ridge.weights for ridge in model.intents]) * gain / len(model.intents)
        mean = sum(ridge.mean for ridge in model.intents) / len(model.intents)
        mean = model.wants_mean + gain * (mean - model.wants_mean)
        turn = model.scale[:, None] * model.turn
        behind = len(turn) - wants - self.dims[0] - len(features.SPEED_LAGS) - len(features.AHEAD)
        before, asked, after = turn.split([behind, wants, len(turn) - behind - wants])
        speeds = torch.zeros(wants, len(features.AHEAD))
        for number in range(len(features.AHEAD)):
            speeds[45 * number + 44, number] = 1.0 / 0.6
        asked = torch.cat([asked, speeds], dim=1)
        keep("want", weights @ asked)
        keep("want_mean", mean @ asked - F.pad(model.mean @ model.turn, (0, len(features.AHEAD))))
        keep("turn", torch.cat([before, after]).T.contiguous())

    def forward(self, seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Placement (B, horizons * 4), intention as `query` takes it (B, axes + AHEAD) and context (B, Z)."""
        x = (seen - self.mean) * self.scale
        z = x @ self.axes
        squares = (z * z) @ self.squares  # (B, ridges), negative
        kernels = []
        for number, part in enumerate(z.split(self.dims, dim=-1)):
            dots = F.linear(part, getattr(self, f"centres_{number}"), getattr(self, f"lengths_{number}"))
            kernels.append(torch.exp(dots + squares[:, number : number + 1]))
        place = F.linear(torch.cat(kernels[: self.placers], dim=-1), self.place.T, self.place_mean)
        if len(self.networks):
            place = place + sum(net(x) for net in self.networks) * (0.5 / len(self.networks))
        want = F.linear(torch.cat(kernels[self.placers :], dim=-1), self.want.T, self.want_mean)
        return place, want, z[:, : self.dims[0]]

    def query(
        self, trajectory: Tensor, before: Tensor, want: Tensor, context: Tensor, leader_speeds: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The query (B, axes) and the follower's speed, m/s (B, 1)."""
        wanted, speed = want.split([self.turn.shape[0], len(features.AHEAD)], dim=-1)
        raw = torch.cat([trajectory, before, context, leader_speeds, 1.5 * speed], dim=-1)
        return F.linear(raw, self.turn) + wanted, speed[:, :1]
