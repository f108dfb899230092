"""Sony mocopi's UDP stream, in and out. No sockets here. Bytes in, PoseFrame out, and back.

A datagram is nested parts of `u32 length, 4-character tag, payload`, little-endian, and holds either the skeleton
(`skdf`: at start and again every few seconds) or one frame (`fram`). Parts with other tags are skipped: Sony adds some.
Axes are the project's own: right-handed, Y up, +Z forward, metres, xyzw, rotations local. Port 12351, one a person.
Spec: Sony, mocopi motion data format. Both datagrams are longer than 1,472 bytes and travel as IP fragments: a lost one
is a gap in the numbers, half of one never arrives.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from motion.skeleton import Array, Skeleton
from server.protocols.bodies import standing
from server.protocols.frames import FAR, LONGEST_TIME, PacketError, PoseFrame
from server.protocols.mocopi_parts import F32, F64, U16, U32, children, part, parts, payload, text, value
from server.protocols.numbering import Numbering

FORMAT = b"sony motion format"
NO_PARENT = 0xFFFF
MAX_BONES = 64  # Sony has 27
BONES = (
    "root",
    *(f"torso_{n}" for n in range(1, 8)),
    "neck_1",
    "neck_2",
    "head",
    *(f"{side}_{bone}" for side in "lr" for bone in ("shoulder", "up_arm", "low_arm", "hand")),
    *(f"{side}_{bone}" for side in "lr" for bone in ("up_leg", "low_leg", "foot", "toes")),
)
PARENTS = (-1, *range(7), 7, 8, 9, 7, 11, 12, 13, 7, 15, 16, 17, 0, 19, 20, 21, 0, 23, 24, 25)

_PLACE = struct.Struct("<7f")  # qx qy qz qw px py pz
_MAX_UNKNOWN = 64
_MAX_LENGTH = 4096  # bytes: twice Sony's longest, and less than a millisecond's work
# A bone of a frame as Sony writes it; the three openings (length and tag) are the same in all.
_BONE = np.dtype(
    [("opening", "<u8"), ("id_opening", "<u8"), ("id", "<u2"), ("tran_opening", "<u8"), ("place", "<f4", 7)]
)
_BONE_OPENINGS = [
    (name, int.from_bytes(struct.pack("<I4s", length, tag), "little"))
    for name, length, tag in (("opening", 46, b"btdt"), ("id_opening", 2, b"bnid"), ("tran_opening", 28, b"tran"))
]


@dataclass(frozen=True, slots=True)
class SkeletonPacket:
    """ids: the wire's number of every joint of `skeleton`."""

    ids: tuple[int, ...]
    skeleton: Skeleton


@dataclass(frozen=True, slots=True)
class FramePacket:
    """time: seconds on the sender's clock. unix_time: the same moment in unix time, None where the sender is older
    than 2023; both are None when they are no time. ids: the wire's number of every bone. places: (bones, 7), a local
    unit quaternion xyzw and a local position in metres."""

    number: int
    time: float | None
    unix_time: float | None
    ids: tuple[int, ...]
    places: Array


class MocopiDecoder:
    """One sender's datagrams to frames of one actor, on the skeleton the sender tells.

    A frame that comes before the skeleton is read with Sony's 27 bones and its own offsets; a skeleton that comes again
    unchanged stays the same object. `numbering` knows what was lost.
    """

    protocol = "mocopi"

    def __init__(self, actor: str = "") -> None:
        self.unknown: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.deadline: float | None = None
        self.numbering = Numbering()
        self._actor = actor
        self._ids: tuple[int, ...] = ()
        self._skeleton: Skeleton | None = None

    def feed(self, datagram: bytes | memoryview, receive_time: float) -> list[PoseFrame]:
        """The frame in this datagram, if there is one. Raises PacketError."""
        packet = decode(datagram)
        if isinstance(packet, SkeletonPacket):
            self._take_skeleton(packet)
            return []
        if packet is None:
            self.dropped["no_motion"] += 1
            return []
        if self._skeleton is None:
            self._ids, self._skeleton = _standard(packet)
        places = packet.places if packet.ids == self._ids else self._sorted(packet)
        if packet.time is None:
            self.dropped["time_out_of_range"] += 1
        self.numbering.note(packet.number)
        frame = PoseFrame(
            skeleton=self._skeleton,
            root_position=places[0, 4:].copy(),
            rotations=places[:, :4].copy(),
            sender_time=packet.time,
            receive_time=receive_time,
            number=packet.number,
            actor=self._actor,
        )
        return [frame]

    def flush(self, now: float) -> list[PoseFrame]:
        """Nothing: a frame is one datagram."""
        return []

    def _take_skeleton(self, packet: SkeletonPacket) -> None:
        known = self._skeleton
        same = known is not None and known.names == packet.skeleton.names and known.parents == packet.skeleton.parents
        if not same or known is None or not np.array_equal(known.offsets, packet.skeleton.offsets):
            self._ids, self._skeleton = packet.ids, packet.skeleton

    def _sorted(self, packet: FramePacket) -> Array:
        """The places in the skeleton's order; bones it does not have are counted."""
        at = {bone: place for place, bone in enumerate(packet.ids)}
        missing = [_name(bone) for bone in self._ids if bone not in at]
        if missing:
            raise PacketError(f"frame {packet.number}: no bone {', '.join(missing)} among its {len(at)}")
        for bone in at.keys() - set(self._ids):
            label = _name(bone)
            self.unknown[label if label in self.unknown or len(self.unknown) < _MAX_UNKNOWN else "(others)"] += 1
        ordered: Array = packet.places[[at[bone] for bone in self._ids]]
        return ordered


def decode(datagram: bytes | memoryview) -> SkeletonPacket | FramePacket | None:
    """What a datagram tells, None when it is neither skeleton nor frame. Raises PacketError."""
    view = memoryview(datagram)
    if len(view) > _MAX_LENGTH:
        raise PacketError(f"{len(view)} bytes; no mocopi datagram is longer than {_MAX_LENGTH}")
    top = children(view, 0, len(view), "the datagram")
    if b"head" not in top:
        raise PacketError(f"no part 'head' in {len(view)} bytes")
    kind = bytes(payload(view, children(view, *top[b"head"], "head"), b"ftyp", "head"))
    if kind.rstrip(b"\0") != FORMAT:
        raise PacketError(f"head/ftyp is {kind[:32]!r}, not {FORMAT!r}")
    if b"fram" in top:
        return _frame(view, *top[b"fram"])
    if b"skdf" in top:
        return _skeleton(view, *top[b"skdf"])
    return None


def encode_skeleton(skeleton: Skeleton, sender: bytes = bytes(8), port: int = 12351) -> bytes:
    """The datagram that tells `skeleton`; joint n becomes bone n. sender: 8 bytes that name it, as in `ipad`."""
    bones = []
    for joint, (parent, offset) in enumerate(zip(skeleton.parents, skeleton.offsets, strict=True)):
        place = part(b"tran", _PLACE.pack(0.0, 0.0, 0.0, 1.0, *offset))
        bones.append(part(b"bndt", _bone(joint), part(b"pbid", U16.pack(parent & NO_PARENT)), place))
    return _opening(sender, port) + part(b"skdf", part(b"bons", *bones))


def encode_frame(frame: PoseFrame, unix_time: float = 0.0, sender: bytes = bytes(8), port: int = 12351) -> bytes:
    """The datagram of one frame, with its number and, as the time, its sender_time (0 where it has none)."""
    offsets = [frame.root_position, *frame.skeleton.offsets[1:]]
    bones = [
        part(b"btdt", _bone(joint), part(b"tran", _PLACE.pack(*rotation, *offset)))
        for joint, (rotation, offset) in enumerate(zip(frame.rotations, offsets, strict=True))
    ]
    return _opening(sender, port) + part(
        b"fram",
        part(b"fnum", U32.pack(frame.number & 0xFFFFFFFF)),
        part(b"time", F32.pack(frame.sender_time or 0.0)),
        part(b"uttm", F64.pack(unix_time)),
        part(b"btrs", *bones),
    )


# What the parts mean.


def _frame(view: memoryview, start: int, end: int) -> FramePacket:
    within = children(view, start, end, "fram")
    (number,) = value(view, within, b"fnum", U32, "fram")
    (time,) = value(view, within, b"time", F32, "fram")
    (unix_time,) = value(view, within, b"uttm", F64, "fram") if b"uttm" in within else (float("nan"),)
    bones = payload(view, within, b"btrs", "fram")
    regular = _regular(bones)
    ids, places = regular if regular else _bones(view, *within[b"btrs"], b"btdt")[::2]
    return FramePacket(int(number), _time(time), _time(unix_time), ids, places)


def _skeleton(view: memoryview, start: int, end: int) -> SkeletonPacket:
    within = children(view, start, end, "skdf")
    payload(view, within, b"bons", "skdf")
    ids, parent_ids, places = _bones(view, *within[b"bons"], b"bndt")
    joint_of = {bone: joint for joint, bone in enumerate(ids)}
    if parent_ids[0] != NO_PARENT:
        raise PacketError(f"the first bone, {_name(ids[0])}, has parent {parent_ids[0]}, not {NO_PARENT}: no root")
    parents = [-1]
    for joint, parent in enumerate(parent_ids[1:], start=1):
        place = joint_of.get(parent, len(ids))
        if place >= joint:
            raise PacketError(f"bone {_name(ids[joint])} has parent {parent}, which does not stand before it")
        parents.append(place)
    return SkeletonPacket(ids, Skeleton(tuple(map(_name, ids)), tuple(parents), places[:, 4:]))


def _bones(view: memoryview, start: int, end: int, tag: bytes) -> tuple[tuple[int, ...], list[int], Array]:
    """Numbers, parents (of a skeleton's bones) and places of the bones in a list."""
    ids: list[int] = []
    parents: list[int] = []
    rows: list[tuple[float, ...]] = []
    for found, first, last in parts(view, start, end, text(tag)):
        if found != tag:
            continue
        if len(ids) == MAX_BONES:
            raise PacketError(f"more than {MAX_BONES} bones at byte {first}")
        where = f"{text(tag)} {len(ids)} at byte {first}"
        within = children(view, first, last, where)
        ids.append(int(value(view, within, b"bnid", U16, where)[0]))
        if tag == b"bndt":
            parents.append(int(value(view, within, b"pbid", U16, where)[0]))
        rows.append(value(view, within, b"tran", _PLACE, where))
    if not ids:
        raise PacketError(f"no {text(tag)} in the {end - start} bytes at byte {start}: a body without bones")
    return tuple(ids), parents, _checked(ids, np.array(rows))


def _regular(bones: memoryview) -> tuple[tuple[int, ...], Array] | None:
    """What `_bones` says of a frame's list that is as Sony writes it, ten times sooner; None for any other."""
    if not 0 < len(bones) <= MAX_BONES * _BONE.itemsize or len(bones) % _BONE.itemsize:
        return None
    records = np.frombuffer(bones, dtype=_BONE)
    if not all((records[name] == opening).all() for name, opening in _BONE_OPENINGS):
        return None
    ids = tuple(records["id"].tolist())
    with np.errstate(invalid="ignore"):  # a signalling NaN is refused below
        return ids, _checked(ids, records["place"].astype(np.float64))


def _checked(ids: Sequence[int], places: Array) -> Array:
    """The places (bones, 7), their rotations made unit in place."""
    if len(set(ids)) != len(ids):
        bone, times = Counter(ids).most_common(1)[0]
        raise PacketError(f"bone {_name(bone)} comes {times} times")
    squares = np.einsum("ij,ij->i", places[:, :4], places[:, :4])
    good = (np.abs(places) <= FAR).all(axis=1) & (squares > 1e-6)  # written so that NaN fails
    if not good.all():
        bad = int(np.argmin(good))
        raise PacketError(
            f"bone {_name(ids[bad])}: {places[bad].tolist()} is no rotation and position within {FAR:g} m"
        )
    places[:, :4] /= np.sqrt(squares)[:, None]
    return places


def _standard(packet: FramePacket) -> tuple[tuple[int, ...], Skeleton]:
    """Sony's skeleton with the offsets of a frame: they are constant, so the first frame has them."""
    ids = tuple(range(len(BONES)))
    if packet.ids != ids:
        raise PacketError(
            f"frame {packet.number} has {len(packet.ids)} bones that are not Sony's {len(ids)}: no skdf yet"
        )
    return ids, standing(BONES, PARENTS, packet.places[:, 4:])


def _time(seconds: float) -> float | None:
    return seconds if abs(seconds) <= LONGEST_TIME else None  # NaN too


def _name(bone: int) -> str:
    return BONES[bone] if bone < len(BONES) else f"bone_{bone}"


def _opening(sender: bytes, port: int) -> bytes:
    head = part(b"head", part(b"ftyp", FORMAT), part(b"vrsn", b"\x01"))
    return head + part(b"sndf", part(b"ipad", sender), part(b"rcvp", U16.pack(port)))


def _bone(joint: int) -> bytes:
    return part(b"bnid", U16.pack(joint))
