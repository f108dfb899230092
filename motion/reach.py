"""Poses of HUMANOID brought to where their joints are wanted: a few damped least-squares steps through the skeleton.

Bone lengths are exact, because only rotations and the root move; joint limits hold after every step, because the steps
are taken in the limits' own numbers and clipped there (a number at its limit that pulls outwards takes no part). A pin
out of reach is approached as far as the body goes, and the error says how far that is. Damping grows with what is
missing (Sugihara, "Solvability-unconcerned inverse kinematics by the Levenberg-Marquardt method", 2011), so far targets
make no wild poses. Every array has a batch of candidates; nothing here is random.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from motion import kinematics
from motion import rotations as rot
from motion.joint_limits import JointLimits, humanoid_limits
from motion.reach_goals import Goals
from motion.skeleton import HUMANOID, Array

STEPS = 12
_DONE = 1e-10  # squared metres: 0.01 mm
_BIAS = 1e-6  # of the damping, where nothing is missing
MET = 2e-3  # metres that nobody sees
_INSIDE = 1e-3  # metres within a half-space that a point is brought
_ROOT_MOVES, _ROOT_TURNS = 0.3, 0.5  # beside a limb's joint: a hand is reached with the arm first
_TRUNK = {"Spine": 0.3, "Chest": 0.3, "UpperChest": 0.3, "Neck": 0.3}
_JOINTS = len(HUMANOID)


@dataclass(frozen=True, eq=False)
class Reached:
    """root (B, 3), rotations (B, 22, 4): the poses. errors (B, pins) and beyond (B, half-spaces): metres missed; cost
    (B,): the same in squares, by weight.
    """

    root: Array = field(repr=False)
    rotations: Array = field(repr=False)
    errors: Array
    beyond: Array
    cost: Array

    def best(self) -> int:
        """The first candidate that misses nothing by more than MET; if there is none, the one that misses least."""
        met = (self.errors <= MET).all(axis=-1) & (self.beyond <= MET).all(axis=-1)
        return int(np.argmax(met)) if met.any() else int(np.argmin(self.cost))


def polish(
    root: Array, rotations: Array, goals: Goals, steps: int = STEPS, limits: JointLimits | None = None
) -> Reached:
    """Candidates, root (B, 3) metres and local rotations (B, 22, 4), brought to the goals in at most so many steps.

    Poses that keep no joint limits are brought into them first. Of each candidate the best step is returned. One pose
    costs about 0.2 ms a step, and most pins are met in 4.
    """
    limits = limits or humanoid_limits()
    body = _Body(goals, limits)
    state = _State(np.array(root, dtype=np.float64), limits.clip(np.asarray(rotations, dtype=np.float64)), limits)
    touching = np.zeros((len(state.root), body.walls), dtype=np.bool_)
    best: _State | None = None
    least = np.full(len(state.root), np.inf)
    for step in range(steps + 1):
        positions, matrices = kinematics.forward(HUMANOID, state.root, state.rotations)
        missing, outside = body.missing(positions)
        cost = np.square(missing).sum(axis=-1) + np.square(goals.firmness * np.maximum(outside, 0.0)).sum(axis=-1)
        better = cost < least
        best = state if best is None else best.where(better, state)
        least = np.where(better, cost, least)
        if step == steps or (least < _DONE).all():
            break
        touching |= outside > 0.0
        walls = np.where(touching, -goals.firmness * (outside + _INSIDE), 0.0)
        error = np.concatenate([missing, walls], axis=-1)
        jacobian = body.jacobian(positions, matrices, state, touching)
        jacobian[..., 3:] *= ~state.held(np.einsum("bmn,bm->bn", jacobian, error)[:, 3:])[:, None]
        moved = jacobian * body.mobility
        square = np.matmul(moved, jacobian.swapaxes(-1, -2))
        unweighted = np.square(missing).sum(axis=-1) + np.square(walls / goals.firmness).sum(axis=-1)
        damping = 0.5 * unweighted + _BIAS
        square[:, body.diagonal, body.diagonal] += damping[:, None]
        forces = np.linalg.solve(square, error[..., None])[..., 0]
        state = state.stepped(np.einsum("bmn,bm->bn", moved, forces))
        touching &= forces[:, body.rows :] < 0.0  # a wall that would have to pull is let go
    assert best is not None
    positions = kinematics.global_positions(HUMANOID, best.root, best.rotations)
    return Reached(best.root, best.rotations, goals.errors(positions), goals.beyond(positions), least)


class _State:
    """Candidates in the limits' numbers. numbers (B, 22, 3); rotations (B, 22, 4) are theirs, the root's its own."""

    def __init__(self, root: Array, rotations: Array, limits: JointLimits, numbers: Array | None = None) -> None:
        self.root, self.rotations, self.limits = root, rotations, limits
        self.numbers = limits.numbers(rotations) if numbers is None else numbers

    def stepped(self, change: Array) -> _State:
        """By change (B, 3 + 66): the root's place, its turn in its own frame, every joint's numbers."""
        limits = self.limits
        numbers = self.numbers + change[:, 3:].reshape(-1, _JOINTS, 3)
        numbers = np.clip(numbers, limits.low, limits.high)
        numbers[:, 0] = 0.0
        rotations = limits.rotations(numbers)
        rotations[:, 0] = rot.normalize(rot.multiply(self.rotations[:, 0], rot.from_vector(change[:, 3:6])))
        return _State(self.root + change[:, :3], rotations, limits, numbers)

    def held(self, pull: Array) -> NDArray[np.bool_]:
        """Which numbers (B, 66) stand at a limit and are pulled (B, 66) beyond it."""
        pull = pull.reshape(self.numbers.shape)
        held = (self.numbers <= self.limits.low) & (pull < 0.0) | (self.numbers >= self.limits.high) & (pull > 0.0)
        return np.asarray(held.reshape(len(held), -1))

    def where(self, chosen: NDArray[np.bool_], other: _State) -> _State:
        """The other's candidates where chosen (B,), else these."""
        return _State(
            np.where(chosen[:, None], other.root, self.root),
            np.where(chosen[:, None, None], other.rotations, self.rotations),
            self.limits,
            np.where(chosen[:, None, None], other.numbers, self.numbers),
        )


class _Body:
    """What does not change from step to step: which joint moves which point, and how readily."""

    def __init__(self, goals: Goals, limits: JointLimits) -> None:
        self.goals, self.limits = goals, limits
        points = goals.points  # (P, 22): each row a weighting of joints
        below = _below()
        self.carried = (points[:, None, :] * below.T[None]).reshape(-1, _JOINTS)  # (P · 22, 22): row (point, joint)
        self.mass = points @ below  # (P, 22): how much of a point hangs on a joint
        self.whole = points.sum(axis=1)[:, None, None] * np.eye(3)  # (P, 3, 3), of the root's place
        self.walls = len(goals.normals)
        self.rows = len(goals.rows)
        self.diagonal = np.arange(self.rows + self.walls)
        mobility = np.ones((_JOINTS, 3))
        mobility[0] = _ROOT_TURNS
        for name, share in _TRUNK.items():
            mobility[HUMANOID.index(name)] = share
        self.mobility = np.concatenate([np.full(3, _ROOT_MOVES), mobility.ravel()])

    def missing(self, positions: Array) -> tuple[Array, Array]:
        """Weighted errors of pins and balance (B, rows), and how far points are outside (B, walls), metres."""
        goals = self.goals
        errors = goals.wanted - np.matmul(goals.points[: goals.pinned], positions)  # (B, pinned, 3)
        flat = errors.reshape(len(positions), -1)[:, goals.rows] * goals.strengths
        return flat, goals.outside(positions)

    def jacobian(self, positions: Array, matrices: Array, state: _State, touching: NDArray[np.bool_]) -> Array:
        """(B, rows + walls, 3 + 66): what each number does to each weighted error."""
        goals, batch = self.goals, len(positions)
        axes = np.matmul(matrices, _body_axes(state.numbers, self.limits))  # (B, J, 3, 3), columns in the world
        levers = np.matmul(self.carried, positions).reshape(batch, -1, _JOINTS, 3)
        levers -= self.mass[..., None] * positions[:, None]
        a, b = axes[:, None], levers[..., None]  # (B, 1, J, 3, c) x (B, P, J, 3, 1)
        turned = np.empty((batch, len(goals.points), 3, _JOINTS, 3))
        for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
            turned[:, :, i] = a[..., j, :] * b[..., k, :] - a[..., k, :] * b[..., j, :]
        whole = np.broadcast_to(self.whole, (batch, *self.whole.shape))
        full = np.concatenate([whole, turned.reshape(batch, len(goals.points), 3, -1)], axis=-1)
        pins = full[:, : goals.pinned].reshape(batch, -1, full.shape[-1])[:, goals.rows]
        pins = pins * goals.strengths[..., :, None]
        if not self.walls:
            return pins
        walls = np.einsum("wk,bwkn->bwn", goals.normals, full[:, goals.wall_points])
        return np.concatenate([pins, walls * (goals.firmness * touching)[..., None]], axis=1)


def _body_axes(numbers: Array, limits: JointLimits) -> Array:
    """How a joint turns in its own frame by each of its numbers, (B, J, 3, 3) columns; the root by its own axes.

    swing' = swing · exp(Jr · change), Jr the right Jacobian of rotation vectors (Solà et al., "A micro Lie theory",
    2018, eq. 143); the twist behind it turns that back.
    """
    frames = limits.frames
    vector = np.einsum("...jk,jik->...ji", numbers[..., :2], frames[..., :2])  # across the bone
    square = np.einsum("...i,...i->...", vector, vector)[..., None, None]
    angle = np.sqrt(square)
    safe = np.maximum(square, 1e-12)
    small = square < 1e-8
    first = np.where(small, 0.5, (1.0 - np.cos(angle)) / safe)
    second = np.where(small, 1.0 / 6.0, (angle - np.sin(angle)) / (safe * np.sqrt(safe)))
    skew = np.einsum("ijk,...k->...ij", _SKEW, vector)
    right = _EYE - first * skew + second * np.matmul(skew, skew)
    across = np.matmul(right, frames[..., :2])
    half = -0.5 * numbers[..., 2:]
    back = np.concatenate([np.sin(half) * frames[..., 2], np.cos(half)], axis=-1)
    axes = np.concatenate(
        [np.matmul(rot.to_matrix(back), across), np.broadcast_to(frames[..., 2:], (*across.shape[:-1], 1))], axis=-1
    )
    axes[:, 0] = _EYE
    return axes


def _below() -> Array:
    """(22, 22): 1 where a row's joint hangs on a column's, or is it."""
    below = np.eye(_JOINTS)
    for joint, parent in enumerate(HUMANOID.parents):
        if parent >= 0:
            below[joint] += below[parent]
    return below


_EYE = np.eye(3)
_SKEW = np.zeros((3, 3, 3))  # _SKEW[i, j, k]·v[k] is the matrix of v ×
for _i, _j, _k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
    _SKEW[_i, _j, _k], _SKEW[_j, _i, _k] = -1.0, 1.0
