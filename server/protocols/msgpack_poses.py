"""Poses as one msgpack map, for peers that would rather read names than offsets: every actor of a tick in one message.

`msgpack.unpackb(message)` is all a reader needs; docs/wire-out.md lists the keys. No topic and one part: a conflating
subscriber keeps exactly the newest message. No sockets here.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgpack

from server.protocols.frames import PoseFrame

FORMAT = "pas-de-deux/poses/1"


def encode(
    frames: Sequence[PoseFrame],
    tick: int,
    send_time: float,
    partners: Collection[str] = (),
    profile: str = "raw",
    unit: str = "m",
) -> bytes:
    """One message with all actors of a tick; those named in `partners` are marked as generated.

    send_time: seconds, unix time. profile, unit: what the frames are in, for the reader to know.
    """
    actors = [
        {
            "name": frame.actor,
            "partner": frame.actor in partners,
            "number": frame.number,
            "time": frame.sender_time,
            "root": frame.root_position.tolist(),
            "rotations": frame.rotations.tolist(),
            "names": frame.skeleton.names,
            "parents": frame.skeleton.parents,
            "offsets": frame.skeleton.offsets.tolist(),
        }
        for frame in frames
    ]
    head = {"format": FORMAT, "tick": tick, "time": send_time, "profile": profile, "unit": unit}
    packed: bytes = msgpack.packb(head | {"actors": actors})
    return packed
