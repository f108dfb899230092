"""A recording on disk, as it is read: no threads, no clock. docs/recording.md has the format.

A folder with two files: `show.json` says what was on stage, `records.bin` has what happened, in the order it happened:
packets as they came, turns of the tick, poses as they left (`records.py`). A file that ends in the middle of a record,
or in nonsense, reads up to there.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from motion.calibration import Calibration
from server.records import Damage, End, Record, RecordReader

SHOW, RECORDS = "show.json", "records.bin"
MAGIC = b"duetrec1"
LARGEST_ABOUT = 1 << 24  # bytes of what is told of a show
CHAPTER_SECONDS = 1.0
BREATH = 2000  # records that are looked through at a stretch


class RecordingError(ValueError):
    """A recording that cannot be read: names the file, what is wrong and what to do."""


class FileMark(BaseModel):
    """A file that the show had open, by its content."""

    name: str
    sha256: str


class PresetMark(BaseModel):
    """A preset that danced: its file's name, what stood in it, and the files it had open, by key."""

    name: str
    text: str
    files: dict[str, FileMark]

    def differences(self, other: PresetMark | None) -> list[str]:
        """Why the preset of today is not this one."""
        if other is None:
            return [f"preset {self.name}, which took over, is not there or cannot be shown"]
        found = []
        if self.text != other.text:
            found.append(f"preset {other.name} is not the text that was recorded ({self.name})")
        return found + [
            f"preset {other.name}: {key}: {other.files[key].name} is another file than the recorded {mark.name}"
            for key, mark in self.files.items()
            if key in other.files and other.files[key].sha256 != mark.sha256
        ]


class About(BaseModel):
    """`show.json`: what was on stage.

    begun: ISO time. clock: what the show's clock said then, seconds. whole: whether it began with the show, which is
    when a replay gives the same bits. preset: the file's name; text: what stood in it. seed_asked: whether the seed was
    asked for, and is that of those who took over as well. fps: the preset's. files: by preset key. dancers: the
    protocol of each, by name. calibrations: likewise, for whom there was one. successors: the presets that took over.
    """

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    begun: str
    clock: float
    whole: bool
    preset: str
    text: str
    seed: int
    seed_asked: bool = False
    fps: float
    files: dict[str, FileMark]
    versions: dict[str, str]
    dancers: dict[str, str]
    calibrations: dict[str, dict[str, Any]] = {}
    successors: tuple[PresetMark, ...] = ()

    @property
    def opening(self) -> PresetMark:
        """The preset that the show began with."""
        return PresetMark(name=self.preset, text=self.text, files=self.files)

    @property
    def calibrated(self) -> dict[str, Calibration]:
        """The dancers' calibrations. Raises ValueError for what is none."""
        return {name: Calibration.from_dict(told) for name, told in self.calibrations.items()}

    def differences(self, other: About) -> list[str]:
        """Why a replay in `other` need not give this recording's bits; empty when it must."""
        found = [] if self.whole else ["the recording began in the middle of a show"]
        found += self.opening.differences(other.opening)
        if self.seed != other.seed:
            found.append(f"seed {other.seed} here, {self.seed} in the recording")
        there = {mark.name: mark for mark in other.successors}
        found += [fault for mark in self.successors for fault in mark.differences(there.get(mark.name))]
        found += [
            f"{name} {other.versions.get(name, 'none')} here, {version} in the recording"
            for name, version in self.versions.items()
            if other.versions.get(name) != version
        ]
        return found


@dataclass(frozen=True)
class Chapters:
    """Where in a recording what happened is. times: of chapters' first packet or frame, and places, where it stands.

    end: when the last one came. reader: knows the skeletons.
    """

    reader: RecordReader
    times: tuple[float, ...]
    places: tuple[int, ...]
    end: float


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
        return self._read(RecordReader(), len(MAGIC))

    def chapters(self) -> Chapters:
        """Looks through the whole file, without decoding it and without haste. Raises OSError for one that is gone."""
        reader, times, places, end = RecordReader(), list[float](), list[int](), 0.0
        with self._file.open("rb") as file:
            file.seek(len(MAGIC))
            for number, (time, place) in enumerate(reader.skim(file)):
                end = time
                if not times or time >= times[-1] + CHAPTER_SECONDS:
                    times.append(time)
                    places.append(place)
                if number % BREATH == 0:
                    sleep(0.001)  # a show may be on: others want the interpreter
        return Chapters(reader, tuple(times), tuple(places), end)

    def after(self, chapters: Chapters, moment: float) -> Iterator[Record]:
        """The records from the chapter on that `moment` is in."""
        return self._read(chapters.reader, chapters.places[max(bisect_right(chapters.times, moment) - 1, 0)])

    def _read(self, reader: RecordReader, begin: int) -> Iterator[Record]:
        self.damage = f"{self._file}: the recording was cut short; it reads up to its last byte"
        with self._file.open("rb") as file:
            place = file.seek(begin)
            try:
                while (record := reader.read(file)) is not None:
                    place = file.tell()
                    if isinstance(record, End):
                        self.damage = ""
                        return
                    yield record
            except Damage:
                left = self._file.stat().st_size - place
                self.damage = f"{self._file}: the last {left} bytes, from byte {place} on, do not read"


def names(folder: Path) -> list[str]:
    """The recordings in a folder, oldest first."""
    return sorted(path.parent.name for path in folder.glob(f"*/{SHOW}"))


def _found(folder: Path) -> Path:
    """The folder itself, or the newest recording in it."""
    if (folder / SHOW).is_file():
        return folder
    if not folder.is_dir():
        raise RecordingError(f"no folder {folder}; name one that --record wrote")
    inside = names(folder)
    if not inside:
        raise RecordingError(f"no recording in {folder}: neither it nor a folder in it has a {SHOW}")
    return folder / inside[-1]


def _about(file: Path) -> About:
    try:
        with file.open("rb") as opened:
            text = opened.read(LARGEST_ABOUT + 1)
        if len(text) > LARGEST_ABOUT:
            raise RecordingError(f"{file} has more than {LARGEST_ABOUT:,} bytes: it tells of no show")
        return About.model_validate_json(text)
    except OSError as error:
        raise RecordingError(f"{file}: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise RecordingError(f"{file}: {where}: {first['msg']}; this reads format 1") from None
