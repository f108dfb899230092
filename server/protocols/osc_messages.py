"""OSC 1.0's grammar: any datagram to messages and any message to bytes. No sockets, no state, no speed tricks.

A bundle's timetag is read and ignored: a pose is for now, and clocks disagree.
Spec: https://opensoundcontrol.stanford.edu/spec-1_0.html
"""

from __future__ import annotations

import struct
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple

from server.protocols.frames import PacketError

Message = tuple[str, tuple[Any, ...]]

MAX_NESTING = 8
# No pose is larger, with fingers, face and trackers; and so that none takes longer than a millisecond.
MAX_LENGTH = 16384  # bytes
MAX_MESSAGES = 160


def parse(datagram: bytes | memoryview) -> list[Message]:
    """The messages of a datagram in order, bundles within bundles flattened: [(address, arguments), ...].

    Reads the types i f s b T F N d h t; a timetag argument comes back as its 64 bits, a blob as bytes, and bytes that
    are no UTF-8 in a string as U+FFFD. Raises PacketError naming what is wrong and at which byte.
    """
    return [(address, args) for address, _, args, _ in scan(bytes(datagram))[0]]


def encode(address: str, *args: Any) -> bytes:
    """One message: int -> i, float -> f, str -> s, bytes -> b, True/False/None -> T/F/N; others raise ValueError."""
    tags, body = ",", b""
    for arg in args:
        for kind, tag, write in _WRITERS:
            if isinstance(arg, kind):
                tags += ("T" if arg else "F") if tag == "TF" else tag
                body += write(arg)
                break
        else:
            raise ValueError(f"{address}: OSC has no type for {arg!r}")
    return _padded(address.encode()) + _padded(tags.encode()) + body


def _padded(text: bytes) -> bytes:
    return text + b"\0" * (4 - len(text) % 4)


_WRITERS: list[tuple[type, str, Any]] = [
    (bool, "TF", lambda value: b""),
    (int, "i", struct.Struct(">i").pack),
    (float, "f", struct.Struct(">f").pack),
    (str, "s", lambda value: _padded(value.encode())),
    (bytes, "b", lambda value: struct.pack(">i", len(value)) + value + b"\0" * (-len(value) % 4)),
    (type(None), "N", lambda value: b""),
]

# A scanned message: address, type tags, arguments, and the byte at which each run of `runs(tags)` starts.
Scanned = tuple[str, str, tuple[Any, ...], list[int]]

NUMBERS = {"i": "i", "f": "f", "d": "d", "h": "q", "t": "Q"}
_SINGLES: dict[str, bool | None] = {"T": True, "F": False, "N": None}


@lru_cache(maxsize=256)
def runs(tags: str) -> tuple[struct.Struct | str, ...]:
    """Type tags cut into runs: a Struct for neighbouring numbers, a letter for anything else."""
    runs: list[struct.Struct | str] = []
    numbers = ""
    for tag in tags:
        if tag in NUMBERS:
            numbers += NUMBERS[tag]
            continue
        if numbers:
            runs.append(struct.Struct(">" + numbers))
            numbers = ""
        runs.append(tag)
    if numbers:
        runs.append(struct.Struct(">" + numbers))
    return tuple(runs)


def scan(data: bytes) -> tuple[list[Scanned], list[int]]:
    """All messages of a datagram, and the bytes at which its timetags start."""
    if not data:
        raise PacketError("empty datagram")
    if len(data) > MAX_LENGTH:
        raise PacketError(f"{len(data)} bytes; this reads {MAX_LENGTH} at most")
    if len(data) % 4:
        raise PacketError(f"{len(data)} bytes: an OSC packet is a multiple of 4")
    messages: list[Scanned] = []
    timetags: list[int] = []
    _scan_element(data, 0, len(data), 0, messages, timetags)
    return messages, timetags


def _scan_element(data: bytes, start: int, end: int, depth: int, messages: list[Scanned], timetags: list[int]) -> None:
    if data[start : start + 8] != b"#bundle\0":
        if len(messages) == MAX_MESSAGES:
            raise PacketError(f"more than {MAX_MESSAGES} messages at byte {start}")
        messages.append(scan_message(data, start, end))
        return
    if depth == MAX_NESTING:
        raise PacketError(f"bundles nested deeper than {MAX_NESTING} at byte {start}")
    if end - start < 16:
        raise PacketError(f"bundle without a timetag at byte {start}")
    timetags.append(start + 8)
    position = start + 16
    while position < end:
        (size,) = _INT32.unpack_from(data, position)  # always inside: everything is a multiple of 4
        position += 4
        if size <= 0 or size % 4 or position + size > end:
            raise PacketError(f"bundle element of {size} bytes at byte {position}, {end - position} are left")
        _scan_element(data, position, position + size, depth + 1, messages, timetags)
        position += size


def scan_message(data: bytes, start: int = 0, end: int | None = None) -> Scanned:
    end = len(data) if end is None else end
    if data[start] != 0x2F:
        raise PacketError(f"expected an address starting with '/' at byte {start}, got {data[start : start + 8]!r}")
    address, position = _string(data, start, end, "address")
    if position == end:
        return address, "", (), []  # old senders leave out the type tags of a message without arguments
    if data[position] != 0x2C:
        raise PacketError(f"{address}: expected type tags at byte {position}, got {data[position : position + 8]!r}")
    tags, position = _string(data, position + 1, end, "type tags", shift=1)
    args: list[Any] = []
    starts: list[int] = []
    for run in runs(tags):
        starts.append(position)
        if not isinstance(run, str):
            if position + run.size > end:
                raise PacketError(f"{address}: arguments ,{tags} run past the end at byte {end}")
            args += run.unpack_from(data, position)
            position += run.size
        elif run == "s":
            text, position = _string(data, position, end, f"{address}: string")
            args.append(text)
        elif run == "b":
            blob, position = _blob(data, position, end, address)
            args.append(blob)
        elif run in _SINGLES:
            args.append(_SINGLES[run])
        else:
            raise PacketError(f"{address}: type {run!r} at byte {position} is not one of i f s b T F N d h t")
    if position != end:
        raise PacketError(f"{address}: {end - position} bytes too many at byte {position}")
    return address, tags, tuple(args), starts


_INT32 = struct.Struct(">i")


def _string(data: bytes, start: int, end: int, what: str, shift: int = 0) -> tuple[str, int]:
    """A NUL-terminated string and the byte after its padding; `shift` bytes before it count for the padding."""
    stop = data.find(b"\0", start, end)
    if stop < 0:
        raise PacketError(f"{what} at byte {start} does not end")
    return data[start:stop].decode("utf-8", "replace"), stop + 4 - (stop - start + shift) % 4


def _blob(data: bytes, start: int, end: int, address: str) -> tuple[bytes, int]:
    size = _INT32.unpack_from(data, start)[0] if start + 4 <= end else -1
    stop = start + 4 + size
    if size < 0 or stop + -size % 4 > end:
        raise PacketError(f"{address}: blob of {size} bytes at byte {start} does not fit")
    return data[start + 4 : stop], stop + -size % 4


class Stretch(NamedTuple):
    """Neighbouring numbers of one type: how many, the first one's place among the arguments, and its run and how many
    bytes of the run stand before it."""

    tag: str
    length: int
    first: int
    run: int
    shift: int


@lru_cache(maxsize=256)
def stretches(tags: str) -> tuple[Stretch, ...]:
    """The numbers among type tags, without a look at each of them."""
    found: list[Stretch] = []
    first = 0
    for number, run in enumerate(runs(tags)):
        end = first + (1 if isinstance(run, str) else len(run.format) - 1)
        shift = 0
        for tag, same in groupby(tags[first:end]):
            many = len(list(same))
            if tag in NUMBERS:
                found.append(Stretch(tag, many, first, number, shift))
                shift += many * struct.calcsize(">" + NUMBERS[tag])
            first += many
    return tuple(found)
