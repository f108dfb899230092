"""A clip cut for playing: frame after frame in their order, once or round and round, and what is shown of it when.

A loop dissolves its last half second into its first, so nobody is thrown back to the start in one frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from motion import rotations as rot
from motion.clip import Clip
from motion.skeleton import Array

DISSOLVE_SECONDS = 0.5


class Reel:
    """The clip's frames; `loop`: endless."""

    def __init__(self, clip: Clip, loop: bool) -> None:
        self.clip, self.loop = clip, loop
        self.dissolve = min(round(DISSOLVE_SECONDS * clip.fps), len(clip) // 2)
        self._seam = _dissolved(clip, self.dissolve if loop else 0)

    def place(self, number: int) -> tuple[Clip, int]:
        """Which frame is the number-th: a clip, and where in it. The last one goes on where there is no loop."""
        clip, place = self.clip, number
        last = len(clip) - self.dissolve
        if not self.loop:
            place = min(number, len(clip) - 1)
        elif number >= last:
            # After the first pass a round is: the seam, then the frames between the two dissolved ends.
            place = (number - last) % last
            if place < self.dissolve:
                clip = self._seam
        return clip, place


@dataclass(frozen=True)
class Playing:
    """From the player's frame `since` on: the reel, from its frame `place` on, or standing there.

    before: what was shown until then, which dissolves into this.
    """

    reel: Reel
    since: int = 0
    place: int = 0
    running: bool = True
    before: Playing | None = None

    def at(self, number: int) -> int:
        """The reel's frame that the player's frame `number` shows."""
        return self.place + (max(number - self.since, 0) if self.running else 0)

    def over(self, number: int) -> bool:
        """Whether there is nothing more to be seen."""
        return not self.reel.loop and self.running and self.at(number) >= len(self.reel.clip)

    def pose(self, number: int) -> tuple[Array, Array]:
        """Root position (3,) and rotations (J, 4)."""
        clip, place = self.reel.place(self.at(number))
        root, rotations = clip.root_positions[place], clip.rotations[place]
        share = (number - self.since + 1.0) / (DISSOLVE_SECONDS * clip.fps + 1.0)
        if self.before is None or share >= 1.0:
            return root, rotations
        share = share * share * (3.0 - 2.0 * share)
        shown = Playing(self.before.reel, self.before.since, self.before.place, self.before.running)
        old_root, old_rotations = shown.pose(number)
        return old_root + share * (root - old_root), rot.slerp(old_rotations, rotations, share)


def _dissolved(clip: Clip, frames: int) -> Clip:
    """The clip's last frames turning into its first ones, (frames) long; the weight eases in and out."""
    t = (np.arange(frames) + 1.0) / (frames + 1.0)
    weight = t * t * (3.0 - 2.0 * t)
    end = slice(len(clip) - frames, len(clip))
    root_positions = clip.root_positions[end] * (1.0 - weight[:, None]) + clip.root_positions[:frames] * weight[:, None]
    rotations = rot.slerp(clip.rotations[end], clip.rotations[:frames], weight[:, None])
    return Clip(clip.skeleton, clip.fps, root_positions, rotations)
