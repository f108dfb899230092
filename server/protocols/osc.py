"""OSC for the hot path: a live sender's packets differ only in their numbers, so the rest is looked at once.

`LayoutCache` remembers what a datagram looked like; the next one costs a compare and one numpy gather. `Template` is
the way back: a prepared packet into which float32 values are scattered. `parse` and `encode` are the plain way for
everything else. No sockets here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from itertools import chain, pairwise
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from motion.skeleton import Array
from server.protocols.osc_messages import Message, encode, parse, scan, scan_message, stretches

__all__ = [
    "IMMEDIATE",
    "MAX_DATAGRAM",
    "Layout",
    "LayoutCache",
    "Message",
    "Plans",
    "Slot",
    "Template",
    "encode",
    "parse",
]

IMMEDIATE = b"\x00\x00\x00\x00\x00\x00\x00\x01"
MOST_PLANS = 256  # a sender has a handful
MOST_MASKS = 8  # of datagrams of one length, all of which are tried: somebody might send thousands
MAX_DATAGRAM = 1472  # an Ethernet frame's 1,500 bytes less the IP and UDP headers: larger ones are cut in pieces

Plan = TypeVar("Plan")


class Slot(int):
    """Stands for a number in a Layout's or a Template's messages: its place among the values."""


class Layout:
    """Everything in a datagram but its numbers. `messages` has a Slot where `values(datagram)` has a number.

    float_words: the 32-bit word of the datagram that holds Slot(k), for the floats; Slots of other types come after.
    """

    def __init__(
        self, messages: Sequence[Message], floats: Sequence[int], integers: Sequence[int], constants: Sequence[float]
    ) -> None:
        """floats, integers: which 32-bit words of the datagram they are. constants: the 64-bit numbers, which are the
        same in every datagram of this layout."""
        self.messages = tuple(messages)
        self.float_words = tuple(floats)
        self._floats = np.array(floats, dtype=np.intp)
        self._integers = np.array(integers, dtype=np.intp)
        self._values: Array = np.array([*[0.0] * (len(floats) + len(integers)), *constants])
        self._float_values = self._values[: len(floats)]
        self._integer_values = self._values[len(floats) : len(floats) + len(integers)]

    def values(self, datagram: bytes | memoryview) -> Array:
        """The datagram's numbers in Slot order: floats, then 32-bit integers, then 64-bit numbers.

        The array is the layout's own: the next call writes over it.
        """
        with np.errstate(invalid="ignore"):  # a signalling NaN: who uses the values says what they may be
            self._float_values[:] = np.frombuffer(datagram, dtype=">f4")[self._floats]
        if len(self._integers):
            self._integer_values[:] = np.frombuffer(datagram, dtype=">i4")[self._integers]
        return self._values


class LayoutCache:
    """The layouts seen so far; a stranger costs one full parse. Forgets them all when they grow past `limit` bytes."""

    def __init__(self, limit: int = 1 << 18) -> None:
        self._limit = limit
        self._size = 0
        # By datagram length, then by mask: messages that differ in a name only share both, and cost one look-up.
        self._layouts: dict[int, list[tuple[NDArray[np.uint32], dict[bytes, Layout]]]] = {}

    def read(self, datagram: bytes | memoryview) -> tuple[Layout, Array]:
        """A datagram's layout and its numbers; raises PacketError."""
        layout = self.find(datagram)
        return layout, layout.values(datagram)

    def find(self, datagram: bytes | memoryview) -> Layout:
        """A datagram's layout, the same object for the same layout; raises PacketError."""
        length = len(datagram)
        candidates = self._layouts.get(length)
        if candidates:
            words = np.frombuffer(datagram, dtype=np.uint32)
            for mask, layouts in candidates:
                known = layouts.get((words & mask).tobytes())
                if known is not None:
                    return known
        layout, mask, fixed = _layout(bytes(datagram))
        self._remember(length, layout, mask, fixed)
        return layout

    def __len__(self) -> int:
        return sum(len(layouts) for group in self._layouts.values() for _, layouts in group)

    def _remember(self, length: int, layout: Layout, mask: NDArray[np.uint32], fixed: bytes) -> None:
        if length > self._limit // 4:
            return
        if self._size + length > self._limit:
            self._layouts.clear()
            self._size = 0
        self._size += length
        group = self._layouts.setdefault(length, [])
        for known, layouts in group:
            if np.array_equal(known, mask):
                layouts[fixed] = layout
                return
        if len(group) >= MOST_MASKS:
            group.clear()
        group.append((mask, {fixed: layout}))


class Plans(Generic[Plan]):
    """What to do with datagrams, worked out once for each layout. make: a layout to its plan; may raise PacketError."""

    def __init__(self, make: Callable[[Layout], Plan]) -> None:
        self._make = make
        self._layouts = LayoutCache()
        self._plans: dict[Layout, Plan] = {}

    def find(self, datagram: bytes | memoryview) -> tuple[Plan, Layout]:
        """A datagram's plan and its layout, whose `values` it is for. Raises PacketError."""
        layout = self._layouts.find(datagram)
        plan = self._plans.get(layout)
        if plan is None:
            if len(self._plans) >= MOST_PLANS:
                self._plans.clear()
            plan = self._plans[layout] = self._make(layout)
        return plan, layout


class Template:
    """A prepared packet of one or more datagrams; `fill(values)` scatters float32 into it.

    messages: as `parse` gives them, with a Slot where a float goes; Slot(k) takes values[k]. Bundled, as many messages
    as fit in `limit` bytes share a datagram; unbundled, every message is a datagram. Raises ValueError when one message
    alone is larger than `limit`. Not for two threads at once: the buffer is reused.
    """

    def __init__(self, messages: Sequence[Message], bundle: bool = True, limit: int = MAX_DATAGRAM) -> None:
        datagrams: list[bytearray] = []
        slots: list[tuple[int, int, int]] = []  # datagram, byte offset in it, place among the values
        for address, args in messages:
            encoded = encode(address, *(0.0 if isinstance(arg, Slot) else arg for arg in args))
            if len(encoded) + (20 if bundle else 0) > limit:
                raise ValueError(f"{address} alone takes {len(encoded)} bytes; a datagram holds {limit}")
            if bundle:
                if not datagrams or len(datagrams[-1]) + 4 + len(encoded) > limit:
                    datagrams.append(bytearray(b"#bundle\0" + IMMEDIATE))
                datagrams[-1] += struct.pack(">i", len(encoded))
            else:
                datagrams.append(bytearray())
            start = len(datagrams[-1])
            datagrams[-1] += encoded
            _, tags, _, starts = scan_message(encoded)
            for _, count, first, run, shift in stretches(tags):
                place = start + starts[run] + shift
                slots += [
                    (len(datagrams) - 1, place + 4 * n, arg)  # whatever is no Slot may be wider, and is not used
                    for n, arg in enumerate(args[first : first + count])
                    if isinstance(arg, Slot)
                ]
        ends = np.cumsum([0, *(len(datagram) for datagram in datagrams)]).tolist()
        slots.sort(key=lambda slot: slot[2])
        if [value for _, _, value in slots] != list(range(len(slots))):
            raise ValueError("a template's slots must be 0, 1, 2, ... each used once")
        self._buffer = bytearray(b"".join(datagrams))
        self._floats = np.frombuffer(self._buffer, dtype=">f4")
        self._slots = np.array([(ends[which] + offset) // 4 for which, offset, _ in slots], dtype=np.intp)
        self._spans = [slice(start, end) for start, end in pairwise(ends)]

    def fill(self, values: NDArray[np.floating[Any]]) -> list[bytes]:
        """The datagrams with `values` (slots,) written as big-endian float32."""
        self._floats[self._slots] = values
        return [bytes(self._buffer[span]) for span in self._spans]


def _layout(data: bytes) -> tuple[Layout, NDArray[np.uint32], bytes]:
    """A datagram's layout, the mask that is 0 over floats, ints and timetags, and the bytes under the mask."""
    scanned, timetags = scan(data)
    words: dict[str, list[int]] = {"f": [], "i": []}
    constants: list[float] = []
    numbers: dict[str, list[tuple[list[Any], int, int]]] = {"f": [], "i": [], "64-bit": []}
    messages: list[tuple[str, list[Any]]] = []
    for address, tags, args, starts in scanned:
        slotted = list(args)
        messages.append((address, slotted))
        for tag, count, first, run, shift in stretches(tags):
            if tag in words:
                word = (starts[run] + shift) // 4
                words[tag] += range(word, word + count)
            else:
                constants += args[first : first + count]
            numbers[tag if tag in words else "64-bit"].append((slotted, first, count))
    slot = 0
    for slotted, first, count in chain.from_iterable(numbers.values()):
        slotted[first : first + count] = _slots(slot, count)
        slot += count
    floats, integers = words["f"], words["i"]
    mask = np.full(len(data) // 4, 0xFFFFFFFF, dtype=np.uint32)
    mask[floats + integers] = 0
    for timetag in timetags:
        mask[timetag // 4 : timetag // 4 + 2] = 0
    layout = Layout([(address, tuple(args)) for address, args in messages], floats, integers, constants)
    return layout, mask, (np.frombuffer(data, dtype=np.uint32) & mask).tobytes()


def _slots(start: int, count: int) -> list[Slot]:
    if start + count > len(_SLOTS):
        return [Slot(place) for place in range(start, start + count)]
    return _SLOTS[start : start + count]


_SLOTS = [Slot(place) for place in range(2048)]  # of the layouts that a show has; they are the same in all
