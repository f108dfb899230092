"""Writes a running show down, and never holds it up: taps put what they see into a queue, a thread of its own writes.

Packets go in before they are decoded and turns when they are over, so the file has everything in the order in which it
acted; the last second of it is kept always, for who asks what went before a fault. What the disk does not keep up with
is left out, counted, and marked in the file; a disk that is full ends the recording, not the show. The formats are
those of `recording.py` and `records.py`.
"""

from __future__ import annotations

import shutil
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from server.protocols.frames import PoseFrame
from server.receivers import Tap
from server.recording import MAGIC, RECORDS, SHOW, About, PresetMark
from server.records import End, Flush, Frame, Lost, Packet, Pose, Record, RecordWriter
from server.turn import Turn

WRITE_SECONDS = 0.05  # short, so that a batch holds the interpreter for a fraction of a millisecond
CLOSE_SECONDS = 10.0  # a disk that hangs is not waited for any longer at the end
MOST_WAITING = 20_000  # entries: at two dancers and 120 fps about half a minute
KEPT_SECONDS, MOST_KEPT, LONGEST_KEPT = 1.0, 8192, 16384  # of the last second: entries, and bytes of a packet


class Recorder:
    """Records a show from `start` to `stop`, as often as one likes; in between the taps cost next to nothing.

    about: what is on stage, asked at each start; its argument is whether the recording begins with the show. counts:
    records, bytes, lost. fault: why the recording ended by itself, for people; empty while all is well. played: the
    dancers whose frames come from another recording just now, so that their packets tell nothing of them.
    """

    def __init__(self, about: Callable[[bool], About]) -> None:
        self.counts: Counter[str] = Counter()
        self.played: frozenset[str] = frozenset()
        self._about = about
        self._tapped: set[str] = set()  # the dancers whose packets come here, so that their frames need not
        self._began = False
        self._lock = threading.Lock()
        self._writer: _Writer | None = None
        self._last: deque[tuple[float, _Entry]] = deque(maxlen=MOST_KEPT)  # when it was, and what

    @property
    def folder(self) -> Path | None:
        """Where the recording that runs is written; None when none does."""
        writer = self._writer
        return writer.folder if writer is not None and not writer.fault else None

    @property
    def fault(self) -> str:
        writer = self._writer
        return writer.fault if writer is not None else ""

    def tap(self, dancer: str) -> Tap:
        """What a receiver of packets calls with each of them."""
        self._tapped.add(dancer)
        return _DancerTap(dancer, self._put, self._last)

    def start(self, folder: Path) -> Path:
        """Begins a recording in a new folder within `folder`, named by the time, and returns it.

        Raises OSError naming the folder when it cannot be written, ValueError while a recording runs.
        """
        with self._lock:
            if self.folder is not None:
                raise ValueError(f"recording to {self.folder} already; stop that first")
            self._end()
            self.counts.clear()
            about = self._about(not self._began)
            new = new_folder(folder)
            try:
                self._writer = _Writer(new, about, self.counts)
            except OSError as error:
                shutil.rmtree(new, ignore_errors=True)
                raise OSError(f"cannot record to {folder}: {error.strerror}; name a folder with room") from None
            return new

    def stop(self) -> str:
        """Ends the recording and says where it is and what it has. Raises ValueError when there is none."""
        with self._lock:
            if self._writer is None:
                raise ValueError("nothing is being recorded")
            return self._end()

    def take_over(self, preset: PresetMark) -> None:
        """A preset is about to take over: whoever replays the recording needs it, too."""
        with self._lock:
            if self._writer is not None:
                self._writer.tell(preset)

    def close(self) -> str:
        """As `stop`; empty when nothing is being recorded."""
        with self._lock:
            return self._end()

    def turn(self, turn: Turn, frame: PoseFrame | None, poses: Sequence[PoseFrame]) -> None:
        """A turn of the tick is over. frame: what arrived in it. Called by whoever holds the turn."""
        self._began = True
        tapped = turn.dancer in self._tapped and turn.dancer not in self.played
        entry = turn, None if tapped else frame, poses
        self._put(entry)
        last = self._last
        last.append((turn.now, entry))
        while last[0][0] < turn.now - KEPT_SECONDS:  # only here is anything taken out, and the newest one stays
            last.popleft()

    def save_last_second(self, folder: Path) -> None:
        """Writes what the last second brought into an empty folder, as a recording. Raises OSError."""
        entries = list(self._last)
        about = self._about(False)
        if entries:
            about = about.model_copy(update={"clock": entries[0][0]})
        encoder = RecordWriter()
        records = [encoder.encode(record) for _, entry in entries for record in _records(entry)]
        (folder / RECORDS).write_bytes(b"".join([MAGIC, *records, encoder.encode(End())]))
        _write_about(folder, about)

    def figures(self) -> dict[str, Any]:
        """What the show says of it: the folder, None when nothing is recorded, the counts and the fault."""
        folder = self.folder
        return {"folder": None if folder is None else str(folder), "counts": dict(self.counts), "fault": self.fault}

    def _put(self, entry: _Entry) -> None:
        writer = self._writer
        if writer is not None:
            writer.put(entry)

    def _end(self) -> str:
        writer, self._writer = self._writer, None
        if writer is None:
            return ""
        writer.close()
        said = f"{writer.folder}: {self.counts['records']} records, {self.counts['bytes'] / 1e6:.1f} MB"
        if self.counts["lost"]:
            said += f"; {self.counts['lost']} were lost, because the disk did not keep up"
        return f"{said}; {writer.fault}" if writer.fault else said


class _DancerTap:
    def __init__(self, dancer: str, put: Callable[[_Entry], None], last: deque[tuple[float, _Entry]]) -> None:
        self._dancer, self._put, self._last = dancer, put, last

    def packet(self, data: bytes | memoryview, sender: Sequence[Any], receive_time: float) -> None:
        packet = Packet(self._dancer, receive_time, ":".join(map(str, sender[:2])), bytes(data))
        self._put(packet)
        if len(packet.data) <= LONGEST_KEPT:
            self._last.append((receive_time, packet))

    def flush(self, now: float) -> None:
        flush = Flush(self._dancer, now)
        self._put(flush)
        self._last.append((now, flush))


_Entry = Packet | Flush | Lost | tuple[Turn, PoseFrame | None, Sequence[PoseFrame]]


class _Writer:
    """One recording: its file, queue and thread. The file has no buffer, so what is written outlives the program."""

    def __init__(self, folder: Path, about: About, counts: Counter[str]) -> None:
        self.folder = folder
        self.fault = ""
        self._about, self._counts = about, counts
        self._encoder = RecordWriter()
        self._waiting: deque[_Entry] = deque()
        self._lost = 0
        self._closing = threading.Event()
        self._file = (folder / RECORDS).open("wb", buffering=0)
        try:
            self._write(MAGIC)
            _write_about(folder, about)
        except OSError:
            self._file.close()
            raise
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def tell(self, preset: PresetMark) -> None:
        """Of a preset that takes over. A disk that has no room for it has none for what it dances."""
        if preset in self._about.successors or self.fault:
            return
        self._about = self._about.model_copy(update={"successors": (*self._about.successors, preset)})
        try:
            _write_about(self.folder, self._about)
        except OSError as error:
            self.fault = f"the recording has ended: {self.folder / SHOW}: {error.strerror}"

    def put(self, entry: _Entry) -> None:
        """From any thread; what finds no room is lost."""
        if self.fault or self._closing.is_set():
            return
        if len(self._waiting) >= MOST_WAITING:
            self._lost += 1
            self._counts["lost"] += 1
            return
        self._mark_loss()
        self._waiting.append(entry)

    def close(self) -> None:
        self._closing.set()
        self._thread.join(timeout=CLOSE_SECONDS)
        if not self._thread.is_alive():
            self._file.close()

    def _run(self) -> None:
        try:
            while not self._closing.wait(WRITE_SECONDS):
                self._drain()
            self._mark_loss()
            self._drain()
            self._write(self._encoder.encode(End()))
        except OSError as error:
            self.fault = f"the recording has ended: {self.folder / RECORDS}: {error.strerror}"
        except Exception as error:  # a fault of ours ends the recording, not the show
            self.fault = f"the recording has ended: {type(error).__name__}: {error}"
        self._waiting.clear()

    def _mark_loss(self) -> None:
        if self._lost:
            self._waiting.append(Lost(self._lost))
            self._lost = 0

    def _drain(self) -> None:
        """Writes what waits. A batch is what came since the last one."""
        pieces = [
            self._encoder.encode(record)
            for _ in range(len(self._waiting))
            for record in _records(self._waiting.popleft())
        ]
        self._write(b"".join(pieces))
        self._counts["records"] += len(pieces)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while len(view):
            written = self._file.write(view)
            self._counts["bytes"] += written
            view = view[written:]


def _write_about(folder: Path, about: About) -> None:
    """All or nothing: a folder with a whole show.json is a recording."""
    unfinished = folder / f"{SHOW}.new"
    unfinished.write_text(about.model_dump_json(indent=1) + "\n", encoding="utf-8")
    unfinished.replace(folder / SHOW)


def _records(entry: _Entry) -> Iterator[Record]:
    if not isinstance(entry, tuple):
        yield entry
        return
    turn, frame, poses = entry
    if frame is not None:
        yield Frame(replace(frame, actor=turn.dancer))
    yield turn
    for pose in poses:
        yield Pose(turn.tick, pose)


def new_folder(folder: Path) -> Path:
    """A folder in `folder` that was not there, named by the time. Raises OSError naming what cannot be made."""
    name = f"{datetime.now():%Y-%m-%d_%H-%M-%S}"
    for place in range(1, 1000):
        new = folder / (name if place == 1 else f"{name}_{place}")
        try:
            new.mkdir(parents=True)
            return new
        except FileExistsError:
            if not folder.is_dir():
                break
        except OSError as error:
            raise OSError(f"cannot record to {folder}: {error.strerror}; name a folder that can be written") from None
    raise OSError(f"cannot record to {folder}: no new folder can be made there; name another one")
