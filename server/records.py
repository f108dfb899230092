"""The records of a recording: what each of them says, and its bytes (docs/recording.md has them in a table).

`u32 length, u32 CRC-32, u8 kind, payload`, little-endian. Numbers that must come back to the bit are float64, or JSON,
which has as many digits as a float64 needs. Bytes in, records out, and back; no files here.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

import numpy as np

from motion.skeleton import HUMANOID, Array, Skeleton
from server.params import ControlChange
from server.protocols.frames import PoseFrame
from server.turn import Turn

LARGEST = 1 << 21  # bytes of a payload: nothing that is written is larger, so what claims to be is damage

_OPENING = struct.Struct("<IIB")  # length of the payload, CRC-32 of kind and payload, kind
_PACKET = struct.Struct("<dBB")  # receive time, lengths of the dancer's name and of the sender's address
_POSE = struct.Struct("<QqddHHB")  # tick, number, sender time, receive time, skeleton, joints, length of the name
_SKELETON, _PACKET_KIND, _FLUSH_KIND, _FRAME_KIND, _TURN_KIND, _POSE_KIND, _LOST_KIND, _END_KIND = range(1, 9)


# Where a payload says when a dancer's packet or frame came.
_TIMES = {_PACKET_KIND: struct.Struct("<d"), _FRAME_KIND: struct.Struct("<24xd")}


class Damage(ValueError):
    """From here on the bytes are no records."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A datagram or message as it came for a dancer. sender: "host:port", "" where none is known."""

    dancer: str
    receive_time: float
    sender: str
    data: bytes

    @property
    def source(self) -> tuple[str, int]:
        """The sender as a socket names them."""
        host, _, port = self.sender.rpartition(":")
        return host, int(port) if port.isdecimal() else 0


@dataclass(frozen=True, slots=True)
class Flush:
    """A dancer's open frame was closed because its time was up."""

    dancer: str
    now: float


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame that came in no packet, but from a file. `frame.actor` is the dancer."""

    frame: PoseFrame


@dataclass(frozen=True, slots=True)
class Pose:
    """An actor's pose as it left in a tick."""

    tick: int
    frame: PoseFrame


@dataclass(frozen=True, slots=True)
class Lost:
    """So many records were left out here, because the disk did not keep up."""

    records: int


@dataclass(frozen=True, slots=True)
class End:
    """The recording was ended: nothing is missing."""


Record = Packet | Flush | Turn | Frame | Pose | Lost | End


class RecordWriter:
    """Records to bytes. Knows which skeletons it has written already; HUMANOID is number 0 and never written."""

    def __init__(self) -> None:
        self._skeletons: dict[int, tuple[Skeleton, int]] = {id(HUMANOID): (HUMANOID, 0)}

    def encode(self, record: Record) -> bytes:
        match record:
            case Packet():
                return _packet(record)
            case Flush():
                return _framed(_FLUSH_KIND, _json(asdict(record)))
            case Turn():
                return _framed(_TURN_KIND, _json(_sparse(record)))
            case Frame():
                return self._posed(_FRAME_KIND, 0, record.frame)
            case Pose():
                return self._posed(_POSE_KIND, record.tick, record.frame)
            case Lost():
                return _framed(_LOST_KIND, _json(asdict(record)))
            case End():
                return _framed(_END_KIND, b"")

    def _posed(self, kind: int, tick: int, frame: PoseFrame) -> bytes:
        told, number = b"", self._skeletons.get(id(frame.skeleton), (None, -1))[1]
        if number < 0:
            number = len(self._skeletons)
            self._skeletons[id(frame.skeleton)] = frame.skeleton, number
            told = _framed(_SKELETON, _json(_skeleton_told(frame.skeleton, number)))
        name, joints = frame.actor.encode(), len(frame.skeleton)
        time = np.nan if frame.sender_time is None else frame.sender_time
        head = _POSE.pack(tick, frame.number, time, frame.receive_time, number, joints, len(name))
        root, rotations = (np.ascontiguousarray(a, dtype="<f8") for a in (frame.root_position, frame.rotations))
        return told + _framed(kind, b"".join((head, name, root.tobytes(), rotations.tobytes())))


class RecordReader:
    """Bytes to records."""

    def __init__(self) -> None:
        self._skeletons: Skeletons = {0: HUMANOID}

    def read(self, file: BinaryIO) -> Record | None:
        """The next record; None where the file ends. Raises Damage where what follows is none, or not all of one."""
        while opening := file.read(_OPENING.size):
            if len(opening) < _OPENING.size:
                raise Damage(f"{len(opening)} bytes, not {_OPENING.size}")
            length, check, kind = _OPENING.unpack(opening)
            payload = file.read(min(length, LARGEST))
            if len(payload) != length or _check(kind, payload) != check or kind not in _READERS:
                raise Damage(f"{length} bytes of kind {kind}")
            try:
                record = _READERS[kind](payload, self._skeletons)
            except (KeyError, TypeError, ValueError, struct.error) as error:
                raise Damage(f"{type(error).__name__}: {error}") from error
            if record is not None:
                return record
        return None

    def skim(self, file: BinaryIO) -> Iterator[tuple[float, int]]:
        """When packets and frames came, and where their records begin. Skips all else but skeletons; ends at damage."""
        place = file.tell()
        while len(opening := file.read(_OPENING.size)) == _OPENING.size:
            length, _, kind = _OPENING.unpack(opening)
            read = length if kind == _SKELETON else _TIMES[kind].size if kind in _TIMES else 0
            payload = file.read(read)
            if not read <= length <= LARGEST or len(payload) < read:
                return
            if kind == _SKELETON:
                _read_skeleton(payload, self._skeletons)
            elif read:
                yield _TIMES[kind].unpack(payload)[0], place
            place = file.seek(place + _OPENING.size + length)


Skeletons = dict[int, Skeleton]


def _framed(kind: int, payload: bytes) -> bytes:
    return _OPENING.pack(len(payload), _check(kind, payload), kind) + payload


def _check(kind: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(bytes([kind])))


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _packet(packet: Packet) -> bytes:
    dancer, sender = packet.dancer.encode(), packet.sender.encode()[:255]
    head = _PACKET.pack(packet.receive_time, len(dancer), len(sender))
    return _framed(_PACKET_KIND, b"".join((head, dancer, sender, packet.data)))


def _sparse(turn: Turn) -> dict[str, Any]:
    """A turn as JSON has it: what is at its default is left out."""
    told: dict[str, Any] = {"cause": turn.cause, "tick": turn.tick, "now": turn.now}
    if turn.cause == "arrive":
        told |= {"dancer": turn.dancer, "number": turn.number}
    if turn.cause == "beat":
        told["since"] = turn.since
    if turn.changes:
        told["changes"] = [asdict(change) for change in turn.changes]
    if turn.answers:
        told["answers"] = list(turn.answers)
    return told


def _skeleton_told(skeleton: Skeleton, number: int) -> dict[str, Any]:
    return {
        "number": number,
        "names": skeleton.names,
        "parents": skeleton.parents,
        "offsets": skeleton.offsets.tolist(),
    }


def _read_skeleton(payload: bytes, skeletons: Skeletons) -> None:
    told = json.loads(payload)
    offsets: Array = np.array(told["offsets"])
    skeletons[told["number"]] = Skeleton(tuple(told["names"]), tuple(told["parents"]), offsets)


def _read_packet(payload: bytes, _: Skeletons) -> Packet:
    receive_time, dancer, sender = _PACKET.unpack_from(payload)
    names, data = _PACKET.size + dancer, _PACKET.size + dancer + sender
    return Packet(payload[_PACKET.size : names].decode(), receive_time, payload[names:data].decode(), payload[data:])


def _read_turn(payload: bytes, _: Skeletons) -> Turn:
    told = json.loads(payload)
    changes = tuple(_change(**change) for change in told.pop("changes", ()))
    return Turn(**told | {"changes": changes, "answers": tuple(told.get("answers", ()))})


def _change(value: Any, **others: Any) -> ControlChange:
    return ControlChange(value=tuple(value) if isinstance(value, list) else value, **others)


def _read_pose(payload: bytes, skeletons: Skeletons) -> Pose:
    tick, number, sender_time, receive_time, skeleton, joints, length = _POSE.unpack_from(payload)
    numbers = np.frombuffer(payload, dtype="<f8", offset=_POSE.size + length).astype(np.float64)
    return Pose(
        tick,
        PoseFrame(
            skeletons[skeleton],
            numbers[:3],
            numbers[3:].reshape(joints, 4),
            None if np.isnan(sender_time) else sender_time,
            receive_time,
            number,
            payload[_POSE.size : _POSE.size + length].decode(),
        ),
    )


_READERS: dict[int, Callable[[bytes, Skeletons], Record | None]] = {
    _SKELETON: _read_skeleton,
    _PACKET_KIND: _read_packet,
    _FLUSH_KIND: lambda payload, _: Flush(**json.loads(payload)),
    _FRAME_KIND: lambda payload, skeletons: Frame(_read_pose(payload, skeletons).frame),
    _TURN_KIND: _read_turn,
    _POSE_KIND: _read_pose,
    _LOST_KIND: lambda payload, _: Lost(**json.loads(payload)),
    _END_KIND: lambda *_: End(),
}
