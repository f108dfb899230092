"""One actor to a BVH file while the show runs: a row a frame at a steady rate, readable after the process was killed.

The tick only lays a frame down; a thread writes what has come, ten times a second: rows first, then the number of rows
in the header. A disk that is full costs rows, not the file: what was written in part is cut off again, and counted.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np

from motion import bvh_write
from motion import rotations as rot
from motion.skeleton import Array, Skeleton
from server.protocols.frames import PoseFrame
from server.senders import SenderError

WRITE_SECONDS = 0.1
LONGEST_GAP = 10.0  # seconds without a frame that are filled; a longer silence is left out of the file
EARLY = 0.75  # of a row: how far a frame may be from the next row's moment and still be it
_DECIMALS = 5  # a hundredth of a millimetre, and 69 numbers make 620 bytes a row
_COUNT = 10  # characters for the number of rows


class BvhFile:
    """A new file of one skeleton, its first frame's. Rows are `1 / fps` seconds apart by the frames' receive_time.

    scale: lengths are multiplied by it. counts: frames, rows, filled (rows between two frames too far apart), merged
    (frames too close for a row each), gaps, other_joints, write_error. Raises OSError when the file cannot be made.
    """

    def __init__(self, path: Path, fps: float, scale: float = 1.0) -> None:
        self.counts: Counter[str] = Counter()
        self._path, self._fps, self._scale = path, fps, scale
        self._file = path.open("xb", buffering=0)
        self._skeleton: Skeleton | None = None
        self._size = self._count_at = 0
        self._start = 0.0  # the receive_time of row 0
        self._row = -1  # the last row that was laid out
        self._last: PoseFrame | None = None

    def write(self, frames: Iterable[PoseFrame]) -> None:
        """Writes the rows of some frames, then how many rows there are now.

        What cannot be written is counted; the next frame that can fills its place.
        """
        before = self._start, self._row, self._last
        try:
            rows = [row for frame in frames for row in self._rows(frame)]
            if rows:
                self._append(rows)
        except Exception as error:  # nothing may end the thread that writes: frames would pile up
            self.counts["write_error" if isinstance(error, OSError) else "internal_error"] += 1
            self._start, self._row, self._last = before
            self._file.truncate(self._size)
            self._file.seek(self._size)

    def close(self) -> None:
        """A file without a row is taken away again."""
        self._file.close()
        if self._size == 0:
            self._path.unlink(missing_ok=True)

    def _append(self, rows: list[tuple[Array, Array]]) -> None:
        assert self._skeleton is not None  # `_rows` has made it
        head = b""
        if self._size == 0:
            head = bvh_write.header(self._skeleton, self._fps, " " * _COUNT).encode()
            self._count_at = head.index(b"Frames: ") + len(b"Frames: ")
        roots = self._scale * np.array([root for root, _ in rows])
        turns = np.array([rotations for _, rotations in rows])
        text = head + bvh_write.rows(self._skeleton, roots, turns, _DECIMALS).encode()
        if self._file.write(text) != len(text):
            raise OSError("the disk is full")
        self._size += len(text)
        self.counts["rows"] += len(rows)
        self._file.seek(self._count_at)
        self._file.write(f"{self.counts['rows']:<{_COUNT}d}".encode())
        self._file.seek(self._size)

    def _rows(self, frame: PoseFrame) -> list[tuple[Array, Array]]:
        """Root position and rotations of each row up to this frame."""
        self.counts["frames"] += 1
        last = self._last
        if last is None or self._skeleton is None:
            self._skeleton = frame.skeleton.with_offsets(self._scale * frame.skeleton.offsets)
            self._start, self._row, self._last = frame.receive_time, 0, frame
            return [(frame.root_position, frame.rotations)]
        if frame.skeleton.topology_hash != self._skeleton.topology_hash:
            self.counts["other_joints"] += 1
            return []
        place = (frame.receive_time - self._start) * self._fps
        steps = 1 if abs(place - self._row - 1) < EARLY else round(place) - self._row
        if abs(steps) > LONGEST_GAP * self._fps:  # a silence, or a clock that was set back
            self.counts["gaps"] += 1
            self._start += (steps - 1) / self._fps
            steps = 1
        if steps < 1:
            self.counts["merged"] += 1
            return []
        self._last = frame
        self._row += steps
        between: list[tuple[Array, Array]] = []
        if steps > 1:
            self.counts["filled"] += steps - 1
            shares = (np.arange(1, steps) / steps)[:, None]
            roots = last.root_position + shares * (frame.root_position - last.root_position)
            between = list(zip(roots, rot.slerp(last.rotations, frame.rotations, shares), strict=True))
        return [*between, (frame.root_position, frame.rotations)]


class BvhSender:
    """A file that never holds the tick up. file: the name, to which the time of day is added, so that none is lost.

    fps, scale: as BvhFile has them. Raises SenderError when there is no writing there.
    """

    def __init__(self, file: Path, fps: float, scale: float = 1.0) -> None:
        stamp = time.strftime("%Y%m%d-%H%M%S")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self.path, self._file = _new_file(file, stamp, fps, scale)
        except OSError as error:
            raise SenderError(
                f"cannot write {file}: {error.strerror}; set the output's file to another place"
            ) from error
        self._waiting: deque[PoseFrame] = deque()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"write {self.path.name}", daemon=True)
        self._thread.start()

    @property
    def counts(self) -> Counter[str]:
        return Counter(self._file.counts)

    def send(self, frames: Iterable[PoseFrame]) -> None:
        self._waiting.extend(frames)

    def close(self) -> None:
        """Writes what waits."""
        self._closing.set()
        self._thread.join()
        self._file.close()

    def _run(self) -> None:
        closing = False
        while not closing:
            closing = self._closing.wait(WRITE_SECONDS)
            frames = [self._waiting.popleft() for _ in range(len(self._waiting))]
            self._file.write(frames)


def _new_file(file: Path, stamp: str, fps: float, scale: float) -> tuple[Path, BvhFile]:
    for number in range(1, 1000):
        again = f"-{number}" if number > 1 else ""
        path = file.with_name(f"{file.stem}-{stamp}{again}.bvh")
        with suppress(FileExistsError):
            return path, BvhFile(path, fps, scale)
    raise FileExistsError(17, "a thousand files of this second are there", str(file))
