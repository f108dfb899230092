"""Keys as the upsampler sees them: gaps filled, turned to the dancer, sized by how quickly they change; and the plain
way between them, which the network is a correction of.

`past` slots come first, the newest of them is the one at or before the query; what is ahead of it follows. A slot
without any valid joint is absent when it is at an outer end, and a lost key otherwise. Nothing here divides by zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

SLOW = 0.02  # m/s added to what a body's change of speed is measured as
LAG = 1.0 / 30.0  # seconds over which speed is taken where keys are dense
_SHORTEST = 1e-3  # seconds between keys
_NEAR = 5  # past keys that a slope is taken from
_JACOBI = 4


@dataclass(frozen=True)
class Keys:
    """positions (B, K, P, D), times (B, K) seconds from the newest past key, present (B, K) 0 or 1, past: slots."""

    positions: Tensor
    times: Tensor
    present: Tensor
    past: int

    @property
    def steps(self) -> Tensor:
        """Seconds between neighbours, (B, K - 1)."""
        return differences(self.times).clamp(min=_SHORTEST)

    @property
    def speeds(self) -> Tensor:
        """(B, K - 1, P, D); 0 where a neighbour is absent."""
        both = self.present[:, 1:] * self.present[:, :-1]
        return differences(self.positions) * (both / self.steps)[:, :, None, None]


def differences(values: Tensor) -> Tensor:
    """Between neighbours along axis 1; torch.diff has no place in a graph."""
    return values[:, 1:] - values[:, :-1]


def present(valid: Tensor, past: int) -> Tensor:
    """Which slots hold a key, (B, K) float, of valid (B, K, J): between the outermost, a lost key counts."""
    some = valid.amax(dim=2)
    early = [some[:, : k + 1].amax(dim=1) for k in range(past)]
    late = [some[:, k:].amax(dim=1) for k in range(past, some.shape[1])]
    early[-1] = 0.0 * early[-1] + 1.0  # not ones_like: a graph would take it for a constant
    return torch.stack([*early, *late], dim=1)


def filled(values: Tensor, times: Tensor, valid: Tensor) -> Tensor:
    """values (B, K, J, C) with what is not valid (B, K, J) on the line between its neighbours in time.

    Before the first and after the last valid key they are held; what never is valid is 0.
    """
    count = values.shape[1]
    places = torch.arange(count)
    seen = valid[:, None] > 0.5  # (B, 1, K, J): for every slot all others
    before = torch.where(seen & (places[:, None] >= places)[None, :, :, None], places[:, None], -1).amax(dim=2)
    after = torch.where(seen & (places[:, None] <= places)[None, :, :, None], places[:, None], count).amin(dim=2)
    known = (before >= 0) | (after < count)  # (B, K, J)
    one = torch.where(before >= 0, before, after).clamp(max=count - 1)
    other = torch.where(after < count, after, before).clamp(min=0)
    when = times[:, :, None] + 0.0 * valid
    wide = torch.ones(values.shape[3], dtype=torch.long)
    start, stop = when.gather(1, one), when.gather(1, other)
    share = ((when - start) / (stop - start).clamp(min=_SHORTEST)).clamp(0.0, 1.0) * (other > one)
    first, last = (values.gather(1, at[..., None] * wide) for at in (one, other))
    return torch.where(known[..., None], first + (last - first) * share[..., None], 0.0)


def ahead(keys: Keys) -> Tensor:
    """How many keys there are after the query, (B,)."""
    return keys.present[:, keys.past :].sum(dim=1)


def span(keys: Keys) -> Tensor:
    """Seconds between the two keys that a query is next to, (B,): those around it, or the newest two."""
    newest = keys.past - 1
    around = keys.steps[:, newest] if keys.steps.shape[1] > newest else keys.steps[:, newest - 1]
    return torch.where(ahead(keys) > 0, around, keys.steps[:, newest - 1])


def base(keys: Keys, query: Tensor, dense: Tensor) -> Tensor:
    """The plain way, (B, Q, P, D) at query (B, Q) seconds: Catmull-Rom between keys, with the slope of the parabola
    through a key and its neighbours; beyond the newest, on at the last speed, which dies away after one more step.

    dense (B,) bool: keys at a suit's own rate, whose speed is taken over LAG seconds.
    """
    newest = keys.past - 1
    now = keys.positions[:, newest : newest + 1]
    on = _speed(keys, dense)[:, None] * _reach(query, torch.where(dense, 0.1, span(keys)))[..., None, None] + now
    if keys.positions.shape[1] == keys.past:
        return on
    here = keys.steps[:, newest, None, None]
    speed = keys.speeds[:, newest]
    slope = _slopes(keys)
    share = (query / keys.steps[:, newest, None]).clamp(0.0, 1.0)[..., None, None]
    start, stop = ((slope[:, 0] - speed) * here)[:, None], ((speed - slope[:, 1]) * here)[:, None]
    bent = share * (1.0 - share) * (start * (1.0 - share) + stop * share)
    between = now + (speed * here)[:, None] * share + bent
    return torch.where((ahead(keys) > 0)[:, None, None, None], between, on)


def _slopes(keys: Keys) -> Tensor:
    """Of the spline with two smooth derivatives through the nearest keys, at the two around the query, (B, 2, P, D).

    Towards an end that spline is a parabola. A few Jacobi steps from there, each leaves a quarter of what is wrong.
    """
    first = max(keys.past - _NEAR, 0)
    speeds, steps, known = keys.speeds[:, first:], keys.steps[:, first:], keys.present[:, first:]
    inner = (known[:, 2:] * known[:, :-2])[:, :, None, None]
    weight = 1.0 / steps
    both = 2.0 * (weight[:, :-1] + weight[:, 1:])
    before, after = ((each / both)[:, :, None, None] for each in (weight[:, :-1], weight[:, 1:]))
    wanted = 3.0 * (before * speeds[:, :-1] + after * speeds[:, 1:])
    outer = known[:, 2:, None, None] * speeds[:, 1:] + (1.0 - known[:, 2:, None, None]) * speeds[:, :-1]
    bent = known[:, 2:, None, None] - (1.0 - known[:, 2:, None, None])  # which neighbour an end leans on
    there = known[:, 1:] * known[:, :-1]
    mean = (speeds[:, :-1] + speeds[:, 1:]) / (there[:, :-1] + there[:, 1:]).clamp(min=1.0)[:, :, None, None]
    slopes = torch.cat([speeds[:, :1], mean, speeds[:, -1:]], dim=1)
    for _ in range(_JACOBI):
        left, right = slopes[:, :-2], slopes[:, 2:]
        leaning = 2.0 * outer - torch.where(bent > 0.0, right, left)
        middle = inner * (wanted - before * left - after * right) + (1.0 - inner) * leaning
        slopes = torch.cat(
            [2.0 * speeds[:, :1] - slopes[:, 1:2], middle, 2.0 * speeds[:, -1:] - slopes[:, -2:-1]], dim=1
        )
    place = keys.past - 1 - first
    return slopes[:, place : place + 2]


def _speed(keys: Keys, dense: Tensor) -> Tensor:
    """How fast everything moves at the newest past key, (B, P, D)."""
    newest = keys.past - 1
    plain = keys.speeds[:, newest - 1]
    if keys.past <= 7:
        return plain
    far = (keys.times[:, :newest] + LAG).abs() + (1.0 - keys.present[:, :newest])
    at = far.argmin(dim=1)[:, None]
    wide = torch.ones(keys.positions.shape[2:], dtype=torch.long)
    then = keys.positions.gather(1, at[..., None, None] * wide)[:, 0]
    when = keys.times.gather(1, at)
    since = (keys.times[:, newest : newest + 1] - when).clamp(min=_SHORTEST)[..., None]
    return torch.where(dense[:, None, None], (keys.positions[:, newest] - then) / since, plain)


def _reach(query: Tensor, step: Tensor) -> Tensor:
    """For how long speed is kept, (B, Q): as long as it is asked for up to a step, and never more than two."""
    more = (query - step[:, None]).clamp(min=0.0) / step[:, None]
    return torch.minimum(query, step[:, None]) + step[:, None] * (1.0 - torch.exp(-more))


def liveliness(keys: Keys, dense: Tensor) -> Tensor:
    """How quickly the body changes its speed around the query, (B,) m/s: what corrections are measured in."""
    newest, speeds = keys.past - 1, keys.speeds
    changes = differences(speeds).norm(dim=-1).mean(dim=-1)  # (B, K - 2), [k]: at key k + 1
    weights = keys.present[:, :-2] * keys.present[:, 1:-1] * keys.present[:, 2:]
    near = slice(max(newest - 3, 0), min(newest + 1, changes.shape[1]))
    change = (changes * weights)[:, near].sum(dim=1) / weights[:, near].sum(dim=1).clamp(min=1.0)
    speed = speeds[:, newest - 1].norm(dim=-1).mean(dim=-1)
    if keys.past > 7:
        recent = _speed(keys, dense)
        before = keys.positions[:, newest - 4] - keys.positions[:, newest - 7]
        since = (keys.times[:, newest - 4] - keys.times[:, newest - 7]).clamp(min=_SHORTEST)[:, None, None]
        change = torch.where(dense, (recent - before / since).norm(dim=-1).mean(dim=-1), change)
        speed = torch.where(dense, recent.norm(dim=-1).mean(dim=-1), speed)
    return change + 0.1 * speed + SLOW
