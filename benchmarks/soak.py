"""Endurance: a show runs for as long as an evening, and is the same at its end as at its beginning.

    python -m benchmarks.soak --minutes 30

A client plays a recording as a suit, again and again, and hears every pose of the partner.

    missed            frames whose pose came later than a frame's time after them, or not at all
    nonfinite         poses with what is no number
    memory_growth_mb  how much larger the server was at the end than after the first minute
    drift_percent     by how much the partner's means of the last minute differ from the first minute's, the largest of:
                      speed of the hips, speed of all joints, height of the hips, distance to the dancer; a minute is
                      as many whole recordings as come to about one
    missed_percent    of all; floor_missed_percent: of an echo process that sends every datagram back at once, over a
                      tenth of the time before the evening: what this machine misses by itself
    p50_ms ...        wire to wire, of all frames, as `benchmarks.latency` has it; floor_...: the echo, no model
    send_late         frames that the client itself sent so late; a busy machine's

--switch PRESET: its partners and the first one's take over from each other every ten seconds, and `switches` says how
often: a hot swap misses nothing.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from benchmarks import report
from benchmarks.latency import floor
from benchmarks.live import LOOPBACK, dance, serving
from benchmarks.options import opened, show_parser
from motion import kinematics
from motion.load import load_humanoid
from motion.skeleton import HUMANOID, Array
from server.protocols.frames import PoseFrame
from server.receivers.bvh_player import BvhPlayer

SETTLED = 60.0  # seconds until the server is as large as it gets
SWITCH_SECONDS = 10.0
FLOOR_SHARE = 0.1  # of the evening, before it
MINUTE = 60.0  # about so many seconds at the beginning and at the end are compared


def main() -> None:
    parser = show_parser(__doc__)
    parser.add_argument("--fps", type=float, default=120.0)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--switch", type=Path, metavar="PRESET", help="whose partners take over now and then")
    options = parser.parse_args()
    if options.minutes < 2.0:
        parser.error(f"--minutes: {options.minutes:g}; a first and a last minute take at least 2")
    opened(parser, options.preset, *([options.switch] if options.switch else []))
    figures = soak(options.preset, options.take, options.fps, 60.0 * options.minutes, options.switch)
    report.show(f"{options.minutes:g} minutes at {options.fps:g} fps", {options.preset.stem: figures}, options.json)


def soak(preset: Path, take: Path, fps: float, seconds: float, switch: Path | None = None) -> dict[str, float | None]:
    """The figures of one evening. switch: a preset that takes over now and then.

    Raises SystemExit where the server does not start, or goes over to nobody.
    """
    clip = load_humanoid(take).clip
    player, frames = BvhPlayer(clip, fps, loop=True), int(seconds * fps)
    once = sum(1 for _ in BvhPlayer(clip, fps, loop=False).frames())
    minute = max(round(MINUTE * fps / once), 1) * once
    others = [] if switch is None else [switch]
    echo = floor(list(islice(player.frames(), int(FLOOR_SHARE * frames))), fps)
    with serving(preset, ["vmc"], 1, fps, others=others) as served:
        evening = Evening(served.pid, fps, minute, frames // once * once)
        with Director(
            served.control, [*(other.stem for other in others), preset.stem], SWITCH_SECONDS * fps
        ) as director:
            source = evening.watched(islice(player.frames(), frames))
            danced = dance(director.directed(source) if others else source, served.lanes, fps, heard=evening)
    missed, echo_missed = (run.sent - sum(latency <= 1.0 / fps for latency in run.latencies) for run in (danced, echo))
    percentiles = {
        f"{whose}{name}": 1e3 * float(np.percentile(run.latencies, percent))
        for whose, run in (("", danced), ("floor_", echo))
        for name, percent in (("p50_ms", 50), ("p99_ms", 99), ("p999_ms", 99.9))
        if run.latencies
    }
    return {
        "ticks": danced.sent,
        "missed": missed,
        "missed_percent": 100.0 * missed / danced.sent,
        "floor_missed_percent": 100.0 * echo_missed / echo.sent,
        "nonfinite": evening.nonfinite,
        "memory_growth_mb": evening.growth_mb(),
        "drift_percent": evening.drift_percent(),
        **percentiles,
        "send_late": sum(error > 1.0 / fps for error in danced.send_errors),
        **({"switches": director.obeyed} if others else {}),
    }


class Director:
    """Tells a show to go over to the next of some presets every so many frames. obeyed: how often it did."""

    def __init__(self, control: int, presets: list[str], every: float) -> None:
        self.obeyed = 0
        self._presets, self._every, self._address = cycle(presets), max(int(every), 1), (LOOPBACK, control)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def __enter__(self) -> Director:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def directed(self, frames: Iterator[PoseFrame]) -> Iterator[PoseFrame]:
        """The same frames, as they are sent."""
        for number, frame in enumerate(frames):
            if number % self._every == self._every - 1:
                order = OscMessageBuilder("/show/preset")
                order.add_arg(next(self._presets))
                self._socket.sendto(order.build().dgram, self._address)
            elif number % self._every == self._every // 2:
                self._hear()
            yield frame

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while answer := OscMessage(self._socket.recv(65536)):
                self.obeyed += answer.address == "/reply/show/preset"
                if answer.address == "/error":
                    raise SystemExit(f"the show does not go over: {answer.params}")


class Evening:
    """Hears every pose of a partner beside what the dancer did. minute: frames at the beginning, and before `end`, that
    are compared.
    """

    def __init__(self, pid: int, fps: float, minute: int, end: int) -> None:
        self.nonfinite = 0
        self._fps, self._minute, self._end, self._status = fps, minute, end, Path(f"/proc/{pid}/status")
        self._first, self._last = np.zeros(5), np.zeros(5)  # sums of what is measured, and of frames
        self._sizes: list[tuple[float, float]] = []  # seconds, MB
        self._frame, self._dancer = 0, np.zeros((len(HUMANOID), 3))
        self._before: Array | None = None

    def watched(self, frames: Iterator[PoseFrame]) -> Iterator[PoseFrame]:
        """The same frames, as they are sent."""
        for number, frame in enumerate(frames):
            self._frame, self._dancer = number, _joints(frame)
            if number % int(10 * self._fps) == 0 and self._status.is_file():
                self._sizes.append((number / self._fps, _megabytes(self._status)))
            yield frame

    def __call__(self, place: int, frame: PoseFrame, latency: float) -> None:
        partner, before = _joints(frame), self._before
        if not np.isfinite(partner).all():
            self.nonfinite += 1
            return
        self._before = partner
        if before is None:
            return
        speeds = np.linalg.norm(partner - before, axis=-1) * self._fps
        apart = np.hypot(*(partner[0] - self._dancer[0])[[0, 2]])
        measured = np.array([speeds[0], speeds.mean(), partner[0, 1], apart, 1.0])
        if self._frame < self._minute:
            self._first += measured
        if self._end - self._minute <= self._frame < self._end:
            self._last += measured

    def drift_percent(self) -> float | None:
        """None where either part was not heard."""
        if not (self._first[4] and self._last[4]):
            return None
        first, last = (part[:4] / part[4] for part in (self._first, self._last))
        return float(100.0 * np.abs(last / np.maximum(first, 1e-9) - 1.0).max())

    def growth_mb(self) -> float | None:
        """None where the system does not tell, or the evening was no longer than its first minute."""
        settled = [size for seconds, size in self._sizes if seconds >= SETTLED]
        return settled[-1] - settled[0] if len(settled) > 1 else None


def _joints(frame: PoseFrame) -> Array:
    return kinematics.global_positions(HUMANOID, frame.root_position, frame.rotations)


def _megabytes(status: Path) -> float:
    """How much of a process is in memory, of /proc/PID/status."""
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024.0


if __name__ == "__main__":
    main()
