"""How a pose becomes a body with volume: tapered limbs between joints, ellipsoids for trunk, head, hands and feet.

No viser here and no sockets: numbers in, transforms of two unit shapes out. A limb is the unit shape `limb_mesh`
(y from 0 to 1) scaled to (radius, length, radius), an ellipsoid the unit sphere scaled to its half axes, so a stage
full of people is two instanced meshes whose scales never change. Sizes are metres on HUMANOID.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motion import rotations as rot
from motion.kinematics import forward
from motion.skeleton import HUMANOID, Array, Skeleton

Floats = NDArray[np.float32]
Mesh = tuple[Floats, NDArray[np.uint32]]  # vertices (V, 3), faces (F, 3)

# Shells keep the body's colour, what they turn on is darker: one sees how somebody is bent, as on an artist's manikin.
_SHELL, _JOINT, _FACE = 1.0, 0.42, 0.22
# From joint, to joint, radius at the thickest, tone. {} stands for Left and Right.
_LIMBS = (
    ("{}UpperLeg", "{}LowerLeg", 0.082, _SHELL),
    ("{}LowerLeg", "{}Foot", 0.059, _SHELL),
    ("{}Shoulder", "{}UpperArm", 0.050, _JOINT),
    ("{}UpperArm", "{}LowerArm", 0.049, _SHELL),
    ("{}LowerArm", "{}Hand", 0.041, _SHELL),
    ("UpperChest", "Head", 0.056, _JOINT),
)
# Joint, centre and half axes in the joint's frame, both as (sideways, up, forward), and tone. Sideways points away
# from the middle for the sided ones.
_ELLIPSOIDS = (
    ("Hips", (0.0, 0.030, 0.0), (0.152, 0.108, 0.112), _SHELL),
    ("Spine", (0.0, -0.020, 0.002), (0.110, 0.130, 0.084), _JOINT),
    ("Spine", (0.0, 0.045, 0.002), (0.118, 0.095, 0.088), _SHELL),
    ("Chest", (0.0, 0.085, -0.004), (0.153, 0.195, 0.112), _SHELL),
    ("UpperChest", (0.0, 0.070, -0.016), (0.142, 0.070, 0.078), _SHELL),
    ("Head", (0.0, 0.088, 0.012), (0.076, 0.116, 0.094), _SHELL),
    ("Head", (0.0, 0.098, 0.042), (0.064, 0.050, 0.076), _FACE),  # shows where somebody looks
    ("{}UpperArm", (0.0, 0.0, 0.0), (0.054, 0.054, 0.054), _SHELL),
    ("{}LowerArm", (0.0, 0.0, 0.0), (0.034, 0.034, 0.034), _JOINT),
    ("{}Hand", (0.0, 0.0, 0.0), (0.026, 0.026, 0.026), _JOINT),
    ("{}Hand", (0.090, -0.002, 0.004), (0.085, 0.020, 0.042), _SHELL),
    ("{}UpperLeg", (0.0, 0.0, 0.0), (0.072, 0.074, 0.074), _JOINT),
    ("{}LowerLeg", (0.0, 0.0, 0.002), (0.050, 0.050, 0.050), _JOINT),
    ("{}Foot", (0.0, 0.0, 0.0), (0.036, 0.036, 0.036), _JOINT),
    ("{}Foot", (0.0, -0.022, 0.040), (0.043, 0.036, 0.108), _SHELL),
    ("{}Toes", (0.0, -0.001, 0.016), (0.045, 0.021, 0.056), _SHELL),
)
SHADOW_RINGS = 6  # discs on top of each other that make one soft shadow
_SHADOW_HEIGHT = 0.30  # a foot this far up throws no contact shadow
_LABEL_HEIGHT = 0.32  # over the head joint


@dataclass(frozen=True, eq=False)
class Placement:
    """Where the shapes of one body are, world metres, quaternions wxyz as the page wants them."""

    limb_positions: Floats  # (L, 3), the joint a limb starts at
    limb_wxyzs: Floats  # (L, 4), turns the unit limb's y to the bone's direction
    ellipsoid_positions: Floats  # (E, 3)
    ellipsoid_wxyzs: Floats  # (E, 4)
    shadow_positions: Floats  # (S, 3)
    shadow_wxyzs: Floats  # (S, 4)
    shadow_scales: Floats  # (S, 3)
    label_position: Floats  # (3,), over the head
    middle: Floats  # (3,), the hips


class Figure:
    """The body a skeleton wears. Scales and tones are fixed, `place` says where everything is.

    Raises KeyError naming the joint when the skeleton lacks one of HUMANOID's.
    """

    def __init__(self, skeleton: Skeleton = HUMANOID) -> None:
        self._skeleton = skeleton
        size = skeleton.hip_height / HUMANOID.hip_height
        limbs = [(a.format(s), b.format(s), r, tone) for a, b, r, tone in _LIMBS for s in _sides(a)]
        starts = [skeleton.index(name) for name, *_ in limbs]
        ends = [skeleton.index(name) for _, name, *_ in limbs]
        offsets = skeleton.rest_positions[ends] - skeleton.rest_positions[starts]
        self._limb_joints = np.array(starts)
        self._limb_turns = rot.between(np.broadcast_to([0.0, 1.0, 0.0], offsets.shape), offsets)
        radii = np.array([radius for *_, radius, _ in limbs]) * size
        self.limb_tones = np.array([tone for *_, tone in limbs])
        self.limb_scales = np.stack([radii, np.linalg.norm(offsets, axis=1), radii], axis=1).astype(np.float32)
        round_ones = [(j.format(s), _mirror(s, at), half, tone) for j, at, half, tone in _ELLIPSOIDS for s in _sides(j)]
        self._ellipsoid_joints = np.array([skeleton.index(name) for name, *_ in round_ones])
        self._ellipsoid_offsets = np.array([at for _, at, *_ in round_ones]) * size
        self.ellipsoid_scales = (np.array([half for *_, half, _ in round_ones]) * size).astype(np.float32)
        self.ellipsoid_tones = np.array([tone for *_, tone in round_ones])
        self._head = skeleton.index("Head")
        self._label_offset = np.array([0.0, _LABEL_HEIGHT * size, 0.0])
        self._feet = np.array([skeleton.index(f"{side}Foot") for side in ("Left", "Right")])
        self._toes = np.array([skeleton.index(f"{side}Toes") for side in ("Left", "Right")])
        lowest = skeleton.rest_positions[:, 1].min() - 0.021 * size  # the floor under the resting body
        self._foot_heights = skeleton.rest_positions[self._feet, 1] - lowest
        self._size = size

    def place(self, root_position: Array, rotations: Array) -> Placement:
        """root_position (3,) metres, rotations (J, 4) local xyzw."""
        positions, matrices = forward(self._skeleton, root_position, rotations)
        turns = rot.from_matrix(matrices)  # (J, 4) global
        joints = self._ellipsoid_joints
        shadow_positions, shadow_wxyzs, shadow_scales = self._shadows(positions)
        return Placement(
            limb_positions=positions[self._limb_joints].astype(np.float32),
            limb_wxyzs=_wxyz(rot.multiply(turns[self._limb_joints], self._limb_turns)),
            ellipsoid_positions=(
                positions[joints] + np.einsum("jab,jb->ja", matrices[joints], self._ellipsoid_offsets)
            ).astype(np.float32),
            ellipsoid_wxyzs=_wxyz(turns[joints]),
            shadow_positions=shadow_positions,
            shadow_wxyzs=shadow_wxyzs,
            shadow_scales=shadow_scales,
            label_position=(positions[self._head] + self._label_offset).astype(np.float32),
            middle=positions[0].astype(np.float32),
        )

    def _shadows(self, positions: Array) -> tuple[Floats, Floats, Floats]:
        """Under each foot and, wide and faint, under the hips: rings that add up to a soft spot."""
        feet, toes = positions[self._feet], positions[self._toes]
        spots = np.concatenate([0.5 * (feet + toes), positions[:1]])  # (3, 3)
        lift = np.minimum(feet[:, 1] - self._foot_heights, toes[:, 1] - 0.021 * self._size)
        near = np.clip(1.0 - lift / _SHADOW_HEIGHT, 0.0, 1.0)
        widths = np.append(0.115 * near, 0.42) * self._size
        lengths = np.append(0.20 * near, 0.42) * self._size
        forward_xz = (toes - feet)[:, [0, 2]]
        yaws = rot.yaw(np.append(np.arctan2(forward_xz[:, 0], forward_xz[:, 1]), 0.0))
        rings = np.arange(1, SHADOW_RINGS + 1) / SHADOW_RINGS  # (R,)
        scales = np.ones((3, SHADOW_RINGS, 3))
        scales[..., 0], scales[..., 2] = widths[:, None] * rings, lengths[:, None] * rings
        where = np.repeat(spots[:, None], SHADOW_RINGS, axis=1)
        where[..., 1] = 0.002 + 0.0005 * (np.arange(3)[:, None] + 3 * np.arange(SHADOW_RINGS))  # none in one plane
        flat = np.maximum(scales, 1e-4).reshape(-1, 3).astype(np.float32)
        return where.reshape(-1, 3).astype(np.float32), _wxyz(np.repeat(yaws, SHADOW_RINGS, axis=0)), flat


def limb_mesh(rings: int = 18, around: int = 20) -> Mesh:
    """A limb along y from 0 to 1 with round ends, thickest (radius 1) in its upper third as calves and forearms are."""
    y = 0.5 - 0.5 * np.cos(np.linspace(0.0, np.pi, rings))  # denser where the ends bend
    fullness = 0.66 + 0.34 * np.sin(np.pi * np.clip((y + 0.22) / 1.12, 0.0, 1.0)) - 0.20 * y
    ends = np.sqrt(np.clip(1.0 - (1.0 - np.minimum(y, 1.0 - y) / 0.09).clip(0.0) ** 2, 0.0, 1.0))
    radius = fullness * ends
    return _revolve(np.maximum(radius / radius.max(), 1e-4), y, around)


def sphere_mesh(rings: int = 20, around: int = 28) -> Mesh:
    """The unit sphere about the origin."""
    polar = np.linspace(np.pi, 0.0, rings)
    return _revolve(np.maximum(np.sin(polar), 1e-4), np.cos(polar), around)


def disc_mesh(around: int = 40) -> Mesh:
    """A unit disc in the floor plane, facing up."""
    angles = np.linspace(0.0, 2.0 * np.pi, around, endpoint=False)
    rim = np.stack([np.sin(angles), np.zeros(around), np.cos(angles)], axis=1)
    ring = np.arange(around)
    faces = np.stack([np.full(around, around), ring, np.roll(ring, -1)], axis=1)
    return np.vstack([rim, np.zeros(3)]).astype(np.float32), faces.astype(np.uint32)


def _revolve(radius: Array, y: Array, around: int) -> Mesh:
    angles = np.linspace(0.0, 2.0 * np.pi, around, endpoint=False)
    circle = np.stack([np.sin(angles), np.zeros(around), np.cos(angles)], axis=1)
    vertices = radius[:, None, None] * circle + y[:, None, None] * np.array([0.0, 1.0, 0.0])  # (rings, around, 3)
    place = np.arange(len(y) * around).reshape(len(y), around)
    low, high = place[:-1], place[1:]
    low_next, high_next = np.roll(low, -1, axis=1), np.roll(high, -1, axis=1)
    faces = np.stack([low, low_next, high_next, low, high_next, high], axis=-1)
    return vertices.reshape(-1, 3).astype(np.float32), faces.reshape(-1, 3).astype(np.uint32)


def _sides(name: str) -> tuple[str, ...]:
    return ("Left", "Right") if "{}" in name else ("",)


def _mirror(side: str, at: tuple[float, float, float]) -> tuple[float, float, float]:
    return (-at[0], at[1], at[2]) if side == "Right" else at


def _wxyz(xyzw: Array) -> Floats:
    return xyzw[..., [3, 0, 1, 2]].astype(np.float32)
