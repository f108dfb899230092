"""OSC: what `parse`, `LayoutCache` and `Template` promise, against python-osc and against noise."""

import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pythonosc.osc_bundle import OscBundle
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from broken_bytes import damaged
from server.protocols import osc
from server.protocols.frames import PacketError
from server.protocols.osc_messages import MAX_NESTING

QUICK = settings(deadline=None, database=None, max_examples=40)

text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
addresses = text.map(lambda name: "/" + name)
arguments = {
    "i": st.integers(-(2**31), 2**31 - 1),
    "f": st.floats(width=32, allow_nan=False),
    "d": st.floats(allow_nan=False),
    "h": st.integers(-(2**63), 2**63 - 1),
    "s": text,
    "b": st.binary(min_size=1, max_size=9),  # python-osc's builder refuses empty ones
    "T": st.just(True),
    "F": st.just(False),
    "N": st.none(),
}
typed = st.sampled_from(sorted(arguments)).flatmap(lambda tag: st.tuples(st.just(tag), arguments[tag]))
messages = st.tuples(addresses, st.lists(typed, max_size=9))


def built(message) -> OscMessage:
    builder = OscMessageBuilder(message[0])
    for tag, value in message[1]:
        builder.add_arg(value, tag)
    return builder.build()


def bundled(parts) -> OscBundle:
    builder = OscBundleBuilder(IMMEDIATELY)
    for part in parts:
        builder.add_content(bundled(part) if isinstance(part, list) else built(part))
    return builder.build()


def flat(parts):
    for part in parts:
        if isinstance(part, list):
            yield from flat(part)
        else:
            yield part[0], tuple(value for _, value in part[1])


bundles = st.recursive(
    st.lists(messages, min_size=1, max_size=4),
    lambda inner: st.lists(inner | messages, min_size=1, max_size=4),
    max_leaves=6,
)


@QUICK
@given(messages)
def test_a_message_python_osc_builds_is_read_as_it_was(message):
    assert osc.parse(built(message).dgram) == list(flat([message]))


@QUICK
@given(bundles)
def test_nested_bundles_are_flattened_in_order(parts):
    assert osc.parse(bundled(parts).dgram) == list(flat(parts))


@QUICK
@given(messages)
def test_python_osc_reads_what_we_encode(message):
    arguments = [value for tag, value in message[1] if tag not in "dh"]
    read = OscMessage(osc.encode(message[0], *arguments))
    assert (read.address, read.params) == (message[0], arguments)


@settings(QUICK, max_examples=150)
@given(st.binary(max_size=200))
def test_noise_raises_nothing_but_packet_error(noise):
    for datagram in (noise, b"#bundle\0" + noise, b"/a\0\0," + noise):
        for read in (osc.parse, osc.LayoutCache().read):
            with suppress(PacketError):
                read(datagram)


@settings(QUICK, max_examples=150)
@given(bundles, st.data())
def test_a_damaged_bundle_raises_nothing_but_packet_error(parts, data):
    with suppress(PacketError):
        osc.parse(damaged(data, bundled(parts).dgram))


def restored(layout: osc.Layout, values) -> list[osc.Message]:
    return [
        (address, tuple(values[arg] if isinstance(arg, osc.Slot) else arg for arg in args))
        for address, args in layout.messages
    ]


@QUICK
@given(bundles)
def test_a_layout_and_its_numbers_are_the_whole_datagram(parts):
    datagram = bundled(parts).dgram
    cache = osc.LayoutCache()
    fresh, again = cache.read(datagram), cache.read(datagram)
    assert fresh[0] is again[0]
    expected = [(address, tuple(map(as_float64, args))) for address, args in osc.parse(datagram)]
    assert restored(*fresh) == restored(*again) == expected


def as_float64(value):
    return float(value) if type(value) is int else value


def test_a_known_layout_is_found_whatever_its_numbers_and_timetag():
    cache = osc.LayoutCache()
    template = osc.Template([("/a", ("name", osc.Slot(0), osc.Slot(1))), ("/b", (1,))])
    first = template.fill(np.array([1.0, 2.0]))[0]
    second = bytearray(template.fill(np.array([3.0, 4.0]))[0])
    second[8:16] = struct.pack(">Q", 2**63)
    known = cache.read(first)[0]
    layout, values = cache.read(bytes(second))
    assert layout is known
    assert values.tolist() == [3.0, 4.0, 1.0]


def test_the_layout_cache_forgets_instead_of_growing():
    cache = osc.LayoutCache(limit=4096)
    for number in range(1000):
        cache.read(osc.encode("/a", f"name{number:08d}", 1.0))
    assert len(cache) < 4096 / 24


def test_layouts_that_differ_in_a_name_are_told_apart():
    cache = osc.LayoutCache()
    for name in ("Left", "Rite", "Left"):
        layout, values = cache.read(osc.encode("/a", name, 2.5))
        assert restored(layout, values) == [("/a", (name, 2.5))]


def test_a_template_is_split_where_a_datagram_would_be_too_large():
    slots = [osc.Slot(n) for n in range(400)]
    datagrams = osc.Template([(f"/{n}", tuple(slots[n : n + 40])) for n in range(0, 400, 40)]).fill(np.arange(400.0))
    assert max(map(len, datagrams)) <= osc.MAX_DATAGRAM
    values = [value for datagram in datagrams for _, args in osc.parse(datagram) for value in args]
    assert values == list(range(400))


def test_a_template_refuses_what_fits_no_datagram():
    with pytest.raises(ValueError, match=r"/big alone takes 2012 bytes"):
        osc.Template([("/big", tuple(osc.Slot(n) for n in range(400)))])


def test_a_string_that_is_no_utf8_costs_nobody_the_datagram():
    assert osc.parse(b"/a\0\0,s\0\0\x83\x43\0\0")[0][1] == ("\ufffdC",)


@pytest.mark.parametrize(
    ("datagram", "message"),
    [
        (b"", "empty"),
        (b"/ab", "3 bytes"),
        (b"abc\0", "'/' at byte 0"),
        (b"/abc", "does not end"),
        (b"/a\0\0if\0\0", "type tags at byte 4"),
        (b"/a\0\0,i\0\0", "past the end at byte 8"),
        (b"/a\0\0,c\0\0\0\0\0a", "type 'c' at byte 8"),
        (b"/a\0\0,\0\0\0\0\0\0\0", "4 bytes too many at byte 8"),
        (b"/a\0\0,b\0\0\x7f\xff\xff\xff", "blob of 2147483647 bytes at byte 8"),
        (b"/a\0\0,b\0\0\xff\xff\xff\xff", "blob of -1 bytes"),
        (b"#bundle\0\0\0\0\0", "without a timetag at byte 0"),
        (b"#bundle\0" + osc.IMMEDIATE + b"\0\0\0\x08/a\0\0", "element of 8 bytes at byte 20, 4 are left"),
        (b"#bundle\0" + osc.IMMEDIATE + b"\0\0\0\0/a\0\0", "element of 0 bytes"),
    ],
)
def test_a_packet_error_says_what_and_where(datagram, message):
    with pytest.raises(PacketError, match=message):
        osc.parse(datagram)


def test_bundles_nested_without_end_are_refused():
    datagram = osc.encode("/a")
    for _ in range(MAX_NESTING + 1):
        datagram = b"#bundle\0" + osc.IMMEDIATE + struct.pack(">i", len(datagram)) + datagram
    with pytest.raises(PacketError, match="nested deeper"):
        osc.parse(datagram)


def test_a_message_without_type_tags_has_no_arguments():
    assert osc.parse(b"/VMC/Ext/Blend/Apply\0\0\0\0") == [("/VMC/Ext/Blend/Apply", ())]


def test_signalling_nan_is_read_without_a_warning():
    _, values = osc.LayoutCache().read(b"/a\0\0,f\0\0\x7f\x80\x00\x01")
    assert np.isnan(values).all()


def test_a_sender_who_changes_every_type_tag_fills_no_list_that_others_wait_for():
    cache = osc.LayoutCache()
    for number in range(1 << 10):
        tags = [number >> bit & 1 for bit in range(10)]
        cache.read(osc.encode("/a", *("abc" if tag else 0.5 for tag in tags)))
    assert len(cache) <= osc.MOST_MASKS
