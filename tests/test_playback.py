"""A recording's dancers in a show that goes on: they stand when told to, and go on from anywhere."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motion import rotations as rot
from motion.skeleton import HUMANOID, Skeleton
from server.protocols.frames import PoseFrame
from server.receivers.playback import Playback
from server.recording import MAGIC, RECORDS, SHOW, About, Recording
from server.records import End, Frame, Lost, RecordWriter

SECONDS, FPS = 6.0, 20.0
BODY = Skeleton(HUMANOID.names, HUMANOID.parents, HUMANOID.offsets * 1.1)  # not HUMANOID: written before its first pose


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    told: dict[str, Any] = {"begun": "", "clock": 0.0, "whole": True, "preset": "", "text": "", "seed": 1, "fps": FPS}
    about = About(**told, files={}, versions={}, dancers={"dancer1": "bvh"})
    (tmp_path / SHOW).write_text(about.model_dump_json())
    rotations = np.tile(rot.IDENTITY, (len(HUMANOID), 1))
    writer, data = RecordWriter(), bytearray(MAGIC)
    for number in range(int(SECONDS * FPS) + 1):
        time = 100.0 + number / FPS
        root = np.array([0.0, 0.9, 0.1 * number])
        data += writer.encode(Frame(PoseFrame(BODY, root, rotations, time, time, number, "dancer1")))
        data += writer.encode(Lost(1))
    (tmp_path / RECORDS).write_bytes(bytes(data + writer.encode(End())))
    return Recording(tmp_path)


class Hall:
    """Who hears a playback; `came` is set when a frame of a number so high has come."""

    def __init__(self, recording: Recording) -> None:
        self.numbers: list[int] = []
        self.over, self.came, self.number = threading.Event(), threading.Event(), 0
        self.playback = Playback(recording, self.arrive, {}, self.over.set)

    def arrive(self, dancer: str, frame: PoseFrame) -> None:
        self.numbers.append(frame.number)
        if frame.number >= self.number:
            self.came.set()

    def wait_for(self, number: int) -> None:
        self.number = number
        self.came.clear()
        assert self.came.wait(5.0)


def test_the_length_and_the_chapters_are_read_without_the_poses(recording: Recording) -> None:
    chapters = recording.chapters()
    assert chapters.times == tuple(100.0 + second for second in range(7))
    assert chapters.end == 106.0
    numbers = [record.frame.number for record in recording.after(chapters, 104.5) if isinstance(record, Frame)]
    assert numbers == list(range(80, 121))


def test_it_goes_to_where_it_is_told_forwards_and_back(recording: Recording) -> None:
    hall = Hall(recording)
    hall.playback.seek(5.0)
    hall.playback.start()
    hall.wait_for(100)
    assert hall.numbers[0] == 100
    hall.playback.seek(5.7)
    hall.wait_for(114)
    assert hall.over.wait(5.0)
    assert hall.numbers[-1] == 120
    assert not any(101 < number < 114 for number in hall.numbers[2:-8]) or len(hall.numbers) < 21


def test_it_stands_until_it_goes_on(recording: Recording) -> None:
    hall = Hall(recording)
    hall.playback.seek(5.5)
    hall.playback.pause(True)
    hall.playback.start()
    assert hall.playback.figures() | {"folder": ""} == {
        "folder": "", "seconds": 5.5, "length": 6.0, "paused": True, "same": None, "different": None,
    }  # fmt: skip
    assert hall.numbers == []
    hall.playback.pause(False)
    assert hall.over.wait(5.0)
    assert hall.numbers == list(range(110, 121))


def test_a_closed_one_that_stands_ends(recording: Recording) -> None:
    hall = Hall(recording)
    hall.playback.pause(True)
    hall.playback.start()
    hall.playback.close()
    assert hall.over.is_set()


@pytest.mark.parametrize("seconds", [-1.0, 6.5, float("nan")])
def test_a_moment_outside_of_it_is_refused(recording: Recording, seconds: float) -> None:
    with pytest.raises(ValueError, match=r"is not in 0\.\.6\.0"):
        Hall(recording).playback.seek(seconds)
