"""Xsens MVN's network stream, in: poses, T-poses and names of one character to frames. No sockets here.

A sample is a global position and rotation a segment, in one datagram or several; 23 segments make a body. The
specification says centimetres, MVN sends metres: a head more than 5 units from its pelvis tells which. Several people
share port 9763, told apart by a character number. The bytes are `xsens_packets`' affair.
"""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from motion import kinematics
from motion import rotations as rot
from motion.skeleton import Array, Skeleton
from server.protocols.bodies import standing
from server.protocols.frames import FAR, PacketError, PoseFrame
from server.protocols.numbering import Numbering
from server.protocols.xsens_packets import BODY, PARENTS, SEGMENTS, Header, Pose, TPose, decode

_BESIDE = range(20, 26)  # joint angles, kinematics, centre of mass, time code: sent beside a pose, not instead of it
_LONGEST_IN_METRES = 5.0  # from pelvis to head
_SHORTEST = 0.05  # metres, likewise: less is no body
_CHANGED, _MOVED, _LOOK_AGAIN = 1e-4, 0.01, 1.0  # metres in a T-pose, metres in a pose, seconds

_PARENTS_OF_REST = np.array(PARENTS[1:], dtype=np.intp)
_HIERARCHY = Skeleton(SEGMENTS, PARENTS, np.zeros((BODY, 3)))


class XsensDecoder:
    """One sender's datagrams to frames of one character on Xsens' 23 segments.

    character: its number, None takes the first that is heard. The bone lengths are the T-pose's; until there is one
    they are measured in the pose. `meta` is what the sender says of the character, `numbering` knows what was lost.
    """

    protocol = "Xsens"

    def __init__(self, actor: str = "", character: int | None = None) -> None:
        self.unknown: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.deadline: float | None = None
        self.numbering = Numbering()
        self.meta: dict[str, str] = {}
        self._actor = actor
        self._character = character
        self._open = _Parts()
        self._open_sample = -1
        self._t_pose = _Parts()
        self._skeleton: Skeleton | None = None
        self._told = False  # whether the skeleton is a T-pose's
        self._measured = -math.inf

    def feed(self, datagram: bytes | memoryview, receive_time: float) -> list[PoseFrame]:
        """The frame this datagram makes whole, if it does. Raises PacketError."""
        header, content = decode(datagram)
        if content is None:
            if header.kind not in _BESIDE:
                self.unknown[f"MXTP{header.kind:02d}"] += 1
            return []
        if self._character is None:
            self._character = header.character
        if header.character != self._character:
            self.dropped["other_character"] += 1
            return []
        if isinstance(content, Pose):
            return self._take_pose(header, content, receive_time)
        if isinstance(content, TPose):
            self._take_t_pose(content)
        else:
            self.meta = content
        return []

    def flush(self, now: float) -> list[PoseFrame]:
        """Nothing: a sample that lost a part has no pose."""
        return []

    def _take_pose(self, header: Header, pose: Pose, receive_time: float) -> list[PoseFrame]:
        if not len(pose.places):
            return []  # the fingers of a sample too long for one datagram
        if header.sample != self._open_sample:
            if not self._open.empty:
                self.dropped["incomplete"] += 1
            self._open.clear()
            self._open_sample = header.sample
        self._open.add(pose.places, pose.positions, pose.rotations)
        if not self._open.whole:
            return []
        self._open.clear()
        positions = self._open.positions * metres_per_unit(self._open.positions)
        rotations = self._open.rotations
        if np.abs(positions).max() > FAR:
            raise PacketError(
                f"sample {header.sample}: with its pelvis at {positions[0].tolist()} it is beyond {FAR:g} m"
            )
        skeleton = self._measure(positions, rotations, receive_time)
        self.numbering.note(header.sample)
        return [
            PoseFrame(
                skeleton=skeleton,
                root_position=positions[0],
                rotations=kinematics.global_to_local(_HIERARCHY, rotations),
                sender_time=header.time,
                receive_time=receive_time,
                number=header.sample,
                actor=self._actor,
            )
        ]

    def _measure(self, positions: Array, rotations: Array, now: float) -> Skeleton:
        """The skeleton for a pose: the T-pose's, or one from the pose, looked at anew every second."""
        if self._skeleton is not None and (self._told or now - self._measured < _LOOK_AGAIN):
            return self._skeleton
        bones = positions[1:] - positions[_PARENTS_OF_REST]
        offsets = np.zeros((BODY, 3))
        offsets[1:] = rot.rotate(rot.inverse(rotations[_PARENTS_OF_REST]), bones)
        self._measured = now
        return self._change_skeleton(offsets, _MOVED)

    def _take_t_pose(self, t_pose: TPose) -> None:
        self._t_pose.add(t_pose.places, t_pose.positions, rot.IDENTITY)
        if not self._t_pose.whole:
            return
        self._t_pose.clear()
        positions = self._t_pose.positions * metres_per_unit(self._t_pose.positions)
        offsets = np.zeros((BODY, 3))
        offsets[1:] = positions[1:] - positions[_PARENTS_OF_REST]
        self._change_skeleton(offsets, _CHANGED)
        self._told = True

    def _change_skeleton(self, offsets: Array, tolerance: float) -> Skeleton:
        known = self._skeleton
        if known is None or np.abs(known.offsets[1:] - offsets[1:]).max() > tolerance:
            known = self._skeleton = standing(SEGMENTS, PARENTS, offsets)
        return known


def metres_per_unit(positions: Array) -> float:
    """1 or 0.01, from the positions (23, 3) of a body. Raises PacketError for what is no body in either unit."""
    length = float(np.linalg.norm(positions[SEGMENTS.index("Head")] - positions[0]))
    unit = 0.01 if length > _LONGEST_IN_METRES else 1.0
    if not _SHORTEST <= unit * length <= _LONGEST_IN_METRES:
        raise PacketError(f"the head is {length:g} from the pelvis: no body in metres or centimetres")
    return unit


class _Parts:
    """The segments of a body as they come in, in one datagram or several."""

    def __init__(self) -> None:
        self.positions: Array = np.zeros((BODY, 3))
        self.rotations: Array = np.zeros((BODY, 4))
        self._here = np.zeros(BODY, dtype=np.bool_)

    @property
    def empty(self) -> bool:
        return not self._here.any()

    @property
    def whole(self) -> bool:
        return bool(self._here.all())

    def add(self, places: NDArray[np.intp] | list[int], positions: Array, rotations: Array) -> None:
        self.positions[places] = positions
        self.rotations[places] = rotations
        self._here[places] = True

    def clear(self) -> None:
        self._here[:] = False
