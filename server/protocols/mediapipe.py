"""MediaPipe's 33 landmarks coming in by OSC, one message a person, to frames of one person. No sockets here.

Each landmark is x y z visibility, 132 numbers in all (or x y z, 99; or with one number in front, 133), at any address:
there is no standard, and a dozen programs. World landmarks are metres around the hips' middle; picture landmarks are
shares of the picture's sides, with a depth relative to the hips. The hips tell them apart: at 0 0 or not. The axes of
both are the picture's: x to the right, y down, z away from the camera.
Format: MediaPipe's Pose Landmarker. Peers: github.com/cansik/mediapipe-osc (`/mediapipe/pose`, 133 numbers, a mirrored
picture) and relatives, port 7500 by habit.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from motion.keypoint_body import POINTS, SIDES, believable
from motion.skeleton import Array
from server.protocols.camera import Kind, PersonChoice, SeenPerson, View, count_unknown
from server.protocols.camera_osc import OscBodies
from server.protocols.frames import PoseFrame

_NAMES = """
    Nose LeftEyeInner LeftEye LeftEyeOuter RightEyeInner RightEye RightEyeOuter LeftEar RightEar LeftMouth RightMouth
    LeftShoulder RightShoulder LeftElbow RightElbow LeftWrist RightWrist LeftPinky RightPinky LeftIndex RightIndex
    LeftThumb RightThumb LeftHip RightHip LeftKnee RightKnee LeftAnkle RightAnkle LeftHeel RightHeel LeftToe RightToe
"""
LANDMARKS = tuple(_NAMES.split())
USUAL_VISIBILITY = 0.5
_PLACES = np.array([LANDMARKS.index(name) for name in POINTS])
_HIPS, _SHOULDERS = ([LANDMARKS.index(side + point) for side in SIDES] for point in ("Hip", "Shoulder"))
_BOTH = np.ones(2, dtype=bool)
AROUND_HIPS = 0.1  # of the trunk's length: no further from 0 0 are the hips of world landmarks (measured: 0.01)
KINDS: dict[str, Kind | None] = {"auto": None, "world": "world", "image": "image"}


class MediapipeDecoder:
    """One sender's datagrams to frames of one person, on HUMANOID's joints with the bones that are seen.

    person: <n> of the address; None is the first who comes, kept until a second after they were last seen. landmarks:
    "world", "image", or "auto". view: how the camera looks at the stage. World landmarks know no place: the person
    stays over the stage's origin and the lower foot stands on the floor. `dropped`: nobody (the sender says so),
    not_visible, out_of_range. `unknown` counts other people and addresses. Raises ValueError for other landmarks.
    """

    protocol = "MediaPipe"

    def __init__(
        self, actor: str = "", person: int | None = None, landmarks: str = "auto", view: View | None = None
    ) -> None:
        if landmarks not in KINDS:
            raise ValueError(f"no landmarks {landmarks!r}; choose from {', '.join(KINDS)}")
        self.unknown: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.deadline: float | None = None  # a message is a whole frame: nothing stays open
        self.numbering = None
        count = len(LANDMARKS)
        self._bodies = OscBodies(
            count, (4, 3), f"a person is {count} landmarks of x y z visibility, {4 * count} numbers"
        )
        self._choice = PersonChoice(person)
        self._given = KINDS[landmarks]
        self._kind: Kind = "world"
        self._person = SeenPerson(view or View(), actor, self.dropped, USUAL_VISIBILITY)

    def feed(self, datagram: bytes | memoryview, receive_time: float) -> list[PoseFrame]:
        """The dancer's frame, none if they are not in the picture. Raises PacketError."""
        people, nobody, strangers = self._bodies.read(datagram)
        for address in strangers:
            count_unknown(self.unknown, address)
        if nobody:
            self.dropped["nobody"] += nobody
        place = self._choice.pick(list(people), receive_time)
        for other, number in enumerate(people):
            if other != place:
                count_unknown(self.unknown, f"person {number}")
        if place is None:
            return []
        rows = list(people.values())[place]
        confidence = rows[_PLACES, 3] if rows.shape[1] == 4 else np.ones(len(_PLACES))
        return self._person.frame(rows[_PLACES, :3], confidence, self._kind_of(rows), receive_time)

    def flush(self, now: float) -> list[PoseFrame]:
        """Nothing: a message is a whole frame."""
        return []

    def _kind_of(self, rows: Array) -> Kind:
        """The detector places even hips that it does not see, so they are asked for in every frame."""
        if self._given is not None:
            return self._given
        hips, seen = believable(rows[_HIPS, :3], _BOTH)
        shoulders, also_seen = believable(rows[_SHOULDERS, :3], _BOTH)
        middle = hips.mean(axis=0)
        trunk = float(np.abs(shoulders.mean(axis=0) - middle).max())
        if seen.all() and also_seen.all() and trunk > 0.0:
            self._kind = "world" if np.abs(middle[:2]).max() < AROUND_HIPS * trunk else "image"
        return self._kind
