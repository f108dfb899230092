"""The format of a recording: records come back as they were, and what is cut or damaged is never taken for one."""

import contextlib
import io
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from made_up_records import about, pose
from motion.skeleton import HUMANOID
from server.params import ControlChange
from server.recorder import Recorder
from server.recording import MAGIC, RECORDS, SHOW, Recording, RecordingError
from server.records import Damage, End, Flush, Lost, Packet, Pose, Record, RecordReader, RecordWriter
from server.turn import Turn

TURNS = st.builds(
    Turn,
    cause=st.just("arrive"),
    tick=st.integers(0, 2**63),
    now=st.floats(allow_nan=False, allow_infinity=False),
    dancer=st.text(max_size=8),
    number=st.integers(0, 2**63),
    changes=st.lists(
        st.builds(
            ControlChange,
            st.text(max_size=8),
            st.floats(allow_nan=False) | st.tuples(st.floats(allow_nan=False), st.floats(-1, 1)) | st.text(max_size=8),
            st.floats(0, 60),
        ),
        max_size=3,
    ).map(tuple),
    answers=st.lists(st.booleans(), max_size=3).map(tuple),
)
PACKETS = st.builds(
    Packet, st.text(max_size=8), st.floats(allow_nan=False), st.just("127.0.0.1:5000"), st.binary(max_size=80)
)


@given(st.lists(TURNS | PACKETS | st.just(Flush("dancer1", 0.1)) | st.just(Lost(3)) | st.just(End()), max_size=5))
def test_records_come_back_as_they_were(records: list[Record]) -> None:
    writer, reader = RecordWriter(), RecordReader()
    file = io.BytesIO(b"".join(map(writer.encode, records)))
    assert [reader.read(file) for _ in records] == records
    assert reader.read(file) is None


@pytest.mark.parametrize("sender_time", [None, 0.1, 1e-300])
def test_poses_come_back_to_the_bit_on_skeletons_of_their_own(sender_time: float | None) -> None:
    longer = HUMANOID.with_offsets(HUMANOID.offsets * (1 / 3))
    frames = [pose(1, sender_time=sender_time), replace(pose(2), skeleton=longer), replace(pose(3), skeleton=longer)]
    writer, reader = RecordWriter(), RecordReader()
    file = io.BytesIO(b"".join(writer.encode(Pose(9, frame)) for frame in frames))
    read = [reader.read(file) for _ in frames]
    for frame, record in zip(frames, read, strict=True):
        assert isinstance(record, Pose)
        assert record.frame.root_position.tobytes() == frame.root_position.tobytes()  # -0.0 stays what it is
        assert record.frame.rotations.tobytes() == frame.rotations.tobytes()
        assert record.frame.skeleton.offsets.tobytes() == frame.skeleton.offsets.tobytes()
        assert (record.tick, record.frame.sender_time, record.frame.number) == (9, frame.sender_time, frame.number)
    assert read[0].frame.skeleton is HUMANOID
    assert read[1].frame.skeleton is read[2].frame.skeleton


def written(folder: Path) -> bytes:
    """A recording of a packet, a turn and two poses."""
    recorder = Recorder(about)
    tap = recorder.tap("dancer1")
    place = recorder.start(folder)
    tap.packet(b"bytes", ("127.0.0.1", 9), 0.5)
    recorder.turn(Turn("arrive", 0, 0.5, "dancer1", 1), pose(), [pose(1, "partner1"), pose(1)])
    recorder.stop()
    return (place / RECORDS).read_bytes()


def test_a_recording_cut_anywhere_reads_up_to_there(tmp_path: Path) -> None:
    whole = written(tmp_path)
    recording = Recording(tmp_path)
    everything = [type(record) for record in recording]
    assert everything == [Packet, Turn, Pose, Pose]
    assert recording.damage == ""
    for length in range(len(MAGIC), len(whole)):
        (recording.folder / RECORDS).write_bytes(whole[:length])
        there = [type(record) for record in recording]
        assert there == everything[: len(there)]
        assert recording.damage


@given(st.data())
def test_a_damaged_byte_never_becomes_a_record(data: st.DataObject) -> None:
    writer = RecordWriter()
    whole = [writer.encode(record) for record in (Packet("dancer1", 0.5, "x", b"bytes"), Pose(0, pose()))]
    place = data.draw(st.integers(0, len(b"".join(whole)) - 1))
    damaged = bytearray(b"".join(whole))
    damaged[place] ^= data.draw(st.integers(1, 255))
    file, reader, read = io.BytesIO(damaged), RecordReader(), []
    with contextlib.suppress(Damage):
        while (record := reader.read(file)) is not None:
            read.append(record)
    assert len(read) == (place >= len(whole[0]))


def test_a_claim_of_a_long_record_allocates_nothing(tmp_path: Path) -> None:
    written(tmp_path)
    recording = Recording(tmp_path)
    (recording.folder / RECORDS).write_bytes(MAGIC + b"\xff" * 20)
    assert list(recording) == []
    assert recording.damage.endswith("the last 20 bytes, from byte 8 on, do not read")


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "Invalid JSON"), ('{"format": 2}', "format: Input should be 1"), ("{}", "begun: Field req")],
)
def test_a_folder_that_is_no_recording_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / SHOW).write_text(text)
    with pytest.raises(RecordingError, match=f"{tmp_path / SHOW}: .*{said}"):
        Recording(tmp_path)
