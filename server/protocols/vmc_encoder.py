"""VMC V3.1, out: a pose to datagrams. No sockets here. The axes are Unity's, by the specification.

Receivers apply bone positions, so real rest offsets go out: the actor's own, or those of the avatar that stands there.
Only the types i f s are used, since others break Unity's parsers, and the time is told exactly once, last.
Spec: https://protocol.vmc.info/english (sh-akira/VirtualMotionCaptureProtocol). One port per person: VMC has no actor.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motion import rotations as rot
from motion.skeleton import HUMANOID, Array, Skeleton
from server.protocols import osc
from server.protocols.frames import PoseFrame
from server.protocols.vmc_bones import BONE, OK, POSITION_SIGNS, ROOT, ROTATION_SIGNS, TIME, unity_names, vrm_name

_AT_ORIGIN = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)


class VmcEncoder:
    """Frames of one actor to datagrams: OK, Root, the bones with their rest offsets, and the time once, last.

    vrm: 0 for Unity's and VRM 0's names of thumbs, 1 for VRM 1.0's. avatar: the body the receiver shows (Unity's bone
    names, T-pose): its offsets go out, its legs carry the hips, and the turn of a bone it lacks is its children's.
    A frame without a sender_time gets the seconds between `start_time` (perf_counter clock; the first frame's by
    default) and its receive_time. Not for two threads at once.
    Raises ValueError for a skeleton with a joint that is no Unity bone.
    """

    def __init__(
        self,
        skeleton: Skeleton = HUMANOID,
        actor: str = "",
        bundle: bool = True,
        start_time: float | None = None,
        vrm: int = 0,
        avatar: Skeleton | None = None,
    ) -> None:
        self._actor = actor
        self._bundle = bundle
        self._start_time = start_time
        self._vrm = vrm
        self._avatar = avatar
        self._prepare(skeleton)

    def encode(self, frame: PoseFrame) -> list[bytes]:
        """One frame as datagrams of at most 1,472 bytes. Raises ValueError when a joint of it is no Unity bone."""
        if frame.skeleton is not self._skeleton:
            self._prepare(frame.skeleton)
        time = frame.sender_time
        if time is None:
            if self._start_time is None:
                self._start_time = frame.receive_time
            time = frame.receive_time - self._start_time
        rotations = frame.rotations
        if self._missing:
            rotations = self._folded(rotations)
        values = self._values
        values[:3] = frame.root_position * self._root_factors + self._root_shift
        np.multiply(rotations, ROTATION_SIGNS, out=self._rotations, casting="same_kind")
        values[-1] = time
        return self._template.fill(values)

    def _folded(self, rotations: Array) -> Array:
        """The rotations of the bones the avatar has: what it lacks turns the bones that hang there."""
        rotations = rotations.copy()
        for joint, children in self._missing:
            rotations[children] = rot.multiply(rotations[joint], rotations[children])
        return rotations[self._sent]

    def _prepare(self, skeleton: Skeleton) -> None:
        try:
            names = unity_names(skeleton.names)
        except ValueError as error:
            raise ValueError(f"actor {self._actor!r}: {error}") from None
        offsets, scale, shift = dict(zip(names, skeleton.offsets, strict=True)), 1.0, 0.0
        if self._avatar is not None:
            offsets = dict(zip(self._avatar.names, self._avatar.offsets, strict=True))
            scale = _leg(self._avatar, self._avatar.names) / _leg(skeleton, names)
            shift = float(self._avatar.offsets[0, 1] - scale * skeleton.offsets[0, 1])
        sent = [joint for joint, name in enumerate(names) if name in offsets]
        self._sent = np.array(sent, dtype=np.intp)
        self._missing = _children(skeleton, set(range(len(names))) - set(sent))
        self._root_factors: Array = POSITION_SIGNS * scale
        self._root_shift: Array = np.array([0.0, shift, 0.0])

        slots = [osc.Slot(place) for place in range(3 + 4 * len(sent) + 1)]
        messages: list[osc.Message] = [(OK, (1,)), (ROOT, ("root", *_AT_ORIGIN))]
        for place, joint in enumerate(sent):
            position = slots[:3] if joint == 0 else (offsets[names[joint]] * POSITION_SIGNS).tolist()
            rotation = slots[3 + 4 * place : 7 + 4 * place]
            messages.append((BONE, (vrm_name(names[joint], self._vrm), *position, *rotation)))
        messages.append((TIME, (slots[-1],)))
        self._template = osc.Template(messages, bundle=self._bundle)
        self._values = np.empty(len(slots), dtype=np.float32)
        self._rotations = self._values[3:-1].reshape(-1, 4)
        self._skeleton = skeleton


def _children(skeleton: Skeleton, joints: set[int]) -> list[tuple[int, NDArray[np.intp]]]:
    """Some joints, parents first, each with the joints that hang on it."""
    parents = np.array(skeleton.parents)
    return [(joint, np.flatnonzero(parents == joint)) for joint in sorted(joints)]


def _leg(skeleton: Skeleton, names: list[str] | tuple[str, ...]) -> float:
    """How far the hips are above the ankles at rest, metres; above the lowest joint where there is no ankle."""
    if "LeftFoot" not in names:
        return skeleton.hip_height
    return float(skeleton.rest_positions[0, 1] - skeleton.rest_positions[list(names).index("LeftFoot"), 1])
