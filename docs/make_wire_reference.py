"""Makes docs/wire-reference.md from the code's own tables: ports, keys, messages, names of joints, axes, bytes.

    python docs/make_wire_reference.py           # writes the page; tests/test_docs.py says when it is out of date

Messages are those of one pose at rest, encoded and read back with python-osc. What they mean stands in wire-in.md,
wire-out.md and control.md.
"""

from __future__ import annotations

import struct
import sys
import typing
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
from pydantic import BaseModel
from pythonosc.osc_packet import OscPacket

from motion.axes import PROFILES
from motion.skeleton import HUMANOID
from server.preset import Clock
from server.preset_control import Control
from server.preset_dancers import Dancer, DancerStages, UdpDancer
from server.preset_doors import StagePage
from server.preset_outputs import Output
from server.preset_partners import Partner, SafetyLimits, Sampling
from server.protocols import effort, msgpack_poses, packed
from server.protocols.ai_toolbox import AiToolboxEncoder
from server.protocols.frames import PoseFrame
from server.protocols.mocopi import BONES
from server.protocols.rokoko import SKELETON as ROKOKO
from server.protocols.touchdesigner import TouchDesignerEncoder, joint_name
from server.protocols.vmc import VmcEncoder
from server.protocols.vmc_bones import UNITY_BONES
from server.protocols.xsens_packets import SEGMENTS

PAGE = Path(__file__).resolve().parent / "wire-reference.md"
HEAD = """# Wire reference

You get: every port, key, message, joint and byte in tables, to look things up in. They are made from the code by
`python docs/make_wire_reference.py`, and a test holds the page to it. What the numbers mean, and what happens when they
are wrong, is in [wire-in](wire-in.md), [wire-out](wire-out.md), [packed poses](wire.md) and [control](control.md).
"""
REQUIRED = "must be given"
REST = (HUMANOID, HUMANOID.offsets[0], np.tile([0.0, 0.0, 0.0, 1.0], (len(HUMANOID), 1)))


def page() -> str:
    """The whole page."""
    dancers, outputs = _members(Dancer, "receive"), _members(Output, "send")
    parts = [HEAD, "## Ports\n", _ports(dancers, outputs)]
    parts += ["## Keys of a dancer\n", "All dancers:\n", _keys(DancerStages)]
    parts += ["All that come by UDP:\n", _keys(UdpDancer, DancerStages)]
    for name, section in dancers.items():
        if own := _own_keys(section, UdpDancer):
            parts += [f"`receive: {name}`\n", own]
    parts.append("## Keys of an output\n")
    for name, section in outputs.items():
        parts += [f"`send: {name}`\n", _own_keys(section)]
    parts.append("## Keys of everything else\n")
    others = {"clock": Clock, "partners.NAME": Partner, "partners.NAME.sample": Sampling}
    others |= {"partners.NAME.safety": SafetyLimits, "control": Control, "stage_page": StagePage}
    for name, section in others.items():
        parts += [f"`{name}`\n", _keys(section)]
    parts += ["## Messages of one frame\n", _messages(), "## Joints\n", _joints(), "## Bones of suits\n", _suits()]
    parts += ["## Axes\n", _axes(), "## Packed poses\n", _packed(), "## msgpack\n", _msgpack()]
    return "\n".join(parts)


def _members(union: Any, key: str) -> dict[str, type[BaseModel]]:
    """The classes of a union that `key` tells apart, by what it says."""
    members = typing.get_args(typing.get_args(union)[0])
    return {typing.get_args(member.model_fields[key].annotation)[0]: member for member in members}


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def _ports(dancers: dict[str, type[BaseModel]], outputs: dict[str, type[BaseModel]]) -> str:
    rows = []
    for way, sections in (("in", dancers), ("out", outputs)):
        for name, section in sections.items():
            key = "receive" if way == "in" else "send"
            if "port" in section.model_fields:
                rows.append((way, f"`{key}: {name}`", f"UDP {section.model_fields['port'].default}"))
            elif "bind" in section.model_fields:
                rows.append((way, f"`{key}: {name}`", f"TCP {section.model_fields['bind'].default.rpartition(':')[2]}"))
    port = Control.model_fields["port"].default
    rows += [("in", "`control`", f"UDP {port}"), ("in", "`control.oscquery`", f"TCP {port} (HTTP)")]
    rows.append(("in", "`stage_page`", f"TCP {StagePage.model_fields['port'].default} (HTTP)"))
    return _table(("way", "who", "default port"), rows)


def _own_keys(section: type[BaseModel], but: type[BaseModel] | None = None) -> str:
    """The keys of a section without the one that tells it apart, those of all dancers, and those of `but`."""
    told = {"receive", "send", *DancerStages.model_fields, *(but.model_fields if but else ())} - {"port"}
    shown = _rows(section, told)
    return _table(("key", "what", "default"), shown) if shown else ""


def _keys(section: type[BaseModel], but: type[BaseModel] | None = None) -> str:
    return _table(("key", "what", "default"), _rows(section, set(but.model_fields) if but else set()))


def _rows(section: type[BaseModel], but: set[str]) -> list[tuple[str, str, str]]:
    schema = section.model_json_schema()
    return [
        (f"`{name}`", _what(told, schema.get("$defs", {})), _default(section, name))
        for name, told in schema["properties"].items()
        if name not in but
    ]


def _what(told: dict[str, Any], sections: dict[str, Any]) -> str:
    """What a key may be, in words: its choices, its range, or its kind."""
    if "enum" in told:
        return ", ".join(f"`{choice}`" for choice in told["enum"])
    if "const" in told:
        return f"`{told['const']}`"
    if "anyOf" in told:
        kinds = [_what(kind, sections) for kind in told["anyOf"] if kind.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "$ref" in told:
        section = sections[told["$ref"].rpartition("/")[2]]
        return "keys: " + ", ".join(f"`{name}`" for name in section["properties"])
    if told.get("type") == "array":
        return f"a list of: {_what(told.get('items', {}), sections)}"
    if told.get("type") == "object":
        return "by name"
    kinds = {"integer": "a whole number", "number": "a number", "boolean": "`true`, `false`", "string": "a text"}
    kind = "a path" if told.get("format") == "path" else kinds.get(told.get("type", ""), "")
    low = told.get("minimum", told.get("exclusiveMinimum"))
    high = told.get("maximum", told.get("exclusiveMaximum"))
    if low is not None and high is not None:
        return f"{kind}, {low:g} to {high:g}"
    if low is not None:
        return f"{kind}, {'above' if 'exclusiveMinimum' in told else 'from'} {low:g}"
    return kind


def _default(section: type[BaseModel], name: str) -> str:
    field = section.model_fields[name]
    if field.is_required():
        return REQUIRED
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "its own"
    if value is None:
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, tuple):
        return "`[" + ", ".join(map(str, value)) + "]`"
    return "" if value in ("", {}) else f"`{value}`"


def _messages() -> str:
    """What one frame of one actor is in each OSC format, with its size."""
    frame = PoseFrame(*REST, 0.0, 0.0, 1, "partner1")
    reading = effort.Reading("dancer1", {"time": {"low": 0.1, "medium": 0.2, "high": 0.7}})
    formats = {
        "`vmc`": VmcEncoder(HUMANOID, "partner1").encode(frame),
        "`vmc`, `bundle: false`": VmcEncoder(HUMANOID, "partner1", bundle=False).encode(frame),
        "`ai_toolbox`": AiToolboxEncoder(HUMANOID).encode(frame),
        "`ai_toolbox`, `index: off`": AiToolboxEncoder(HUMANOID, None).encode(frame),
        "`touchdesigner`": TouchDesignerEncoder(HUMANOID).encode(frame),
        "`touchdesigner`, `flat: true`": TouchDesignerEncoder(HUMANOID, flat=True).encode(frame),
        "`effort`": effort.messages(reading),
        "`effort`, `apart: true`": effort.messages(reading, apart=True),
    }
    rows = []
    for name, datagrams in formats.items():
        size = f"{len(datagrams)} of {', '.join(str(len(data)) for data in datagrams[:4])}"
        size += " ..." if len(datagrams) > 4 else ""
        for address, types, number in _grouped(datagrams):
            rows.append((name, f"`{address}`", f"`{types}`", number, size))
            name = size = ""
    head = ("output", "address", "types", "messages", "datagrams, bytes")
    return "Of the 22 joints of the standard body; a type with a number is repeated so often.\n\n" + _table(head, rows)


def _grouped(datagrams: Sequence[bytes]) -> Iterator[tuple[str, str, int]]:
    """Addresses in the order in which they come, those of joints together, with the types and how many there are."""
    seen: dict[tuple[str, str], int] = {}
    for data in datagrams:
        for timed in OscPacket(data).messages:
            address = timed.message.address
            if ":" in address:
                address = address.rpartition("/")[0] + "/<joint>:" + address.rpartition(":")[2]
            types = "".join({int: "i", float: "f", str: "s"}[type(value)] for value in timed.message.params)
            short = types if len(types) < 12 else f"{types[0]} × {len(types)}"
            seen[address, short] = seen.get((address, short), 0) + 1
    for (address, types), number in seen.items():
        yield address, types, number


def _joints() -> str:
    rows = [
        (
            number,
            name,
            HUMANOID.names[parent] if parent >= 0 else "",
            f"`{joint_name(name)}`",
            " ".join(f"{round(float(value), 4):g}" for value in HUMANOID.offsets[number]),
        )
        for number, (name, parent) in enumerate(zip(HUMANOID.names, HUMANOID.parents, strict=True))
    ]
    head = ("", "joint, and VMC's bone", "parent", "TouchDesigner", "rest offset x y z, metres")
    extra = ", ".join(name for name in UNITY_BONES if name not in HUMANOID.names)
    return _table(head, rows) + f"\nKnown from VMC besides, and not danced: {extra}.\n"


def _suits() -> str:
    rows = [
        ("`xsens`", len(SEGMENTS), " ".join(SEGMENTS)),
        ("`mocopi`", len(BONES), " ".join(BONES)),
        ("`rokoko`", len(ROKOKO.names), " ".join(ROKOKO.names)),
    ]
    return _table(("dancer", "bones", "in this order"), rows)


def _axes() -> str:
    rows = []
    for name, axes in PROFILES.items():
        mirror = round(float(np.linalg.det(axes.matrix)))
        position = ", ".join(_axis(row) for row in axes.matrix)
        rotation = ", ".join(_axis(row * mirror) for row in axes.matrix)
        rows.append((f"`{name}`", f"({position})", f"({rotation}, w)", axes.unit))
    return "From right-handed, Y up, +Z forward, left is +X, metres.\n\n" + _table(
        ("profile", "position", "rotation x y z w", "unit"), rows
    )


def _axis(row: Any) -> str:
    place = int(np.argmax(np.abs(row)))
    return ("-" if row[place] < 0 else "") + "xyz"[place]


def _packed() -> str:
    """Header, records and floats of one message with two actors, from the structures that are written."""
    fields = ("topic `pose/00\\0`", f"version: {packed.VERSION}", "header size", "actors", "joints", "topology", "0")
    rows = [*_fields("", packed._HEADER, (*fields, "tick", "time of sending, unix seconds"))]
    record = ("actor, UTF-8, padded with NUL", "the sender's time, seconds; NaN: not known", "frame number")
    rows += _fields("+", packed._RECORD, (*record, f"flags: {packed.PARTNER} = generated"))
    frame = PoseFrame(*REST, None, 0.0, 1, "partner1")
    size = len(packed.encode([frame, frame], 1, 0.0))
    return (
        "Little-endian. A header, a record an actor (+), then each actor's root position (3 floats) and rotations "
        f"(4 floats a joint).\n\n{_table(('byte', 'type', 'what'), rows)}\n"
        f"Two actors of {len(HUMANOID)} joints are {size} bytes; the topology of the standard body is "
        f"0x{HUMANOID.topology_hash:08x}. Statistics have the topic `stats/0\\0`.\n"
    )


def _fields(before: str, layout: struct.Struct, names: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Each field's place, type and name."""
    types = {"H": "u16", "I": "u32", "Q": "u64", "d": "f64"}
    text, place, number = layout.format.lstrip("<"), 0, 0
    while text:
        count = text[: len(text) - len(text.lstrip("0123456789"))]
        code = text[len(count)]
        for _ in range(1 if code == "s" else int(count or 1)):
            kind = f"{count} bytes" if code == "s" else types[code]
            yield f"{before}{place}", kind, names[number]
            place += struct.calcsize(f"<{count}{code}" if code == "s" else f"<{code}")
            number += 1
        text = text[len(count) + 1 :]


def _msgpack() -> str:
    frame = PoseFrame(*REST, 0.0, 0.0, 1, "partner1")
    message = msgpack.unpackb(msgpack_poses.encode([frame], 1, 0.0, {"partner1"}))
    actor = message.pop("actors")[0]
    rows = [(f"`{key}`", _shape(value)) for key, value in message.items()]
    rows += [(f"`actors[].{key}`", _shape(value)) for key, value in actor.items()]
    return f"A map, `format` is `{msgpack_poses.FORMAT}`.\n\n" + _table(("key", "type"), rows)


def _shape(value: Any) -> str:
    sizes = []
    while isinstance(value, list):
        sizes.append(str(len(value)))
        value = value[0]
    kind = {str: "text", float: "float", int: "int", bool: "bool"}[type(value)]
    return f"{kind}, {' × '.join(sizes)}" if sizes else kind


def main() -> int:
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
