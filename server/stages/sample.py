"""A partner who is told where hands, feet and head are to be, and dances on.

Every few frames an expert is asked for a pose near the one that is danced that does what is wished (`pose_expert`).
What it differs in is laid over the dance, eased, so the dance goes on beneath; between two answers hands and feet that
are pinned are held by their own limb. Where nothing is wished, nothing is changed and nothing is asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from functools import partial

import numpy as np

from motion import kinematics
from motion import rotations as rot
from motion.limbs import ARMS, LEGS, bent
from motion.manifest import Param
from motion.reach_goals import Pin
from motion.skeleton import HUMANOID, Array
from server.params import Knobs
from server.protocols.frames import PoseFrame
from server.stages.pose_expert import Answer, Asked
from server.stages.sample_wishes import Wishes
from server.stages.worker import Worker, inline

EASE_HALF_LIFE = 0.06  # seconds, of what is laid over the dance
BACK_HALF_LIFE = 0.4  # seconds, of a way that circles took and do not ask for any more
HOLD_SECONDS = 0.4  # until a limb holds its pin, and until it has let go
_LIMBS = {limb.end: limb for limb in (*ARMS, *LEGS)}
_FEET = tuple(limb.end for limb in LEGS)
_NOTHING = Answer(np.zeros(3), np.tile(rot.IDENTITY, (len(HUMANOID), 1)))


class Sample:
    """expert: who is asked, where the worker is. every: frames from one question to the next. wishes: the preset's."""

    params: tuple[Param, ...] = (
        Param("sampling", 1.0, 0.0, 1.0, 0.3, "0: dances on; 1: does what /sample is told: pins, limits"),
    )

    def __init__(
        self,
        expert: Callable[[Asked], Answer],
        every: int = 4,
        wishes: Wishes | None = None,
        worker: Worker = inline,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.wishes = Wishes() if wishes is None else wishes
        self.answer = _NOTHING
        self._expert, self._every, self._run = expert, every, worker()
        self._asked: Future[Answer] | None = None
        self._frames = 0  # since the last question
        self._root, self._turns = _NOTHING.root, _NOTHING.rotations  # what is laid over the dance now
        self._held = dict.fromkeys(_LIMBS, 0.0)  # how firmly, 0 to 1
        self._places: dict[str, Array] = {}  # where limbs were held last
        self._kept, self._push = 0.0, _NOTHING.root  # how firmly circles are kept, and what they took
        self._shown: tuple[Array, Array] | None = None
        self._later: Callable[[], None] | None = None  # what `rest` is for
        self._dancer: PoseFrame | None = None

    @property
    def watch(self) -> Watch:
        """A stage before the model: the dancer, whose joints pins may follow, passes through it."""
        return Watch(self)

    def see(self, dancer: PoseFrame) -> None:
        """The dancer's frame that comes before the next step."""
        self._dancer = dancer

    def reset(self) -> None:
        """What is wished outlives a reset, and so does what is seen."""

    def step(self, frame: PoseFrame, dt: float, params: Knobs) -> PoseFrame:
        share = params["sampling"]
        wanted = self.wishes.of_poses and share > 0.0
        if not wanted and self._asked is None and self._is_at_rest():
            self._shown = self._later = None
            return frame
        self.rest()  # where nobody left time for it
        root, rotations = frame.root_position + self._root, rot.multiply(frame.rotations, self._turns)
        danced, body, dancer = self._joints(frame, root, rotations, wanted)
        away = share * self._pushed(danced, dancer, dt)
        danced, root, body = danced + away, root + away, (body[0] + away, body[1])
        pins = self.wishes.pins(dancer) if wanted else []
        held = {pin.joint: np.asarray(pin.position) for pin in pins}
        rotations = self._limbs(body, rotations, held, danced, share, dt)
        if self._kept == 1.0:
            positions = body[0]
            if not self.wishes.circles_hips_alone:
                positions = kinematics.global_positions(HUMANOID, root, rotations)
            root = root + share * self.wishes.pushed(positions, dancer, _NOTHING.root)
        self._shown = root, rotations
        asking = partial(self._question, frame.root_position + away, frame.rotations, danced, pins, dancer)
        self._later = partial(self._go_on, asking if wanted else None, share if wanted else 0.0, dt)
        return replace(frame, root_position=root, rotations=rotations)

    def rest(self) -> None:
        """The pose has left: what the next step can do without, but the one after it cannot."""
        later, self._later = self._later, None
        if later is not None:
            later()

    def _go_on(self, asking: Callable[[], None] | None, share: float, dt: float) -> None:
        """Takes the worker's answer, asks for another one, and lays more of it over the dance."""
        self._take(asking is not None)
        if asking is None:
            self.answer = _NOTHING
        elif self._is_due():
            asking()
            self._take(True)
        self._ease(share, dt)

    def _is_at_rest(self) -> bool:
        """Whether nothing is laid over the dance any more; what is left of it is let go."""
        if any(self._held.values()) or self._kept or float(np.abs(self._root).max()) > 1e-4:
            return False
        if float(np.abs(self._turns[:, :3]).max()) > 1e-4:
            return False
        self._root, self._turns, self.answer = _NOTHING.root, _NOTHING.rotations, _NOTHING
        return True

    def _joints(
        self, frame: PoseFrame, root: Array, rotations: Array, wanted: bool
    ) -> tuple[Array, tuple[Array, Array], Array | None]:
        """Of what is danced the joints (22, 3), of what is shown joints and matrices, of the dancer the joints where
        they matter.
        """
        roots, turns = [frame.root_position, root], [frame.rotations, rotations]
        sees = wanted and self._dancer is not None and self.wishes.about_dancer
        if sees and self._dancer is not None:
            roots.append(self._dancer.root_position)
            turns.append(self._dancer.rotations)
        positions, matrices = kinematics.forward(HUMANOID, np.array(roots), np.array(turns))
        return positions[0], (positions[1], matrices[1]), positions[2] if sees else None

    def _is_due(self) -> bool:
        """Whether the worker is to be asked now; it may still be busy with the last question."""
        self._frames += 1
        if self._frames < self._every and self.answer is not _NOTHING:
            return False
        self.counts["late_samples"] += self._asked is not None and self._frames == self._every
        return self._asked is None

    def _question(self, root: Array, rotations: Array, danced: Array, pins: list[Pin], dancer: Array | None) -> None:
        self._frames = 0
        shown = danced if self._shown is None else kinematics.global_positions(HUMANOID, *self._shown)
        walls = self.wishes.half_spaces(danced, dancer)
        asked = Asked(root, rotations, danced, shown, tuple(pins), tuple(walls), tuple(self.wishes.priors()))
        self._asked = self._run(partial(self._expert, asked))

    def _take(self, wanted: bool) -> None:
        """The worker's newest answer, if it has one."""
        if self._asked is None or not self._asked.done():
            return
        asked, self._asked = self._asked, None
        try:
            answer = asked.result()
        except Exception:  # whatever a model raises, the dance goes on
            self.counts["sampler_faults"] += 1
            return
        self.answer = answer if wanted else _NOTHING

    def _ease(self, share: float, dt: float) -> None:
        """What is laid over the dance goes towards the answer."""
        near = 1.0 - 0.5 ** (dt / EASE_HALF_LIFE)
        self._root = self._root + near * (share * self.answer.root - self._root)
        wanted = self.answer.rotations if share == 1.0 else rot.slerp(rot.IDENTITY, self.answer.rotations, share)
        self._turns = rot.nlerp(self._turns, wanted, near)

    def _pushed(self, danced: Array, dancer: Array | None, dt: float) -> Array:
        """How far the body, joints at (22, 3), is moved on the floor so that it keeps within circles, (3,) metres."""
        circled = self.wishes.has_circles
        if not (circled or self._kept):
            return _NOTHING.root
        self._kept = min(max(self._kept + (dt if circled else -dt) / HOLD_SECONDS, 0.0), 1.0)
        if circled:
            start = self._push * 0.5 ** (dt / BACK_HALF_LIFE)  # from where they were: round a dancer, not through them
            self._push = self.wishes.pushed(danced, dancer, start)
        return _smooth(self._kept) * self._push

    def _limbs(
        self,
        body: tuple[Array, Array],
        rotations: Array,
        held: dict[str, Array],
        danced: Array,
        share: float,
        dt: float,
    ) -> Array:
        """The rotations with pinned hands and feet at their places, and feet that nobody pins where they dance."""
        step = dt / HOLD_SECONDS
        for end in _LIMBS:
            self._held[end] = min(max(self._held[end] + (step if end in held else -step), 0.0), 1.0)
        if not any(self._held.values()):
            return rotations
        moved, shifts = [], []
        for end, limb in _LIMBS.items():
            firm, joint = self._held[end], HUMANOID.index(end)
            if not firm and end not in _FEET:
                continue
            wanted = danced[joint] if end in _FEET else body[0][joint]
            if firm:
                self._places[end] = held.get(end, self._places.get(end, wanted))
                wanted = wanted + share * _smooth(firm) * (self._places[end] - wanted)
            moved.append(limb)
            shifts.append(wanted - body[0][joint])
        return bent(HUMANOID, body, rotations, tuple(moved), np.array(shifts))


class Watch:
    """Shows a partner's dancer to its sampler."""

    params: tuple[Param, ...] = ()

    def __init__(self, sample: Sample) -> None:
        self._sample = sample

    def reset(self) -> None: ...

    def step(self, frame: PoseFrame, dt: float, params: Knobs) -> PoseFrame:
        self._sample.see(frame)
        return frame


def _smooth(share: float) -> float:
    return share * share * (3.0 - 2.0 * share)
