"""A pose near the one that is danced that does what is wished: drawn by a mixture model under conditions
(`motion.conditions`), made exact by least squares on the bones (`motion.reach`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from motion import kinematics, pose_vectors, posing, sampling
from motion import rotations as rot
from motion.conditions import Space
from motion.limbs import ARMS, LEGS
from motion.reach import MET, polish
from motion.reach_goals import Goals, HalfSpace, Pin, contradictions
from motion.skeleton import HUMANOID, Array
from server.onnx_model import ModelError, OnnxModel, Values

NEAR = 0.35  # how surely the pose that is danced is known to the model; a limb that is pinned, LOOSE
LOOSE = 0.05
KEPT, POLISH_STEPS = 8, 6
STANDING, BALANCE = 0.2, 0.05  # weights beside a pin's
SURE = 0.01  # metres: a prior of this deviation is as a pin
CALM = 0.1  # metres of a pin's error that a metre of every joint's way from the pose that is shown counts as
_LIMBS = {limb.end: limb for limb in (*ARMS, *LEGS)}
_FEET = tuple(limb.end for limb in LEGS)


@dataclass(frozen=True)
class Asked:
    """A pose that is danced, where its joints are and those of the one that is shown (22, 3), and what is wished."""

    root: Array
    rotations: Array
    danced: Array
    shown: Array
    pins: tuple[Pin, ...]
    walls: tuple[HalfSpace, ...]
    priors: tuple[tuple[str, tuple[float, ...]], ...]


@dataclass(frozen=True)
class Answer:
    """What is laid over the dance: root (3,) metres, rotations (22, 4), each after the joint's own. missed: metres by
    pin, and by limit/POINT where a plane is not kept; infeasible: limits that contradict each other, in words.
    """

    root: Array
    rotations: Array
    missed: dict[str, float] = field(default_factory=dict)
    infeasible: tuple[str, ...] = ()


class PoseExpert:
    """model: of kind `sampler`, of poses; None: least squares alone. Raises ModelError for one that draws no poses of
    HUMANOID.
    """

    def __init__(self, model: OnnxModel | None, seed: int | tuple[int, ...]) -> None:
        self._model, self._random = model, np.random.default_rng(seed)
        self._space = None if model is None else _space(model)

    @classmethod
    def of(cls, path: Path | None, device: str, seed: int | tuple[int, ...]) -> PoseExpert:
        """With the model of a file."""
        return cls(None if path is None else OnnxModel(path, device), seed)

    def __call__(self, job: Asked) -> Answer:
        """A pose near the one that is danced that does what is wished, as what it differs in."""
        roots, rotations = job.root[None], job.rotations[None]
        infeasible: tuple[str, ...] = ()
        if self._model is not None and self._space is not None:
            drawn, infeasible = self._drawn(job, self._model, self._space)
            roots, rotations = np.concatenate([roots, drawn[0]]), np.concatenate([rotations, drawn[1]])
        goals = _on_its_feet(job)
        reached = polish(roots, rotations, goals, POLISH_STEPS)
        joints = kinematics.global_positions(HUMANOID, reached.root, reached.rotations)
        moved = np.linalg.norm(joints - job.shown, axis=-1).mean(axis=-1)
        strong, firm = (np.array([each.weight for each in part]) for part in (goals.pins, goals.walls))
        squares = np.square(strong * reached.errors).sum(axis=-1) + np.square(10.0 * firm * reached.beyond).sum(axis=-1)
        best = int(np.argmin(np.sqrt(squares) + CALM * moved))
        misses = np.append(reached.errors[best, : len(job.pins)], reached.beyond[best])
        if misses.max(initial=0.0) > MET:
            pairs = tuple(f"{one} against {other}" for one, other in contradictions(job.pins, job.walls))
            infeasible = pairs or infeasible  # the model knows of variables, not of pins
        turns = rot.multiply(rot.inverse(job.rotations), reached.rotations[best])
        errors = dict(zip((pin.joint for pin in job.pins), reached.errors[best].tolist(), strict=False))
        for wall, beyond in zip(job.walls, reached.beyond[best].tolist(), strict=True):
            if beyond > MET:
                errors[f"limit/{wall.joint}"] = max(beyond, errors.get(f"limit/{wall.joint}", 0.0))
        return Answer(reached.root[best] - job.root, rot.normalize(turns), errors, infeasible)

    def _drawn(self, job: Asked, model: OnnxModel, space: Space) -> tuple[tuple[Array, Array], tuple[str, ...]]:
        """The model's best candidates."""
        frame = pose_vectors.frame_of(job.root, job.rotations)
        mask = np.full(pose_vectors.WIDTH, NEAR)
        for pin in job.pins:
            if pin.joint in pose_vectors.POINTS:
                mask[pose_vectors.place(pin.joint)] = 0.0
            if pin.joint in _LIMBS:
                for bone in _LIMBS[pin.joint][:2]:
                    first = pose_vectors.VARIABLES.index(f"{bone}/turn0")
                    mask[first : first + 6] = LOOSE
        wanted = posing.conditions(space, posing.Wish(job.pins, job.walls), frame)
        wanted.know(None, pose_vectors.encode(job.root, job.rotations, frame), mask)
        for joint, numbers in job.priors:
            middle = frame.points(np.array(numbers[:3])[None])[0]
            for axis, mean in zip("xyz", middle, strict=True):
                wanted.prior(f"{joint}/{axis}", float(mean), numbers[3])
        port = next(port for port in model.manifest.inputs if port.name == "gumbel")
        gumbel = sampling.chance(self._random, (1, *map(int, port.shape[1:])))
        made = sampling.draw(partial(_run, model), space, wanted.question(), gumbel, self._random, "best", KEPT)
        infeasible = tuple(f"{pair.dropped} against {pair.other}" for pair in made.infeasible)
        return pose_vectors.decode(made.samples[0], frame), infeasible


def _on_its_feet(job: Asked) -> Goals:
    """What is wished, priors as weak pins, and that feet nobody pins stay where they dance: who reaches far leans, and
    does not fly.
    """
    pins = {pin.joint: pin for pin in job.pins}
    for joint, numbers in job.priors:
        pins.setdefault(joint, Pin(joint, np.array(numbers[:3]), min(SURE / numbers[3], 1.0)))
    if pins:
        for foot in _FEET:
            pins.setdefault(foot, Pin(foot, job.danced[HUMANOID.index(foot)], STANDING))
    return Goals(tuple(pins.values()), job.walls, BALANCE if pins else 0.0)


def _run(model: OnnxModel, values: dict[str, Values]) -> dict[str, Values]:
    model.inputs |= values
    return model.step()


def _space(model: OnnxModel) -> Space:
    """Raises ModelError naming what the model is."""
    manifest = model.manifest
    if manifest.kind != "sampler" or manifest.variables != pose_vectors.VARIABLES:
        raise ModelError(f"{model.path} is a {manifest.kind} of other variables, no sampler of poses")
    return Space.of(manifest)
