"""What is wanted of a pose: joints pinned to places, points kept behind planes, weight over the feet.

All three are linear in joint positions, so a goal is a row of weights on HUMANOID's joints and a place or a limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motion import balance as weight
from motion.half_spaces import compatible
from motion.skeleton import HUMANOID, Array

_FIRM = 30.0  # a half-space beside a pin of its weight: it gives way by a thousandth of what the pin misses
PINS = ("LeftHand", "RightHand", "LeftFoot", "RightFoot", "Head", "Hips")


@dataclass(frozen=True)
class Pin:
    """A joint wanted at a place: position (3,) metres in the world, or (B, 3), one for each candidate. weight > 0."""

    joint: str
    position: ArrayLike
    weight: float = 1.0


@dataclass(frozen=True)
class HalfSpace:
    """A joint kept where normal · position <= limit, metres; the normal may have any length but none. weight > 0: where
    not all can be kept; name: for people.
    """

    joint: str
    normal: tuple[float, float, float]
    limit: float
    weight: float = 1.0
    name: str = ""


class Goals:
    """Pins, half-spaces and how much the body's centre of mass is drawn over the middle of its feet.

    balance: 0 for not at all; 0.1 gives way to pins by less than a hundredth of what it misses. Raises ValueError
    naming the joint and the choices, a place or normal that is not finite, a normal of no length, a weight that is not
    above 0, and a joint that is pinned twice.
    """

    def __init__(self, pins: Sequence[Pin] = (), half_spaces: Sequence[HalfSpace] = (), balance: float = 0.0) -> None:
        _check(pins, half_spaces, balance)
        self.pins, self.walls = tuple(pins), tuple(half_spaces)
        self.joints = tuple(pin.joint for pin in pins)
        places = [np.asarray(pin.position, dtype=np.float64) for pin in pins]
        wanted = [*places, np.zeros(3)] if balance else places
        shape = np.broadcast_shapes(*(place.shape for place in wanted)) if wanted else (3,)
        stacked = [np.broadcast_to(place, shape) for place in wanted]
        self.wanted = np.stack(stacked, axis=-2) if stacked else np.zeros((0, 3))  # ([B,] pins and balance, 3)
        self.pinned = len(wanted)
        strengths = np.repeat([pin.weight for pin in pins], 3)
        rows = np.arange(3 * len(pins))
        if balance:
            level = 3 * len(pins) + np.array([0, 2])  # x and z
            rows, strengths = np.append(rows, level), np.append(strengths, [balance, balance])
        self.rows: NDArray[np.intp] = rows.astype(np.intp)  # of pins and balance, as (pinned · 3) numbers
        self.strengths: Array = strengths.astype(np.float64)
        normals = np.array([wall.normal for wall in half_spaces], dtype=np.float64).reshape(-1, 3)
        lengths = np.linalg.norm(normals, axis=-1)
        self.normals: Array = normals / lengths[:, None]
        self.limits: Array = np.array([wall.limit for wall in half_spaces], dtype=np.float64) / lengths
        self.firmness: Array = _FIRM * np.array([wall.weight for wall in half_spaces], dtype=np.float64)
        self._balance = bool(balance)

    @cached_property
    def points(self) -> Array:
        """(P, 22): pins, balance, then the joints that half-spaces are about, as weights of joints."""
        one = np.eye(len(HUMANOID))
        rows = [one[HUMANOID.index(joint)] for joint in self.joints]
        if self._balance:
            feet = 0.5 * (one[HUMANOID.index("LeftFoot")] + one[HUMANOID.index("RightFoot")])
            toes = 0.5 * (one[HUMANOID.index("LeftToes")] + one[HUMANOID.index("RightToes")])
            rows.append(weight.WEIGHTS - 0.5 * (feet + toes))
        rows += [one[HUMANOID.index(wall.joint)] for wall in self.walls]
        return np.array(rows).reshape(-1, len(HUMANOID))

    @property
    def wall_points(self) -> slice:
        """Where in `points` the half-spaces' joints are."""
        return slice(self.pinned, None)

    def errors(self, positions: Array) -> Array:
        """How far pins are missed, (B, pins) metres, at global positions (B, 22, 3)."""
        pins = len(self.joints)
        return np.asarray(np.linalg.norm(self.wanted[..., :pins, :] - self.points[:pins] @ positions, axis=-1))

    def outside(self, positions: Array) -> Array:
        """How far points are beyond their half-spaces, (B, half-spaces) metres; negative within."""
        return np.asarray(
            np.einsum("bwk,wk->bw", self.points[self.wall_points] @ positions, self.normals) - self.limits
        )

    def beyond(self, positions: Array) -> Array:
        """The same, 0 within."""
        return np.maximum(self.outside(positions), 0.0)


def by_weight(half_spaces: Sequence[HalfSpace]) -> list[tuple[str, HalfSpace]]:
    """Half-spaces with their names, the heavier ones first: of those that contradict each other, they hold."""
    named = [(wall.name or f"plane {number + 1} of {wall.joint}", wall) for number, wall in enumerate(half_spaces)]
    return sorted(named, key=lambda each: -each[1].weight)


def contradictions(pins: Sequence[Pin], half_spaces: Sequence[HalfSpace]) -> list[tuple[str, str]]:
    """Half-spaces that no place can keep to beside heavier ones, or beside where their joint is pinned: their name, and
    that of what they contradict. Bones do not count: what is only too far away is no contradiction.
    """
    if not half_spaces:
        return []
    named = by_weight(half_spaces)
    joints = list(dict.fromkeys(wall.joint for wall in half_spaces))
    places = {pin.joint: np.asarray(pin.position, dtype=np.float64).reshape(-1, 3)[0] for pin in pins}
    a, b = np.zeros((len(named), len(joints), 3)), np.array([wall.limit for _, wall in named], dtype=np.float64)
    for number, (_, wall) in enumerate(named):
        a[number, joints.index(wall.joint)] = wall.normal
    point = np.array([places.get(joint, np.zeros(3)) for joint in joints]).ravel()
    room = np.repeat([0.0 if joint in places else 1.0 for joint in joints], 3)
    pairs = compatible(point, a.reshape(len(named), -1), b, room)[1]
    return [(named[i][0], f"pin of {named[i][1].joint}" if j is None else named[j][0]) for i, j in pairs]


def _check(pins: Sequence[Pin], half_spaces: Sequence[HalfSpace], balance: float) -> None:
    faults = []
    for joint in [*(pin.joint for pin in pins), *(wall.joint for wall in half_spaces)]:
        if joint not in HUMANOID.names:
            faults.append(f"no joint {joint!r}; the choices: {', '.join(HUMANOID.names)}")
    joints = [pin.joint for pin in pins]
    faults += [f"{joint} is pinned twice" for joint in dict.fromkeys(joints) if joints.count(joint) > 1]
    for pin in pins:
        position = np.asarray(pin.position, dtype=np.float64)
        if position.shape[-1:] != (3,) or not np.isfinite(position).all():
            faults.append(f"{pin.joint} cannot be pinned to {position}: a place is three finite numbers")
    weights = [(pin.joint, pin.weight) for pin in pins] + [(wall.joint, wall.weight) for wall in half_spaces]
    for joint, heavy in weights:
        if not 0.0 < heavy < np.inf:
            faults.append(f"{joint} has weight {heavy}; it must be above 0")
    for wall in half_spaces:
        normal = np.asarray(wall.normal, dtype=np.float64)
        if normal.shape != (3,) or not np.isfinite([*normal, wall.limit]).all():
            faults.append(f"{wall.joint} has a half-space of {wall.normal} and {wall.limit}: numbers must be finite")
        elif not np.linalg.norm(normal) > 1e-9:
            faults.append(f"{wall.joint} has a half-space whose normal {tuple(wall.normal)} has no length")
    if not 0.0 <= balance < np.inf:
        faults.append(f"balance {balance} must be 0 or more")
    if faults:
        raise ValueError("; ".join(faults))
