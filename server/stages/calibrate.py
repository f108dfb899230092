"""Sets a suit's zero right: applies the dancer's calibration, and measures a new one when somebody asks.

While a measurement counts down and gathers, the old calibration is used; one that fails changes nothing and says why.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from motion.calibration import Calibration, CalibrationError, Kind, Wishes, measure
from motion.manifest import Param
from server.params import Knobs
from server.protocols.frames import PoseFrame

GATHER_SECONDS = 0.5
MOST_FRAMES, ENOUGH_FRAMES = 512, 12  # that are gathered, that are looked at: it is done within one tick

State = Literal["none", "counting down", "measuring", "calibrated", "refused"]


class Calibrate:
    """HUMANOID frames of one dancer.

    calibration: what is applied, None for nothing; `changes` counts how often it was measured anew, so that who stores
    it sees it. state, about: for people. begin: measure as soon as it can be done.
    """

    params: tuple[Param, ...] = ()

    def __init__(
        self, wishes: Wishes | None = None, begin: Kind | None = None, calibration: Calibration | None = None
    ) -> None:
        self.calibration = calibration
        self.changes = 0
        self.state: State = "none" if calibration is None else "calibrated"
        self.about = "" if calibration is None else calibration.describe()
        self._wishes = wishes or Wishes()
        self._kind: Kind | None = None
        self._wait = 0.0
        self._gathered: list[PoseFrame] = []
        self._seconds = 0.0
        self._insists = False  # tries until it succeeds
        if begin is not None:
            self.begin(begin)
            self._insists = True

    def begin(self, kind: Kind, after: float = 0.0) -> None:
        """Measures half a second of frames (of a first frame, one), `after` seconds from now."""
        self._kind, self._wait, self._insists = kind, after, False
        self._gathered, self._seconds = [], 0.0
        self.state = "counting down" if after > 0.0 else "measuring"

    def forget(self) -> None:
        """The suit's own zero again."""
        self.calibration, self._kind = None, None
        self.state, self.about = "none", ""
        self.changes += 1

    def reset(self) -> None:
        """A calibration outlives a reset: it belongs to the suit, not to the moment."""

    def step(self, frame: PoseFrame, dt: float, params: Knobs) -> PoseFrame:
        if self._kind is not None:
            self._gather(frame, dt, self._kind)
        if self.calibration is None:
            return frame
        root_position, rotations = self.calibration.apply(frame.root_position, frame.rotations)
        return replace(frame, root_position=root_position, rotations=rotations)

    def _gather(self, frame: PoseFrame, dt: float, kind: Kind) -> None:
        if self._wait > 0.0:
            self._wait -= dt
            return
        self.state = "measuring"
        self._gathered.append(frame)
        self._seconds += dt
        if kind == "t_pose" and self._seconds < GATHER_SECONDS and len(self._gathered) < MOST_FRAMES:
            return
        some = self._gathered[:: max(1, len(self._gathered) // ENOUGH_FRAMES)]
        roots = np.array([each.root_position for each in some])
        rotations = np.array([each.rotations for each in some])
        self._kind, self._gathered, self._seconds = None, [], 0.0
        try:
            self.calibration = measure(kind, roots, rotations, self._wishes, self.calibration)
        except CalibrationError as error:
            self.state, self.about = "refused", str(error)
            if self._insists:
                self._kind = kind
            return
        self.state, self.about = "calibrated", self.calibration.describe()
        self.changes += 1
