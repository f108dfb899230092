"""Handles on the stage: a partner's hand, foot or head is taken and put where it is to be; dragging is telling.

Which points are pinned is the server's to say: a pin that somebody else sets shows up here, one that they free goes. A
checkbox takes hold of a point where it is at the moment. Only viser; what a person does leaves through `Remote`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import viser

from motion import kinematics
from motion.reach_goals import PINS
from motion.skeleton import HUMANOID, Array
from server.protocols.frames import PoseFrame
from server.stage_view.feed import Remote

TOUCH_SECONDS = 1.0  # for so long after a touch a handle stays where the person put it
SIZE = 0.22
_WORDS = {"LeftHand": "left hand", "RightHand": "right hand", "LeftFoot": "left foot", "RightFoot": "right foot"}


class Pins:
    """One partner's handles, and their checkboxes in a folder of the panel. One thread calls `update` and `see`."""

    def __init__(self, server: viser.ViserServer, partner: str, remote: Remote | None) -> None:
        self._scene, self._remote, self._partner = server.scene, remote, partner
        self.handles: dict[str, viser.TransformControlsHandle] = {}
        self._touched: dict[str, float] = {}
        self._joints: Array | None = None
        self._folder = server.gui.add_folder(f"{partner}: hold", expand_by_default=False)
        with self._folder:
            self.boxes = {point: self._box(server, point) for point in PINS}
            release = server.gui.add_button("Let go of everything", icon=viser.Icon.HAND_OFF)

        @release.on_click
        def _(_: viser.GuiEvent[Any]) -> None:
            self._touched.clear()
            self._tell("clear")

    def see(self, frames: Sequence[PoseFrame]) -> None:
        """The newest poses: where a point is taken hold of."""
        for frame in frames:
            if frame.actor == self._partner:
                self._joints = kinematics.global_positions(HUMANOID, frame.root_position, frame.rotations)

    def update(self, sample: Mapping[str, Any]) -> None:
        """What the server says of the partner's sampler. Raises KeyError, TypeError or ValueError for what is none."""
        pinned = {
            name.removeprefix("pin/"): np.array([float(number) for number in numbers[:3]])
            for name, numbers in sample["wishes"].items()
            if name.startswith("pin/")
        }
        now = time.monotonic()
        for point in PINS:
            if now - self._touched.get(point, -TOUCH_SECONDS) < TOUCH_SECONDS:
                continue
            self.boxes[point].value = point in pinned  # type: ignore[misc]  # viser decorates the setter
            if point not in pinned:
                self._drop(point)
            elif point in self.handles:
                self.handles[point].position = pinned[point]
            else:
                self._grasp(point, pinned[point])

    def remove(self) -> None:
        """Off the stage and off the panel."""
        for point in list(self.handles):
            self._drop(point)
        self._folder.remove()

    def _box(self, server: viser.ViserServer, point: str) -> viser.GuiCheckboxHandle:
        label = _WORDS.get(point, point.lower())
        box = server.gui.add_checkbox(label, False, hint=f"Takes hold of the {label} of {self._partner}")

        @box.on_update
        def _(event: viser.GuiEvent[Any]) -> None:
            if event.client_id is None:  # the figures, not a person
                return
            self._touched[point] = time.monotonic()
            if not box.value:
                self._drop(point)
                self._tell(f"free/{point}")
            elif self._joints is not None:
                self._grasp(point, self._joints[HUMANOID.index(point)])
                self._tell(f"pin/{point}", *self.handles[point].position)

        return box

    def _grasp(self, point: str, place: Array) -> None:
        handle = self._scene.add_transform_controls(
            f"/stage/pins/{self._partner}/{point}", scale=SIZE, disable_rotations=True, depth_test=False, position=place
        )
        self.handles[point] = handle

        @handle.on_update
        def _(event: viser.TransformControlsEvent) -> None:
            if event.client_id is not None:
                self._touched[point] = time.monotonic()
                self._tell(f"pin/{point}", *handle.position)

    def _drop(self, point: str) -> None:
        handle = self.handles.pop(point, None)
        if handle is not None:
            handle.remove()

    def _tell(self, wish: str, *numbers: float) -> None:
        if self._remote is not None:
            self._remote.tell(f"{self._partner}/sample/{wish}", *map(float, numbers))
