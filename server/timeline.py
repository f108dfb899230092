"""The timestamped poses of one dancer: what arrived, how old it is, whether the dancer is still there.

The receiver's thread puts, the tick thread takes; both sides are single operations on a deque, so there is no lock.
Frames that are older than the newest one, or repeat its time and pose, are dropped and counted. When the next frame
does not come in time, the movement is carried on for a tenth of a second and dies away; then the dancer stands still
and is stale.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import replace
from typing import Literal

import numpy as np

from motion import rotations as rot
from server.clock_skew import ClockSkew
from server.protocols.frames import PoseFrame, same_pose

DancerState = Literal["waiting", "live", "bridged", "stale"]
BRIDGE_SECONDS = 0.1  # past the moment the next frame was due
DECAY_SECONDS = 0.05  # time constant of a movement that is carried on
PATIENCE_SECONDS = 0.02  # a frame so late is not missing yet
RESTART_SECONDS = 1.0  # a sender whose clock falls back by more than this has been restarted
RESTART_FRAMES = 8  # likewise one of which so many frames in a row are late, each later than the one before
USUAL_INTERVAL = 1.0 / 30.0  # until there have been two frames
_KEPT = 32
_FASTEST = 4.0, 20.0  # m/s of the root, rad/s of a joint: what is faster than this is no movement to carry on


class Timeline:
    """Frames of one dancer, newest last. skew: what the sender's clock does against ours.

    bridge: seconds of silence that are bridged at most, 0 for none.
    """

    def __init__(self, bridge: float = BRIDGE_SECONDS) -> None:
        self.counts: Counter[str] = Counter()
        self.skew = ClockSkew()
        self._bridge = bridge
        self._frames: deque[PoseFrame] = deque(maxlen=_KEPT)
        self._intervals: deque[float] = deque(maxlen=9)
        self._late: list[float] = []  # the sender's times of late frames in a row

    def put(self, frame: PoseFrame) -> bool:
        """Keeps a frame; False when it is late or a duplicate and was dropped."""
        newest = self.newest
        if newest is not None and frame.sender_time is not None and newest.sender_time is not None:
            behind = newest.sender_time - frame.sender_time
            if behind == 0.0 and same_pose(frame, newest):  # a coarse clock tells two poses one time
                self.counts["duplicate"] += 1
                return False
            if 0.0 < behind < RESTART_SECONDS and not self._runs_anew(frame.sender_time):
                self.counts["out_of_order"] += 1
                return False
            if behind > 0.0:
                self.counts["sender_restarts"] += 1
                self.skew = ClockSkew()
        self._late.clear()
        if newest is not None:
            self._intervals.append(min(max(frame.receive_time - newest.receive_time, 0.0), 0.25))
        if frame.sender_time is not None:
            self.skew.note(frame.sender_time, frame.receive_time)
        self._frames.append(frame)
        self.counts["frames"] += 1
        return True

    @property
    def newest(self) -> PoseFrame | None:
        return self._frames[-1] if self._frames else None

    def overdue(self, now: float) -> float:
        """Seconds since the next frame was due and did not come, patience included; negative while it may still.

        Due is what three quarters of the last intervals were longer than: where frames overtake each other and the late
        ones are dropped, the usual interval is no measure of the suit's rate.
        """
        newest = self.newest
        if newest is None:
            return -math.inf
        interval = sorted(self._intervals)[len(self._intervals) // 4] if self._intervals else USUAL_INTERVAL
        return now - newest.receive_time - interval - max(0.5 * interval, PATIENCE_SECONDS)

    def state(self, now: float) -> DancerState:
        if self.newest is None:
            return "waiting"
        overdue = self.overdue(now)
        if overdue < 0.0:
            return "live"
        return "bridged" if overdue < self._bridge else "stale"

    def at(self, time: float) -> PoseFrame | None:
        """The pose at a moment of the local clock, interpolated; past the newest one that one, or carried on."""
        frames = tuple(self._frames)
        if not frames:
            return None
        after = frames[-1]
        if time >= after.receive_time:
            overdue = self.overdue(time)
            if overdue < 0.0 or self._bridge == 0.0 or len(frames) < 2:
                return after
            return _carried_on(frames[-2], after, time - after.receive_time - max(overdue - self._bridge, 0.0))
        for before in reversed(frames[:-1]):
            if before.receive_time <= time:
                span = after.receive_time - before.receive_time
                return _between(before, after, (time - before.receive_time) / span if span > 0 else 1.0)
            after = before
        return frames[0]

    def _runs_anew(self, sender_time: float) -> bool:
        """Whether the late frames in a row, with this one, are a sender that was started again."""
        if self._late and sender_time <= self._late[-1]:
            self._late.clear()
        self._late.append(sender_time)
        return len(self._late) >= RESTART_FRAMES


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


def _between(before: PoseFrame, after: PoseFrame, share: float) -> PoseFrame:
    """A pose on the way; the nearer one where the two have other joints."""
    if before.skeleton.topology_hash != after.skeleton.topology_hash:
        return before if share < 0.5 else after
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


def _carried_on(before: PoseFrame, newest: PoseFrame, seconds: float) -> PoseFrame:
    """The newest pose, moving on for some seconds as it moved last, ever slower."""
    elapsed = newest.receive_time - before.receive_time
    if newest.sender_time is not None and before.sender_time is not None:
        elapsed = newest.sender_time - before.sender_time
    if not 1e-4 < elapsed < 0.25 or before.skeleton.topology_hash != newest.skeleton.topology_hash:
        return newest
    velocity = (newest.root_position - before.root_position) / elapsed
    turn = float(rot.angle(before.rotations, newest.rotations).max()) / elapsed
    if np.linalg.norm(velocity) > _FASTEST[0] or turn > _FASTEST[1]:
        return newest
    way = DECAY_SECONDS * (1.0 - math.exp(-seconds / DECAY_SECONDS))
    return replace(
        newest,
        root_position=newest.root_position + way * velocity,
        rotations=rot.slerp(before.rotations, newest.rotations, 1.0 + way / elapsed),
    )
