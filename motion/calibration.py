"""What stands between a suit and the stage: measured once while the dancer stands, applied to every frame.

A suit's zero is not the stage's: it faces somewhere, floats above its floor, and its idea of a T-pose is a few degrees
beside the dancer's. For HUMANOID joints j with global rotations W and the dancer's heading ψ at the measured moment:
    W'[j] = Y(-ψ) · W[j] · W0[j]⁻¹ · Y(ψ)        p' = scale · Y(-ψ) · (p - origin)
so that in the measured pose every joint rests as HUMANOID's T-pose does, facing +Z. Locally that is one product before
and one after each rotation. The heading is the whole trunk's (hips and shoulders), a difference of positions: nothing
is summed up over time, so nothing of it drifts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from motion import kinematics
from motion import rotations as rot
from motion.skeleton import HUMANOID, Array

Kind = Literal["t_pose", "first_frame"]
HipScale = Literal["bones", "height"]
MOVED = 0.08  # metres that a joint may move while a T-pose is measured
FARTHEST = 45.0  # degrees between a limb and the T-pose's: beyond it nobody stands in one
SCALES = 0.5, 2.0  # of a body against HUMANOID; beyond it the suit's floor is not at zero
_LIMBS = [
    (f"{side}{upper}", f"{side}{lower}")
    for side in ("Left", "Right")
    for upper, lower in (("UpperArm", "LowerArm"), ("LowerArm", "Hand"), ("UpperLeg", "LowerLeg"), ("LowerLeg", "Foot"))
]
_LOWEST = float(HUMANOID.rest_positions[:, 1].min())
_PARENTS = np.array(HUMANOID.parents[1:], dtype=np.intp)


class CalibrationError(ValueError):
    """The dancer did not stand as a calibration needs it; says how they stood."""


@dataclass(frozen=True)
class Wishes:
    """What a calibration sets right. facing: the dancer faces +Z. floor: their soles stand on 0. place: they stand in
    the middle. hip_scale: "bones": as far as the suit's bones say; "height": as high as the hips stand over the suit's
    own floor, for suits that tell no true bones (T-pose only)."""

    facing: bool = True
    floor: bool = True
    place: bool = False
    hip_scale: HipScale = "bones"


@dataclass(frozen=True, eq=False)
class Calibration:
    """turn: radians about +Y, applied first. origin: (3,) metres of the suit's world that become 0. scale: of
    positions. rest: (22, 4) global W0⁻¹·Y(ψ), None where only the whole body is moved."""

    turn: float
    origin: Array
    scale: float = 1.0
    rest: Array | None = None

    def apply(self, root_position: Array, rotations: Array) -> tuple[Array, Array]:
        """A pose of HUMANOID, (..., 3) and local (..., 22, 4), as the stage sees it."""
        root = self.scale * rot.rotate(rot.yaw(self.turn), root_position - self.origin)
        local = rot.multiply(self._before, rotations)
        return root, local if self.rest is None else rot.multiply(local, self.rest)

    @cached_property
    def _before(self) -> Array:
        """What stands before each local rotation, (22, 4)."""
        before = np.tile(rot.IDENTITY, (len(HUMANOID), 1))
        before[0] = rot.yaw(self.turn)
        if self.rest is not None:
            before[1:] = rot.inverse(self.rest[_PARENTS])
        return before

    def then(self, after: Calibration) -> Calibration:
        """Both in one; `after` moves the body as a whole."""
        back = rot.yaw(-self.turn)
        origin = self.origin + rot.rotate(back, after.origin) / self.scale
        return Calibration(self.turn + after.turn, origin, self.scale * after.scale, self.rest)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `from_dict` reads it back."""
        rest = None if self.rest is None else self.rest.tolist()
        return {"turn": self.turn, "origin": self.origin.tolist(), "scale": self.scale, "rest": rest}

    @classmethod
    def from_dict(cls, data: Any) -> Calibration:
        """Raises ValueError for anything that `to_dict` does not make."""
        try:
            turn, scale = float(data["turn"]), float(data["scale"])
            origin = np.array(data["origin"], dtype=np.float64)
            rest = None if data["rest"] is None else np.array(data["rest"], dtype=np.float64)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"no calibration: {type(error).__name__}: {error}") from None
        numbers = np.concatenate([[turn, scale], origin.ravel(), [] if rest is None else rest.ravel()])
        if origin.shape != (3,) or (rest is not None and rest.shape != (len(HUMANOID), 4)):
            raise ValueError(f"no calibration: origin {origin.shape}, rest {None if rest is None else rest.shape}")
        if not np.isfinite(numbers).all() or not SCALES[0] <= scale <= SCALES[1]:
            raise ValueError(f"no calibration: scale {scale:g}, or a number that is not finite")
        if rest is not None and np.abs(np.linalg.norm(rest, axis=-1) - 1.0).max() > 1e-6:
            raise ValueError("no calibration: a rotation of `rest` is not of length 1")
        return cls(turn, origin, scale, rest)

    def describe(self) -> str:
        """For people."""
        done = [f"turned {math.degrees(self.turn):.0f}°", f"floor {100 * self.origin[1]:+.1f} cm"]
        if self.scale != 1.0:
            done.append(f"scale {self.scale:.3f}")
        if self.rest is not None:
            half = np.clip(np.abs(rot.multiply(self.rest, rot.yaw(self.turn))[:, 3]), 0.0, 1.0)
            done.append(f"joints up to {math.degrees(2.0 * float(np.arccos(half).max())):.0f}°")
        return ", ".join(done)


def measure(
    kind: Kind,
    root_positions: Array,
    rotations: Array,
    wishes: Wishes | None = None,
    before: Calibration | None = None,
) -> Calibration:
    """The calibration of a moment: (frames, 3) metres and (frames, 22, 4) local, on HUMANOID, as the suit sends them.

    t_pose: every joint's rotation is set right as well; the dancer must stand in one, and still. first_frame: any pose;
    what a T-pose said of the joints `before` stays. Raises CalibrationError, which says what was wrong with the pose.
    """
    wishes = wishes or Wishes()
    if kind == "first_frame" and before is not None:
        return before.then(measure(kind, *before.apply(root_positions, rotations), wishes))
    root = root_positions.mean(axis=0)
    mean = rot.normalize(rot.continuous(rotations).mean(axis=0))
    joints = kinematics.global_positions(HUMANOID, root, mean)
    heading = _heading(joints)
    turn = -heading if wishes.facing else 0.0
    rest = None
    if kind == "t_pose":
        _check_stillness(root_positions, rotations)
        _check_t_pose(joints, heading)
        rest = rot.multiply(rot.inverse(kinematics.local_to_global(HUMANOID, mean)), rot.yaw(heading))
        mean = np.tile(rot.IDENTITY, (len(HUMANOID), 1))
    soles = float(kinematics.global_positions(HUMANOID, root, mean)[:, 1].min()) - _LOWEST
    scale = 1.0
    if kind == "t_pose" and wishes.hip_scale == "height":
        scale, soles = _scale(float(root[1])), 0.0
    origin = np.array([root[0], 0.0, root[2]]) if wishes.place else np.zeros(3)
    origin[1] = soles if wishes.floor else 0.0
    return Calibration(turn, origin, scale, rest)


def _scale(hips: float) -> float:
    ours = float(HUMANOID.offsets[0, 1])
    if not SCALES[0] * hips <= ours <= SCALES[1] * hips:
        raise CalibrationError(f"the hips stand {hips:.2f} m over the suit's zero, which cannot be its floor")
    return ours / hips


def _heading(joints: Array) -> float:
    """Yaw of the trunk, radians: 0 faces +Z."""
    at = HUMANOID.index
    left = joints[at("LeftUpperLeg")] - joints[at("RightUpperLeg")] + joints[at("LeftUpperArm")]
    left = left - joints[at("RightUpperArm")]
    if math.hypot(left[0], left[2]) < 0.05:
        raise CalibrationError("the dancer lies on a side, so nobody can say where they face")
    return math.atan2(-left[2], left[0])


def _check_stillness(root_positions: Array, rotations: Array) -> None:
    joints = kinematics.global_positions(HUMANOID, root_positions, rotations)
    moved = np.ptp(joints, axis=0).max(axis=-1)
    worst = int(moved.argmax())
    if moved[worst] > MOVED:
        raise CalibrationError(f"{HUMANOID.names[worst]} moved {100 * moved[worst]:.0f} cm; stand still")


def _check_t_pose(joints: Array, heading: float) -> None:
    rest = rot.rotate(rot.yaw(heading), HUMANOID.rest_positions)
    worst, name = 0.0, ""
    for upper, lower in _LIMBS:
        a, b = HUMANOID.index(upper), HUMANOID.index(lower)
        now, wanted = joints[b] - joints[a], rest[b] - rest[a]
        cosine = float(now @ wanted / (np.linalg.norm(now) * np.linalg.norm(wanted)))
        degrees = math.degrees(math.acos(min(max(cosine, -1.0), 1.0)))
        if degrees > worst + 1.0:  # an arm that hangs down is an arm, not its elbow
            worst, name = degrees, upper
    if worst > FARTHEST:
        raise CalibrationError(f"{name} is {worst:.0f}° away from a T-pose; stretch the arms out to the sides")
