"""A limb that was not seen for a while: filled in from the rest of the body, by a mixture model of motion.

The model (motion.motion_vectors) is told what was, and of the next half second everything but the limb; what the limb
has after the gap is told, too. It draws candidates, each is conditioned within what its last layer leaves open, and
their mean by weight is the answer: elbow and hand, knee and foot, four times in the half second. Then it goes on from
there. Bones keep their length and joints their limits. No torch and no onnxruntime here: whoever asks brings `run`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from motion import kinematics, motion_vectors, upsampling
from motion import rotations as rot
from motion.conditions import Conditions, Space, Values
from motion.joint_limits import humanoid_limits
from motion.limbs import ARMS, LEGS, Limb
from motion.motion_layout import FUTURE, GROUPS, HORIZON, Layout
from motion.motion_vectors import Track
from motion.sampling import Run, chance
from motion.skeleton import HUMANOID, Array

LIMBS: dict[str, Limb] = dict(zip(("LeftArm", "RightArm", "LeftLeg", "RightLeg"), (*ARMS, *LEGS), strict=True))
BEFORE = 1 - GROUPS[0][0]  # frames that must be known before a gap
_RIDGE = 1e-8  # square metres: a tenth of a millimetre


class Infill:
    """run, space, shape: of a sampler of motion, as motion.sampling has them; shape (L, C, K) of its gumbel.

    Raises ValueError for a model that is about something else.
    """

    def __init__(self, run: Run, space: Space, shape: Sequence[int]) -> None:
        layouts = [layout for layout in (Layout(), Layout(dancer=False)) if layout.names == space.variables]
        if not layouts:
            raise ValueError("a limb is filled in by a model of motion, and this one is about something else")
        self.layout, self._run, self._space, self._shape = layouts[0], run, space, tuple(shape)
        self._names = np.array(self.layout.names)
        self._covariance = self._open()

    def __call__(
        self,
        body: Track,
        limb: str,
        first: int,
        until: int,
        random: np.random.Generator,
        dancer: Track | None = None,
    ) -> Array:
        """The body's rotations (T, 22, 4) with the limb's filled in from frame `first` up to `until`, which is known
        again. Where the track ends there, the limb's end is free. dancer: whom the model knows beside the body.

        Raises ValueError for an unknown limb and for a gap that is not within the track, a third of a second in.
        """
        if limb not in LIMBS:
            raise ValueError(f"no limb {limb!r}; the choices: {', '.join(LIMBS)}")
        if not BEFORE <= first < until <= len(body):
            raise ValueError(
                f"a gap from frame {first} to {until} of {len(body)}, {motion_vectors.RATE:g} a second: it must begin "
                f"at frame {BEFORE} or later, end after that, and be within"
            )
        if dancer is not None and len(dancer) < len(body):
            raise ValueError(f"the dancer has {len(dancer)} frames beside {len(body)}")
        bones, filled = _bones(LIMBS[limb]), np.array(body.rotations, dtype=np.float64)
        knots = {frame: filled[frame].copy() for frame in (first - 2, first - 1)}
        knots |= {frame: filled[frame].copy() for frame in range(until, min(until + 2, len(filled)))}
        _bridge(filled, bones, knots, first, until)
        for now in range(first - 1, until - FUTURE[0], FUTURE[-1]):
            around = slice(now + 1 - BEFORE, now + 1 + HORIZON)
            seen = dancer and Track(dancer.root[around], dancer.rotations[around])
            track = Track(body.root[around], filled[around])
            told = self._told(track, LIMBS[limb], until - around.start, random, seen)
            knots |= {around.start + frame: turns for frame, turns in told.items()}
            _bridge(filled, bones, knots, first, until)
        return filled

    def _told(
        self, track: Track, limb: Limb, until: int, random: np.random.Generator, dancer: Track | None
    ) -> dict[int, Array]:
        """Rotations (22, 4) by frame of the track: in the gap, at the moments of the half second after its first BEFORE
        frames.
        """
        layout, past, now = self.layout, self.layout.past, BEFORE - 1
        held, other = motion_vectors.held(track), motion_vectors.held(dancer or track)
        values = motion_vectors.encode(layout, np.array([now]), held, other if layout.dancer else None)[0]
        known = np.ones(layout.width, dtype=np.bool_)
        if layout.dancer and dancer is None:
            known[layout.select("dancer")] = False
        if now + HORIZON >= len(track):
            known[layout.select("controls")] = False
        missing = []
        for step, ahead in enumerate(FUTURE):
            if now + ahead >= len(track):
                known[layout.select(f"*.future.{step}")] = False
            elif now + ahead < until:
                missing.append(step)
                known[layout.select(*(f"partner.future.{step}.{joint}" for joint in limb[1:3]))] = False
        wanted = Conditions(self._space).know(list(self._names[known]), values[known])
        made = self._run(wanted.question().inputs(self._space.slots) | {"gumbel": chance(random, (1, *self._shape))})
        mean = np.concatenate([values[:past], self._mean(made, values[past:], known[past:])])
        # Lower joint and end, in the order of the vector's numbers.
        places = layout.select(*(f"partner.future.{step}.{joint}" for step in missing for joint in limb[1:3]))
        frame = motion_vectors.frame_of(track, np.array([now]))
        beside = np.matmul(mean[places].reshape(-1, 2, 3), frame.turn[0].T)
        when = now + np.array(FUTURE)[missing]
        start = np.array(track.rotations[when])
        start[:, _bones(limb)] = track.rotations[now, _bones(limb)]
        turned = _aimed(track.root[when], start, limb, track.root[when, None] + beside)
        return dict(zip(when.tolist(), turned, strict=True))

    def _mean(self, made: Values, values: Array, told: NDArray[np.bool_]) -> Array:
        """The candidates' mean by weight, of the numbers to come, each conditioned on those that are told."""
        coming = made["samples"][0, :, self.layout.past :].astype(np.float64)
        open_told = self._covariance[np.ix_(told, told)] + _RIDGE * np.eye(int(told.sum()))
        gain = np.linalg.solve(open_told, self._covariance[np.ix_(told, ~told)])
        coming[:, ~told] += (values[told] - coming[:, told]) @ gain
        log_weights = made["log_weights"][0].astype(np.float64)
        weights = np.exp(log_weights - log_weights.max())
        return np.asarray(weights / weights.sum() @ coming)

    def _open(self) -> Array:
        """Covariance of all numbers to come within what the last layer leaves open, up to a factor: the responses to
        each of them.
        """
        coming, slots = self.layout.width - self.layout.past, self._space.slots or 1
        count = math.ceil(coming / slots)
        inputs = Conditions(self._space, count).question().inputs(slots)
        each = np.arange(coming)
        inputs["A"][each // slots, each % slots, self.layout.past + each] = 1.0
        gumbel = np.zeros((count, *self._shape), dtype=np.float32)
        made = self._run(inputs | {"gumbel": gumbel})
        if "responses" not in made:
            raise ValueError("the model's file does not say responses; export it anew, with python -m exporters.onnx")
        return made["responses"].reshape(-1, self.layout.width)[:coming, self.layout.past :].astype(np.float64)


def _bones(limb: Limb) -> list[int]:
    return [HUMANOID.index(joint) for joint in limb[:3]]


def _bridge(filled: Array, bones: list[int], knots: dict[int, Array], first: int, until: int) -> None:
    """Fill frames (T, 22, 4) from `first` up to `until` between knots by a spline; after the last one it stays."""
    frames, times = np.arange(first, until), np.array(sorted(knots))
    turns = np.stack([knots[frame][bones] for frame in times.tolist()])
    nowhere = np.zeros((len(times), 3))
    made = upsampling.poses_at("catmull_rom", times, nowhere, turns, np.minimum(frames, times[-1]))[1]
    filled[frames[:, None], bones] = made


def _aimed(root: Array, rotations: Array, limb: Limb, places: Array) -> Array:
    """Rotations (B, 22, 4) with the limb's two bones turned towards its lower joint's and its end's places (B, 2, 3),
    within the joint limits.
    """
    upper, lower, end = _bones(limb)
    positions, matrices = kinematics.forward(HUMANOID, root, rotations)
    bone, rest = positions[:, lower] - positions[:, upper], positions[:, end] - positions[:, lower]
    turn = rot.between(bone, places[:, 0] - positions[:, upper])
    knee = positions[:, upper] + rot.rotate(turn, bone)
    above, first, second = (rot.from_matrix(matrices[:, joint]) for joint in (HUMANOID.parents[upper], upper, lower))
    first = rot.multiply(turn, first)
    second = rot.multiply(turn, second)
    second = rot.multiply(rot.between(rot.rotate(turn, rest), places[:, 1] - knee), second)
    turned = rotations.copy()
    turned[:, upper] = rot.multiply(rot.inverse(above), first)
    turned[:, lower] = rot.multiply(rot.inverse(first), second)
    turned[:, [upper, lower]] = humanoid_limits().clip(turned)[:, [upper, lower]]
    return turned
