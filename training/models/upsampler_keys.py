"""Keys as the upsampler sees them: gaps filled, sized by how quickly they change; and the plain way between them, which
the network is a correction of.

`past` slots come first, the newest of them is the one at or before the query; what is ahead of it follows. A slot
without any valid joint is absent when it is at an outer end, and a lost key otherwise. Nothing here divides by zero.
Everything is told in few operations: a graph pays for each of them.
"""

from __future__ import annotations

import torch
from torch import Tensor

SLOW = 0.02  # m/s added to what a body's change of speed is measured as
LAG = 1.0 / 30.0  # seconds over which speed is taken where keys are dense
DENSE_REACH = 0.1  # seconds that speed is kept there
_SHORTEST = 1e-3  # seconds between keys
_NEAR = 5  # past keys that a slope is taken from


class Keys:
    """positions (B, K, P, D), times (B, K) seconds from the newest past key, present (B, K) 0 or 1, past: slots.

    Of neighbours: steps (B, K - 1) seconds between them, both (B, K - 1) whether both are there, speeds (B, K - 1, P,
    D), 0 where not. ahead (B,): keys after the query. dense (B,) bool: keys at a suit's own rate, for a forecast. span
    (B,): seconds between the two keys that a query is next to, those around it, or the newest two.
    """

    def __init__(self, positions: Tensor, times: Tensor, present: Tensor, past: int) -> None:
        self.positions, self.times, self.present, self.past = positions, times, present, past
        self.steps = differences(times).clamp(min=_SHORTEST)
        self.both = present[:, 1:] * present[:, :-1]
        self.speeds = differences(positions) * (self.both / self.steps)[:, :, None, None]
        self.ahead = present[:, past:].sum(dim=1)
        self.dense = (present[:, past - 6] > 0.5) & (self.ahead < 0.5)
        self.span = torch.where(self.ahead > 0.5, self.steps[:, past - 1], self.steps[:, past - 2])

    def with_positions(self, positions: Tensor) -> Keys:
        return Keys(positions, self.times, self.present, self.past)


def differences(values: Tensor) -> Tensor:
    """Between neighbours along axis 1; torch.diff has no place in a graph."""
    return values[:, 1:] - values[:, :-1]


def present(valid: Tensor, past: int) -> Tensor:
    """Which slots hold a key, (B, K) float, of valid (B, K, J): between the outermost, a lost key counts."""
    some = valid.amax(dim=2)  # (B, K)
    slots = torch.arange(some.shape[1])
    early, late = slots < past, slots >= past
    earlier = (slots <= slots[:, None]) & early & early[:, None]
    outward = earlier | ((slots >= slots[:, None]) & late & late[:, None])  # what is at a slot, or further out
    newest = (slots == past - 1).float()
    return torch.maximum((some[:, None] * outward.float()).amax(dim=2), newest)


def filled(values: Tensor, times: Tensor, valid: Tensor) -> Tensor:
    """values (B, K, J, C) with what is not valid (B, K, J) on the line between its neighbours in time.

    Before the first and after the last valid key they are held; what never is valid is 0.
    """
    count = values.shape[1]
    places = torch.arange(float(count))
    seen = valid[:, None]  # (B, 1, K, J): for every slot all others
    earlier, later = ((order(places[:, None], places)).float()[..., None] for order in (torch.ge, torch.le))
    before = (seen * earlier * (places + 1.0)[:, None]).amax(dim=2) - 1.0  # (B, K, J), -1 where there is none
    after = count - (seen * later * (count - places)[:, None]).amax(dim=2)
    one = torch.where(before < 0.0, after, before).clamp(max=count - 1.0)
    other = torch.where(after > count - 0.5, before, after).clamp(min=0.0)
    when = times[:, :, None] + 0.0 * valid
    start, stop = when.gather(1, one.long()), when.gather(1, other.long())
    share = ((when - start) / (stop - start).clamp(min=_SHORTEST)).clamp(0.0, 1.0)[..., None]
    wide = torch.ones(values.shape[3], dtype=torch.long)
    first, last = (values.gather(1, at.long()[..., None] * wide) for at in (one, other))
    known = (valid.amax(dim=1, keepdim=True) > 0.5)[..., None]
    return torch.where(known, first + (last - first) * share, 0.0)


def plain(keys: Keys, query: Tensor) -> Tensor:
    """The plain way as what every key adds to it, (B, Q, K), at query (B, Q) seconds: between keys the spline with two
    smooth derivatives; beyond the newest, on at the last speed, which dies away after one more step.
    """
    newest, slots = keys.past - 1, keys.positions.shape[1]
    now, following = (torch.eye(slots)[place] for place in (newest, min(keys.past, slots - 1)))
    reach = _reach(query, torch.where(keys.dense, DENSE_REACH, keys.span)[:, None])
    on = now + recent(keys) * reach[..., None]
    if slots == keys.past:
        return on
    step = keys.steps[:, newest : newest + 1]
    share = (query / step).clamp(0.0, 1.0)[..., None]
    off = share * (1.0 - share) * step[..., None]
    slopes = _slopes(keys)
    straight = share * share * (3.0 - 2.0 * share)
    between = now + straight * (following - now) + off * ((1.0 - share) * slopes[:, :1] - share * slopes[:, 1:])
    return torch.where((keys.ahead > 0.5)[:, None, None], between, on)


def base(keys: Keys, query: Tensor) -> Tensor:
    """The plain way, (B, Q, P, D)."""
    return along(plain(keys, query), keys.positions)


def along(weights: Tensor, values: Tensor) -> Tensor:
    """What weights (B, Q, K) make of values (B, K, P, D)."""
    return torch.matmul(weights, values.flatten(2)).unflatten(2, values.shape[2:])


def _slopes(keys: Keys) -> Tensor:
    """The spline's, at the two keys around the query, as what every key adds to them, (B, 2, K).

    Through the nearest keys; towards an end it is a parabola. Four Jacobi steps from the mean of the speeds on both
    sides, each of which leaves a quarter of what is wrong, as powers of their matrix.
    """
    first = keys.past - _NEAR
    count = keys.positions.shape[1] - first
    none = 0.0 * keys.both[:, :1]
    there = torch.cat([none, keys.both[:, first:], none], dim=1)  # (B, count + 1): pairs, with none at either end
    steps = torch.cat([none + 1.0, keys.steps[:, first:], none + 1.0], dim=1)
    left, right = there[:, :-1], there[:, 1:]  # (B, count): whether a key has that neighbour
    share = steps[:, 1:] / (steps[:, :-1] + steps[:, 1:])
    sides = torch.stack([left, right], dim=1)
    others, shares = torch.stack([right, left], dim=1), torch.stack([share, 1.0 - share], dim=1)  # (B, 2, count)
    on_slopes = (sides * (others * (1.0 - 0.5 * shares) - 1.0))[..., None]
    on_speeds = (sides * (2.0 - others * (2.0 - 1.5 * shares)))[..., None]
    mean = (sides / (left + right).clamp(min=1.0)[:, None])[..., None]
    eye, pairs = torch.eye(count), torch.eye(count - 1)
    none_left, none_right = torch.zeros(1, count - 1), torch.zeros(1, count - 1)
    beside = torch.stack([torch.cat([none_left, pairs]), torch.cat([pairs, none_right])])  # (2, count, count - 1)
    more = torch.eye(count + 1)
    neighbour = torch.stack([more[:-1, 1:], more[1:, :-1]])  # the one on the left, on the right
    once = (on_slopes * neighbour).sum(dim=1)  # (B, count, count)
    twice = torch.matmul(once, once)
    start, told = (mean * beside).sum(dim=1), (on_speeds * beside).sum(dim=1)  # (B, count, count - 1)
    slopes = torch.matmul(twice, torch.matmul(twice, start)) + torch.matmul(once + eye, torch.matmul(twice + eye, told))
    per_pair = (keys.both / keys.steps)[:, first:, None]
    whole = torch.eye(keys.positions.shape[1])[first:]
    return torch.matmul(slopes[:, _NEAR - 1 : _NEAR + 1], per_pair * (whole[1:] - whole[:-1]))


def recent(keys: Keys) -> Tensor:
    """The speed at the newest past key, as what every key adds to it, (B, 1, K)."""
    newest, slots = keys.past - 1, torch.arange(keys.positions.shape[1])
    now, before = (slots == newest).float(), (slots == newest - 1).float()
    step = (keys.both / keys.steps)[:, newest - 1 : newest]
    far = (keys.times[:, :newest] + LAG).abs() + (1.0 - keys.present[:, :newest])
    then = (slots == far.argmin(dim=1)[:, None]).float()
    since = -(then * keys.times).sum(dim=1, keepdim=True).clamp(max=-_SHORTEST)
    return torch.where(keys.dense[:, None], (now - then) / since, (now - before) * step)[:, None]


def _reach(query: Tensor, step: Tensor) -> Tensor:
    """For how long speed is kept, (B, Q): all the time up to a step (B, 1), and never more than two."""
    more = (query - step).clamp(min=0.0) / step
    return torch.minimum(query, step) + step * (1.0 - torch.exp(-more))


def liveliness(keys: Keys) -> Tensor:
    """How quickly the body changes its speed around the query, (B,) m/s: what corrections are measured in."""
    newest, near = keys.past - 1, keys.speeds[:, keys.past - 4 :]
    changes = _size(differences(near))  # (B, ...), of the keys from the third past one on
    weights = keys.both[:, keys.past - 4 : -1] * keys.both[:, keys.past - 3 :]
    change = (changes * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1.0)
    speed = along(recent(keys), keys.positions)[:, 0]
    since = (keys.times[:, newest - 4] - keys.times[:, newest - 7]).clamp(min=_SHORTEST)[:, None, None]
    before = (keys.positions[:, newest - 4] - keys.positions[:, newest - 7]) / since
    change = torch.where(keys.dense, _size(speed - before), change)
    return change + 0.1 * _size(speed) + SLOW


def _size(vectors: Tensor) -> Tensor:
    """Mean length of vectors (..., P, D), (...)."""
    return (vectors.square().sum(-1) + 1e-12).sqrt().mean(-1)
