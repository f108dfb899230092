"""A folder of OpenPose's JSON, one file a picture, as the motion of its largest person, and back.

Every list of keypoints that OpenPose writes is kept (body, hands, face; x, y, c for each). The largest person of a
picture is the one whose found body keypoints span the largest box. A keypoint that was not found, or less surely than
SURE, is not valid; in a picture without anybody none is.
Format: https://github.com/CMU-Perceptual-Computing-Lab/openpose/blob/master/doc/02_output.md
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from motion.skeleton import Array
from motion.upsampling import Bools

FIELDS = ("pose_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d", "face_keypoints_2d")
BODY = 25  # keypoints of BODY_25
SURE = 0.2
LARGEST = 1e6  # pixels: what is beyond was never in a picture


class FolderError(ValueError):
    """A folder or file that cannot be read: which, where and why."""


@dataclass(frozen=True)
class Keypoints:
    """One person over T pictures. fields: names and numbers of keypoints, in the order of the N points.

    points (T, N, 2) pixels, confidences (T, N); 0 for what was not found. stem: of the files' names before the number.
    """

    fields: tuple[tuple[str, int], ...]
    points: Array
    confidences: Array
    stem: str = ""

    @property
    def places(self) -> dict[str, slice]:
        """Where the keypoints of each field are among the N."""
        return _places(self.fields)

    @property
    def valid(self) -> Bools:
        """What was found surely enough, (T, N)."""
        return np.asarray(self.confidences >= SURE)


def read_folder(folder: Path) -> Keypoints:
    """The pictures of a folder in the order of their names.

    Raises FolderError naming file and line or field, and OSError.
    """
    paths = sorted(folder.glob("*.json"))
    people = [_largest(path) for path in paths]
    seen = [person for person in people if person is not None]
    if not seen:
        raise FolderError(f"{folder}: nobody in any of {len(paths)} files")
    sizes = {name: {len(person[name]) for person in seen if name in person} for name in FIELDS}
    for name, counts in sizes.items():
        if len(counts) > 1:
            raise FolderError(
                f"{folder}: {name} has {' and '.join(map(str, sorted(counts)))} keypoints; one body, please"
            )
    fields = tuple((name, counts.pop()) for name, counts in sizes.items() if counts)
    table = np.zeros((len(paths), sum(count for _, count in fields), 3))
    places = _places(fields)
    for row, person in zip(table, people, strict=True):
        for name, rows in (person or {}).items():
            row[places[name]] = rows
    confidences = np.where(table[..., 2] > 0.0, np.minimum(table[..., 2], 1.0), 0.0)
    stem = paths[0].stem.removesuffix("_keypoints").rstrip("0123456789")
    read = Keypoints(fields, np.where(confidences[..., None] > 0.0, table[..., :2], 0.0), confidences, stem)
    body = places[FIELDS[0]]
    if not read.valid[:, body].any():
        surest = confidences[:, body].max()
        raise FolderError(
            f"{folder}: nobody in any of {len(paths)} files: no keypoint of a body is surer than {surest:.2g}, "
            f"it takes {SURE:g}"
        )
    return read


def write_folder(folder: Path, keypoints: Keypoints) -> None:
    """A file a picture, named as OpenPose names them, into a folder that is there."""
    for number, (points, confidences) in enumerate(zip(keypoints.points, keypoints.confidences, strict=True)):
        numbers = np.concatenate([points, confidences[:, None]], axis=-1).round(4)
        person = {name: numbers[place].ravel().tolist() for name, place in keypoints.places.items()}
        text = json.dumps({"version": 1.3, "people": [{"person_id": [-1], **person}]})
        (folder / f"{keypoints.stem}{number:012d}_keypoints.json").write_text(text, encoding="utf-8")


def _places(fields: Iterable[tuple[str, int]]) -> dict[str, slice]:
    names, counts = zip(*fields, strict=True)
    ends = [0, *accumulate(counts)]
    return {name: slice(*ends[n : n + 2]) for n, name in enumerate(names)}


def _largest(path: Path) -> dict[str, Array] | None:
    """The keypoints (n, 3) of the largest person by field; None where there is nobody."""
    try:
        packet = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise FolderError(f"{path}:{error.lineno}: no JSON: {error.msg}") from None
    except (UnicodeDecodeError, RecursionError) as error:
        raise FolderError(f"{path}: no JSON: {error}") from None
    people = packet.get("people") if isinstance(packet, dict) else None
    if not isinstance(people, list):
        raise FolderError(f"{path}: no list `people`; is it one of OpenPose's files?")
    found = [_person(path, place, person) for place, person in enumerate(people)]
    return max(found, key=_area, default=None)


def _person(path: Path, place: int, person: Any) -> dict[str, Array]:
    if not isinstance(person, dict):
        raise FolderError(f"{path}: people[{place}] is {type(person).__name__}, not an object")
    fields = {name: _rows(path, f"people[{place}].{name}", person[name]) for name in FIELDS if person.get(name)}
    if len(fields.get(FIELDS[0], ())) != BODY:
        count = len(fields.get(FIELDS[0], ()))
        raise FolderError(f"{path}: people[{place}].{FIELDS[0]} has {count} keypoints, BODY_25 has {BODY}")
    return fields


def _rows(path: Path, where: str, numbers: Any) -> Array:
    """Keypoints (n, 3), one of no use as zeros."""
    if not isinstance(numbers, list) or len(numbers) % 3:
        raise FolderError(f"{path}: {where} is not a list of x, y, c for every keypoint")
    for place, value in enumerate(numbers):
        if type(value) not in (int, float):
            raise FolderError(f"{path}: {where}[{place}] is {value!r:.40}, not a number")
    try:
        rows = np.array(numbers, dtype=np.float64).reshape(-1, 3)
    except OverflowError:
        raise FolderError(f"{path}: {where} has a number no float can hold") from None
    good = np.isfinite(rows).all(axis=1) & (np.abs(rows[:, :2]).max(axis=1, initial=0.0) < LARGEST)
    return np.where(good[:, None], rows, 0.0)


def _area(person: dict[str, Array]) -> float:
    body = person[FIELDS[0]]
    found = body[body[:, 2] >= SURE, :2]
    return math.prod(np.ptp(found, axis=0)) if len(found) else 0.0
