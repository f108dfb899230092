"""What a camera sees of one person, to frames of poses: axes, units, and whose points they are. No sockets here.

A camera is no suit: it knows the points it sees, in a picture's units, of everybody who walks by.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from motion.keypoint_body import MIRRORED, Bools, believable
from motion.keypoint_depth import DepthLift
from motion.keypoints import KeypointFitter
from motion.skeleton import Array
from server.protocols.frames import FAR, PoseFrame

# What the numbers are: metres around the hips; a picture's sides from 0 to 1 with a depth; a room with any unit; a
# picture without depth.
Kind = Literal["world", "image", "room", "flat"]
# Where our left, up and ahead are, for somebody who faces the camera.
AXES = {
    "picture": (1.0, -1.0, -1.0),  # x to the right, y down, z away: MediaPipe and OpenPose
    "y_up": (1.0, 1.0, 1.0),  # the project's own: y up, z towards the camera
    "unity": (1.0, 1.0, -1.0),  # y up, z away
}
PAUSE = 1.0  # seconds out of sight after which another person may take over, and bones are measured anew
LONGEST_STEP = 0.25  # seconds
LARGEST_SHARE = 2.0  # of a picture's side, for somebody half outside; what is larger is pixels
MAX_UNKNOWN = 64


@dataclass(frozen=True)
class View:
    """How a camera looks at the stage, the same for every protocol.

    mirror: the picture is a mirror's (a selfie's), or the dancer shall be their mirror image. axes: one of AXES. scale:
    metres per unit, or "auto": the body is taken to be HUMANOID's height. aspect: width over height of the picture,
    used where coordinates are shares of its sides, depth being one of its width. tilt: degrees by which the camera
    looks down. visibility: a point the detector is less sure of is not believed; None is the protocol's usual.
    Raises ValueError naming the value and the choices.
    """

    mirror: bool = False
    axes: str = "picture"
    scale: float | Literal["auto"] = "auto"
    aspect: float = 4.0 / 3.0
    tilt: float = 0.0
    visibility: float | None = None

    def __post_init__(self) -> None:
        if self.axes not in AXES:
            raise ValueError(f"no axes {self.axes!r}; choose from {', '.join(AXES)}")
        if self.scale != "auto" and not (isinstance(self.scale, int | float) and 0.0 < self.scale < math.inf):
            raise ValueError(f"scale must be 'auto' or a positive number, not {self.scale!r}")
        if not 0.1 <= self.aspect <= 10.0:
            raise ValueError(f"aspect must be the picture's width over its height, 0.1 to 10, not {self.aspect!r}")
        if not -90.0 <= self.tilt <= 90.0:
            raise ValueError(f"tilt must be from -90 to 90 degrees, not {self.tilt!r}")
        if self.visibility is not None and not 0.0 <= self.visibility <= 1.0:
            raise ValueError(f"visibility must be from 0 to 1, not {self.visibility!r}")


class SeenPerson:
    """One person's points, in the sender's axes, to frames. `dropped` is the decoder's own counter."""

    def __init__(self, view: View, actor: str, dropped: Counter[str], usual_visibility: float) -> None:
        self._view = view
        self._visibility = usual_visibility if view.visibility is None else view.visibility
        self._actor = actor
        self._dropped = dropped
        self._number = 0
        self._kind: Kind | None = None
        self._seen_at = -math.inf
        self._fitter, self._lift = KeypointFitter(), DepthLift()
        self._centre = np.zeros(3)
        self._order = MIRRORED if view.mirror else np.arange(len(MIRRORED))
        tilt = math.radians(view.tilt)
        tilted = np.array([[1, 0, 0], [0, math.cos(tilt), math.sin(tilt)], [0, -math.sin(tilt), math.cos(tilt)]])
        self._tilt: Array = tilted.T
        self._axes: Array = np.array(AXES[view.axes]) * (-1.0 if view.mirror else 1.0, 1.0, 1.0)
        self._signs = self._axes

    def frame(self, points: Array, confidence: Array, kind: Kind, now: float) -> list[PoseFrame]:
        """One frame, none where too little is seen.

        points: (25, 3) in the order of POINTS, any numbers. confidence: (25,) 0 to 1, NaN is none.
        """
        points, seen = believable(points, confidence >= self._visibility)
        if kind != self._kind or now - self._seen_at >= PAUSE:
            self._begin(points, seen, kind)
        dt = min(max(now - self._seen_at, 0.001), LONGEST_STEP)
        points, seen = ((points - self._centre) * self._signs)[self._order], seen[self._order]
        if kind == "flat":
            points = self._lift.lift(points, seen, dt)
        pose = self._fitter.fit(points @ self._tilt, seen, dt)
        if pose is None:
            self._dropped["not_visible"] += 1
            return []
        self._seen_at = now
        if not np.abs(pose.root_position).max() <= FAR:
            self._dropped["out_of_range"] += 1
            return []
        self._number += 1
        skeleton, root = pose.skeleton, pose.root_position
        return [PoseFrame(skeleton, root, pose.rotations, None, now, self._number, self._actor)]

    def _begin(self, points: Array, seen: Bools, kind: Kind) -> None:
        scale = None if self._view.scale == "auto" else float(self._view.scale)
        if kind == "world" and scale is None:
            scale = 1.0
        self._kind = kind
        self._fitter, self._lift = KeypointFitter(scale, floating=kind == "world"), DepthLift()
        self._centre = np.array([0.5, 0.5, 0.0]) if kind == "image" else np.zeros(3)
        if kind == "flat" and seen.any():  # nobody tells how wide the picture is
            self._centre = points[seen].mean(axis=0) * (1.0, 0.0, 0.0)
        shares = kind == "image" or (kind == "flat" and np.abs(points).max() <= LARGEST_SHARE)
        self._signs = self._axes * (self._view.aspect, 1.0, self._view.aspect) if shares else self._axes


class PersonChoice:
    """Which of those in the picture is the dancer.

    wanted: a number, or None for the first who is seen: they are kept until they were out of sight for a second. Who
    has no number is the one nearest to where the dancer was last.
    """

    def __init__(self, wanted: int | None) -> None:
        self._wanted = wanted
        self._number: int | None = None
        self._place: Array | None = None
        self._seen_at = -math.inf

    def pick(self, numbers: Sequence[int | None], now: float, where: Sequence[Array] = ()) -> int | None:
        """The dancer's place in the list. numbers: None for everybody where one has none; then where: (2,) each."""
        place = self._find(numbers, where, now - self._seen_at < PAUSE)
        if place is not None:
            self._number, self._seen_at = numbers[place], now
            self._place = where[place] if where else None
        return place

    def _find(self, numbers: Sequence[int | None], where: Sequence[Array], is_there: bool) -> int | None:
        if not numbers:
            return None
        if self._wanted is not None:
            if self._wanted in numbers:
                return numbers.index(self._wanted)
            return self._wanted if numbers[0] is None and self._wanted < len(numbers) else None
        if not is_there:
            return 0
        if numbers[0] is None:
            return 0 if self._place is None else int(np.abs(np.array(where) - self._place).sum(axis=1).argmin())
        return numbers.index(self._number) if self._number in numbers else None


def count_unknown(unknown: Counter[str], name: str) -> None:
    unknown[name if name in unknown or len(unknown) < MAX_UNKNOWN else "(others)"] += 1
