"""One go of the tick, told to whoever wants to know: what it did, and all it went by that no packet tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from server.params import ControlChange
from server.protocols.frames import PoseFrame

Cause = Literal["arrive", "hold", "beat"]


@dataclass(frozen=True, slots=True)
class Turn:
    """The same turns, on the same frames, give the same poses.

    arrive: a frame of `dancer` (its `number`) came at `now`. hold: who had fallen silent was held. beat: the clock's
    own step, `since` seconds after its first. tick: the number of the step, of the next one where none was made.
    changes: the control changes obeyed, in order; a preset that took over is one of them. answers: whether workers had
    done when they were asked, in order.
    """

    cause: Cause
    tick: int
    now: float
    dancer: str = ""
    number: int = 0
    since: float = 0.0
    changes: tuple[ControlChange, ...] = ()
    answers: tuple[bool, ...] = ()


class Witness(Protocol):
    """Hears of every turn, within it: must be quick and must not raise."""

    def turn(self, turn: Turn, frame: PoseFrame | None, poses: Sequence[PoseFrame]) -> None:
        """frame: what arrived. poses: what left, in order."""
        ...
