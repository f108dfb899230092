"""Xsens MVN's datagrams: poses (MXTP02), texts (12) and T-poses (13) to values and back. No sockets here.

Everything is big-endian behind a header of 24 bytes. Of the segments, 23 are the body; those after it (props, fingers)
are skipped. Xsens' axes (right-handed, Z up, x forward, y left) are converted here: position (y, z, x), quaternion
(y, z, x, w). Spec: MVN real-time network streaming protocol, MV0305P.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motion import kinematics
from motion.skeleton import Array, Skeleton
from server.protocols.frames import FAR, PacketError, PoseFrame

SEGMENTS = (
    *("Pelvis", "L5", "L3", "T12", "T8", "Neck", "Head"),
    *(f"{side}{arm}" for side in ("Right", "Left") for arm in ("Shoulder", "UpperArm", "ForeArm", "Hand")),
    *(f"{side}{leg}" for side in ("Right", "Left") for leg in ("UpperLeg", "LowerLeg", "Foot", "Toe")),
)
PARENTS = (-1, *range(6), 4, 7, 8, 9, 4, 11, 12, 13, 0, 15, 16, 17, 0, 19, 20, 21)
BODY = len(SEGMENTS)
MAX_SEGMENTS = 255  # the header counts them in a byte
_MAX_LENGTH = 8192  # bytes: room for as many

_HEADER = struct.Struct(">6sIBBIBBBBHH")
_SEGMENT = np.dtype([("id", ">u4"), ("position", ">f4", 3), ("rotation", ">f4", 4)])  # rotation w x y z
_COUNT = struct.Struct(">I")
_POINT = struct.Struct(">3f")
_POSE, _META, _SCALE = 2, 12, 13

_OURS, _OURS_OF_WXYZ = [1, 2, 0], [2, 3, 1, 0]
_THEIRS, _WXYZ_OF_OURS = [2, 0, 1], [3, 2, 0, 1]
_IDS = np.arange(1, BODY + 1)
_PLACES = {name.casefold(): place for place, name in enumerate(SEGMENTS)}


@dataclass(frozen=True, slots=True)
class Header:
    """kind: the two digits of MXTP02. sample: counts frames. items: how many parts the datagram says it has. time:
    seconds on the sender's clock. character: whose datagram it is, from 0."""

    kind: int
    sample: int
    items: int
    time: float
    character: int


@dataclass(frozen=True, slots=True)
class Pose:
    """Global places of the body's segments in a datagram, in the project's axes and in the sender's unit.

    places: which segments. positions (n, 3). rotations (n, 4) unit xyzw."""

    places: NDArray[np.intp]
    positions: Array
    rotations: Array


@dataclass(frozen=True, slots=True)
class TPose:
    """Where the body's segments of a datagram stand in the T-pose, in which every rotation is the identity.

    places: which segments. positions (n, 3), in the project's axes and the sender's unit."""

    places: list[int]
    positions: Array


def decode(datagram: bytes | memoryview) -> tuple[Header, Pose | TPose | dict[str, str] | None]:
    """What a datagram tells: a pose, (a part of) a T-pose, the character's texts by name, or None for other kinds.

    Raises PacketError.
    """
    view = memoryview(datagram)
    if len(view) < _HEADER.size:
        raise PacketError(f"{len(view)} bytes; the header alone has {_HEADER.size}")
    if len(view) > _MAX_LENGTH:
        raise PacketError(f"{len(view)} bytes; no MXTP datagram is longer than {_MAX_LENGTH}")
    name, sample, _, items, milliseconds, character, *_, payload = _HEADER.unpack_from(view)
    if name[:4] != b"MXTP" or not name[4:].isdigit():
        raise PacketError(f"begins with {name!r}, not MXTP and two digits")
    header = Header(int(name[4:]), sample, items, milliseconds / 1000.0, character)
    content = view[_HEADER.size :]
    if header.kind == _POSE:
        return header, _pose(header, content, payload)
    if header.kind == _SCALE:
        return header, _t_pose(content)
    if header.kind == _META:
        return header, _meta(content)
    return header, None


def to_y_up(positions: Array, rotations: Array) -> tuple[Array, Array]:
    """From Xsens' axes: positions (..., 3) and quaternions w x y z (..., 4) to the project's, xyzw."""
    return positions[..., _OURS], rotations[..., _OURS_OF_WXYZ]


def to_z_up(positions: Array, rotations: Array) -> tuple[Array, Array]:
    """The way back of `to_y_up`."""
    return positions[..., _THEIRS], rotations[..., _WXYZ_OF_OURS]


def encode_pose(frame: PoseFrame, character: int = 0) -> bytes:
    """The MXTP02 of a frame, in metres; its number is the sample. Raises ValueError when it has other joints."""
    if frame.skeleton.names != SEGMENTS or frame.skeleton.parents != PARENTS:
        raise ValueError(f"MXTP02 takes Xsens' {BODY} segments, not {frame.skeleton.names[0]!r} and its joints")
    segments = np.empty(BODY, dtype=_SEGMENT)
    segments["id"] = _IDS
    positions = kinematics.global_positions(frame.skeleton, frame.root_position, frame.rotations)
    rotations = kinematics.local_to_global(frame.skeleton, frame.rotations)
    segments["position"], segments["rotation"] = to_z_up(positions, rotations)
    return _datagram(_POSE, segments.tobytes(), character, BODY, frame.number, frame.sender_time or 0.0)


def encode_t_pose(skeleton: Skeleton, character: int = 0) -> bytes:
    """The MXTP13 of a skeleton, in metres."""
    parts = [_COUNT.pack(len(skeleton))]
    for name, position in zip(skeleton.names, skeleton.rest_positions[:, _THEIRS], strict=True):
        parts += [_COUNT.pack(len(name.encode())), name.encode(), _POINT.pack(*position)]
    return _datagram(_SCALE, b"".join(parts), character)


def encode_meta(texts: dict[str, str], character: int = 0) -> bytes:
    """The MXTP12 of a character: `name` and what else is to be told."""
    text = "".join(f"{key}:{value}\n" for key, value in texts.items()).encode()
    return _datagram(_META, _COUNT.pack(len(text)) + text, character)


def _datagram(kind: int, payload: bytes, character: int, items: int = 0, sample: int = 0, time: float = 0.0) -> bytes:
    milliseconds = round(time * 1000.0) & 0xFFFFFFFF
    name, sample = b"MXTP%02d" % kind, sample & 0xFFFFFFFF
    header = _HEADER.pack(name, sample, 0x80, items, milliseconds, character, BODY, 0, 0, 0, len(payload))
    return header + payload


def _pose(header: Header, content: memoryview, payload: int) -> Pose:
    expected = header.items * _SEGMENT.itemsize
    if len(content) != expected or payload not in (0, expected):  # old senders tell no payload
        raise PacketError(
            f"{len(content)} bytes after the header, which tells of {payload} and of {header.items} segments "
            f"of {_SEGMENT.itemsize}"
        )
    segments = np.frombuffer(content, dtype=_SEGMENT)
    ids = segments["id"]
    if not ((ids > 0) & (ids <= MAX_SEGMENTS)).all() or len(np.unique(ids)) != len(ids):
        raise PacketError(f"segments {ids.tolist()} are not numbers from 1 to {MAX_SEGMENTS}, each once")
    body = segments[ids <= BODY]
    with np.errstate(invalid="ignore"):  # a signalling NaN is refused below
        positions, rotations = to_y_up(body["position"].astype(np.float64), body["rotation"].astype(np.float64))
    places = body["id"].astype(np.intp) - 1
    squares = np.einsum("ij,ij->i", rotations, rotations)
    good = (np.abs(positions) <= 100.0 * FAR).all(axis=1) & (squares > 1e-6) & np.isfinite(squares)  # NaN fails
    if not good.all():
        bad = int(np.argmin(good))
        raise PacketError(
            f"segment {SEGMENTS[places[bad]]}: {body['position'][bad].tolist()} is no position or "
            f"{body['rotation'][bad].tolist()} no rotation"
        )
    rotations /= np.sqrt(squares)[:, None]
    return Pose(places, positions, rotations)


def _t_pose(content: memoryview) -> TPose:
    """The segments that come first; the points on them, which may follow or come alone, are skipped."""
    (count,) = _take(_COUNT, content, 0, "the number of segments")
    if count > MAX_SEGMENTS:
        raise PacketError(f"a T-pose of {count} segments at byte {_HEADER.size}; {MAX_SEGMENTS} is the most")
    at = _COUNT.size
    found: dict[int, tuple[float, ...]] = {}
    for number in range(int(count)):
        name, at = _text(content, at, f"the name of segment {number}")
        position = _take(_POINT, content, at, f"the position of segment {number}, {name[:32]!r},")
        at += _POINT.size
        place = _PLACES.get(name.replace(" ", "").casefold())
        if place is None:
            continue  # a finger or a prop
        if not max(map(abs, position)) <= 100.0 * FAR or any(map(math.isnan, position)):
            raise PacketError(f"segment {name}: {position} is no position")
        found[place] = position
    return TPose(list(found), np.array(list(found.values())).reshape(-1, 3)[:, _OURS])


def _meta(content: memoryview) -> dict[str, str]:
    text, _ = _text(content, 0, "the text")
    lines = (line.partition(":") for line in text.split("\n"))
    return {key.strip(): value.strip() for key, colon, value in lines if colon}


def _text(content: memoryview, at: int, what: str) -> tuple[str, int]:
    """A text that begins with its length, and where it ends."""
    (length,) = _take(_COUNT, content, at, f"the length of {what}")
    at += _COUNT.size
    if length > len(content) - at:
        raise PacketError(f"{what} claims {length} bytes at byte {_HEADER.size + at}, {len(content) - at} are left")
    return bytes(content[at : at + int(length)]).decode("utf-8", "replace"), at + int(length)


def _take(form: struct.Struct, content: memoryview, at: int, what: str) -> tuple[float, ...]:
    if form.size > len(content) - at:
        raise PacketError(f"{what} takes {form.size} bytes at byte {_HEADER.size + at}, {len(content) - at} are left")
    return form.unpack_from(content, at)
