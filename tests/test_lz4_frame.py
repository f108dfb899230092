"""LZ4 frames: everything comes back, nothing grows past its limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.protocols.frames import PacketError
from server.protocols.lz4_frame import MAGIC, deflate, inflate


@given(st.binary(max_size=2000))
def test_what_goes_in_comes_out(data):
    assert inflate(deflate(data), 2000) == data


def test_a_frame_begins_with_its_magic_and_may_hold_bare_blocks():
    # The descriptor: version 1, independent blocks of 64 kB, no checksums, no size; its checksum byte is 0x82.
    bare = MAGIC + b"\x60\x40\x82" + b"\x03\0\0\x80" + b"{ }" + b"\0\0\0\0"
    assert deflate(b"").startswith(MAGIC)
    assert inflate(bare, 3) == b"{ }"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (deflate(b" " * 20_000_000), "holds more than 1000 bytes"),
        (deflate(b"x" * 1001), "holds more than 1000 bytes"),
        (deflate(b"x" * 500)[:-3], "is cut short"),
        (deflate(b"x" * 500) + b"yz", "2 bytes behind"),
        (MAGIC + b"nothing of the kind", "is broken: .*reservedFlag"),
        (MAGIC, "is cut short"),
        (b"", "is cut short"),
    ],
)
def test_what_is_no_frame_is_a_packet_error(data, says):
    with pytest.raises(PacketError, match=says):
        inflate(data, 1000)
