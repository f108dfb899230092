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
        bones = ends - positions.index_select(2, self.bones)
        step = differences(times).clamp(min=1e-3)
        left, right = step[:, :-1, None, None], step[:, 1:, None, None]
        middle = (ends[:, :-2] * right + ends[:, 2:] * left) / (left + right)
        both = (present[:, 2:] * present[:, :-2])[:, :, None, None]
        towards = _padded((middle - ends[:, 1:-1]) * both, 1)
        unseen = (1.0 - valid.index_select(2, self.bones)) * present[:, :, None]
        here = present[:, :, None] + 0.0 * unseen
        around = [_shifted(bones * here[..., None], n) for n in range(-2, 3)]
        flags = [_shifted(each[..., None], n) for each in (unseen, here) for n in range(-2, 3)]
        pace = _padded(step.log(), 0, before=1)[:, :, None] + 0.0 * unseen
        lively = (towards.square().sum(dim=3) + 1e-12).sqrt().mean(dim=2)[:, :, None] + 0.0 * unseen
        names = self.names + 0.0 * unseen[..., None]
        seen = [
            towards * 10.0,
            *(each * 3.0 for each in around),
            *flags,
            pace[..., None],
            lively[..., None] * 10.0,
            names,
        ]
        said = self.layers(torch.cat(seen, dim=-1))
        moved = (towards * said[..., :1] + OWN * said[..., 1:]) * here[..., None]
        return self.body.standing(positions + torch.matmul(self.spread, moved))


def _padded(values: Tensor, both: int, before: int = 0) -> Tensor:
    """With zeros before and after along the keys."""
    first, last = both + before, both
    pieces = [0.0 * values[:, :1]] * first + [values] + [0.0 * values[:, :1]] * last
    return torch.cat(pieces, dim=1)


def _shifted(values: Tensor, by: int) -> Tensor:
    """What stands `by` keys later, zeros beyond the ends."""
    if not by:
        return values
    none = 0.0 * values[:, : abs(by)]
    return torch.cat([values[:, by:], none] if by > 0 else [none, values[:, :by]], dim=1)
