"""Our own ZMQ format: every actor of one tick in one message, a fixed header and raw little-endian float32.

One part, because a conflating subscriber keeps one part of the newest message. Two topics of 8 bytes share a
publisher: poses, and JSON statistics. docs/wire.md has the bytes in a table.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from motion.skeleton import HUMANOID, Skeleton
from server.protocols.frames import FAR, LONGEST_TIME, PacketError, PoseFrame

POSE_TOPIC = b"pose/00\0"
STATS_TOPIC = b"stats/0\0"
VERSION = 1
MAX_ACTORS = 256
PARTNER = 1  # the flag of a generated actor

_HEADER = struct.Struct("<8sHHHHIIQd")  # topic, version, header size, actors, joints, topology, reserved, tick, time
_RECORD = struct.Struct("<16sdII")  # name, sender time, frame number, flags


@dataclass(frozen=True)
class Header:
    """tick: counts up per server. send_time: seconds, unix time. topology: `Skeleton.topology_hash` of all
    actors. partners: the actors that are generated."""

    tick: int
    send_time: float
    joints: int
    topology: int
    partners: frozenset[str]


def encode(frames: Sequence[PoseFrame], tick: int, send_time: float, partners: Collection[str] = ()) -> bytes:
    """One message with all actors of a tick; those named in `partners` are marked as generated.

    Raises ValueError when the frames' skeletons differ in topology or a name is longer than 16 bytes of UTF-8.
    """
    skeleton = frames[0].skeleton if frames else HUMANOID
    header = (len(frames), len(skeleton), skeleton.topology_hash, 0, tick, send_time)
    parts = [_HEADER.pack(POSE_TOPIC, VERSION, _HEADER.size, *header)]
    for frame in frames:
        name = frame.actor.encode()
        if len(name) > 16:
            raise ValueError(f"actor {frame.actor!r} is {len(name)} bytes long; the packed format has room for 16")
        if frame.skeleton is not skeleton and frame.skeleton.topology_hash != skeleton.topology_hash:
            raise ValueError(f"actor {frame.actor!r} has other joints than {frames[0].actor!r}; send them apart")
        time = float("nan") if frame.sender_time is None else frame.sender_time
        parts.append(_RECORD.pack(name, time, frame.number & 0xFFFFFFFF, PARTNER * (frame.actor in partners)))
    parts += [part.astype("<f4").tobytes() for frame in frames for part in (frame.root_position, frame.rotations)]
    return b"".join(parts)


def decode(
    message: bytes | memoryview, receive_time: float = 0.0, skeleton: Skeleton = HUMANOID
) -> tuple[list[PoseFrame], Header]:
    """The frames of a message, on `skeleton`. Raises PacketError for anything that is not what `encode` makes."""
    if len(message) < _HEADER.size:
        raise PacketError(f"{len(message)} bytes; the header alone has {_HEADER.size}")
    topic, version, header_size, actors, joints, topology, _, tick, send_time = _HEADER.unpack_from(message)
    if topic != POSE_TOPIC:
        raise PacketError(f"topic {topic!r} is not {POSE_TOPIC!r}")
    if version != VERSION or header_size < _HEADER.size:
        raise PacketError(f"version {version} with a header of {header_size} bytes; this reads version {VERSION}")
    if topology != skeleton.topology_hash or joints != len(skeleton):
        raise PacketError(
            f"{joints} joints of topology {topology:#010x}; expected {len(skeleton)} of {skeleton.topology_hash:#010x}"
        )
    if actors > MAX_ACTORS:
        raise PacketError(f"{actors} actors; at most {MAX_ACTORS}")
    width = 3 + 4 * joints
    records_end = header_size + actors * _RECORD.size
    if len(message) != records_end + actors * width * 4:
        raise PacketError(f"{len(message)} bytes for {actors} actors of {joints} joints")
    with np.errstate(invalid="ignore"):  # a signalling NaN is refused below
        numbers = np.frombuffer(message, dtype="<f4", offset=records_end).reshape(actors, width).astype(np.float64)
    rotations = numbers[:, 3:].reshape(actors, joints, 4)
    squares = np.einsum("ajk,ajk->aj", rotations, rotations)
    if not (np.abs(numbers) <= FAR).all() or not (squares > 1e-6).all():  # written so that NaN fails
        raise PacketError("a number is not finite, a position out of range or a rotation zero")
    rotations /= np.sqrt(squares)[..., None]
    frames = []
    partners = set()
    for actor in range(actors):
        name, time, number, flags = _RECORD.unpack_from(message, header_size + actor * _RECORD.size)
        label = name.rstrip(b"\0").decode("utf-8", "replace")
        if flags & PARTNER:
            partners.add(label)
        frames.append(
            PoseFrame(
                skeleton=skeleton,
                root_position=numbers[actor, :3],
                rotations=rotations[actor],
                sender_time=time if abs(time) <= LONGEST_TIME else None,  # NaN too
                receive_time=receive_time,
                number=number,
                actor=label,
            )
        )
    return frames, Header(tick, send_time, joints, topology, frozenset(partners))


def encode_stats(stats: dict[str, Any]) -> bytes:
    """A statistics message: the topic and JSON. Raises ValueError for NaN and infinities: use None."""
    return STATS_TOPIC + json.dumps(stats, allow_nan=False, separators=(",", ":")).encode()


def decode_stats(message: bytes) -> dict[str, Any]:
    """The statistics of a message; raises PacketError."""
    if message[:8] != STATS_TOPIC:
        raise PacketError(f"topic {message[:8]!r} is not {STATS_TOPIC!r}")
    try:
        stats = json.loads(message[8:])
    except (ValueError, RecursionError) as error:
        raise PacketError(f"statistics are no JSON: {error}") from error
    if not isinstance(stats, dict):
        raise PacketError(f"statistics are {type(stats).__name__}, not an object")
    return stats
