"""A partner whose every next half second is drawn anew, by a model that can be told where to go and what to keep to.

The dancer's frames and what was shown of the partner are kept at the model's rate. Every HOP frames a worker is asked
for a plan (`motion_plan`), which is taken up DUE frames later, however early it was ready, so that a show repeats;
what differs between two plans melts away (`motion.inertia`), and feet that stand are held (`footing`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from functools import partial

import numpy as np

from motion import rotations as rot
from motion.ground_frames import facing
from motion.inertia import Inertia, Moving
from motion.manifest import Param
from motion.motion_layout import GROUPS, RATE
from motion.motion_vectors import Track
from motion.skeleton import HUMANOID, Array
from server.params import Knobs
from server.protocols.frames import PoseFrame
from server.stages.footing import FeetOfPlans
from server.stages.motion_plan import Asked, Plan
from server.stages.sample_wishes import Wishes
from server.stages.worker import Worker, inline

HOP, DUE = 4, 1  # frames at RATE
MEMORY = 1 - GROUPS[0][0]  # frames of the past that a question has
BESIDE = 0.9  # metres in front of a dancer where a partner begins
_EARLY = 1e-4  # of a frame


class SampledPartner:
    """expert: who plans. wishes: what is told over /sample, shared with the partner's `Sample`."""

    params: tuple[Param, ...] = (
        Param("variety", 0.2, 0.0, 1.5, 0.3, "how far the partner strays from what is most to be expected"),
    )

    def __init__(self, expert: Callable[[Asked], Plan], wishes: Wishes, worker: Worker = inline) -> None:
        self.wishes, self.counts = wishes, Counter[str]()
        self.infeasible: tuple[str, ...] = ()
        self._expert, self._run = expert, worker()
        self._inertia, self._feet = Inertia(), FeetOfPlans()
        self._asked: tuple[int, Future[Plan]] | None = None
        self._plan: Plan | None = None
        self._last: PoseFrame | None = None
        self._fresh = True  # the next question is the first
        self._time, self._grid = 0.0, 0
        self._dancer: list[tuple[Array, Array]] = []
        self._partner: list[tuple[Array, Array]] = []
        self._shown: list[tuple[Array, Array]] = []  # the newest two

    def reset(self) -> None:
        """Starts over beside the dancer's next frame, with the same chances as the first time."""
        self._inertia.reset()
        self._asked, self._plan, self._last, self._fresh = None, None, None, True

    def step(self, frame: PoseFrame, dt: float, params: Knobs) -> PoseFrame:
        if self._last is None:
            self._begin(frame)
        else:
            self._hear(self._last, frame, dt, params)
        self._last = frame
        assert self._plan is not None
        root, rotations = self._inertia.step(*self._plan.at(self._time * RATE), dt)
        root = root + self._feet.carried(dt) + np.array([0.0, self._feet.rise(root, rotations, dt), 0.0])
        rotations = self._feet.hold(root, rotations, dt)
        self._shown = [*self._shown[-1:], (root, rotations)]
        return replace(frame, skeleton=HUMANOID, root_position=root, rotations=rotations)

    def _begin(self, frame: PoseFrame) -> None:
        """The partner stands before the dancer, as if both had always stood like this."""
        yaw = float(facing(frame.rotations[0]))
        ahead = np.array([math.sin(yaw), 0.0, math.cos(yaw)])
        if self._shown:
            here = self._shown[-1]
        else:
            root = frame.root_position * [1.0, 0.0, 1.0] + BESIDE * ahead + [0.0, HUMANOID.offsets[0, 1], 0.0]
            rotations = np.tile(rot.IDENTITY, (len(HUMANOID), 1))
            rotations[0] = rot.yaw(yaw + math.pi)
            here = root, rotations
        self._time, self._grid = 0.0, 0
        self._dancer = [(frame.root_position, frame.rotations)] * MEMORY
        self._partner = [here] * MEMORY
        self._plan = Plan(0, np.repeat(here[0][None], 2, axis=0), np.repeat(here[1][None], 2, axis=0))

    def _hear(self, last: PoseFrame, frame: PoseFrame, dt: float, params: Knobs) -> None:
        """Puts the time since the last frame on the grid; asks, and takes what is due, where a frame of it has come."""
        before, self._time = self._time, self._time + dt
        newest = math.floor(self._time * RATE + _EARLY)
        for number in range(self._grid + 1, min(newest, self._grid + 2 * MEMORY) + 1):
            share = min(max((number / RATE - before) / dt, 0.0), 1.0)
            root = last.root_position + share * (frame.root_position - last.root_position)
            self._dancer = [*self._dancer[1 - MEMORY :], (root, rot.slerp(last.rotations, frame.rotations, share))]
            self._partner = [*self._partner[1 - MEMORY :], self._shown[-1]]
            self._grid = number
            self._take(dt)
            if number % HOP == 0:
                self._ask(params)
        self._grid = newest

    def _ask(self, params: Knobs) -> None:
        if self._asked is not None:
            self.counts["left_out_plans"] += 1
            return
        wishes, dancer = self.wishes, _track(self._dancer)
        asked = Asked(
            self._grid,
            _track(self._partner),
            dancer,
            float(params["variety"]),
            wishes.goto,
            wishes.facing,
            tuple(wishes.circles(dancer.positions[-1])),
            tuple(wishes.limits),
            self._fresh,
        )
        self._fresh = False
        self._asked = self._grid, self._run(partial(self._expert, asked))

    def _take(self, dt: float) -> None:
        """A plan that is due takes over; what was shown until now melts into it. Raises what the worker raised."""
        if self._asked is None or self._plan is None:
            return
        asked, future = self._asked
        if self._grid < asked + DUE:
            return
        if not future.done():
            self.counts["late_plans"] += self._grid == asked + DUE
            return
        self._asked = None
        plan = future.result()
        now = self._time * RATE
        if len(self._shown) == 2:
            coming = Moving.of(plan.at(now - dt * RATE), plan.at(now), dt)
            self._inertia.seam(Moving.of(self._shown[0], self._shown[1], dt), coming)
        self._plan, self.infeasible = plan, plan.infeasible
        self._feet.put_down()


def _track(poses: list[tuple[Array, Array]]) -> Track:
    return Track(np.array([root for root, _ in poses]), np.array([rotations for _, rotations in poses]))
