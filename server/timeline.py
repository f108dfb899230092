"""The timestamped poses of one dancer: what arrived, how old it is, whether the dancer is still there.

The receiver's thread puts, the tick thread takes; both sides are single operations on a deque, so there is no lock.
Frames that are older than the newest one, or repeat its time and pose, are dropped and counted.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Literal

import numpy as np

from motion import rotations as rot
from server.protocols.frames import PoseFrame

DancerState = Literal["waiting", "live", "stale"]
STALE_SECONDS = 0.5
RESTART_SECONDS = 1.0  # a sender whose clock falls back by more than this has been restarted
_KEPT = 32


class Timeline:
    """Frames of one dancer, newest last."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._frames: deque[PoseFrame] = deque(maxlen=_KEPT)

    def put(self, frame: PoseFrame) -> bool:
        """Keeps a frame; False when it is late or a duplicate and was dropped."""
        newest = self.newest
        if newest is not None and frame.sender_time is not None and newest.sender_time is not None:
            behind = newest.sender_time - frame.sender_time
            if behind == 0.0 and _same_pose(frame, newest):  # a coarse clock tells two poses one time
                self.counts["duplicate"] += 1
                return False
            if 0.0 < behind < RESTART_SECONDS:
                self.counts["out_of_order"] += 1
                return False
        self._frames.append(frame)
        self.counts["frames"] += 1
        return True

    @property
    def newest(self) -> PoseFrame | None:
        return self._frames[-1] if self._frames else None

    def state(self, now: float) -> DancerState:
        newest = self.newest
        if newest is None:
            return "waiting"
        return "live" if now - newest.receive_time < STALE_SECONDS else "stale"

    def at(self, time: float) -> PoseFrame | None:
        """The pose at a moment of the local clock, interpolated; the newest one when the moment is past it."""
        frames = tuple(self._frames)
        if not frames:
            return None
        after = frames[-1]
        if time >= after.receive_time:
            return after
        for before in reversed(frames[:-1]):
            if before.receive_time <= time:
                span = after.receive_time - before.receive_time
                return _between(before, after, (time - before.receive_time) / span if span > 0 else 1.0)
            after = before
        return frames[0]


class FrameTimer:
    """Seconds between a dancer's frames: by the sender's clock where it is fine enough, else by arrival."""

    LONGEST = 0.25  # a gap is bridged as one long step, not as many
    COARSE = 4096.0  # from here on a float32 time of the sender is coarser than 0.4 ms

    def __init__(self, expected: float) -> None:
        self._expected = expected
        self._last: PoseFrame | None = None

    def step(self, frame: PoseFrame) -> float:
        last, self._last = self._last, frame
        if last is None:
            return self._expected
        elapsed = frame.receive_time - last.receive_time
        if frame.sender_time is not None and last.sender_time is not None and 0 <= frame.sender_time < self.COARSE:
            by_sender = frame.sender_time - last.sender_time
            if 0.0 < by_sender <= self.LONGEST:
                return by_sender
        return min(max(elapsed, 0.001), self.LONGEST)


def _same_pose(a: PoseFrame, b: PoseFrame) -> bool:
    return np.array_equal(a.rotations, b.rotations) and np.array_equal(a.root_position, b.root_position)


def _between(before: PoseFrame, after: PoseFrame, share: float) -> PoseFrame:
    sender_time = None
    if before.sender_time is not None and after.sender_time is not None:
        sender_time = before.sender_time + share * (after.sender_time - before.sender_time)
    return PoseFrame(
        skeleton=after.skeleton,
        root_position=(1.0 - share) * before.root_position + share * after.root_position,
        rotations=rot.slerp(before.rotations, after.rotations, share),
        sender_time=sender_time,
        receive_time=before.receive_time + share * (after.receive_time - before.receive_time),
        number=after.number,
        actor=after.actor,
    )
