"""LZ4 frames, as some suits pack their datagrams: never more bytes out than asked for, whatever the frame claims.

No sockets, no format here. https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md
"""

from __future__ import annotations

from lz4 import frame

from server.protocols.frames import PacketError

MAGIC = b"\x04\x22\x4d\x18"


def inflate(data: bytes, limit: int) -> bytes:
    """What a frame holds. Raises PacketError for a broken frame, bytes behind it, and more than `limit` bytes in it."""
    decompressor = frame.LZ4FrameDecompressor()
    try:
        inflated: bytes = decompressor.decompress(data, max_length=limit)
    except RuntimeError as error:
        raise PacketError(f"an LZ4 frame of {len(data)} bytes is broken: {error}") from error
    if not decompressor.eof:
        what = "is cut short" if decompressor.needs_input else f"holds more than {limit} bytes"
        raise PacketError(f"an LZ4 frame of {len(data)} bytes {what}")
    if decompressor.unused_data:
        raise PacketError(f"{len(decompressor.unused_data)} bytes behind an LZ4 frame of {len(data)} bytes with them")
    return inflated


def deflate(data: bytes) -> bytes:
    """One frame that holds the data."""
    packed: bytes = frame.compress(data)
    return packed
