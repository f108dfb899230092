"""Rokoko Studio's custom streaming, JSON v3. No sockets here. Bytes in, Scene or PoseFrame out, and back.

One datagram, plain or as an LZ4 frame, is one frame of everybody on stage. Unity's axes, metres, world positions and
world rotations xyzw, which in the T-pose are no identities: a bone runs along its own -Y (`_REFERENCE`), so
W = rotation · reference⁻¹.
Trap: "JSON v2.5" of Studio 1 also says version 3; its top level has `trackers`. Fingers, face, props and whatever else
the JSON holds are skipped.
Peer: Rokoko Studio, port 14043 by habit; read against github.com/Rokoko/rokoko-studio-live-blender and -unity.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from motion import kinematics
from motion import rotations as rot
from motion.skeleton import HUMANOID, Array, Skeleton
from server.protocols import lz4_frame
from server.protocols.frames import FAR, LONGEST_TIME, PacketError, PoseFrame
from server.protocols.streamed_skeleton import StreamedSkeleton, measured_offsets

MAX_ACTORS = 16  # Studio streams up to five
MAX_UNKNOWN = 64
MAX_JSON = 1 << 17  # bytes out of an LZ4 frame: five people with gloves and faces are 80,000
MAX_COMMAS = 10000  # so that no JSON takes longer than a millisecond: those five have fewer than 6,000
POSITION_SIGNS: Array = np.array([-1.0, 1.0, 1.0])  # Unity's axes to ours, and back
ROTATION_SIGNS: Array = np.array([1.0, -1.0, -1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Actor:
    """One person, in the project's axes.

    positions: (J, 3) metres in the world, rotations: (J, 4) global xyzw, the identity in the T-pose; joints as in
    `SKELETON`. height, hip_height: metres, as Studio measured them, 0 where it says nothing.
    """

    name: str
    positions: Array
    rotations: Array
    height: float = 0.0
    hip_height: float = 0.0


@dataclass(frozen=True, eq=False)
class Scene:
    """One datagram. time: seconds on Studio's clock, None if it is none. bodiless: people of gloves or a face only."""

    actors: tuple[Actor, ...]
    time: float | None = None
    fps: float = 60.0
    bodiless: tuple[str, ...] = ()


def decode(datagram: bytes | memoryview) -> Scene:
    """The people of a datagram. Raises PacketError naming the field and its value."""
    packet = _read_json(bytes(datagram))
    _check_version(packet)
    scene = _field(packet, "scene", dict, "the packet")
    people = _field(scene, "actors", list, "scene")
    if len(people) > MAX_ACTORS:
        raise PacketError(f"scene.actors has {len(people)} people; this reads {MAX_ACTORS}")
    actors: list[Actor] = []
    bodiless: list[str] = []
    for place, person in enumerate(people):
        where = f"scene.actors[{place}]"
        if not isinstance(person, dict):
            raise PacketError(f"{where} is {_shown(person)}, not an object")
        name = _field(person, "name", str, where)
        meta = person.get("meta")
        if isinstance(meta, dict) and meta.get("hasBody") is False:
            bodiless.append(name)
        else:
            actors.append(_actor(name, person, where))
    time = _within(LONGEST_TIME, scene.get("timestamp"))
    return Scene(tuple(actors), time, _within(10000.0, packet.get("fps")) or 60.0, tuple(bodiless))


def encode(scene: Scene, compress: bool = False) -> bytes:
    """A datagram as Studio sends it, plain or as an LZ4 frame: what a simulator of the suit needs."""
    packet = {
        "version": "3,0",
        "fps": scene.fps,
        "scene": {
            "timestamp": scene.time,
            "actors": [_written(actor) for actor in scene.actors]
            + [{"name": name, "meta": {"hasBody": False}} for name in scene.bodiless],
            "characters": [],
            "props": [],
        },
    }
    plain = json.dumps(packet, allow_nan=False, separators=(",", ":")).encode()
    return lz4_frame.deflate(plain) if compress else plain


def actor_of(frame: PoseFrame) -> Actor:
    """A frame on `SKELETON`, whatever its bones, as Studio would see it. Raises ValueError for other joints."""
    if frame.skeleton.topology_hash != SKELETON.topology_hash:
        raise ValueError(f"Rokoko's body has the joints {', '.join(SKELETON.names)}; retarget to them first")
    positions = kinematics.global_positions(frame.skeleton, frame.root_position, frame.rotations)
    return Actor(frame.actor, positions, kinematics.local_to_global(frame.skeleton, frame.rotations))


class RokokoDecoder:
    """Frames of one person, on `SKELETON` with the bones that the stream shows.

    person: the profile's name in Studio; the first in the scene if empty, and the same one from then on while there.
    `unknown` counts the others' names, `dropped` the frames without the person or without a body.
    """

    protocol = "Rokoko JSON v3"

    def __init__(self, actor: str = "", person: str = "") -> None:
        self.unknown: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.deadline: float | None = None  # a datagram is a whole frame: nothing stays open
        self.numbering = None
        self._actor = actor
        self._person = person
        self._chosen = person
        self._number = 0
        self._body = StreamedSkeleton(SKELETON)

    def feed(self, datagram: bytes | memoryview, receive_time: float) -> list[PoseFrame]:
        """The person's frame, none if they are not in it. Raises PacketError."""
        scene = decode(datagram)
        person = self._choose(scene)
        for other in scene.actors:
            if other is not person:
                self._count_stranger(other.name)
        if person is None:
            self.dropped["no_body" if self._chosen in scene.bodiless else "person_missing"] += 1
            return []
        if self._body.is_due(receive_time):
            self._body.update(measured_offsets(SKELETON.parents, person.positions, person.rotations), receive_time)
        self._number += 1
        rotations = kinematics.global_to_local(SKELETON, person.rotations)
        root, skeleton = person.positions[0], self._body.skeleton
        return [PoseFrame(skeleton, root, rotations, scene.time, receive_time, self._number, self._actor)]

    def flush(self, now: float) -> list[PoseFrame]:
        """Nothing: a datagram is a whole frame."""
        return []

    def _choose(self, scene: Scene) -> Actor | None:
        for actor in scene.actors:
            if actor.name == self._chosen:
                return actor
        if self._person or not scene.actors:
            return None
        self._chosen = scene.actors[0].name
        self._body = StreamedSkeleton(SKELETON)
        return scene.actors[0]

    def _count_stranger(self, name: str) -> None:
        name = name[:64].encode("utf-8", "replace").decode()  # JSON may spell half a surrogate pair
        self.unknown[name if name in self.unknown or len(self.unknown) < MAX_UNKNOWN else "(others)"] += 1


def _skeleton() -> tuple[Skeleton, Array]:
    """The 21 joints with HUMANOID's bones, and their reference rotations (J, 4) xyzw in Unity's axes."""
    half = 0.5**0.5
    table: list[tuple[str, str, str, tuple[float, float, float, float]]] = [
        ("hip", "", "Hips", (0, 0, 0, -1)),
        ("spine", "hip", "Spine", (0, 0, -1, 0)),
        ("chest", "spine", "Chest", (0, 0, -1, 0)),
        ("neck", "chest", "Neck", (0, 0, -1, 0)),
        ("head", "neck", "Head", (0, 0, -1, 0)),
        ("leftShoulder", "chest", "LeftShoulder", (0, 0, half, -half)),
        ("leftUpperArm", "leftShoulder", "LeftUpperArm", (-0.5, -0.5, 0.5, -0.5)),
        ("leftLowerArm", "leftUpperArm", "LeftLowerArm", (-0.5, -0.5, 0.5, -0.5)),
        ("leftHand", "leftLowerArm", "LeftHand", (-0.5, -0.5, 0.5, -0.5)),
        ("rightShoulder", "chest", "RightShoulder", (0, 0, half, half)),
        ("rightUpperArm", "rightShoulder", "RightUpperArm", (0.5, -0.5, 0.5, 0.5)),
        ("rightLowerArm", "rightUpperArm", "RightLowerArm", (0.5, -0.5, 0.5, 0.5)),
        ("rightHand", "rightLowerArm", "RightHand", (0.5, -0.5, 0.5, 0.5)),
        ("leftUpLeg", "hip", "LeftUpperLeg", (0, half, 0, half)),
        ("leftLeg", "leftUpLeg", "LeftLowerLeg", (0, half, 0, half)),
        ("leftFoot", "leftLeg", "LeftFoot", (0, half, -half, 0)),
        ("leftToe", "leftFoot", "LeftToes", (0, half, -half, 0)),
        ("rightUpLeg", "hip", "RightUpperLeg", (0, -half, 0, half)),
        ("rightLeg", "rightUpLeg", "RightLowerLeg", (0, -half, 0, half)),
        ("rightFoot", "rightLeg", "RightFoot", (0, -half, half, 0)),
        ("rightToe", "rightFoot", "RightToes", (0, -half, half, 0)),
    ]
    names = tuple(name for name, *_ in table)
    parents = tuple(names.index(parent) if parent else -1 for _, parent, *_ in table)
    places = np.array([HUMANOID.rest_positions[HUMANOID.index(ours)] for _, _, ours, _ in table])
    offsets = places.copy()
    offsets[1:] -= places[list(parents[1:])]
    return Skeleton(names, parents, offsets), np.array([reference for *_, reference in table])


SKELETON, _REFERENCE = _skeleton()
_TO_OURS: Array = rot.inverse(_REFERENCE)


def _read_json(data: bytes) -> dict[str, Any]:
    if data.startswith(lz4_frame.MAGIC):
        data = lz4_frame.inflate(data, MAX_JSON)
    if data.count(b",") > MAX_COMMAS:
        raise PacketError(f"{len(data)} bytes with {data.count(b',')} commas; no stage of people has {MAX_COMMAS}")
    try:
        packet = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise PacketError(f"{len(data)} bytes that are no JSON: {error}; they begin {data[:16]!r}") from error
    if not isinstance(packet, dict):
        raise PacketError(f"the packet is {_shown(packet)}, not an object")
    return packet


def _check_version(packet: dict[str, Any]) -> None:
    version = packet.get("version")
    major = str(version)[:16].replace(",", ".").partition(".")[0]
    if isinstance(version, bool) or not (major.isascii() and major.isdigit() and int(major) >= 3):
        raise PacketError(f"version is {_shown(version)}; choose JSON v3 in Rokoko Studio's custom streaming")
    if "trackers" in packet:
        raise PacketError("this is JSON v2.5 (top level has trackers); choose JSON v3 in Studio's custom streaming")


def _actor(name: str, person: dict[str, Any], where: str) -> Actor:
    body = _field(person, "body", dict, where)
    rows: list[Any] = []
    for joint_name in SKELETON.names:
        try:
            joint = body[joint_name]
            position, rotation = joint["position"], joint["rotation"]
            rows += [position["x"], position["y"], position["z"]]
            rows += [rotation["x"], rotation["y"], rotation["z"], rotation["w"]]
        except (KeyError, TypeError) as error:
            missing = f"has no {error}" if isinstance(error, KeyError) else "is no object of numbers"
            raise PacketError(f"{where}.body ({name[:64]!r}): {joint_name} {missing}") from None
    if not set(map(type, rows)) <= {int, float} or not all(abs(value) <= FAR for value in rows):  # so that NaN fails
        place, value = next((n, v) for n, v in enumerate(rows) if _within(FAR, v) is None)
        raise PacketError(f"{where}.body.{_name_of(place)} is {_shown(value)}, no number from -{FAR:g} to {FAR:g}")
    numbers = np.array(rows, dtype=np.float64).reshape(-1, 7)
    squares = np.einsum("ij,ij->i", numbers[:, 3:], numbers[:, 3:])
    if not squares.min() > 1e-6:
        joint_name = SKELETON.names[int(squares.argmin())]
        raise PacketError(f"{where}.body.{joint_name}.rotation is zero")
    rotations = rot.multiply(numbers[:, 3:] / np.sqrt(squares)[:, None], _TO_OURS) * ROTATION_SIGNS
    dimensions = person.get("dimensions")
    heights = dimensions if isinstance(dimensions, dict) else {}
    height, hip_height = (_within(FAR, heights.get(key)) or 0.0 for key in ("totalHeight", "hipHeight"))
    return Actor(name, numbers[:, :3] * POSITION_SIGNS, rotations, height, hip_height)


def _written(actor: Actor) -> dict[str, Any]:
    positions = (actor.positions * POSITION_SIGNS).tolist()
    rotations = rot.multiply(actor.rotations * ROTATION_SIGNS, _REFERENCE).tolist()
    joints = zip(SKELETON.names, positions, rotations, strict=True)
    return {
        "name": actor.name,
        "color": [255, 255, 255],
        "meta": dict.fromkeys(("hasGloves", "hasLeftGlove", "hasRightGlove", "hasFace"), False) | {"hasBody": True},
        "dimensions": {"totalHeight": actor.height, "hipHeight": actor.hip_height},
        "body": {name: {"position": _keyed("xyz", p), "rotation": _keyed("xyzw", q)} for name, p, q in joints},
    }


def _keyed(letters: str, numbers: Sequence[float]) -> dict[str, float]:
    return dict(zip(letters, numbers, strict=True))


def _field(parent: dict[str, Any], key: str, kind: type, where: str) -> Any:
    value = parent.get(key)
    if not isinstance(value, kind):
        raise PacketError(f"{where}: {key} is {_shown(value)}, not of type {kind.__name__}")
    return value


def _within(limit: float, value: Any) -> float | None:
    """A number no further from zero than `limit`; None for anything else, and for NaN."""
    return float(value) if type(value) in (int, float) and abs(value) <= limit else None


def _name_of(place: int) -> str:
    part = place % 7
    return f"{SKELETON.names[place // 7]}.{'position' if part < 3 else 'rotation'}.{'xyzxyzw'[part]}"


def _shown(value: Any) -> str:
    """A value in at most 48 characters, however large it is."""
    if isinstance(value, dict | list):
        return f"{type(value).__name__} of {len(value)}"
    text = value[:40] if isinstance(value, str) else value
    return f"an integer of {value.bit_length()} bits" if isinstance(value, int) and abs(value) > 1e15 else repr(text)
