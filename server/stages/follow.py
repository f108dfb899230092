"""Mirror or oppose: a partner's label dials go by what an effort meter reads of their dancer.

`follow` of a label set is how far: at 1 the dial is where the dancer is, at -1 at the other end, at 0 where it was put.
What is read is eased as the dial itself is; who has no reading of their dancer, or no longer, comes back to the dial.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from motion.manifest import Param
from server.params import Knobs
from server.protocols.effort import Shares

FADE_HALF_LIFE = 0.5  # seconds, of a reading that begins or ends
_OVER = 1e-3


class Follow:
    """One partner's. params: the model's; half_life: of them where it is not their own; sets: what the dancer's meter
    reads. Dials are those of sets whose labels both know.
    """

    def __init__(
        self, params: Sequence[Param], half_life: Mapping[str, float], sets: Mapping[str, Sequence[str]]
    ) -> None:
        self._dials = [
            _Dial(param.name, of_set, param.names, half_life.get(param.name, param.half_life))
            for param in params
            for place, _, of_set in [param.name.partition("/")]
            if place == "label" and param.names and set(param.names) == set(sets.get(of_set, ()))
        ]
        self.params = tuple(
            Param(
                f"follow/{dial.of_set}",
                0.0,
                -1.0,
                1.0,
                0.5,
                f"how far {dial.of_set} goes by what is read of the dancer: 1 mirrors, -1 opposes",
                names=("oppose", "alone", "mirror"),
            )
            for dial in self._dials
        )

    def beside(self, params: Sequence[Param]) -> list[Param]:
        """All of a partner's params, these ones behind the dials that they move."""
        places = [place for place, param in enumerate(params) if param.name in {dial.name for dial in self._dials}]
        behind = max(places, default=-1) + 1
        return [*params[:behind], *self.params, *params[behind:]]

    def knobs(self, params: Knobs, reading: Shares | None, dt: float) -> Knobs:
        """The params with their dials where they are danced, `dt` seconds on."""
        moved = {}
        for dial in self._dials:
            follow = params[f"follow/{dial.of_set}"]
            dial.hear(reading, dt)
            if follow != 0.0 and dial.weight > 0.0:
                own, place = params[dial.name], dial.place if follow > 0.0 else 1.0 - dial.place
                moved[dial.name] = own + abs(follow) * dial.weight * (place - own)
        return {**params, **moved} if moved else params


@dataclass
class _Dial:
    """Where a dancer is on one dial, from 0 to 1, eased, and how much of a reading of them there is."""

    name: str
    of_set: str
    labels: tuple[str, ...]
    half_life: float
    place: float = 0.5
    weight: float = 0.0

    def hear(self, reading: Shares | None, dt: float) -> None:
        shares = None if reading is None else reading.get(self.of_set)
        if shares is not None:
            last = max(len(self.labels) - 1, 1)
            now = sum(shares[label] * place / last for place, label in enumerate(self.labels))
            self.place = now + (self.place - now) * _kept(dt, self.half_life) if self.weight > 0.0 else now
        there = 0.0 if shares is None else 1.0
        self.weight = there + (self.weight - there) * _kept(dt, FADE_HALF_LIFE)
        if abs(self.weight - there) < _OVER:
            self.weight = there


def _kept(dt: float, half_life: float) -> float:
    return 0.5 ** (dt / half_life) if half_life > 0.0 else 0.0
