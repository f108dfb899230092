"""What every protocol speaks: one pose of one person as it came in or goes out, and whose fault a bad packet is.

No sockets in this folder: bytes in, PoseFrame out, and back. Axes, units and quaternion order are converted at this
door, so a PoseFrame always follows the project's own conventions (right-handed, Y up, +Z forward, metres, xyzw).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from motion.skeleton import Array, Skeleton
from server.protocols.numbering import Numbering

FAR = 1000.0  # metres: no stage is larger, so a number beyond it is no pose
LONGEST_TIME = 1e10  # seconds: unix time fits, what does not is no time


@dataclass(slots=True)
class PoseFrame:
    """One pose of one person at one instant.

    root_position: (3,) metres in the world. rotations: (J, 4) local unit quaternions xyzw.
    sender_time: seconds on the sender's own clock, None where the sender tells no time.
    receive_time: seconds on this machine's `time.perf_counter` clock. number: counts up per sender.
    """

    skeleton: Skeleton
    root_position: Array
    rotations: Array
    sender_time: float | None
    receive_time: float
    number: int
    actor: str = ""

    def at_the_time_of(self, other: PoseFrame) -> PoseFrame:
        """The same pose with another frame's times and number."""
        return replace(self, sender_time=other.sender_time, receive_time=other.receive_time, number=other.number)


def same_pose(a: PoseFrame, b: PoseFrame) -> bool:
    """Whether two frames of one person show the very same, whenever they came."""
    return np.array_equal(a.rotations, b.rotations) and np.array_equal(a.root_position, b.root_position)


class PacketError(ValueError):
    """The peer's bytes are wrong, not our code: count it, drop the packet, carry on."""


class Decoder(Protocol):
    """One sender's datagrams to frames.

    protocol: its name for people. deadline: the moment at which `flush` will close the frame that is open, None when
    none is. dropped: frames and messages thrown away, by reason. unknown: names that mean nothing to us. numbering:
    what was lost on the way, None where the format numbers no frames.
    """

    protocol: str
    deadline: float | None
    dropped: Counter[str]
    unknown: Counter[str]

    @property
    def numbering(self) -> Numbering | None: ...

    def feed(self, datagram: bytes | memoryview, receive_time: float) -> list[PoseFrame]:
        """The frames this datagram makes whole; raises PacketError."""
        ...

    def flush(self, now: float) -> list[PoseFrame]:
        """The open frame, if its deadline has come."""
        ...
