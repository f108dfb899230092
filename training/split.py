"""Which takes train and which are held out, when a share is asked for instead of a fold. Whole takes, where there are
several; of a single take its end, with a gap before it, so that no window of one side shares a frame with the other.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from training.dataset import Pair, takes_of

GAP = 3.0  # seconds


def hold_out_share(pairs: Sequence[Pair], share: float, seed: int) -> tuple[list[Pair], list[Pair]]:
    """(training, held out) with about `share` of the frames held out. Takes are drawn by `seed`; ranges of a recording
    stay together. Raises ValueError when share is not in 0..1 or a single take is too short to be cut.
    """
    if not 0.0 <= share < 1.0:
        raise ValueError(f"test_share must be 0 or more and below 1, not {share}")
    if share == 0.0:
        return list(pairs), []
    takes = takes_of(pairs)
    if len(takes) == 1:
        return _cut(pairs, share)
    frames = [sum(len(pairs[place]) for place in take) for take in takes]
    wanted, held = share * sum(frames), set()
    order = list(range(len(takes)))
    random.Random(seed).shuffle(order)
    for number in order:
        if len(held) < len(takes) - 1 and frames[number] / 2 <= wanted:
            held.add(number)
            wanted -= frames[number]
    held = held or {min(order, key=lambda number: frames[number])}
    places = {place for number in held for place in takes[number]}
    return (
        [pair for place, pair in enumerate(pairs) if place not in places],
        [pair for place, pair in enumerate(pairs) if place in places],
    )


def _cut(pairs: Sequence[Pair], share: float) -> tuple[list[Pair], list[Pair]]:
    """The ranges of one take, cut in time: the last `share` of its frames is held out."""
    total = sum(len(pair) for pair in pairs)
    gap, edge = round(GAP * pairs[0].fps), round((1.0 - share) * total)
    before: list[Pair] = []
    after: list[Pair] = []
    passed = 0
    for pair in pairs:
        stop, first = edge - gap - passed, max(edge - passed, 0)
        if stop >= 2:
            before.append(pair[:stop])
        if len(pair) - first >= 2:
            after.append(pair[first:])
        passed += len(pair)
    if not before or not after:
        raise ValueError(
            f"test_share {share} of {pairs[0].name}, {total} frames, leaves a side empty; {GAP:g} s between them go"
        )
    return before, after
