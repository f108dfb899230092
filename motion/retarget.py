"""One skeleton's pose on another: joints are found by name, limb directions are kept exactly, roll is the source's.

For a target joint t that follows source joint s, global rotations W, and constants C fixed at rest:
    W_target[t] = W_source[s] · C_t,   C_t = turn(C_p·d_target -> d_source) · C_p
d are rest bone directions, p is the limb joint above; trunk and clavicles take C = B, the turn between the rest bodies.
Locally that is a product of source rotations along the path between two mapped joints: extra spine joints come out
right, missing ones follow their parent. The root is scaled by the ratio of leg lengths so that the mid-points of the
upper-leg joints coincide; heights are not touched otherwise. Both skeletons are Y up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from motion import profiles
from motion import rotations as rot
from motion.clip import Clip
from motion.kinematics import forward, local_to_global
from motion.profiles import SkeletonMismatch
from motion.skeleton import HUMANOID, Array, Skeleton

__all__ = ["Retargeter", "SkeletonMismatch"]

_SIDES = ("Left", "Right")
# The joint a limb joint points at; the last ones name a fallback direction in the body's frame (left is +X).
_LIMB_CHILD = {"UpperArm": "LowerArm", "LowerArm": "Hand", "UpperLeg": "LowerLeg", "LowerLeg": "Foot"}
UP_SNAP_DEGREES, LEFT_SNAP_DEGREES = 25.0, 5.0


class Retargeter:
    """Puts poses of `source` on `target`.

    profile: how the source's joints are called (`motion.profiles.PROFILES`), found by names when None. Raises
    SkeletonMismatch, naming the unmapped joints and the known profiles. `scale` is target leg length over source's.
    """

    def __init__(self, source: Skeleton, target: Skeleton = HUMANOID, profile: str | None = None) -> None:
        self.source, self.target = source, target
        self.profile, theirs = profiles.detect(source.names, profile)
        _, ours = profiles.detect(target.names)
        if ours["Hips"] != 0:
            raise SkeletonMismatch(f"the target's root must be its hips, not {target.names[0]!r}")
        rest_rotations = _t_pose(source, self.profile)
        source_body = _Body(source, theirs, rest_rotations)
        target_body = _Body(target, ours, np.broadcast_to(rot.IDENTITY, (len(target), 4)))
        self.scale = target_body.leg_length / source_body.leg_length
        follows, constants = _correspond(source_body, target_body)
        self.unmapped = tuple(n for k, n in enumerate(source.names) if k not in follows)

        same = source.names == target.names and source.parents == target.parents
        self._unchanged = same and _alike(source, target, ours)
        if self._unchanged:
            constants = np.broadcast_to(rot.IDENTITY, constants.shape)
        self._prepare_rotations(follows, constants)
        self._prepare_root(theirs, ours, follows[0], constants[0])

    def clip(self, clip: Clip) -> Clip:
        """The clip on the target skeleton. Raises ValueError when it is not of the source skeleton."""
        if clip.skeleton is not self.source and clip.skeleton.topology_hash != self.source.topology_hash:
            raise SkeletonMismatch(
                f"this retargeter reads {len(self.source)} joints ({self.source.names[0]} ...), "
                f"the clip has {len(clip.skeleton)} ({clip.skeleton.names[0]} ...)"
            )
        root, rotations = self.pose(clip.root_positions, clip.rotations)
        if len(rotations):
            rotations = rot.continuous(rotations)
        return Clip(self.target, clip.fps, root, rotations)

    def pose(self, root_position: ArrayLike, rotations: ArrayLike) -> tuple[Array, Array]:
        """One frame, or any batch: (..., 3) metres and (..., Js, 4) local -> (..., 3) and (..., Jt, 4) local."""
        root_position = np.asarray(root_position, dtype=np.float64)
        rotations = np.asarray(rotations, dtype=np.float64)
        local = rotations if self._unchanged else self._local(rotations)
        if self._unchanged and self._hangs_on_root:
            if self._same_body:
                return root_position, local
            return self.scale * root_position + np.matmul(rot.to_matrix(local[..., 0, :]), self._shift), local
        positions, _ = forward(self._hips, root_position, rotations[..., self._hips_joints, :])
        middle = 0.5 * (positions[..., self._legs[0], :] + positions[..., self._legs[1], :])
        root = self.scale * middle - np.matmul(rot.to_matrix(local[..., 0, :]), self._middle)
        return np.asarray(root), local

    # Locally: q_target[t] = C_parent⁻¹ · (path of source rotations from the parent's joint to t's) · C_t.

    def _prepare_rotations(self, follows: list[int], constants: Array) -> None:
        source, target = self.source, self.target
        paths = []
        for joint, parent in enumerate(target.parents):
            paths.append(_path(source, follows[parent] if parent >= 0 else -1, follows[joint]))
        longest = max(1, *(len(path) for path in paths))
        nothing = 2 * len(source)  # place of the identity behind the rotations and their inverses
        padded = [path + [nothing] * (longest - len(path)) for path in paths]
        self._paths = np.array(padded, dtype=np.intp).T  # (steps, Jt)
        before = np.array([rot.IDENTITY if p < 0 else rot.inverse(constants[p]) for p in target.parents])
        # before · x · after is linear in x: one 4x4 matrix a joint does both.
        self._constants = np.matmul(_left_matrix(before), _right_matrix(constants))

    def _local(self, rotations: Array) -> Array:
        pool = np.empty((*rotations.shape[:-2], 2 * len(self.source) + 1, 4))
        joints = len(self.source)
        pool[..., :joints, :] = rotations
        np.multiply(rotations, _CONJUGATE, out=pool[..., joints:-1, :])
        pool[..., -1, :] = rot.IDENTITY
        product = pool[..., self._paths[-1], :, None]
        for step in self._paths[-2::-1]:
            product = np.matmul(_left_matrix(pool[..., step, :]), product)
        return np.asarray(np.matmul(self._constants, product)[..., 0])

    def _prepare_root(self, theirs: dict[str, int], ours: dict[str, int], hips: int, constant: Array) -> None:
        """The few source joints between the root and the upper legs, as a skeleton of their own."""
        source, wanted = self.source, set()
        for side in _SIDES:
            joint = theirs[f"{side}UpperLeg"]
            while joint >= 0:
                wanted.add(joint)
                joint = source.parents[joint]
        self._hips_joints = np.array(sorted(wanted), dtype=np.intp)
        place = {int(joint): k for k, joint in enumerate(self._hips_joints)}
        self._hips = Skeleton(
            tuple(source.names[j] for j in place),
            tuple(place.get(source.parents[j], -1) for j in place),
            source.offsets[self._hips_joints],
        )
        self._legs = [place[theirs[f"{side}UpperLeg"]] for side in _SIDES]
        rest = self.target.rest_positions
        self._middle = 0.5 * (rest[ours["LeftUpperLeg"]] + rest[ours["RightUpperLeg"]]) - rest[0]
        # Where both legs hang on the root itself, their middle is a fixed point of its frame.
        self._hangs_on_root = all(self._hips.parents[leg] == 0 for leg in self._legs)
        middle = self._hips.offsets[self._legs].mean(axis=0)
        self._shift = self.scale * middle - self._middle
        self._same_body = abs(self.scale - 1.0) < 1e-5 and float(np.abs(self._shift).max()) < 1e-5


class _Body:
    """A skeleton standing in its T-pose (or whatever its rest is): positions, rotations, roles."""

    def __init__(self, skeleton: Skeleton, roles: dict[str, int], rest_rotations: Array) -> None:
        self.skeleton, self.roles = skeleton, roles
        self.rotations = local_to_global(skeleton, rest_rotations)  # (J, 4)
        self.positions = forward(skeleton, np.zeros(3), rest_rotations)[0]  # (J, 3)
        at = {role: self.positions[joint] for role, joint in roles.items()}
        for a, b in (("LeftUpperLeg", "RightUpperLeg"), ("Hips", "Head"), ("LeftUpperLeg", "LeftFoot")):
            if np.linalg.norm(at[a] - at[b]) < 1e-6:
                names = skeleton.names[roles[a]], skeleton.names[roles[b]]
                raise SkeletonMismatch(f"joints {names[0]!r} and {names[1]!r} stand at the same place at rest")
        self.frame = _body_frame(at["LeftUpperLeg"] - at["RightUpperLeg"], at["Head"] - at["Hips"])
        self.leg_length = sum(
            float(np.linalg.norm(at[f"{s}{a}"] - at[f"{s}{b}"]))
            for s in _SIDES
            for a, b in (("UpperLeg", "LowerLeg"), ("LowerLeg", "Foot"))
        )

    def direction(self, role: str) -> Array | None:
        """Unit rest direction of a limb joint, or None where the skeleton does not tell (or the bone has no length)."""
        tip = self._tip(role)
        if tip is None or role not in self.roles:
            return None
        bone = self.positions[tip] - self.positions[self.roles[role]]
        length = float(np.linalg.norm(bone))
        return bone / length if length > 1e-6 else None

    def _tip(self, role: str) -> int | None:
        side = next(s for s in _SIDES if role.startswith(s))
        limb = role.removeprefix(side)
        if limb in _LIMB_CHILD:
            return self.roles.get(side + _LIMB_CHILD[limb])
        if limb == "Foot" and f"{side}Toes" in self.roles:
            return self.roles[f"{side}Toes"]
        return self._outermost(self.roles[role]) if role in self.roles else None

    def _outermost(self, joint: int) -> int | None:
        """Where a hand, foot or toe ends: the middle finger's first joint, else the farthest child."""
        children = [k for k, parent in enumerate(self.skeleton.parents) if parent == joint]
        middle = [k for k in children if "mid" in self.skeleton.names[k].lower()]
        lengths = np.linalg.norm(self.skeleton.offsets, axis=-1)
        return max(middle or children, key=lambda k: lengths[k], default=None)


def _correspond(source: _Body, target: _Body) -> tuple[list[int], Array]:
    """For every target joint the source joint it follows and the constant C (J, 4)."""
    roles = {joint: role for role, joint in target.roles.items()}
    body = rot.multiply(source.frame, rot.inverse(target.frame))
    follows: list[int] = []
    rest: list[Array] = []  # the target's global rotation when the source stands in its T-pose
    for joint, parent in enumerate(target.skeleton.parents):
        role = roles.get(joint)
        if role is None or role not in source.roles:
            follows.append(follows[parent])
            rest.append(rest[parent])
            continue
        follows.append(source.roles[role])
        limb = role.startswith(_SIDES) and not role.endswith("Shoulder")
        if not limb:
            rest.append(body)
            continue
        # Turned with the limb above it, then the little that is left: a splayed leg's foot keeps its roll.
        theirs, ours = source.direction(role), target.direction(role)
        if ours is None:
            ours = _natural_direction(role, target.frame)
        turn = rot.IDENTITY if theirs is None else rot.between(rot.rotate(rest[parent], ours), theirs)
        rest.append(rot.multiply(turn, rest[parent]))
    return follows, rot.multiply(rot.inverse(source.rotations[follows]), np.array(rest))


def _natural_direction(role: str, frame: Array) -> Array:
    """Where a childless hand or toe points in a T-pose."""
    side = 1.0 if role.startswith("Left") else -1.0
    local = [0.0, 0.0, 1.0] if role.endswith(("Foot", "Toes")) else [side, 0.0, 0.0]
    return rot.rotate(frame, np.array(local))


def _body_frame(left: Array, up: Array) -> Array:
    """The turn (4,) from (left +X, up +Y, forward +Z) to a rest body.

    Spines bow and heads jut, so `up` counts as the axis it is near; hips are level, so `left` is taken at its word.
    """
    y = _snapped(up, UP_SNAP_DEGREES)
    x = _snapped(left - (left @ y) * y, LEFT_SNAP_DEGREES)
    x = x - (x @ y) * y
    x /= np.linalg.norm(x)
    return rot.from_matrix(np.stack([x, y, np.cross(x, y)], axis=-1))


def _snapped(direction: Array, degrees: float) -> Array:
    """The unit direction, or the coordinate axis that is nearer to it than `degrees`."""
    unit = direction / np.linalg.norm(direction)
    axis = np.zeros(3)
    axis[np.argmax(np.abs(unit))] = np.sign(unit[np.argmax(np.abs(unit))])
    return axis if unit @ axis > np.cos(np.radians(degrees)) else unit


def _t_pose(source: Skeleton, profile: str) -> Array:
    """Local rotations (J, 4) in which the source stands in a T-pose: none, but where its offsets draw no body."""
    rotations = np.tile(rot.IDENTITY, (len(source), 1))
    roles = profiles.match(source.names, profile)
    rest = {role: source.rest_positions[joint] for role, joint in roles.items()}
    if (rest["Head"] - rest["Hips"]) @ (rest["LeftFoot"] - rest["LeftUpperLeg"]) < 0.0:
        return rotations  # legs point away from the head: this one's offsets do draw a body, whatever its names
    for role, angles in profiles.T_POSES.get(profile, {}).items():
        if role in roles:
            rotations[roles[role]] = rot.from_euler("ZXY", np.radians(angles))
    return rotations


def _alike(source: Skeleton, target: Skeleton, roles: dict[str, int]) -> bool:
    """Whether two skeletons with the same joints rest in the same pose, lengths aside."""
    limbs = [j for role, j in roles.items() if role.endswith(("LowerArm", "Hand", "LowerLeg", "Foot"))]
    a, b = source.offsets[limbs], target.offsets[limbs]
    cosine = np.sum(a * b, axis=-1) / np.maximum(np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1), 1e-9)
    return bool((cosine > np.cos(np.radians(15.0))).all())


def _path(skeleton: Skeleton, start: int, end: int) -> list[int]:
    """W[start]⁻¹·W[end] as a product of local rotations; J + k stands for the inverse of joint k."""
    up, down = [], []
    ancestors = set()
    joint = end
    while joint >= 0:
        ancestors.add(joint)
        joint = skeleton.parents[joint]
    while start >= 0 and start not in ancestors:
        up.append(len(skeleton) + start)
        start = skeleton.parents[start]
    while end != start:
        down.append(end)
        end = skeleton.parents[end]
    return up + down[::-1]


_CONJUGATE = np.array([-1.0, -1.0, -1.0, 1.0])
# L(a)·b = a·b: L[i, j] = sign[i, j] · a[place[i, j]], and R(b)·a = a·b likewise.
_LEFT_PLACE = np.array([[3, 2, 1, 0], [2, 3, 0, 1], [1, 0, 3, 2], [0, 1, 2, 3]], dtype=np.intp)
_LEFT_SIGN = np.array([[1, -1, 1, 1], [1, 1, -1, 1], [-1, 1, 1, 1], [-1, -1, -1, 1]], dtype=np.float64)
_RIGHT_SIGN = np.array([[1, 1, -1, 1], [-1, 1, 1, 1], [1, -1, 1, 1], [-1, -1, -1, 1]], dtype=np.float64)


def _left_matrix(q: Array) -> Array:
    return np.asarray(q[..., _LEFT_PLACE] * _LEFT_SIGN)


def _right_matrix(q: Array) -> Array:
    return np.asarray(q[..., _LEFT_PLACE] * _RIGHT_SIGN)
