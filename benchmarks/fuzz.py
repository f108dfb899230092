"""Throws broken datagrams at every decoder: real ones with bytes changed, cut, doubled or joined, and plain noise.

    python -m benchmarks.fuzz --inputs 1000000                the nightly run, twenty minutes; --only vmc: one decoder
    python -m benchmarks.fuzz --inputs 20000 --json fuzz.json

What must hold: no exception but PacketError; every frame that comes out is a pose; no allocation that a length in the
bytes asked for; no input takes longer than a millisecond. Exit code 1 when something does not; the input is printed.
Time is the thread's own, and an input that took too long is asked again by fresh decoders: the shortest of ten times
counts. Where other programs share the core a thread's own time grows, too; so it is told in the times of a piece of
work that is always the same, taken beside it, and that as it was at its quickest.
"""

from __future__ import annotations

import argparse
import gc
import math
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Literal

import numpy as np

from benchmarks import report
from benchmarks.fuzz_seeds import Feed, Target, targets
from server.protocols import osc_messages
from server.protocols.frames import FAR, LONGEST_TIME, PacketError, PoseFrame

LONGEST = 65507  # bytes of a UDP datagram
SLOW_MS = 1.0
LARGEST_MB = 4.0  # at once, for one datagram: what 65,507 bytes may honestly become
TRACED = 10  # one input in so many is watched for what it allocates
HEAVY = 0.03  # of the inputs: they take a hundred times as long
FRESH_AFTER = 2000  # inputs; a decoder that took them may be in a corner that few inputs reach


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    choices = targets()
    parser.add_argument("--inputs", type=int, default=20000, help="for each decoder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=sorted(choices), default=sorted(choices))
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    options = parser.parse_args()
    if options.inputs < TRACED:
        parser.error(f"--inputs {options.inputs}: at least {TRACED}")
    results = {name: fuzz(choices[name], options.inputs, options.seed) for name in options.only}
    report.show(
        f"{options.inputs} inputs a decoder", {name: one.figures() for name, one in results.items()}, options.json
    )
    for name, one in results.items():
        for fault in one.faults:
            print(f"{name}: {fault}", file=sys.stderr)
    return 1 if any(one.faults for one in results.values()) else 0


@dataclass
class Result:
    """faults: what may not be, in words, each with the input; a dozen of them at most."""

    faults: list[str] = field(default_factory=list)
    refused: int = 0
    frames: int = 0
    milliseconds: list[float] = field(default_factory=list)
    slow: int = 0  # inputs that took too long at first
    slowest_ms: float = 0.0  # of those that did not, and of those that did again
    largest_mb: float = 0.0

    def figures(self) -> dict[str, float | int]:
        return {
            "inputs": len(self.milliseconds),
            "refused": self.refused,
            "frames": self.frames,
            "faults": len(self.faults),
            "p50_ms": float(np.percentile(self.milliseconds, 50)),
            "p99.9_ms": float(np.percentile(self.milliseconds, 99.9)),
            "max_ms": max(self.milliseconds),
            "max_confirmed_ms": self.slowest_ms,
            "over_1_ms_at_first": self.slow,
            "peak_mb": self.largest_mb,
        }

    def blame(self, what: str, datagram: bytes) -> None:
        if len(self.faults) < 12 and not any(fault.startswith(f"{what};") for fault in self.faults):
            self.faults.append(f"{what}; {len(datagram)} bytes: {datagram[:200].hex()}")


def fuzz(target: Target, count: int, seed: int = 0) -> Result:
    """Feeds a decoder `count` inputs; the same ones for the same seed."""
    result = Result()
    random = Random(seed)
    feed = target.fresh()
    gc.collect()
    gc.disable()  # its pauses are the process's, not the decoder's
    try:
        for number, datagram in enumerate(inputs(target, count, random)):
            if number % FRESH_AFTER == FRESH_AFTER - 1:
                feed = target.fresh()
                gc.collect()
            if number % TRACED == 0:
                _watch_memory(feed, datagram, number / 100, result)
            else:
                _watch_time(target, feed, datagram, number / 100, result)
    finally:
        gc.enable()
    return result


def _watch_time(target: Target, feed: Feed, datagram: bytes, now: float, result: Result) -> None:
    milliseconds = _timed(feed, datagram, now, result)
    result.milliseconds.append(milliseconds)
    if milliseconds > SLOW_MS:
        result.slow += 1
        milliseconds = min(_again(target, datagram, now) for _ in range(10))
        if milliseconds > SLOW_MS:
            result.blame(f"takes {milliseconds:.2f} ms", datagram)
    result.slowest_ms = max(result.slowest_ms, milliseconds)


def _again(target: Target, datagram: bytes, now: float) -> float:
    feed = target.fresh()
    for seed in target.seeds[:2]:
        _timed(feed, seed, now, Result())
    before = YARDSTICK.milliseconds()
    milliseconds = _timed(feed, datagram, now, Result())
    return milliseconds * YARDSTICK.quickest / min(before, YARDSTICK.milliseconds())


class Yardstick:
    """What the machine does at the moment: a piece of work as a decoder's, about a fifth of a millisecond."""

    def __init__(self) -> None:
        self._datagrams = [osc_messages.encode("/a/b", "Hips", *[0.5] * 7) for _ in range(40)]
        self.quickest = math.inf
        for _ in range(200):
            self.milliseconds()

    def milliseconds(self) -> float:
        start = time.thread_time_ns()
        for datagram in self._datagrams:
            osc_messages.parse(datagram)
        milliseconds = (time.thread_time_ns() - start) / 1e6
        self.quickest = min(self.quickest, milliseconds)
        return milliseconds


YARDSTICK = Yardstick()


def _watch_memory(feed: Feed, datagram: bytes, now: float, result: Result) -> None:
    tracemalloc.start(1)
    before, _ = tracemalloc.get_traced_memory()
    _timed(feed, datagram, now, result)
    megabytes = (tracemalloc.get_traced_memory()[1] - before) / 1e6
    tracemalloc.stop()
    result.largest_mb = max(result.largest_mb, megabytes)
    if megabytes > LARGEST_MB:
        result.blame(f"allocates {megabytes:.1f} MB", datagram)


def _timed(feed: Feed, datagram: bytes, now: float, result: Result) -> float:
    """Milliseconds of the thread's own time; what comes out is looked at afterwards."""
    frames: list[PoseFrame] = []
    start = time.thread_time_ns()
    try:
        frames = feed(datagram, now)
    except PacketError:
        result.refused += 1
    except Exception as error:
        result.blame(f"{type(error).__name__}: {error}", datagram)
    milliseconds = (time.thread_time_ns() - start) / 1e6
    result.frames += len(frames)
    for frame in frames:
        if not _is_pose(frame):
            result.blame(f"frame {frame.number} is no pose", datagram)
    return milliseconds


def _is_pose(frame: PoseFrame) -> bool:
    numbers = [frame.root_position, frame.rotations, frame.skeleton.offsets]
    squares = np.einsum("ij,ij->i", frame.rotations, frame.rotations)
    return (
        all(np.isfinite(one).all() for one in numbers)
        and float(np.abs(squares - 1.0).max()) < 1e-5  # float32 on the wire
        and float(np.abs(frame.root_position).max()) <= 3.0 * FAR  # a root and the hips on it
        and (frame.sender_time is None or abs(frame.sender_time) <= LONGEST_TIME)
    )


# Inputs.


def inputs(target: Target, count: int, random: Random) -> Iterator[bytes]:
    for number in range(count):
        datagram = random.choice(target.seeds if random.random() > HEAVY else target.heavy)
        if number % 8:  # the others are whole: a decoder's state is part of what breaks
            for _ in range(random.choice((1, 1, 1, 2, 4))):
                datagram = random.choice(MUTATIONS)(datagram, target.seeds, random)
        yield datagram[:LONGEST]


def _change_bytes(datagram: bytes, _: list[bytes], random: Random) -> bytes:
    changed = bytearray(datagram)
    for _ in range(random.randint(1, 8) if changed else 0):
        changed[random.randrange(len(changed))] = random.randrange(256)
    return bytes(changed)


def _change_word(datagram: bytes, _: list[bytes], random: Random) -> bytes:
    """A length, a count or a number becomes an extreme one, aligned or not."""
    word = random.choice(_WORDS)
    place = random.randrange(len(datagram) + 1)
    place -= place % 4 if random.random() < 0.7 else 0
    return datagram[:place] + word + datagram[place + len(word) :]


def _change_text(datagram: bytes, _: list[bytes], random: Random) -> bytes:
    places = [n for n, byte in enumerate(datagram) if byte in b'0123456789:{}[]",/']
    if not places:
        return datagram
    place = random.choice(places)
    return datagram[:place] + random.choice(_TEXTS) + datagram[place + random.randint(0, 3) :]


def _cut(datagram: bytes, _: list[bytes], random: Random) -> bytes:
    return datagram[: random.randrange(len(datagram) + 1)]


def _leave_out(datagram: bytes, _: list[bytes], random: Random) -> bytes:
    start, end = sorted(random.randrange(len(datagram) + 1) for _ in range(2))
    return datagram[: start - start % 4] + datagram[end - end % 4 :]


def _double(datagram: bytes, _: list[bytes], random: Random) -> bytes:
    start, end = sorted(random.randrange(len(datagram) + 1) // 4 * 4 for _ in range(2))
    times = random.choice((2, 2, 2, 5, 20, 1000))
    return datagram[:start] + datagram[start:end] * min(times, LONGEST // max(end - start, 1)) + datagram[end:]


def _join(datagram: bytes, seeds: list[bytes], random: Random) -> bytes:
    other = random.choice(seeds)
    return datagram[: random.randrange(len(datagram) + 1)] + other[random.randrange(len(other) + 1) :]


def _add_noise(datagram: bytes, _: list[bytes], random: Random) -> bytes:
    return datagram + random.randbytes(random.choice((1, 3, 4, 40, 1000)))


def _noise(_: bytes, __: list[bytes], random: Random) -> bytes:
    return random.randbytes(random.choice((0, 1, 4, 16, 100, 1472)))


MUTATIONS: list[Callable[[bytes, list[bytes], Random], bytes]] = [
    _change_bytes,
    _change_word,
    _change_word,
    _change_text,
    _cut,
    _leave_out,
    _double,
    _join,
    _add_noise,
    _noise,
]
BYTE_ORDERS: tuple[Literal["little", "big"], ...] = ("little", "big")
_WORDS = [
    word.to_bytes(size, order)
    for size, words in (
        (4, (0, 1, 4, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7F800000, 0x7FC00000, 0x7FA00000, 0x7F7FFFFF)),
        (2, (0, 1, 0x7FFF, 0xFFFF)),
    )
    for word in words
    for order in BYTE_ORDERS
]
_TEXTS = [b"", b"1e999", b"-1e308", b"NaN", b"null", b'"', b"{}", b"[", b"[" * 3000, b'"\\ud800"', b"9" * 500, b"\xff"]


if __name__ == "__main__":
    sys.exit(main())
