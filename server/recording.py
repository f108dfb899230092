"""What a show's recording is made of, and how it reads back: the format alone, no threads, no clock. docs/recording.md.

A folder with two files: `show.json` says what was on stage, `records.bin` has what happened in the order it happened:
packets as they came, turns of the tick, poses as they left. A record is `u32 length, u32 CRC-32, u8 kind, payload`,
little-endian; a file that ends in the middle of one, or in nonsense, reads up to there.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from motion.calibration import Calibration
from motion.skeleton import HUMANOID, Array, Skeleton
from server.params import ControlChange
from server.protocols.frames import PoseFrame
from server.turn import Turn

SHOW, RECORDS = "show.json", "records.bin"
MAGIC = b"duetrec1"
LARGEST = 1 << 21  # bytes of a payload: nothing that is written is larger, so what claims to be is damage

_OPENING = struct.Struct("<IIB")  # length of the payload, CRC-32 of kind and payload, kind
_PACKET = struct.Struct("<dBB")  # receive time, lengths of the dancer's name and of the sender's address
_POSE = struct.Struct("<QqddHHB")  # tick, number, sender time, receive time, skeleton, joints, length of the name
_SKELETON, _PACKET_KIND, _FLUSH_KIND, _FRAME_KIND, _TURN_KIND, _POSE_KIND, _LOST_KIND, _END_KIND = range(1, 9)


class RecordingError(ValueError):
    """A recording that cannot be read: names the file, what is wrong and what to do."""


class FileMark(BaseModel):
    """A file that the show had open, by its content."""

    name: str
    sha256: str


class About(BaseModel):
    """`show.json`: what was on stage.

    begun: ISO time. clock: what the show's clock said then, seconds. whole: whether it began with the show, which is
    when a replay gives the same bits. preset: the file's name; text: what stood in it. fps: the preset's. files: by
    preset key. dancers: the protocol of each, by name. calibrations: likewise, for whom there was one.
    """

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    begun: str
    clock: float
    whole: bool
    preset: str
    text: str
    seed: int
    fps: float
    files: dict[str, FileMark]
    versions: dict[str, str]
    dancers: dict[str, str]
    calibrations: dict[str, dict[str, Any]] = {}

    @property
    def calibrated(self) -> dict[str, Calibration]:
        """The dancers' calibrations. Raises ValueError for what is none."""
        return {name: Calibration.from_dict(told) for name, told in self.calibrations.items()}

    def differences(self, other: About) -> list[str]:
        """Why a replay in `other` need not give this recording's bits; empty when it must."""
        found = [] if self.whole else ["the recording began in the middle of a show"]
        if self.text != other.text:
            found.append(f"preset {other.preset} is not the text that was recorded ({self.preset})")
        if self.seed != other.seed:
            found.append(f"seed {other.seed} here, {self.seed} in the recording")
        found += [
            f"{key}: {other.files[key].name} is another file than the recorded {mark.name}"
            for key, mark in self.files.items()
            if key in other.files and other.files[key].sha256 != mark.sha256
        ]
        found += [
            f"{name} {other.versions.get(name, 'none')} here, {version} in the recording"
            for name, version in self.versions.items()
            if other.versions.get(name) != version
        ]
        return found


@dataclass(frozen=True, slots=True)
class Packet:
    """A datagram or message as it came for a dancer. sender: "host:port", "" where none is known."""

    dancer: str
    receive_time: float
    sender: str
    data: bytes


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


Record = Packet | Flush | Turn | Frame | Pose | Lost


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

    def end(self) -> bytes:
        """The last record: whoever reads it knows that nothing is missing."""
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


class Recording:
    """A recording that can be read any number of times. Raises RecordingError when there is none that reads.

    damage: after reading to the end, what is missing there, for people; empty when it ended as it should.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = _found(folder)
        self.about = _about(self.folder / SHOW)
        self.damage = ""
        self._file = self.folder / RECORDS
        try:
            with self._file.open("rb") as file:
                opening = file.read(len(MAGIC))
        except OSError as error:
            raise RecordingError(f"{self._file}: {error.strerror}") from None
        if opening != MAGIC:
            raise RecordingError(f"{self._file} begins with {opening!r}, not {MAGIC!r}: these are no records")

    def __iter__(self) -> Iterator[Record]:
        self.damage = ""
        skeletons = {0: HUMANOID}
        with self._file.open("rb") as file:
            file.seek(len(MAGIC))
            place = len(MAGIC)
            while opening := file.read(_OPENING.size):
                length, check, kind = _OPENING.unpack(opening) if len(opening) == _OPENING.size else (LARGEST + 1, 0, 0)
                payload = file.read(length) if length <= LARGEST else b""
                whole = len(payload) == length and zlib.crc32(payload, zlib.crc32(bytes([kind]))) == check
                try:
                    record = _READERS[kind](payload, skeletons) if whole else None
                except (KeyError, TypeError, ValueError, struct.error):
                    whole = False
                if not whole:
                    left = self._file.stat().st_size - place
                    self.damage = f"{self._file}: the last {left} bytes, from byte {place} on, do not read"
                    return
                if kind == _END_KIND:
                    return
                if record is not None:
                    yield record
                place += _OPENING.size + length
        self.damage = f"{self._file}: the recording was cut short; it reads up to its last byte"


def _found(folder: Path) -> Path:
    """The folder itself, or the newest recording in it."""
    if (folder / SHOW).is_file():
        return folder
    if not folder.is_dir():
        raise RecordingError(f"no folder {folder}; name one that --record wrote")
    inside = sorted(path.parent for path in folder.glob(f"*/{SHOW}"))
    if not inside:
        raise RecordingError(f"no recording in {folder}: neither it nor a folder in it has a {SHOW}")
    return inside[-1]


def _about(file: Path) -> About:
    try:
        return About.model_validate_json(file.read_bytes())
    except OSError as error:
        raise RecordingError(f"{file}: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise RecordingError(f"{file}: {where}: {first['msg']}; this reads format 1") from None


# Records to bytes, and back.


def _framed(kind: int, payload: bytes) -> bytes:
    return _OPENING.pack(len(payload), zlib.crc32(payload, zlib.crc32(bytes([kind]))), kind) + payload


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


Skeletons = dict[int, Skeleton]


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
    _END_KIND: lambda payload, _: None,
}
