"""Keys without what is wrong with them: points moved to where the body and the keys around say that they are.

A network shared over keys sees a key's pose, how the four keys around differ from it, in units of how quickly the body
moves, and what was not seen. For every limb end it has two answers, one where it was not seen and one where it was and
may be noise; for the second it may also go some of the way to the middle of its neighbours in time. Both begin at zero.
On a body bones keep their lengths.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.models.upsampler_body import Body
from training.models.upsampler_keys import Keys, liveliness

KEYS = 7  # that are cleaned: five past ones and two ahead
_AROUND = (-2, -1, 1, 2)


class Cleaner(nn.Module):
    """Of `size` = (points, dims), those at `ends` are mended; `told` is whose validity says whether they were seen."""

    def __init__(
        self, size: tuple[int, int], ends: Sequence[int], told: Sequence[int], width: int, body: Body | None = None
    ) -> None:
        super().__init__()
        self.body, self.dims = body, size[1]
        tables = {"ends": ends, "told": told, "around": [key + 2 + n for key in range(KEYS) for n in _AROUND]}
        for name, places in tables.items():
            self.register_buffer(name, torch.tensor(places), persistent=False)
        self.register_buffer("spread", torch.eye(size[0])[list(ends)].T.contiguous(), persistent=False)  # (P, E)
        seen = (1 + len(_AROUND)) * (size[0] * size[1] + len(ends) + 1) + 2
        self.register_buffer("mean", torch.zeros(seen))
        self.register_buffer("scale", torch.ones(seen))
        self.enter, self.inner = nn.Linear(seen, width), nn.Linear(width, width)
        answers = len(ends) * (2 * size[1] + 1)
        self.leave, self.past_by = nn.Linear(width, answers), nn.Linear(seen, answers)
        for layer in (self.leave, self.past_by):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, keys: Keys, valid: Tensor) -> Tensor:
        """Positions (B, K, P, D) of keys; valid (B, K, P) says what was seen; rows without keys ahead stay."""
        some, first = keys.ahead > 0.5, keys.past - (KEYS - 2)
        unit = liveliness(keys) * keys.span
        given = (keys.positions, keys.steps, keys.present, valid)
        if torch.onnx.is_in_onnx_export():  # onnxruntime multiplies no empty batches
            cleaned = self._cleaned(*(each[:, first:] for each in given), unit, keys.span)
            return torch.where(
                some[:, None, None, None], torch.cat([keys.positions[:, :first], cleaned], dim=1), keys.positions
            )
        rows = some.nonzero()[:, 0]
        cleaned = self._cleaned(*(each[rows, first:] for each in given), unit[rows], keys.span[rows])
        return keys.positions.index_put((rows,), torch.cat([keys.positions[rows, :first], cleaned], dim=1))

    @torch.no_grad()
    def fit(self, keys: Keys, valid: Tensor) -> None:
        """Scales, from keys of which some have others ahead."""
        first, unit = keys.past - (KEYS - 2), liveliness(keys) * keys.span
        seen = self._see(*(each[:, first:] for each in (keys.positions, keys.present, valid)), unit, keys.span)
        seen = seen[(keys.ahead > 0.5)[:, None] & (keys.present[:, first:] > 0.5)]
        self.mean.copy_(seen.mean(dim=0))
        self.scale.copy_(seen.std(dim=0) + 0.05)

    def _see(self, positions: Tensor, present: Tensor, valid: Tensor, unit: Tensor, span: Tensor) -> Tensor:
        """What the network is given, (N, 7, seen), before it is brought to one scale."""
        here = present[:, :, None]
        facts = torch.cat([positions.flatten(2), (1.0 - valid.index_select(2, self.told)) * here, here], dim=2)
        around = _padded(facts, 2).index_select(1, self.around).unflatten(1, (KEYS, len(_AROUND)))  # (N, 7, 4, ...)
        points = positions.shape[2] * self.dims
        other = (around[..., :points] - positions.flatten(2)[:, :, None]) * around[..., -1:] / unit[:, None, None, None]
        pose = (positions - positions[:, :, :1]).flatten(2)
        about = torch.stack([unit / span, span], dim=1).log()[:, None] + 0.0 * here
        seen = [pose, other.clamp(-8.0, 8.0).flatten(2), facts[..., points:], around[..., points:].flatten(2), about]
        return torch.cat(seen, dim=2)

    def _cleaned(
        self, positions: Tensor, step: Tensor, present: Tensor, valid: Tensor, unit: Tensor, span: Tensor
    ) -> Tensor:
        ends = positions.index_select(2, self.ends)  # (N, 7, E, D)
        share = (step[:, :-1] / (step[:, :-1] + step[:, 1:]))[:, :, None, None]
        middle = ends[:, :-2] + (ends[:, 2:] - ends[:, :-2]) * share
        both = (present[:, 2:] * present[:, :-2])[:, :, None, None]
        towards = _padded((middle - ends[:, 1:-1]) * both, 1)
        seen = ((self._see(positions, present, valid, unit, span) - self.mean) / self.scale).clamp(-6.0, 6.0)
        hidden = torch.relu(self.inner(torch.relu(self.enter(seen))))
        said = (self.leave(hidden) + self.past_by(seen)).unflatten(2, (len(self.ends), 2 * self.dims + 1))
        unseen, size = (1.0 - valid.index_select(2, self.told))[..., None], unit[:, None, None, None]
        noise = size * said[..., self.dims : -1] + towards * said[..., -1:]
        moved = (unseen * size * said[..., : self.dims] + (1.0 - unseen) * noise) * present[:, :, None, None]
        mended = positions + torch.matmul(self.spread, moved)
        return mended if self.body is None else self.body.standing(mended)


def _padded(values: Tensor, by: int) -> Tensor:
    """With so many zeros before and after along the keys."""
    none = 0.0 * values[:, :1]
    return torch.cat([*[none] * by, values, *[none] * by], dim=1)
