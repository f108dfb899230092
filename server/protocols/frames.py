"""What every protocol speaks: one pose of one person as it came in or goes out, and whose fault a bad packet is.

No sockets in this folder: bytes in, PoseFrame out, and back. Axes, units and quaternion order are converted at this
door, so a PoseFrame always follows the project's own conventions (right-handed, Y up, +Z forward, metres, xyzw).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from motion.skeleton import Array, Skeleton


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


class PacketError(ValueError):
    """The peer's bytes are wrong, not our code: count it, drop the packet, carry on."""


class Decoder(Protocol):
    """Bytes of one sender to frames. `open_since` is the receive time of the datagram that began a frame not yet
    whole, None when nothing is open; `flush(now)` closes a frame that has been open too long.
    """

    @property
    def open_since(self) -> float | None: ...

    @property
    def dropped(self) -> dict[str, int]:
        """How many frames or messages were thrown away, by reason."""
        ...

    def feed(self, datagram: bytes | memoryview, receive_time: float) -> list[PoseFrame]:
        """The frames this datagram makes whole; raises PacketError."""
        ...

    def flush(self, now: float) -> list[PoseFrame]: ...
