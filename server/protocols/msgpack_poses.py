"""Poses as one msgpack map, for peers that would rather have names than offsets: every actor of a tick in one message.

`msgpack.unpackb(message)` is all a reader needs; docs/wire-out.md lists the keys. No topic and one part: a conflating
subscriber keeps exactly the newest message. No sockets here.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgpack
import numpy as np

from motion.axes import PROFILES, UNITS, Axes
from motion.skeleton import HUMANOID, Array, Skeleton
from server.protocols.frames import FAR, LONGEST_TIME, PacketError, PoseFrame

FORMAT = "pas-de-deux/poses/1"
MAX_MESSAGE = 1 << 15  # bytes: six people with all their fingers
MAX_ACTORS = 16


def encode(
    frames: Sequence[PoseFrame],
    tick: int,
    send_time: float,
    partners: Collection[str] = (),
    profile: str = "raw",
    unit: str = "m",
) -> bytes:
    """One message with all actors of a tick; those named in `partners` are marked as generated.

    send_time: seconds, unix time. profile, unit: what the frames are in, for the reader to know.
    """
    actors = [
        {
            "name": frame.actor,
            "partner": frame.actor in partners,
            "number": frame.number,
            "time": frame.sender_time,
            "root": frame.root_position.tolist(),
            "rotations": frame.rotations.tolist(),
            "names": frame.skeleton.names,
            "parents": frame.skeleton.parents,
            "offsets": frame.skeleton.offsets.tolist(),
        }
        for frame in frames
    ]
    head = {"format": FORMAT, "tick": tick, "time": send_time, "profile": profile, "unit": unit}
    packed: bytes = msgpack.packb(head | {"actors": actors})
    return packed


class MsgpackDecoder:
    """One publisher's messages to frames, in the project's own axes and metres; an actor's skeleton stays one object.

    A peer's message needs `actors`, each with `root` and `rotations`. Left out, `names`, `parents` and `offsets` are
    HUMANOID's, `profile` is raw, and frames are numbered as they come.
    """

    def __init__(self) -> None:
        self._skeletons: dict[str, tuple[Any, Skeleton]] = {}  # by actor, with what it was made of
        self._number = 0

    def decode(self, message: bytes | memoryview, receive_time: float) -> list[PoseFrame]:
        """All actors of a message. Raises PacketError for anything that is no pose."""
        data = _unpacked(message)
        to_ours = _axes(data).inverse
        actors = data.get("actors")
        if not isinstance(actors, list) or not all(isinstance(actor, dict) for actor in actors):
            raise PacketError("'actors' is no list of maps")
        if len(actors) > MAX_ACTORS:
            raise PacketError(f"{len(actors)} actors; at most {MAX_ACTORS}")
        self._number += 1
        return [self._frame(actor, to_ours, receive_time) for actor in actors]

    def _frame(self, actor: dict[str, Any], to_ours: Axes, receive_time: float) -> PoseFrame:
        name, number, time = actor.get("name", ""), actor.get("number"), actor.get("time")
        if not isinstance(name, str):
            raise PacketError(f"an actor's name is a text, not {str(name)[:40]!r}")
        skeleton = self._skeleton(name, actor, to_ours)
        root = to_ours.positions(_numbers(actor, "root", (3,)))
        rotations = to_ours.rotations(_numbers(actor, "rotations", (len(skeleton), 4)))
        near = max(np.abs(root).max(), np.abs(rotations).max()) <= FAR
        squares = np.einsum("ij,ij->i", rotations, rotations) if near else np.zeros(1)
        if not squares.min() > 1e-6:
            raise PacketError(f"actor {name!r} stands out of range, or a rotation is zero")
        return PoseFrame(
            skeleton=skeleton,
            root_position=root,
            rotations=rotations / np.sqrt(squares)[:, None],
            sender_time=float(time) if isinstance(time, int | float) and abs(time) <= LONGEST_TIME else None,
            receive_time=receive_time,
            number=number if isinstance(number, int) else self._number,
            actor=name,
        )

    def _skeleton(self, name: str, actor: dict[str, Any], to_ours: Axes) -> Skeleton:
        made_of = (
            actor.get("names"),
            actor.get("parents"),
            actor.get("offsets"),
            to_ours.scale,
            to_ours.matrix.tolist(),
        )
        known = self._skeletons.get(name)
        if known is not None and known[0] == made_of:
            return known[1]
        names, parents = actor.get("names", list(HUMANOID.names)), actor.get("parents", list(HUMANOID.parents))
        if not isinstance(names, list) or not all(isinstance(joint, str) for joint in names):
            raise PacketError(f"actor {name!r}: 'names' is no list of texts")
        if not isinstance(parents, list) or not all(type(parent) is int for parent in parents):
            raise PacketError(f"actor {name!r}: 'parents' is no list of whole numbers")
        if "offsets" in actor:
            offsets = to_ours.positions(_numbers(actor, "offsets", (len(names), 3)))
        elif names == list(HUMANOID.names):
            offsets = HUMANOID.offsets
        else:
            raise PacketError(f"actor {name!r} has joints of its own, and no 'offsets'")
        if not np.abs(offsets).max(initial=0.0) <= FAR:
            raise PacketError(f"actor {name!r} is kilometres large")
        try:
            skeleton = Skeleton(tuple(names), tuple(parents), offsets)
        except ValueError as error:
            raise PacketError(f"actor {name!r}: {error}") from None
        if len(self._skeletons) >= MAX_ACTORS:
            self._skeletons.clear()
        self._skeletons[name] = (made_of, skeleton)
        return skeleton


def _unpacked(message: bytes | memoryview) -> dict[str, Any]:
    if len(message) > MAX_MESSAGE:
        raise PacketError(f"{len(message)} bytes; at most {MAX_MESSAGE}")
    try:
        data = msgpack.unpackb(
            message, max_str_len=256, max_bin_len=0, max_ext_len=0, max_array_len=256, max_map_len=32
        )
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise PacketError(f"no msgpack map of poses: {type(error).__name__}: {error}") from None
    if not isinstance(data, dict):
        raise PacketError(f"a {type(data).__name__} is no map of poses")
    return data


def _axes(data: dict[str, Any]) -> Axes:
    profile, unit = data.get("profile", "raw"), data.get("unit")
    if not isinstance(profile, str) or profile not in PROFILES:
        raise PacketError(f"profile {str(profile)[:40]!r} is not one of {', '.join(PROFILES)}")
    if unit is None:
        return PROFILES[profile]
    if not isinstance(unit, str) or unit not in UNITS:
        raise PacketError(f"unit {str(unit)[:40]!r} is not one of {', '.join(UNITS)}")
    return PROFILES[profile].in_unit(unit)


def _numbers(actor: dict[str, Any], key: str, shape: tuple[int, ...]) -> Array:
    """Finite numbers of a shape."""
    try:
        numbers = np.array(actor.get(key))
    except (ValueError, OverflowError):
        numbers = np.array(None)
    if numbers.dtype.kind not in "iuf" or numbers.shape != shape or not np.isfinite(numbers).all():
        raise PacketError(f"{key!r} is not {' x '.join(map(str, shape))} numbers")
    return numbers.astype(np.float64)
