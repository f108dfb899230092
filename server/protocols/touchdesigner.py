"""TouchDesigner's OSC In CHOP: one float an address, one address a channel, named as TD's own skeleton CHOPs do.

`/p1/hips:tx` becomes the channel `p1/hips:tx`. The CHOP reads no strings, and numbers a message of several floats in
ways that differ between builds, so a channel is a message. Rotations are Euler degrees in the rotate order of TD's
Object COMPs, whose first letter is turned first. Numbers only: no sockets here.
Names: derivative.ca Kinect Azure CHOP (`clavicle_l shoulder_l elbow_l wrist_l hip_l knee_l ankle_l foot_l`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from motion import kinematics
from motion import rotations as rot
from motion.skeleton import HUMANOID, Array, Skeleton
from server.protocols import osc
from server.protocols.frames import PoseFrame

CHANNELS = ("tx", "ty", "tz", "rx", "ry", "rz")
ROTATE_ORDERS = ("xyz", "xzy", "yxz", "yzx", "zxy", "zyx")
LOST_SECONDS = 0.1  # without a new frame for longer, the actor is not tracked
_WHOLE_FLOATS = 1 << 24  # a float32 counts so far

_LIMBS = {
    "Shoulder": "clavicle",
    "UpperArm": "shoulder",
    "LowerArm": "elbow",
    "Hand": "wrist",
    "UpperLeg": "hip",
    "LowerLeg": "knee",
    "Foot": "ankle",
    "Toes": "foot",
}


def joint_name(name: str) -> str:
    """A joint's name in TouchDesigner: LeftUpperArm is shoulder_l, UpperChest upper_chest, LeftEye eye_l."""
    side, rest = next(((s[0].lower(), name[len(s) :]) for s in ("Left", "Right") if name.startswith(s)), ("", name))
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", rest).lower()
    return f"{_LIMBS.get(rest, plain)}_{side}" if side else plain


def chosen_channels(patterns: Sequence[str], skeleton: Skeleton = HUMANOID) -> list[int]:
    """Places among the joints' channels, six a joint, that the patterns ask for, in the skeleton's order.

    A pattern is JOINT:CHANNEL with * and ? as in file names: "hips:tx", "*:r" (rx ry rz), "*_l:t", "head" (all six).
    Raises ValueError for one that asks for nothing, with the choices.
    """
    joints = [joint_name(name) for name in skeleton.names]
    channels = [f"{joint}:{channel}" for joint in joints for channel in CHANNELS]
    chosen: set[int] = set()
    for pattern in patterns:
        joint, colon, channel = pattern.partition(":")
        whole = f"{joint}:{channel if colon else '*'}{'?' if channel in ('t', 'r') else ''}"
        found = [place for place, name in enumerate(channels) if fnmatchcase(name, whole)]
        if not found:
            raise ValueError(
                f"no channel {pattern!r}; joints: {', '.join(joints)}; channels: {', '.join(CHANNELS)}, t, r or *"
            )
        chosen.update(found)
    return sorted(chosen)


class TouchDesignerEncoder:
    """Frames of one actor to channels: `/p<person>/tracked`, `/p<person>/id`, those asked for, and `/frame` last.

    channels: what `chosen_channels` reads. world: places and turns in the world, else relative to the joint above (the
    root's are the world's either way). flat: all channels as the floats of one message, `/p<person>/pose`, for a DAT or
    a Script CHOP. `tracked` falls to 0 where no new frame has come for 0.1 s. `/frame` counts from 0 to 16,777,215 and
    begins again. Not for two threads at once. Raises ValueError for an unknown rotate order or channel.
    """

    def __init__(
        self,
        skeleton: Skeleton = HUMANOID,
        person: int = 1,
        channels: Sequence[str] = ("*",),
        rotate_order: str = "xyz",
        world: bool = True,
        flat: bool = False,
        bundle: bool = True,
    ) -> None:
        if rotate_order not in ROTATE_ORDERS:
            raise ValueError(f"no rotate order {rotate_order!r}; choose from {', '.join(ROTATE_ORDERS)}")
        self._person, self._channels, self._world = person, tuple(channels), world
        self._flat, self._bundle = flat, bundle
        self._order = rotate_order[::-1]  # the last axis turned is the outermost
        self._columns = ["xyz".index(axis) for axis in self._order]
        self._number: int | None = None
        self._newest = 0.0
        self._prepare(skeleton)

    def encode(self, frame: PoseFrame) -> list[bytes]:
        """One frame as datagrams of at most 1,472 bytes."""
        if frame.skeleton is not self._skeleton and frame.skeleton.topology_hash != self._skeleton.topology_hash:
            self._prepare(frame.skeleton)
        if frame.number != self._number:
            self._number, self._newest = frame.number, frame.receive_time
        values = self._values
        values[0] = frame.receive_time - self._newest <= LOST_SECONDS
        values[2:-1] = self._numbers(frame).ravel()[self._chosen]
        values[-1] = frame.number % _WHOLE_FLOATS
        return self._template.fill(values)

    def _numbers(self, frame: PoseFrame) -> Array:
        """All channels, (J, 6)."""
        numbers = np.empty((len(frame.skeleton), 6))
        if self._world:
            numbers[:, :3], matrices = kinematics.forward(frame.skeleton, frame.root_position, frame.rotations)
        else:
            numbers[:, :3], matrices = frame.skeleton.offsets, rot.to_matrix(frame.rotations)
            numbers[0, :3] = frame.root_position
        if self._turns:
            numbers[:, 3:][:, self._columns] = np.degrees(rot.matrix_to_euler(self._order, matrices))
        return numbers

    def _prepare(self, skeleton: Skeleton) -> None:
        chosen = chosen_channels(self._channels, skeleton)
        slots = [osc.Slot(place) for place in range(len(chosen) + 3)]
        prefix = f"/p{self._person}"
        messages: list[osc.Message] = [(f"{prefix}/tracked", (slots[0],)), (f"{prefix}/id", (slots[1],))]
        if self._flat:
            messages.append((f"{prefix}/pose", tuple(slots[2:-1])))
        else:
            names = [f"{prefix}/{joint_name(skeleton.names[place // 6])}:{CHANNELS[place % 6]}" for place in chosen]
            messages += [(name, (slot,)) for name, slot in zip(names, slots[2:-1], strict=True)]
        messages.append(("/frame", (slots[-1],)))
        self._template = osc.Template(messages, bundle=self._bundle)
        self._values = np.empty(len(slots), dtype=np.float32)
        self._values[1] = self._person
        self._chosen: NDArray[np.intp] = np.array(chosen, dtype=np.intp)
        self._turns = any(place % 6 >= 3 for place in chosen)
        self._skeleton = skeleton
