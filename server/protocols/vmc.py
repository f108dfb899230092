"""VMC (Virtual Motion Capture protocol) V3.1, in; `vmc_encoder` is the way out. No sockets: bytes in, PoseFrame out.

A VMC frame is many OSC messages over one to five datagrams and carries no frame number, so the decoder decides when it
is whole: at `/VMC/Ext/T`, when a bone or the root repeats, or 2 ms after its first datagram (`flush`). Unity's axes are
converted here: position (-x, y, z), quaternion (x, -y, -z, w), the same formula both ways.
Spec: https://protocol.vmc.info/english (sh-akira/VirtualMotionCaptureProtocol). One port per person: VMC has no actor.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motion import rotations as rot
from motion.skeleton import HUMANOID, Array
from server.protocols import osc
from server.protocols.frames import FAR, LONGEST_TIME, PacketError, PoseFrame
from server.protocols.vmc_bones import (
    BONE,
    FINGERS_AND_FACE,
    OK,
    POSITION_SIGNS,
    ROOT,
    ROTATION_SIGNS,
    TIME,
    SenderSkeleton,
    place_of_bone,
)
from server.protocols.vmc_encoder import VmcEncoder

__all__ = ["BONE", "OK", "ROOT", "TIME", "VmcDecoder", "VmcEncoder"]

_Numbers = NDArray[np.floating[Any]]
_SIGNS: Array = np.concatenate([POSITION_SIGNS, ROTATION_SIGNS])

FRAME_TIMEOUT = 0.002  # seconds a frame stays open when nothing else closes it
CLEAR_PAUSE = 0.001  # seconds between two frames rather than within one
MAX_UNKNOWN = 64
MAX_FRAMES = 8  # in one datagram: each costs 20 µs

_STILL = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])  # position and rotation of a bone at rest


class VmcDecoder:
    """One sender's datagrams to frames of one actor on HUMANOID (with the sender's own bone lengths).

    A bone never received keeps its rest rotation; a bone missing from a frame (a lost datagram) holds its last one.
    Fingers, eyes and jaw are ignored. `unknown` counts names that are no Unity bone, `dropped` what was thrown away.
    """

    protocol = "VMC"

    def __init__(self, actor: str = "") -> None:
        self.unknown: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.deadline: float | None = None  # set while a frame is open
        self.numbering = None
        self._opened = 0.0
        self._actor = actor
        self._plans = osc.Plans(self._plan)
        self._number = 0
        self._time: float | None = None  # of the frame that is open or comes next
        self._time_first = False  # whether this sender tells the time before the bones, or after
        self._time_came: float | None = None  # when, if no bones have come since
        self._pause_before = 0.0
        self._bones_came = -math.inf
        self._received = 0  # in the open frame, a bit a joint, and one for the root
        self._root = _STILL.tolist()
        # (J, 7) in Unity's axes, as received last; float32 as on the wire, so that only a good pose is converted.
        self._bones = np.tile(_STILL, (len(HUMANOID), 1)).astype(np.float32)
        self._bones[0, :3] = HUMANOID.offsets[0] * POSITION_SIGNS
        self._good_bones = self._bones.copy()
        self._rest = SenderSkeleton()

    def feed(self, datagram: bytes | memoryview, receive_time: float) -> list[PoseFrame]:
        """The frames this datagram makes whole: none, one, or several. Raises PacketError."""
        (steps, plain), layout = self._plans.find(datagram)
        frames = self.flush(receive_time)
        values: _Numbers = np.frombuffer(datagram, dtype=_PLAIN) if plain else layout.values(datagram)
        for step, what, places in steps:
            step(self, values, what, places, receive_time, frames)
        return frames

    def flush(self, now: float) -> list[PoseFrame]:
        """The frame that has been open for 2 ms or more, if there is one."""
        frames: list[PoseFrame] = []
        if self.deadline is not None and now >= self.deadline:
            self._close_without_time(frames)
        return frames

    # What a datagram does, step by step. `places` are places among `values`: the datagram's words where all the numbers
    # that count are floats, as nearly always; else its numbers in Slot order.

    def _take_bones(
        self, values: _Numbers, bones: Any, places: Any, receive_time: float, frames: list[PoseFrame]
    ) -> None:
        joints, bits = bones
        self._learn_order(receive_time)
        if self._received & bits:
            first = next(n for n, joint in enumerate(joints) if self._received >> joint & 1)
            self._bones[joints[:first]] = _narrow(values[places[:first]])
            self._received |= _bits(joints[:first])
            self._close_without_time(frames)
            joints, places, bits = joints[first:], places[first:], _bits(joints[first:])
        if self.deadline is None:
            self._opened, self.deadline = receive_time, receive_time + FRAME_TIMEOUT
        self._bones[joints] = _narrow(values[places])
        self._received |= bits

    def _take_time(self, values: _Numbers, _: Any, place: Any, receive_time: float, frames: list[PoseFrame]) -> None:
        time: float | None = float(values[place])
        if not abs(float(values[place])) <= LONGEST_TIME:  # written so that NaN fails
            self.dropped["time_out_of_range"] += 1
            time = None
        self._time_came, self._pause_before = receive_time, receive_time - self._bones_came
        if self.deadline is None:
            self._time = time
        elif self._time_first:
            self._close(self._time, frames)
            self._time = time
        else:
            self._close(time, frames)
            self._time = None

    def _take_root(self, values: _Numbers, _: Any, places: Any, receive_time: float, frames: list[PoseFrame]) -> None:
        if self._received & _ROOT_BIT and self.deadline is not None:
            self._close_without_time(frames)  # the next frame's root
        self._received |= _ROOT_BIT
        root = values[places].tolist()
        if root == self._root:
            return
        numbers = np.array(root)
        reason = _far(numbers) or _no_rotation(numbers[3:] @ numbers[3:, None])
        if reason:
            self.dropped[f"root_{reason}"] += 1
        else:
            self._root = root

    def _count(self, values: _Numbers, counter: Any, reason: Any, _: float, frames: list[PoseFrame]) -> None:
        if reason not in counter and len(counter) >= MAX_UNKNOWN:
            reason = "(others)"
        counter[reason] += 1

    # How a frame ends.

    def _learn_order(self, now: float) -> None:
        """Bones arrive. A time before them is theirs if a pause came before it, the last frame's if one came after."""
        if self._time_came is not None:
            pause_after = now - self._time_came
            if self._pause_before > max(CLEAR_PAUSE, 4.0 * pause_after):
                self._time_first = True
            elif pause_after > max(CLEAR_PAUSE, 4.0 * self._pause_before):
                self._time_first = False
        self._time_came, self._bones_came = None, now

    def _close_without_time(self, frames: list[PoseFrame]) -> None:
        self._close(self._time, frames)
        self._time = None

    def _close(self, time: float | None, frames: list[PoseFrame]) -> None:
        receive_time, self.deadline = self._opened, None
        received, self._received = self._received, 0
        self._number += 1
        reason = _far(self._bones)
        if reason is None:
            bones = self._bones * _SIGNS
            squares = np.einsum("ij,ij->i", bones[:, 3:], bones[:, 3:])
            reason = _no_rotation(squares)
        if reason is not None:
            self.dropped[reason] += 1
            self._bones[:] = self._good_bones
            return
        self._good_bones[:] = self._bones
        skeleton = self._rest.update(self._bones[:, :3], received & ~_ROOT_BIT, receive_time)
        positions, rotations = bones[:, :3], bones[:, 3:] / np.sqrt(squares)[:, None]
        root_position = positions[0]
        if self._root != _AT_ORIGIN:
            place = np.array(self._root[:3]) * POSITION_SIGNS
            turn = rot.normalize(np.array(self._root[3:]) * ROTATION_SIGNS)
            root_position = place + rot.rotate(turn, root_position)
            rotations[0] = rot.multiply(turn, rotations[0])
        frames.append(PoseFrame(skeleton, root_position, rotations, time, receive_time, self._number, self._actor))

    def _plan(self, layout: osc.Layout) -> tuple[list[_Step], bool]:
        steps, words = self._steps(layout), np.array(layout.float_words, dtype=np.intp)
        plain = all(places.max() < len(words) for _, _, places in steps if isinstance(places, np.ndarray))
        if plain:
            steps = [(step, what, words[p] if isinstance(p, np.ndarray) else p) for step, what, p in steps]
        return steps, plain

    def _steps(self, layout: osc.Layout) -> list[_Step]:
        """What to do with any datagram of this layout, so that per frame only numbers are moved; places are Slots."""
        steps: list[_Step] = []
        joints: list[int] = []
        places: list[tuple[Any, ...]] = []

        def end_bones() -> None:
            if joints:
                if sum(step is VmcDecoder._take_bones for step, *_ in steps) == MAX_FRAMES:
                    raise PacketError(f"bones repeat; a datagram may hold {MAX_FRAMES} frames of them")
                steps.append(
                    (VmcDecoder._take_bones, (np.array(joints), _bits(joints)), np.array(places, dtype=np.intp))
                )
                joints.clear()
                places.clear()

        for address, args in layout.messages:
            if address == BONE and _named_floats(args):
                joint = place_of_bone(args[0])
                if joint is None:
                    if args[0] not in FINGERS_AND_FACE:
                        steps.append((VmcDecoder._count, self.unknown, args[0][:64]))
                    continue
                if joint in joints:
                    end_bones()
                joints.append(joint)
                places.append(args[1:8])
            elif address == TIME and args and isinstance(args[0], osc.Slot):
                end_bones()
                steps.append((VmcDecoder._take_time, None, np.array(args[0], dtype=np.intp)))
            elif address == ROOT and _named_floats(args):
                end_bones()
                steps.append((VmcDecoder._take_root, None, np.array(args[1:8], dtype=np.intp)))
            elif address in (BONE, TIME, ROOT):
                steps.append((VmcDecoder._count, self.dropped, "bad_arguments"))
        end_bones()
        return steps


_Step = tuple[Callable[[VmcDecoder, _Numbers, Any, Any, float, list[PoseFrame]], None], Any, Any]
_PLAIN = np.dtype(">f4")
_ROOT_BIT = 1 << len(HUMANOID)
_AT_ORIGIN = _STILL.tolist()


def _named_floats(args: tuple[Any, ...]) -> bool:
    """Whether the arguments are a name and at least seven numbers."""
    return len(args) >= 8 and isinstance(args[0], str) and all(isinstance(arg, osc.Slot) for arg in args[1:8])


def _bits(joints: Iterable[int]) -> int:
    return sum(1 << int(joint) for joint in joints)


def _narrow(numbers: _Numbers) -> _Numbers:
    """Numbers of any type as float32; what is too large for it becomes infinite."""
    if numbers.dtype != np.float64:
        return numbers
    with np.errstate(over="ignore", invalid="ignore"):
        return numbers.astype(np.float32)


def _far(bones: _Numbers) -> str | None:
    """Why numbers are no places on a stage, or None."""
    if np.vdot(bones, bones) <= FAR * FAR:  # NaN fails
        return None
    return "out_of_range" if np.isfinite(bones).all() else "not_finite"


def _no_rotation(squares: Array) -> str | None:
    """Whether one of some quaternions, of which these are the squared lengths, is none."""
    return "zero_rotation" if min(squares.tolist()) < 1e-6 else None
