"""The nested parts a mocopi datagram is made of: `u32 length, 4-character tag, payload`, little-endian.

Every length is checked against the part around it before anything is taken. What the tags mean is not known here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from server.protocols.frames import PacketError

U16, U32, F32, F64 = (struct.Struct(form) for form in ("<H", "<I", "<f", "<d"))
Spans = dict[bytes, tuple[int, int]]  # by tag: where the payload starts and ends

_OPENING = struct.Struct("<I4s")


def parts(view: memoryview, start: int, end: int, where: str) -> Iterator[tuple[bytes, int, int]]:
    """The parts between two bytes: tag, and where the payload starts and ends. Raises PacketError, naming `where`."""
    while start < end:
        if end - start < _OPENING.size:
            raise PacketError(f"{end - start} bytes too many in {where} at byte {start}")
        length, tag = _OPENING.unpack_from(view, start)
        start += _OPENING.size
        if length > end - start:
            raise PacketError(f"part {text(tag)} in {where} claims {length} bytes at byte {start}, {end - start} left")
        yield tag, start, start + length
        start += length


def children(view: memoryview, start: int, end: int, where: str) -> Spans:
    """The parts by tag; where one repeats, the last."""
    return {tag: (first, last) for tag, first, last in parts(view, start, end, where)}


def payload(view: memoryview, within: Spans, tag: bytes, where: str) -> memoryview:
    """The bytes of a part that must be there."""
    if tag not in within:
        raise PacketError(f"no part {text(tag)} in {where}; it has {', '.join(map(text, within)) or 'none'}")
    start, end = within[tag]
    return view[start:end]


def value(view: memoryview, within: Spans, tag: bytes, form: struct.Struct, where: str) -> tuple[float, ...]:
    """The numbers of a part that must be there and be as long as they are."""
    found = payload(view, within, tag, where)
    if len(found) != form.size:
        raise PacketError(f"part {text(tag)} in {where} has {len(found)} bytes, not {form.size}")
    return form.unpack(found)


def text(tag: bytes) -> str:
    """A tag for people."""
    return tag.decode("ascii", "backslashreplace")


def part(tag: bytes, *content: bytes) -> bytes:
    """One part around its content."""
    joined = b"".join(content)
    return _OPENING.pack(len(joined), tag) + joined
