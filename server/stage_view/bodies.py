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
from motion.skeleton import HUMANOID, Array

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
    ("UpperChest", "Neck", 0.060, _JOINT),
    ("Neck", "Head", 0.050, _JOINT),
)
# Joint, centre and half axes in the joint's frame, both as (sideways, up, forward), and tone. Sideways points away
# from the middle for the sided ones.
_ELLIPSOIDS = (
    ("Hips", (0.0, 0.035, 0.0), (0.154, 0.112, 0.112), _SHELL),
    ("Spine", (0.0, -0.005, 0.002), (0.112, 0.130, 0.086), _JOINT),
    ("Chest", (0.0, 0.065, -0.004), (0.152, 0.215, 0.112), _SHELL),
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
SHADOW = (0.42, 0.30, 0.13, 0.0)  # how dark a soft spot is, from its middle to its edge
_FOOT_SHADOW, _BODY_SHADOW = (0.115, 0.20), (0.42, 0.42)  # half a width, half a length
_SHADOW_HEIGHT = 0.30  # a foot this far up throws no contact shadow
_LABEL_OFFSET = np.array([0.0, 0.32, 0.0])  # from the head joint


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
    joints: Array  # (J, 3)


def place(root_position: Array, rotations: Array) -> Placement:
    """One body of a pose on HUMANOID: root_position (3,) metres, rotations (J, 4) local xyzw."""
    positions, matrices = forward(HUMANOID, root_position, rotations)
    turns = rot.from_matrix(matrices)  # (J, 4) global
    centres = positions[_ROUND_JOINTS] + np.einsum("eab,eb->ea", matrices[_ROUND_JOINTS], _ROUND_OFFSETS)
    shadow_positions, shadow_wxyzs, shadow_scales = _shadows(positions)
    return Placement(
        limb_positions=positions[_LIMB_STARTS].astype(np.float32),
        limb_wxyzs=_wxyz(rot.multiply(turns[_LIMB_STARTS], _LIMB_TURNS)),
        ellipsoid_positions=centres.astype(np.float32),
        ellipsoid_wxyzs=_wxyz(turns[_ROUND_JOINTS]),
        shadow_positions=shadow_positions,
        shadow_wxyzs=shadow_wxyzs,
        shadow_scales=shadow_scales,
        label_position=(positions[HUMANOID.index("Head")] + _LABEL_OFFSET).astype(np.float32),
        middle=positions[0].astype(np.float32),
        joints=positions,
    )


def _shadows(positions: Array) -> tuple[Floats, Floats, Floats]:
    """Under each foot and, wide, under the hips: soft spots, nearly nothing under a high foot."""
    feet, toes = positions[_FEET], positions[_TOES]
    spots = np.concatenate([0.5 * (feet + toes), positions[:1]])  # (3, 3)
    spots[:, 1] = 0.002 + 0.001 * np.arange(3)  # no two in one plane: they would flicker
    lift = np.minimum(feet[:, 1] - _REST_HEIGHTS[_FEET], toes[:, 1] - _REST_HEIGHTS[_TOES])
    near = np.clip(1.0 - lift / _SHADOW_HEIGHT, 0.001, 1.0)
    sizes = np.vstack([np.outer(near, _FOOT_SHADOW), _BODY_SHADOW])  # (3, 2)
    along = toes - feet
    yaws = rot.yaw(np.append(np.arctan2(along[:, 0], along[:, 2]), 0.0))
    scales = np.insert(sizes, 1, 1.0, axis=1)
    return spots.astype(np.float32), _wxyz(yaws), scales.astype(np.float32)


def limb_mesh(rings: int = 6, around: int = 10) -> Mesh:
    """A limb along y from 0 to 1 with round ends, thickest (radius 1) in its upper third as calves and forearms are."""
    y = 0.5 - 0.5 * np.cos(np.linspace(0.0, np.pi, rings + 2))  # denser where the ends bend
    fullness = 0.66 + 0.34 * np.sin(np.pi * np.clip((y + 0.22) / 1.12, 0.0, 1.0)) - 0.20 * y
    ends = np.sqrt(np.clip(1.0 - (1.0 - np.minimum(y, 1.0 - y) / 0.09).clip(0.0) ** 2, 0.0, 1.0))
    radius = fullness * ends
    return _revolve(radius / radius.max(), y, around)


def sphere_mesh(rings: int = 7, around: int = 12) -> Mesh:
    """The unit sphere about the origin."""
    polar = np.linspace(np.pi, 0.0, rings + 2)
    return _revolve(np.sin(polar), np.cos(polar), around)


def _revolve(radius: Array, y: Array, around: int) -> Mesh:
    """What rings (R,) about y enclose; the first and the last are points. Each vertex costs, where there is no GPU."""
    angles = np.linspace(0.0, 2.0 * np.pi, around, endpoint=False)
    circle = np.stack([np.sin(angles), np.zeros(around), np.cos(angles)], axis=1)
    rings = radius[1:-1, None, None] * circle + y[1:-1, None, None] * np.array([0.0, 1.0, 0.0])  # (R - 2, around, 3)
    points = np.array([[0.0, y[0], 0.0], [0.0, y[-1], 0.0]])
    place = np.arange(rings.shape[0] * around).reshape(-1, around)
    after = np.roll(place, -1, axis=1)
    first, last = np.full(around, place.size), np.full(around, place.size + 1)
    faces = [
        np.stack([place[:-1], after[:-1], after[1:], place[:-1], after[1:], place[1:]], axis=-1).reshape(-1, 3),
        np.stack([first, after[0], place[0]], axis=-1),
        np.stack([last, place[-1], after[-1]], axis=-1),
    ]
    vertices = np.concatenate([rings.reshape(-1, 3), points])
    return vertices.astype(np.float32), np.concatenate(faces).astype(np.uint32)


def _wxyz(xyzw: Array) -> Floats:
    return xyzw[..., [3, 0, 1, 2]].astype(np.float32)


def _sided(name: str) -> tuple[tuple[str, float], ...]:
    return (("Left", 1.0), ("Right", -1.0)) if "{}" in name else (("", 1.0),)


# The tables above, both sides, as arrays.
_limbs = [(a.format(s), b.format(s), radius, tone) for a, b, radius, tone in _LIMBS for s, _ in _sided(a)]
_LIMB_STARTS = np.array([HUMANOID.index(start) for start, *_ in _limbs])
_limb_offsets = HUMANOID.offsets[[HUMANOID.index(end) for _, end, *_ in _limbs]]
_LIMB_TURNS = rot.between(np.broadcast_to([0.0, 1.0, 0.0], _limb_offsets.shape), _limb_offsets)
LIMB_TONES = np.array([tone for *_, tone in _limbs])
LIMB_SCALES: Floats = np.array(
    [(radius, np.linalg.norm(offset), radius) for (*_, radius, _), offset in zip(_limbs, _limb_offsets, strict=True)],
    dtype=np.float32,
)
_rounds = [
    (j.format(s), np.array(at) * (x, 1, 1), half, tone) for j, at, half, tone in _ELLIPSOIDS for s, x in _sided(j)
]
_ROUND_JOINTS = np.array([HUMANOID.index(joint) for joint, *_ in _rounds])
_ROUND_OFFSETS = np.array([at for _, at, *_ in _rounds])
ELLIPSOID_SCALES: Floats = np.array([half for *_, half, _ in _rounds], dtype=np.float32)
ELLIPSOID_TONES = np.array([tone for *_, tone in _rounds])
_FEET = np.array([HUMANOID.index(f"{side}Foot") for side in ("Left", "Right")])
_TOES = np.array([HUMANOID.index(f"{side}Toes") for side in ("Left", "Right")])
_REST_HEIGHTS = HUMANOID.rest_positions[:, 1]  # over the floor: HUMANOID rests standing
