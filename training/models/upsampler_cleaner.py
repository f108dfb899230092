"""Keys without what is wrong with them: limb ends moved towards where the keys around say that they are.

A small network shared over keys and limb ends sees how far an end is from the middle of its neighbours in time, its
bone in five keys, and what was not seen; it answers how much of the way to that middle to go, and something of its own.
Its gate begins at zero.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from motion.skeleton import Skeleton
from training.models.upsampler_body import Body
from training.models.upsampler_corruption import BONES, ENDS
from training.models.upsampler_keys import Keys, differences

KEYS = 7  # that are cleaned: five past ones and two ahead
OWN = 0.05  # metres
_WIDTH = 64


class Cleaner(nn.Module):
    """See the module."""

    def __init__(self, skeleton: Skeleton) -> None:
        super().__init__()
        self.body = Body(skeleton)
        self.register_buffer("ends", torch.tensor(ENDS), persistent=False)
        self.register_buffer("bones", torch.tensor(BONES), persistent=False)
        spread = torch.eye(len(skeleton))[list(ENDS)]
        self.register_buffer("spread", spread.T.contiguous(), persistent=False)  # (J, E)
        seen = 3 + 5 * 3 + 5 * 2 + 2 + len(ENDS)
        self.layers = nn.Sequential(
            nn.Linear(seen, _WIDTH), nn.ReLU(), nn.Linear(_WIDTH, _WIDTH), nn.ReLU(), nn.Linear(_WIDTH, 4)
        )
        nn.init.zeros_(self.layers[-1].weight)
        nn.init.zeros_(self.layers[-1].bias)
        around = [key + n for key in range(KEYS) for n in range(5)]
        self.register_buffer("around", torch.tensor(around), persistent=False)
        self.register_buffer("names", torch.eye(len(ENDS)), persistent=False)

    def forward(self, keys: Keys, valid: Tensor) -> Tensor:
        """Positions (B, K, J, 3); those of rows without keys ahead are as they were."""
        some, first = keys.present[:, keys.past] > 0.5, keys.past - (KEYS - 2)
        given = (keys.positions, keys.times, keys.present, valid)
        if torch.onnx.is_in_onnx_export():  # onnxruntime multiplies no empty batches
            cleaned = torch.cat([keys.positions[:, :first], self._cleaned(*(each[:, first:] for each in given))], dim=1)
            return torch.where(some[:, None, None, None], cleaned, keys.positions)
        rows = some.nonzero()[:, 0]
        cleaned = torch.cat(
            [keys.positions[rows, :first], self._cleaned(*(each[rows, first:] for each in given))], dim=1
        )
        return keys.positions.index_put((rows,), cleaned)

    def _cleaned(self, positions: Tensor, times: Tensor, present: Tensor, valid: Tensor) -> Tensor:
        ends = positions.index_select(2, self.ends)  # (N, 7, E, 3)
        step = differences(times).clamp(min=1e-3)
        share = (step[:, :-1] / (step[:, :-1] + step[:, 1:]))[:, :, None, None]
        middle = ends[:, :-2] + (ends[:, 2:] - ends[:, :-2]) * share
        both = (present[:, 2:] * present[:, :-2])[:, :, None, None]
        towards = _padded((middle - ends[:, 1:-1]) * both, 1, 1)
        here = present[:, :, None, None] + 0.0 * ends[..., :1]
        unseen = (1.0 - valid.index_select(2, self.bones))[..., None]
        bones = ends - positions.index_select(2, self.bones)
        facts = _padded(torch.cat([3.0 * bones, unseen, here], dim=3) * here, 2, 2)  # (N, 11, E, 5)
        around = facts.index_select(1, self.around).unflatten(1, (KEYS, 5)).transpose(2, 3).flatten(3)
        pace = _padded(step.log(), 1, 0)[:, :, None, None] + 0.0 * here
        lively = 10.0 * (towards.square().sum(dim=3, keepdim=True) + 1e-12).sqrt().mean(dim=2, keepdim=True)
        alike = [10.0 * towards, around, pace, lively + 0.0 * here, self.names + 0.0 * here]
        said = self.layers(torch.cat(alike, dim=3))
        moved = (towards * said[..., :1] + OWN * said[..., 1:]) * here
        return self.body.standing(positions + torch.matmul(self.spread, moved))


def _padded(values: Tensor, before: int, after: int) -> Tensor:
    """With zeros before and after along the keys."""
    none = 0.0 * values[:, :1]
    return torch.cat([*[none] * before, values, *[none] * after], dim=1)
