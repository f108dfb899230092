"""OpenPose's BODY_25 keypoints, as its own JSON or by OSC, to frames of one person. No sockets here.

JSON: one datagram is what `--write_json` writes for one picture, `{"people": [{"pose_keypoints_2d": [x, y, c, ...],
"pose_keypoints_3d": [x, y, z, c, ...], "person_id": [n]}]}`; 3-D is taken where it is not empty. OSC: a message a
person at any address, 25 rows of x y c (75 numbers) or x y z c (100). Axes are the picture's: x to the right, y down,
z away. 2-D coordinates are pixels, or shares of the picture's sides where none is beyond 2 (`--keypoint_scale` 3 or 4).
They have no depth; how it is guessed is in `motion/keypoint_depth.py`. A keypoint with c = 0 was not found.
Format: https://github.com/CMU-Perceptual-Computing-Lab/openpose/blob/master/doc/02_output.md
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np

from motion.keypoint_body import POINTS, SIDES, believable
from motion.skeleton import Array
from server.protocols.camera import Kind, PersonChoice, SeenPerson, View, count_unknown
from server.protocols.camera_osc import MAX_PEOPLE, OscBodies
from server.protocols.frames import PacketError, PoseFrame

_NAMES = """
    Nose Neck RightShoulder RightElbow RightWrist LeftShoulder LeftElbow LeftWrist MidHip RightHip RightKnee RightAnkle
    LeftHip LeftKnee LeftAnkle RightEye LeftEye RightEar LeftEar
    LeftToe LeftSmallToe LeftHeel RightToe RightSmallToe RightHeel
"""
BODY_25 = tuple(_NAMES.split())  # what is called a toe here is OpenPose's big toe
USUAL_CONFIDENCE = 0.2
MAX_JSON = 1 << 15  # bytes: four people with face and hands in 2-D and 3-D
_NOT_FOUND = len(BODY_25)  # a row of zeros behind the keypoints: OpenPose has no knuckles in a body
_PLACES = np.array([BODY_25.index(name) if name in BODY_25 else _NOT_FOUND for name in POINTS])
_TOES, _SMALL_TOES = ([BODY_25.index(side + toe) for side in SIDES] for toe in ("Toe", "SmallToe"))
_COLUMNS = {"pose_keypoints_3d": 4, "pose_keypoints_2d": 3}  # the better one first


class OpenPoseDecoder:
    """One sender's datagrams to frames of one person, on HUMANOID's joints with the bones that are seen.

    person: OpenPose's `person_id`, or <n> of the OSC address, or the place in `people` where OpenPose tells no ids.
    None is the first who comes, kept until a second after they were last seen; without ids, whoever is nearest to where
    they were. view: how the camera looks at the stage. `dropped`: nobody, not_visible, out_of_range. `unknown` counts
    other people and addresses.
    """

    protocol = "OpenPose"

    def __init__(self, actor: str = "", person: int | None = None, view: View | None = None) -> None:
        self.unknown: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.deadline: float | None = None  # a datagram is a whole frame: nothing stays open
        self.numbering = None
        count = len(BODY_25)
        self._bodies = OscBodies(
            count, (3, 4), f"a person is {count} keypoints of x y c or x y z c, {3 * count} or {4 * count} numbers"
        )
        self._choice = PersonChoice(person)
        self._person = SeenPerson(view or View(), actor, self.dropped, USUAL_CONFIDENCE)

    def feed(self, datagram: bytes | memoryview, receive_time: float) -> list[PoseFrame]:
        """The dancer's frame, none if they are not in the picture. Raises PacketError."""
        numbers: list[int | None]
        if datagram[:1] == b"{":
            numbers, bodies = _read_json(bytes(datagram))
            nobody = not bodies
        else:
            people, nobody_said, strangers = self._bodies.read(datagram)
            numbers, bodies, nobody = list(people), list(people.values()), nobody_said > 0
            for address in strangers:
                count_unknown(self.unknown, address)
        if nobody:
            self.dropped["nobody"] += 1
        where = [_middle(rows) for rows in bodies] if None in numbers else []
        place = self._choice.pick(numbers, receive_time, where)
        for other, number in enumerate(numbers):
            if other != place:
                count_unknown(self.unknown, f"person {other if number is None else number}")
        return [] if place is None else self._frame(bodies[place], receive_time)

    def flush(self, now: float) -> list[PoseFrame]:
        """Nothing: a datagram is a whole frame."""
        return []

    def _frame(self, rows: Array, now: float) -> list[PoseFrame]:
        kind: Kind = "room" if rows.shape[1] == 4 else "flat"
        table = np.zeros((len(BODY_25) + 1, 4))
        table[:-1, : rows.shape[1] - 1] = rows[:, :-1]
        table[:-1, 3] = rows[:, -1]
        both = (table[_TOES, 3] > 0.0) & (table[_SMALL_TOES, 3] > 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            middle = 0.5 * table[_TOES, :3] + 0.5 * table[_SMALL_TOES, :3]
        table[_TOES, :3] = np.where(both[:, None], middle, table[_TOES, :3])  # the foot points between them
        return self._person.frame(table[_PLACES, :3], table[_PLACES, 3], kind, now)


def _middle(rows: Array) -> Array:
    """Where somebody is in the picture, (2,)."""
    points, found = believable(rows[:, :2], rows[:, -1] > 0.0)
    return np.asarray(points.sum(axis=0) / max(int(found.sum()), 1))


def _read_json(data: bytes) -> tuple[list[int | None], list[Array]]:
    """Everybody's number, None for all where one has none, and everybody's rows (25, 3 or 4)."""
    if len(data) > MAX_JSON:
        raise PacketError(f"{len(data)} bytes of JSON; this reads {MAX_JSON} at most")
    try:
        packet = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise PacketError(f"{len(data)} bytes that are no JSON: {error}") from error
    people = packet.get("people")
    if not isinstance(people, list) or len(people) > MAX_PEOPLE:
        raise PacketError(f"people is {_shown(people)}, not a list of at most {MAX_PEOPLE}")
    bodies = [_rows(person, f"people[{place}]") for place, person in enumerate(people)]
    ids = [_id(person.get("person_id")) for person in people]
    return ([None] * len(ids) if None in ids else ids), bodies


def _rows(person: Any, where: str) -> Array:
    if not isinstance(person, dict):
        raise PacketError(f"{where} is {_shown(person)}, not an object")
    for field, columns in _COLUMNS.items():
        numbers = person.get(field)
        if not numbers:
            continue
        wanted = columns * len(BODY_25)
        if not isinstance(numbers, list) or len(numbers) != wanted:
            raise PacketError(f"{where}.{field} is {_shown(numbers)}, not a list of {wanted} numbers (BODY_25)")
        if not set(map(type, numbers)) <= {int, float}:
            place, value = next((n, v) for n, v in enumerate(numbers) if type(v) not in (int, float))
            raise PacketError(f"{where}.{field}[{place}] is {_shown(value)}, not a number")
        try:
            return np.array(numbers, dtype=np.float64).reshape(-1, columns)
        except OverflowError:
            raise PacketError(f"{where}.{field} has a number no float can hold") from None
    raise PacketError(f"{where} has neither {' nor '.join(_COLUMNS)}; it has {', '.join(list(person)[:8])[:80]}")


def _id(value: Any) -> int | None:
    """OpenPose writes [-1] for somebody it does not follow."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value if type(value) is int and value >= 0 else None


def _shown(value: Any) -> str:
    """A value in at most 48 characters, however large it is."""
    if isinstance(value, dict | list):
        return f"{type(value).__name__} of {len(value)}"
    return repr(value[:40] if isinstance(value, str) else value)[:48]
