"""AI-Toolbox's OSC coming in: one message per quantity, all joints flattened, to frames of one person. No sockets here.

`/mocap/<n>/joint/<quantity>` or the older `/mocap/joint/<quantity>`: rot_local and rot_world as w x y z, pos_local and
pos_world; and QTM's bridge, whose `pos` and `rot` are global and x y z w. No names, no time, no frame number: the
joints are in the order of the sender's skeleton, which must be known. Units and axes are the sender's: `scale`, `AXES`.
A frame is whole when every quantity that usually comes has come. Where one was lost it ends when one repeats, when the
one comes that usually comes first (after the longest pause), or 10 ms after its first (`flush`).
Peer: https://github.com/bisnad (MocapPlayer, XSens2Osc_FBX, Qtm2Osc and relatives), ports 9004, 9005 and 9007 by habit.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motion import kinematics
from motion.skeleton import Array, Skeleton
from motion.units import body_scale
from server.protocols import osc
from server.protocols.frames import FAR, PacketError, PoseFrame
from server.protocols.streamed_skeleton import StreamedSkeleton, measured_offsets

FRAME_TIMEOUT = 0.010  # seconds: a busy Python sender stalls so long between two messages, and sends 50 frames a second
LONGEST_GAP = 0.1  # seconds of a pause that count, so that a stop in between is soon forgotten
USUAL_FRAMES = 30  # a quantity that has not come for so many frames comes no more
NUMBER_PAUSE = 1.0  # seconds of silence after which another <n> may take over
MAX_UNKNOWN = 64
MAX_QUANTITIES = 8  # in one datagram, so that none takes longer than a millisecond: two frames of all there are


class Quantity(NamedTuple):
    """meaning: what it is to us. order: of the four numbers that make xyzw, None for positions."""

    meaning: str
    order: list[int] | None = None


QUANTITIES = {
    "rot_local": Quantity("rot_local", [1, 2, 3, 0]),
    "rot_world": Quantity("rot_world", [1, 2, 3, 0]),
    "pos_local": Quantity("pos_local"),
    "pos_world": Quantity("pos_world"),
    "rot": Quantity("rot_world", [0, 1, 2, 3]),
    "pos": Quantity("pos_world"),
}
# Where our x, y and z are found among the sender's, and with which sign.
AXES: dict[str, tuple[list[int], list[float]]] = {
    "y_up": ([0, 1, 2], [1.0, 1.0, 1.0]),
    "z_up": ([0, 2, 1], [1.0, 1.0, -1.0]),  # as MotionDuet turns Y up into Z up, and back
    "z_up_x_forward": ([1, 2, 0], [1.0, 1.0, 1.0]),  # Xsens
}
_ADDRESS = re.compile(r"/mocap/(?:([0-9]{1,6})/)?joint/([a-z_]+)", re.ASCII)
_RAW_LIMIT = 1e7  # no unit makes a stage so large


class AiToolboxDecoder:
    """One sender's datagrams to frames of one person.

    skeleton: the sender's joints in the sender's order, metres, the project's axes; a stream with positions shows its
    own bone lengths, which then replace the skeleton's. number: <n> in the address, any if None: the first that comes,
    until it has been silent for a second. axes: one of AXES. scale: metres per unit of positions, or "auto": told by
    the body's height. Without positions the person stays where the skeleton's root stands.
    A position missing from a frame holds its last one; a frame without rotations is dropped. `unknown` counts
    addresses that are none of these and other people's numbers. Raises ValueError for axes or a scale that are none.
    """

    protocol = "AI-Toolbox"

    def __init__(
        self,
        skeleton: Skeleton,
        actor: str = "",
        number: int | None = None,
        axes: str = "y_up",
        scale: float | str = "auto",
    ) -> None:
        if axes not in AXES:
            raise ValueError(f"no axes {axes!r}; choose from {', '.join(AXES)}")
        body_scale(skeleton, scale)
        self.unknown: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.deadline: float | None = None  # set while a frame is open
        self.numbering = None
        self._joints = len(skeleton)
        self._actor = actor
        self._axes, signs = AXES[axes]
        self._signs = np.array(signs)
        self._wanted = None if number is None else str(number)
        self._chosen = self._wanted
        self._heard = -math.inf
        self._plans = osc.Plans(self._plan)
        self._number = 0
        self._opened = 0.0
        self._open: dict[str, Array] = {}  # what has come of the open frame, by meaning
        self._came: dict[str, int] = {}  # the frame in which each came last
        self._usual: set[str] | None = None
        self._first: str | None = None  # the one that usually comes first, if that is clear
        self._gaps: dict[str, float] = {}  # the usual pause before each, seconds
        self._took = -math.inf
        self._body = StreamedSkeleton(skeleton)
        self._scale = scale
        self._metres = 1.0
        self._scaled: Array | None = None  # the offsets that `_metres` was told by
        self._root = np.array(skeleton.offsets[0])

    def feed(self, datagram: bytes | memoryview, receive_time: float) -> list[PoseFrame]:
        """The frames this datagram makes whole. Raises PacketError, and then takes nothing of it."""
        plan, layout = self._plans.find(datagram)
        values = layout.values(datagram)
        read = [(step, self._read(step, values[step.places])) for step in plan.steps]
        frames = self.flush(receive_time)
        for step, numbers in read:
            if self._is_ours(step.number, receive_time):
                self._take(step.quantity.meaning, numbers, receive_time, frames)
        for address in plan.strangers:
            self._count_unknown(address)
        return frames

    def flush(self, now: float) -> list[PoseFrame]:
        """The frame that has been open for 10 ms or more, if there is one."""
        frames: list[PoseFrame] = []
        if self.deadline is not None and now >= self.deadline:
            self._close(frames)
        return frames

    # From a datagram to one quantity in our axes.

    def _plan(self, layout: osc.Layout) -> _Plan:
        plan = _Plan([], [])
        for address, args in layout.messages:
            found = _ADDRESS.fullmatch(address)
            quantity = QUANTITIES.get(found[2]) if found else None
            if found is None or quantity is None:
                plan.strangers.append(address[:64])
                continue
            wide = 3 if quantity.order is None else 4
            if len(args) != wide * self._joints:
                raise PacketError(
                    f"{address} has {len(args)} numbers; {self._joints} joints ({self._body.skeleton.names[0]} ...) "
                    f"need {wide * self._joints}"
                )
            for place, arg in enumerate(args):
                if not isinstance(arg, osc.Slot):
                    raise PacketError(f"{address}: argument {place} is {str(arg)[:40]!r}, not a number")
            if len(plan.steps) == MAX_QUANTITIES:
                raise PacketError(f"{address}: more than {MAX_QUANTITIES} quantities in a datagram")
            number = found[1] or "0"  # the older form knows one person
            plan.steps.append(_Step(address, number, quantity, np.array(args, dtype=np.intp)))
        return plan

    def _read(self, step: _Step, numbers: Array) -> Array:
        rows = numbers.reshape(self._joints, -1)
        if not np.abs(rows).max() <= _RAW_LIMIT:  # written so that NaN fails
            joint, part = np.argwhere(~(np.abs(rows) <= _RAW_LIMIT))[0].tolist()
            name = self._body.skeleton.names[joint]
            raise PacketError(f"{step.address}: number {part} of joint {joint} ({name}) is {rows[joint, part]:g}")
        if step.quantity.order is None:
            return np.asarray(rows[:, self._axes] * self._signs, dtype=np.float64)
        rows = rows[:, step.quantity.order]
        squares = np.einsum("ij,ij->i", rows, rows)
        if not squares.min() > 1e-6:
            joint = int(squares.argmin())
            raise PacketError(f"{step.address}: the rotation of joint {joint} is {rows[joint].tolist()} (xyzw)")
        rotations: Array = rows / np.sqrt(squares)[:, None]
        rotations[:, :3] = rotations[:, self._axes] * self._signs
        return rotations

    def _is_ours(self, number: str, now: float) -> bool:
        if self._wanted is None and number != self._chosen and now - self._heard >= NUMBER_PAUSE:
            self._chosen = number
        if number != self._chosen:
            self._count_unknown(f"/mocap/{number}")
            return False
        self._heard = now
        return True

    def _count_unknown(self, name: str) -> None:
        self.unknown[name if name in self.unknown or len(self.unknown) < MAX_UNKNOWN else "(others)"] += 1

    # From quantities to a frame.

    def _take(self, meaning: str, numbers: Array, now: float, frames: list[PoseFrame]) -> None:
        if meaning in self._open:
            if np.array_equal(self._open[meaning], numbers):
                self.dropped["duplicate"] += 1  # some senders send one quantity twice
                return
            self._close(frames)
        elif self._open and meaning == self._first:
            self._close(frames)
        gap = min(now - self._took, LONGEST_GAP)
        self._gaps[meaning] = gap + 0.9 * (self._gaps.get(meaning, gap) - gap)
        self._took = now
        if self.deadline is None:
            self._opened, self.deadline = now, now + FRAME_TIMEOUT
        self._open[meaning] = numbers
        self._came[meaning] = self._number
        if self._usual is not None and self._usual <= self._open.keys():
            self._close(frames)

    def _close(self, frames: list[PoseFrame]) -> None:
        came, self._open, self.deadline = self._open, {}, None
        self._usual = {meaning for meaning, frame in self._came.items() if self._number - frame < USUAL_FRAMES}
        *others, longest = sorted(self._usual, key=self._gaps.__getitem__)
        self._first = longest if not others or self._gaps[longest] > 2.0 * self._gaps[others[-1]] else None
        self._number += 1
        local, world = came.get("rot_local"), came.get("rot_world")
        if local is None and world is not None:
            local = kinematics.global_to_local(self._body.skeleton, world)
        if local is None:
            self.dropped["no_rotations"] += 1
            return
        place = came.get("pos_world", came.get("pos_local"))
        if place is not None:
            if self._body.is_due(self._opened):
                self._measure(came, local, world)
            root = place[0] * self._metres
            if not np.abs(root).max() <= FAR:
                self.dropped["out_of_range"] += 1
                return
            self._root = root
        frame = PoseFrame(self._body.skeleton, self._root, local, None, self._opened, self._number, self._actor)
        frames.append(frame)

    def _measure(self, came: dict[str, Array], local: Array, world: Array | None) -> None:
        """The sender's unit and its bones, from the positions of a frame."""
        skeleton = self._body.skeleton
        if "pos_local" in came:
            offsets = came["pos_local"]
        else:
            if world is None:
                world = kinematics.local_to_global(skeleton, local)
            offsets = measured_offsets(skeleton.parents, came["pos_world"], world)
        size = np.abs(offsets[1:]).max(initial=0.0)
        if self._scaled is None or np.abs(offsets[1:] - self._scaled[1:]).max(initial=0.0) > 0.1 * size:
            self._scaled = offsets
            self._metres, _ = body_scale(skeleton.with_offsets(offsets), self._scale)
        self._body.update(offsets * self._metres, self._opened)


class _Step(NamedTuple):
    """One message of a layout: whose and what, and its places among the values."""

    address: str
    number: str
    quantity: Quantity
    places: NDArray[np.intp]


class _Plan(NamedTuple):
    """What to do with any datagram of a layout. strangers: addresses that mean nothing to us."""

    steps: list[_Step]
    strangers: list[str]
