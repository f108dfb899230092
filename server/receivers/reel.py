"""A film cut for playing: frame after frame in their order, once or round and round, and what is shown of it when.

A loop dissolves its last half second into its first, so nobody is thrown back to the start in one frame. Places are the
film's frames, and what lies between two of them is interpolated when it is shown: a rate is a speed of reading.
"""

from __future__ import annotations

from dataclasses import dataclass

from motion import rotations as rot
from motion.clip import Clip
from motion.skeleton import Array

DISSOLVE_SECONDS = 0.5

_Shown = tuple[Array, Array]  # root position (3,) and rotations (J, 4)


class Reel:
    """The clip's frames; `loop`: endless."""

    def __init__(self, clip: Clip, loop: bool) -> None:
        self.clip, self.loop = clip, loop
        self._dissolve = min(DISSOLVE_SECONDS * clip.fps, len(clip) // 2)
        self._round = len(clip) - self._dissolve  # the first one ends where the dissolve begins

    def place(self, way: float) -> float:
        """The place in the clip that so many frames of playing lead to; a dissolve counts as the next round."""
        return way if not self.loop or way < self._round else (way - self._round) % self._round

    def pose(self, way: float) -> _Shown:
        """What is shown after so many frames. The last one goes on where there is no loop."""
        place = self.place(way)
        if way >= self._round and self.loop and place < self._dissolve:
            return _between(self._at(self._round + place), self._at(place), _eased(place / self._dissolve))
        return self._at(place)

    def _at(self, place: float) -> _Shown:
        frame = min(int(place), len(self.clip) - 1)
        here = self.clip.root_positions[frame], self.clip.rotations[frame]
        if place == frame or frame == len(self.clip) - 1:
            return here
        return _between(here, (self.clip.root_positions[frame + 1], self.clip.rotations[frame + 1]), place - frame)


@dataclass(frozen=True)
class Playing:
    """From the player's frame `since` on, `fps` a second: the reel, from its frame `place` on, or standing there.

    before: what was shown until then, which dissolves into this; what came before that is not to be seen any more.
    """

    reel: Reel
    fps: float
    since: int = 0
    place: float = 0.0
    running: bool = True
    before: Playing | None = None

    def at(self, number: int) -> float:
        """The way along the reel that the player's frame `number` has come."""
        return self.place + (max(number - self.since, 0) * self.reel.clip.fps / self.fps if self.running else 0.0)

    def over(self, number: int) -> bool:
        """Whether there is nothing more to be seen."""
        return not self.reel.loop and self.running and self.at(number) > len(self.reel.clip) - 1 + 1e-6

    def pose(self, number: int) -> _Shown:
        """Root position (3,) and rotations (J, 4)."""
        shown = self.reel.pose(self.at(number))
        share = (number - self.since + 1.0) / (DISSOLVE_SECONDS * self.fps + 1.0)
        if self.before is None or share >= 1.0:
            return shown
        return _between(self.before.pose(number), shown, _eased(share))


def _between(before: _Shown, after: _Shown, share: float) -> _Shown:
    return before[0] + share * (after[0] - before[0]), rot.slerp(before[1], after[1], share)


def _eased(share: float) -> float:
    return share * share * (3.0 - 2.0 * share)
