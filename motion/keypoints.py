"""Points on a body, as a camera's detector finds them, to a pose of HUMANOID's joints. Numbers only, frame by frame.

A detector tells where the joints are, not how they are turned. Two directions turn a joint: along its bone and across
it. Across are the other hip or shoulder for the trunk, the plane in which elbow or knee is bent for the limbs, the
knuckles for a hand, shin and heel for a foot. The frame of those two directions, times the transpose of the same frame
at rest, is the joint's global rotation. Axes are the project's own, the unit of length is whatever the points have.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motion import rotations as rot
from motion.clip import Pose
from motion.keypoint_body import (
    NEEDS,
    POINTS,
    REST,
    REST_VECTORS,
    ROWS,
    SIDES,
    VECTOR,
    BodySizes,
    Bools,
    believable,
    places,
)
from motion.keypoint_frames import carried, cross, frames, seen_from, turn_between, unit, upright
from motion.keypoint_sides import SideGuard, TrunkMemory
from motion.kinematics import forward
from motion.skeleton import HUMANOID, Array, Skeleton

__all__ = ["POINTS", "KeypointFitter"]

EASE = 0.25  # seconds in which a joint comes back to what is seen, after as long a gap or a longer one
HIPLESS = 1.0  # seconds without hips after which the trunk is taken as upright
REMADE_STEP, REMADE_WAIT = 0.01, 1.0  # metres a rest offset must move; seconds between two remade skeletons
SMALLEST, LARGEST = 0.3, 2.0  # of HUMANOID's size: what is beyond is no person, and the last bones stay
SCALE_HALF_LIFE = 0.3  # seconds: somebody who comes nearer grows
FLOOR_FRAMES = 60  # the floor is where the lower foot was in the middle one of so many frames: jumps are short
FLOATING_HALF_LIFE = 0.05  # seconds: without a place in the room, somebody stands on the lower foot at all times
STRAIGHT, BENT = 0.1, 0.35  # sines of the bend at which an elbow's or knee's plane tells nothing, tells everything
ROLL_HALF_LIFE = 0.5  # seconds in which a straight limb's roll goes half the way to its neutral one


class _Sight(NamedTuple):
    """A frame's vectors in the points' unit, their directions, and which of them are told by what is seen."""

    vectors: Array
    directions: Array
    told: Bools


class KeypointFitter:
    """One person's points to poses on `skeleton`: HUMANOID's joints with this person's bones, in metres.

    scale: metres per unit of the points; None takes the body as tall as HUMANOID, whatever it measures from frame to
    frame. floating: the points' origin is the hips, so the lower foot stands on the floor in every frame; otherwise the
    floor is where the lower foot mostly is, and jumps are seen. The skeleton is made anew, at most once a second, when
    a bone has changed by 1 cm.
    """

    def __init__(self, scale: float | None = None, floating: bool = False) -> None:
        self.skeleton = HUMANOID
        self.sizes = BodySizes()
        self._sides, self._trunk = SideGuard(), TrunkMemory()
        self._scale = scale
        self._floating = floating
        self._metres = 0.0  # per unit; none yet
        self._since_remade = np.inf
        self._soles = np.zeros(FLOOR_FRAMES)  # heights of the lower foot
        self._sole_count = 0
        self._floor = 0.0
        self._matrices = np.tile(np.eye(3), (len(HUMANOID), 1, 1))  # global
        self._rotations = np.tile(rot.IDENTITY, (len(HUMANOID), 1))  # local
        self._behind = np.zeros(len(HUMANOID))  # seconds until each joint is where it is seen
        self._collar = _collar(HUMANOID.offsets)
        self._hipless = HIPLESS  # seconds without the whole trunk
        self._limbs, self._hinges = _REST_UPPER, _REST_HINGES  # as the trunk sees them

    def fit(self, points: Array, seen: Bools, dt: float) -> Pose | None:
        """The pose of one frame, `dt` > 0 seconds after the last; None where neither hips nor shoulders are seen.

        points: (25, 3) in the order of POINTS. seen: (25,) which of them to believe; the others may be anything. A
        joint that cannot be told keeps its last local rotation. When it can be told again it eases back, for as long as
        it was lost but not longer than `EASE`.
        """
        points, seen = believable(points, seen)
        if not (seen[_HIPS].all() or seen[_SHOULDERS].all()):
            return None
        points, seen = self._sides.put_back(points, seen, dt)
        points, seen = self._trunk.completed(points, seen)
        vectors = ROWS @ points
        sight = _Sight(vectors, unit(vectors), NEEDS @ ~seen == 0.0)
        self.sizes.note(sight.vectors, sight.told, dt)
        self._measure(dt)
        good = np.zeros(len(HUMANOID), dtype=bool)
        self._turn_trunk(sight, good, dt)
        self._turn_limbs(sight, good, dt)
        self._turn_head(points, seen, good)
        self._settle(good, dt)
        return self._placed(points, seen, dt)

    def _measure(self, dt: float) -> None:
        """The unit's length, and the skeleton."""
        wanted = 1.0 / self.sizes.overall if self._scale is None else self._scale
        share = 1.0 if self._metres == 0.0 else 1.0 - 0.5 ** (dt / SCALE_HALF_LIFE)
        self._metres += share * (wanted - self._metres)
        self._since_remade += dt
        if self._since_remade >= REMADE_WAIT and SMALLEST <= self.sizes.overall * wanted <= LARGEST:
            offsets = self.sizes.offsets() * wanted
            if np.abs(offsets[1:] - self.skeleton.offsets[1:]).max() > REMADE_STEP:
                self._since_remade = 0.0
                self.skeleton = _standing(offsets)
                self._collar = _collar(offsets)

    def _turn_trunk(self, sight: _Sight, good: Bools, dt: float) -> None:
        """Hips turn with the line of the hips, the chest with that of the shoulders, the spine in between.

        Where hips have long been out of sight, the trunk is upright and turns with the shoulders.
        """
        hips, _, shoulders = sight.directions[_TRUNK_ROWS]
        trunk = sight.vectors[_TRUNK_ROWS[1]]
        told_all = bool(sight.told[_TRUNK_ROWS].all())
        self._hipless = 0.0 if told_all else self._hipless + dt
        if self._hipless > HIPLESS and sight.told[_TRUNK_ROWS[2]]:  # only the upper half is in the picture
            hips, told_all = unit(shoulders * (1.0, 0.0, 1.0)), True
            trunk = upright(hips) @ REST_VECTORS[_TRUNK_ROWS[1]] / self._metres
        if told_all:
            turns, fine = frames(hips[None], trunk[None])
            turned = turns[0] @ _REST_HIPS
            bend = trunk * self._metres - turned @ self.skeleton.offsets[_SPINE[0]]  # from the spine joint upwards
            across = (1.0 - _TWIST) * hips + _TWIST * shoulders  # (3 joints, 3)
            turns, straight = frames(np.broadcast_to(bend, (3, 3)), across)
            if fine.all() and straight.all():
                self._matrices[0] = turned
                self._matrices[_SPINE] = turns @ _REST_SPINE
                good[0] = good[_SPINE] = True
                return
        self._matrices[0] = rot.to_matrix(self._rotations[0])
        for joint in _SPINE:
            self._hold(joint)

    def _turn_limbs(self, sight: _Sight, good: Bools, dt: float) -> None:
        chest = self._matrices[_SPINE[-1]]
        along = sight.directions[_BONES]
        across = np.empty_like(along)
        half = 0.5 * self._metres * sight.vectors[_TRUNK_ROWS[2]]
        along[1] = half + chest @ self._collar[0]
        along[2] = chest @ self._collar[1] - half
        across[0] = sight.directions[_TRUNK_ROWS[2]] + sight.directions[_EARS]
        across[1:3] = chest[:, 1]
        across[3:7] = across[7:11] = self._turned_hinges(sight, dt)
        across[11:] = sight.directions[_ACROSS_ENDS]
        turns, fine = frames(along, across)
        fine &= sight.told[_BONES]
        fine[11:] &= sight.told[_ACROSS_ENDS]
        good[_LIMB_JOINTS] = fine
        self._matrices[_LIMB_JOINTS] = turns @ _REST_LIMB_FRAMES
        for joint in _LIMB_JOINTS[~fine]:
            self._hold(joint)
        self._matrices[_TOES] = self._matrices[_FEET]  # no point tells of the ball of the foot
        good[_TOES] = True

    def _turned_hinges(self, sight: _Sight, dt: float) -> Array:
        """The axes (4 limbs, 3) about which elbows and knees are bent.

        A bent limb shows it. A straight one carries it along as the trunk sees it, without turning about itself, and
        lets it go slowly to where rest would have carried it; straight legs have it across their foot.
        """
        trunk, told = self._matrices[_TRUNK_OF_LIMBS], sight.told
        upper = sight.directions[_UPPER]
        hinges = cross(upper, sight.directions[_LOWER])
        bend = np.sqrt(np.einsum("ij,ij->i", hinges, hinges))
        shown = np.clip((bend - STRAIGHT) / (BENT - STRAIGHT), 0.0, 1.0) * told[_LOWER]
        upper, hinges = seen_from(trunk, upper), seen_from(trunk, hinges)
        neutral = carried(_REST_HINGES, _REST_UPPER, upper)
        feet = seen_from(trunk[2:], sight.directions[_FOOT_ROWS])
        neutral[2:] = np.where(told[_FOOT_ROWS, None], cross(feet, upper[2:]), neutral[2:])
        kept = carried(self._hinges, self._limbs, upper)
        kept += (1.0 - 0.5 ** (dt / ROLL_HALF_LIFE)) * (neutral - kept)
        hinges = (shown / np.maximum(bend, 1e-9))[:, None] * hinges + (1.0 - shown)[:, None] * kept
        hinges -= np.einsum("ij,ij->i", hinges, upper)[:, None] * upper
        fine = (told[_UPPER] & (np.einsum("ij,ij->i", hinges, hinges) > 1e-6))[:, None]
        self._hinges = np.where(fine, unit(hinges), self._hinges)
        self._limbs = np.where(fine, upper, self._limbs)
        return np.asarray(np.matmul(trunk, self._hinges[:, :, None])[:, :, 0])

    def _turn_head(self, points: Array, seen: Bools, good: Bools) -> None:
        """By whatever three points of the face are seen, or more."""
        face = _FACE[seen[_FACE]]
        turned = turn_between(REST[face], points[face])
        good[_HEAD] = turned is not None
        if turned is None:
            self._hold(_HEAD)
        else:
            self._matrices[_HEAD] = turned

    def _hold(self, joint: int) -> None:
        self._matrices[joint] = self._matrices[_PARENTS[joint]] @ rot.to_matrix(self._rotations[joint])

    def _settle(self, good: Bools, dt: float) -> None:
        """Global matrices to local rotations: held where nothing was seen, eased to where it is seen again."""
        local = self._matrices.copy()
        local[1:] = np.matmul(self._matrices[_PARENTS[1:]].transpose(0, 2, 1), self._matrices[1:])
        wanted = rot.from_matrix(local)
        wanted *= np.where(np.einsum("ij,ij->i", wanted, self._rotations) < 0.0, -1.0, 1.0)[:, None]
        share = np.where(good, dt / np.maximum(self._behind, dt), 0.0)
        self._behind = np.where(good, np.maximum(self._behind - dt, 0.0), np.minimum(self._behind + dt, EASE))
        moved = self._rotations + share[:, None] * (wanted - self._rotations)
        self._rotations = moved / np.sqrt(np.einsum("ij,ij->i", moved, moved))[:, None]

    def _placed(self, points: Array, seen: Bools, dt: float) -> Pose:
        """The pose with its feet on the floor."""
        positions = forward(self.skeleton, _ORIGIN, self._rotations)[0]
        anchors, joints = (_HIPS, _UPPER_LEGS) if seen[_HIPS].any() else (_SHOULDERS, _UPPER_ARMS)
        root = (points[anchors] * self._metres - positions[joints])[seen[anchors]].mean(axis=0)
        lowest = float((positions[_SOLES, 1] - self.skeleton.rest_positions[_SOLES, 1]).min() + root[1])
        if self._floating and self._sole_count:
            self._floor += (1.0 - 0.5 ** (dt / FLOATING_HALF_LIFE)) * (lowest - self._floor)
        elif seen[_ANKLES].any() or not self._sole_count:
            self._soles[self._sole_count % FLOOR_FRAMES] = lowest
            self._sole_count += 1
            known = np.sort(self._soles[: self._sole_count])
            self._floor = float(known[len(known) // 2])
        root[1] -= self._floor
        return Pose(self.skeleton, root, self._rotations)


def _collar(offsets: Array) -> Array:
    """From where each clavicle (left, right) hangs on the chest to the middle of the shoulders, (2, 3)."""
    clavicles, upper_arms = offsets[_CLAVICLES], offsets[_UPPER_ARMS]
    return np.asarray((clavicles + upper_arms).mean(axis=0) - clavicles)


def _standing(offsets: Array) -> Skeleton:
    """HUMANOID with these offsets, its hips so high that the lowest joint is as high as HUMANOID's."""
    offsets[0] = 0.0
    offsets[0, 1] = HUMANOID.rest_positions[:, 1].min() - HUMANOID.with_offsets(offsets).rest_positions[:, 1].min()
    return HUMANOID.with_offsets(offsets)


def _joints(*names: str) -> NDArray[np.intp]:
    """HUMANOID's joints of these names; one without a side means both, left first."""
    both = [[name] if name in HUMANOID.names else [side + name for side in SIDES] for name in names]
    return np.array([HUMANOID.index(name) for pair in both for name in pair], dtype=np.intp)


def _rows(*names: str) -> NDArray[np.intp]:
    """Places of these vectors; one without a side means both, left first."""
    both = [[name] if name in VECTOR else [f"{side} {name}" for side in SIDES] for name in names]
    return np.array([VECTOR[name] for pair in both for name in pair], dtype=np.intp)


_PARENTS = np.array(HUMANOID.parents, dtype=np.intp)
_SPINE = _joints("Spine", "Chest", "UpperChest")
_CLAVICLES, _UPPER_ARMS = _joints("Shoulder"), _joints("UpperArm")
_UPPER_LEGS, _FEET, _TOES = _joints("UpperLeg"), _joints("Foot"), _joints("Toes")
_SOLES = _joints("Foot", "Toes")
_HEAD = HUMANOID.index("Head")
_HIPS, _SHOULDERS, _ANKLES = places("Hip"), places("Shoulder"), places("Ankle")
_FACE = places("Nose", "Ear", "Eye")

# The joints that one batch of frames turns, parents first, and the vectors along them.
_LIMB_JOINTS = _joints("Neck", "Shoulder", "UpperArm", "UpperLeg", "LowerArm", "LowerLeg", "Hand", "Foot")
_BONES = _rows("neck", "Shoulder line", "Shoulder line", "upper arm", "upper leg", "lower arm", "lower leg")
_BONES = np.concatenate([_BONES, _rows("palm", "foot")])
_UPPER, _LOWER = _BONES[3:7], _BONES[7:11]  # arms, then legs
_FOOT_ROWS, _EARS = _rows("foot"), VECTOR["Ear line"]
_ACROSS_ENDS = _rows("knuckles", "shin")  # across hands and feet
_TRUNK_ROWS = _rows("Hip line", "trunk", "Shoulder line")
_TRUNK_OF_LIMBS = np.array([_SPINE[-1], _SPINE[-1], 0, 0])
_TWIST = np.array([[1.0 / 3.0], [2.0 / 3.0], [1.0]])  # how much of the shoulders' turn each spine joint has

# At rest. A left elbow bends from +X towards +Z, about -Y; a right one about +Y; knees from -Y towards -Z, about +X.
_REST_HINGES = np.array([[0.0, -1.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
_REST_UPPER = unit(REST_VECTORS[_UPPER])


def _rest_frames(along: Array, across: Array) -> Array:
    return np.ascontiguousarray(frames(along, across)[0].transpose(0, 2, 1))


_ORIGIN = np.zeros(3)
_UP = np.array([0.0, 1.0, 0.0])
_LEFT = np.array([1.0, 0.0, 0.0])
_REST_HIPS = _rest_frames(_LEFT[None], REST_VECTORS[_TRUNK_ROWS[1]][None])[0]
_REST_SPINE = _rest_frames(
    np.tile(REST_VECTORS[_TRUNK_ROWS[1]] - HUMANOID.offsets[_SPINE[0]], (3, 1)), np.tile(_LEFT, (3, 1))
)
_REST_ALONG = REST_VECTORS[_BONES]
_REST_ALONG[1:3] = HUMANOID.offsets[_UPPER_ARMS]
_REST_LIMB_FRAMES = _rest_frames(
    _REST_ALONG,
    np.concatenate([[_LEFT, _UP, _UP], _REST_HINGES, _REST_HINGES, REST_VECTORS[_ACROSS_ENDS]]),
)
