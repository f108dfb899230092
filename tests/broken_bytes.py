"""Bytes that were broken on the way, and what may become of them: good poses, or a PacketError."""

from collections.abc import Iterable
from contextlib import suppress

import numpy as np
from hypothesis import strategies as st

from server.protocols.frames import Decoder, PacketError, PoseFrame


def damaged(data: st.DataObject, good: bytes) -> bytes:
    """Some bytes are others; the end may be missing."""
    content = bytearray(good)
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content))) :]
    return bytes(content)


def assert_good(frames: Iterable[PoseFrame], longest: float = np.inf) -> None:
    """longest: metres; no bone is as long."""
    for frame in frames:
        assert np.isfinite(frame.root_position).all()
        assert np.abs(frame.skeleton.offsets).max() < longest
        assert np.allclose(np.linalg.norm(frame.rotations, axis=-1), 1.0)


def assert_good_or_refused(decoder: Decoder, datagram: bytes, now: float = 0.0, longest: float = np.inf) -> None:
    with suppress(PacketError):
        assert_good(decoder.feed(datagram, now), longest)
