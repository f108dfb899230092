"""What a partner does next, drawn from a mixture model of motion under conditions: half a second at a time.

A question has the last third of a second of dancer and partner and what is wished; the model draws candidates of what
follows (motion.motion_vectors), limits are kept by projection, and of a few the one is taken whose standing feet slide
least. Its four poses are put on the bones and joined to what was shown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from motion import motion_vectors, sampling, upsampling
from motion import rotations as rot
from motion.conditions import Conditions, Space
from motion.ground_frames import GroundFrame
from motion.motion_layout import BESIDE, FACING, FUTURE, RATE, Layout
from motion.motion_vectors import Track
from motion.posing import FIRM
from motion.reach_goals import HalfSpace, by_weight
from motion.skeleton import HUMANOID, Array
from server.onnx_model import ModelError, OnnxModel, Values
from server.stages.sample_wishes import Circle

DENSE = 4  # frames of a plan for one at RATE
PACE, TURN = 0.8, math.radians(70.0)  # metres, and an angle, that a second's mean may be asked to go
HURRY = 1.5  # m/s at which who is outside of a limit comes in
SURE = 0.05  # metres: the deviation of what the controls are asked to be
FASTEST = 5.0  # m/s: nobody dances so, and a past like that would be all the model sees
KEPT, STEPS = 8, 6  # candidates that are looked at; steps of putting a pose on the bones
SPANS = np.diff([0, *FUTURE]) / RATE  # seconds between two poses of a plan
_FEET = ("LeftFoot", "RightFoot")
_STANDING = 0.12  # metres over the lowest foot


@dataclass(frozen=True, eq=False)
class Asked:
    """frame: of the grid at RATE that is now; partner, dancer: ten frames up to it. variety: how much of the model's
    spread. goto (x, z), facing: radians, or None; circles: to stay in or out of; limits: planes of points.
    fresh: the same chances as the first time.
    """

    frame: int
    partner: Track
    dancer: Track
    variety: float
    goto: tuple[float, float] | None = None
    facing: float | None = None
    circles: tuple[Circle, ...] = ()
    limits: tuple[HalfSpace, ...] = ()
    fresh: bool = False


@dataclass(frozen=True, eq=False)
class Plan:
    """Poses DENSE a frame of the grid, from frame `start` on: roots (T, 3), rotations (T, 22, 4)."""

    start: int
    roots: Array
    rotations: Array
    infeasible: tuple[str, ...] = ()

    def at(self, frame: float) -> tuple[Array, Array]:
        """The pose at a moment of the grid; the last one for what is after it."""
        place = min(max((frame - self.start) * DENSE, 0.0), len(self.roots) - 1.0)
        below = min(int(place), len(self.roots) - 2)
        share = place - below
        root = self.roots[below] + share * (self.roots[below + 1] - self.roots[below])
        return root, rot.slerp(self.rotations[below], self.rotations[below + 1], share)


class Planner:
    """Raises ModelError for a model that draws no motion of two."""

    def __init__(self, model: OnnxModel, seed: int | tuple[int, ...]) -> None:
        self.layout = Layout(dancer=True)
        if model.manifest.kind != "sampler" or model.manifest.variables != self.layout.names:
            raise ModelError(f"{model.path} is a {model.manifest.kind} of other variables, no sampler of motion")
        self._model, self._space = model, Space.of(model.manifest)
        self._shape = next(port.shape for port in model.manifest.inputs if port.name == "gumbel")
        self._names = np.array(self.layout.names)
        self._seed, self._random = seed, np.random.default_rng(seed)
        places = [self.layout.select(f"partner.future.{step}.{foot}") for step in range(len(FUTURE)) for foot in _FEET]
        roots = [self.layout.select(f"partner.future.{step}.root") for step in range(len(FUTURE))]
        self._feet = np.array(places).reshape(len(FUTURE), len(_FEET), 3)
        self._roots = np.array(roots)

    @classmethod
    def of(cls, path: Path, device: str, seed: int | tuple[int, ...]) -> Planner:
        """With the model of a file."""
        return cls(OnnxModel(path, device), seed)

    def __call__(self, asked: Asked) -> Plan:
        """The plan. Raises ArithmeticError for a model that says what is no number, or nothing that a body can go."""
        if asked.fresh:
            self._random = np.random.default_rng(self._seed)
        values, known, frame = motion_vectors.now_known(self.layout, asked.partner, asked.dancer)
        wanted = Conditions(self._space).know(list(self._names[known]), values[known])
        self._steer(wanted, asked, frame)
        self._limit(wanted, asked, frame)
        gumbel = sampling.chance(self._random, (1, *map(int, self._shape[1:])))
        drawn = sampling.draw(
            self._run, self._space, wanted.question(), gumbel, self._random, "resample", KEPT, asked.variety
        )
        now = values.astype(np.float64)
        too_fast = np.maximum(self._fastest(drawn.samples[0], now) - FASTEST, 0.0)
        best = int(np.argmin(self._slide(drawn.samples[0], now) + 1000.0 * too_fast))
        root, rotations = motion_vectors.decode(
            self.layout, drawn.samples[0, best], frame, asked.partner.rotations[-1], STEPS
        )
        if not (np.isfinite(root).all() and np.isfinite(rotations).all()):
            raise ArithmeticError(f"{self._model.path}: non-finite poses after frame {asked.frame}")
        steps = np.linalg.norm(np.diff(np.concatenate([asked.partner.root[-1:], root]), axis=0), axis=1) / SPANS
        if (fastest := float(steps.max())) > FASTEST:
            raise ArithmeticError(f"{self._model.path}: a plan that goes {fastest:.1f} m/s")
        times = np.array([-1, 0, *FUTURE]) / RATE
        moments = np.arange(FUTURE[-1] * DENSE + 1) / (DENSE * RATE)
        roots = np.concatenate([asked.partner.root[-2:], root])
        turns = np.concatenate([asked.partner.rotations[-2:], rotations])
        made = upsampling.poses_at("catmull_rom", times, roots, turns, moments)
        infeasible = tuple(f"{pair.dropped} against {pair.other}" for pair in drawn.infeasible)
        return Plan(asked.frame, made[0], rot.continuous(made[1]), infeasible)

    def _run(self, values: dict[str, Values]) -> dict[str, Values]:
        self._model.inputs |= values
        return self._model.step()

    def _steer(self, wanted: Conditions, asked: Asked, frame: GroundFrame) -> None:
        """Where the next second's mean is to be, and to look; never farther than a body goes in a second."""
        if asked.goto is not None:
            way = frame.points(np.array([[asked.goto[0], 0.0, asked.goto[1]]]))[0]
            far = math.hypot(way[0], way[2])
            way = way * min(1.0, PACE / max(far, 1e-9))
            for axis, place in (("x", 0), ("z", 2)):
                wanted.prior({f"controls.root.{axis}": 1.0}, float(way[place]), SURE, name=f"goto {axis}")
        if asked.facing is not None:
            turn = math.remainder(asked.facing - float(frame.yaw), math.tau)
            turn = min(max(turn, -TURN), TURN)
            for axis, share in (("x", math.sin(turn)), ("z", math.cos(turn))):
                wanted.prior({f"controls.facing.{axis}": 1.0}, FACING * share, SURE, name=f"facing {axis}")

    def _limit(self, wanted: Conditions, asked: Asked, frame: GroundFrame) -> None:
        """Circles hold at the end of the half second, and half-way where there is room for that; so do planes of points
        that the vector has. Who is outside comes in no faster than HURRY.
        """
        now = asked.partner.positions[-1]
        walls = [wall for wall in asked.limits if wall.joint == "Hips" or wall.joint in BESIDE]
        for circle in asked.circles:
            x, z, limit = circle.tangent(float(now[0, 0]), float(now[0, 2]))
            walls.append(HalfSpace("Hips", (x, 0.0, z), limit, name=circle.name))
        steps = (len(FUTURE) - 1, len(FUTURE) // 2 - 1)
        rows = [(step, name, wall) for step in steps for name, wall in by_weight(walls)]
        steered = 2 * (asked.goto is not None) + 2 * (asked.facing is not None)
        for step, name, wall in rows[: (self._space.slots or len(rows) + steered) - steered]:
            seconds, normal = FUTURE[step] / RATE, np.array(wall.normal)
            near = normal @ now[HUMANOID.index(wall.joint)] - np.linalg.norm(normal) * HURRY * seconds
            a, bound = self.layout.half_space(step, wall.joint, normal, max(wall.limit, float(near)), frame)
            wanted.limit(a, bound, FIRM * wall.weight, f"{name} in {1000 * seconds:.0f} ms")

    def _fastest(self, samples: Array, now: Array) -> Array:
        """How fast the root goes at most, metres a second, (N,) of samples (N, width)."""
        here = now[self.layout.select("partner.history.2.root")]
        roots = np.concatenate([np.broadcast_to(here, (len(samples), 1, 3)), samples[:, self._roots]], axis=1)
        return np.asarray((np.linalg.norm(np.diff(roots, axis=1), axis=2) / SPANS).max(axis=1))

    def _slide(self, samples: Array, now: Array) -> Array:
        """How much feet slide that stand, metres a second, (N,) of samples (N, width): low ones, over the floor."""
        history = [self.layout.select(f"partner.history.2.{foot}") for foot in _FEET]
        here = now[np.array(history)] + now[self.layout.select("partner.history.2.root")]
        feet = samples[:, self._feet] + samples[:, self._roots][:, :, None]  # (N, steps, feet, 3)
        feet = np.concatenate([np.broadcast_to(here, (len(feet), 1, *here.shape)), feet], axis=1)
        way = np.diff(feet, axis=1)
        speed = np.hypot(way[..., 0], way[..., 2]) / SPANS[:, None]
        height = np.maximum(feet[:, 1:, :, 1], feet[:, :-1, :, 1])
        lowest = feet[..., 1].min(axis=(1, 2), keepdims=True)[..., 0]
        stands = height < lowest[..., None] + _STANDING
        return np.asarray((speed * stands).sum(axis=(1, 2)) / np.maximum(stands.sum(axis=(1, 2)), 1))
