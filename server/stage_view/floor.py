"""What is under everybody: the floor with a pool of light, a grid of lines on it, and soft spots that move about on it.

The floor fills most of the picture, so a light on it, and a shader that draws lines on all of it, cost most of the
drawing where there is no GPU.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motion.skeleton import Array
from server.stage_view.painted import painted

# Metres from the middle, and the colour there: sRGB (78, 86, 108) under the pool of light, (60, 67, 82) outside of it.
_POOL = (
    (0.0, (0.086, 0.099, 0.143)),
    (1.2, (0.081, 0.093, 0.133)),
    (2.4, (0.069, 0.079, 0.111)),
    (3.6, (0.063, 0.072, 0.098)),
    (40.0, (0.062, 0.071, 0.096)),
)
_AROUND = 48
Faces = NDArray[np.intp]
CELL = 0.5  # metres from one line of the grid to the next
_REACH = 7.0  # metres from the middle to where the lines have faded
_LINE = (0.15, 0.165, 0.21)
_OPACITY, _FADING = 0.8, 1.5
_KNOTS = np.array([-1.0, -0.6, -0.25, 0.0, 0.25, 0.6, 1.0]) * _REACH  # along a line


def floor_glb() -> bytes:
    """A disc about the origin in the floor plane, facing up."""
    radii, colours = np.array([radius for radius, _ in _POOL]), np.array([colour for _, colour in _POOL])
    return painted(_rounds(radii, _AROUND), np.repeat(colours, _AROUND, axis=0), _between(len(radii), _AROUND))


def grid_glb() -> bytes:
    """Lines CELL apart about the origin, with soft edges and the wider the further off: thin ones would flicker."""
    count = int(_REACH / CELL)
    aside = CELL * np.arange(-count, count + 1)
    across, along = np.meshgrid(aside, _KNOTS, indexing="ij")  # (N, K)
    away = np.hypot(across, along) / _REACH
    half = 0.007 + 0.023 * away
    opacity = _OPACITY * np.clip(1.0 - away, 0.0, 1.0) ** _FADING
    edges = across[..., None] + half[..., None] * np.array([-1.0, 0.0, 1.0])  # (N, K, 3)
    flat = np.zeros_like(edges)
    lines = np.stack([edges, flat, np.broadcast_to(along[..., None], edges.shape)], axis=-1)
    colours = np.concatenate([np.full((*edges.shape, 3), _LINE), opacity[..., None, None] * _SOFT], axis=-1)
    place = np.arange(edges.size).reshape(edges.shape)
    near, far = place[:, :-1], place[:, 1:]
    faces = np.stack(
        [near[..., :-1], far[..., :-1], far[..., 1:], near[..., :-1], far[..., 1:], near[..., 1:]], axis=-1
    ).reshape(-1, 3)
    turned = lines[..., [2, 1, 0]]
    vertices = np.concatenate([lines.reshape(-1, 3), turned.reshape(-1, 3)])
    both = np.concatenate([faces, faces[:, ::-1] + edges.size])
    return painted(vertices, np.tile(colours.reshape(-1, 4), (2, 1)), both)


def spot_glb(colour: Array, opacities: Array, around: int = 14) -> bytes:
    """A unit disc in the floor plane, facing up. colour (3,); opacities (R,) from the middle to the edge."""
    rim = _rounds(np.linspace(0.0, 1.0, len(opacities))[1:], around)
    ring = np.arange(around)
    middle = np.stack([np.full(around, len(rim)), ring, np.roll(ring, -1)], axis=1)
    opaque = np.append(np.repeat(opacities[1:], around), opacities[0])
    colours = np.column_stack([np.tile(colour, (len(opaque), 1)), opaque])
    faces = np.concatenate([_between(len(opacities) - 1, around), middle])
    return painted(np.vstack([rim, np.zeros(3)]), colours, faces)


_SOFT = np.array([[0.0], [1.0], [0.0]])  # of a line's opacity, from edge to edge


def _rounds(radii: Array, around: int) -> Array:
    """Circles in the floor plane, (R * around, 3)."""
    angles = np.linspace(0.0, 2.0 * np.pi, around, endpoint=False)
    rim = np.stack([np.sin(angles), np.zeros(around), np.cos(angles)], axis=1)
    rounds: Array = (radii[:, None, None] * rim).reshape(-1, 3)
    return rounds


def _between(rounds: int, around: int) -> Faces:
    """Faces between each of some circles and the next, facing up."""
    place = np.arange(rounds * around).reshape(rounds, around)
    near, far = place[:-1], place[1:]
    near_next, far_next = np.roll(near, -1, axis=1), np.roll(far, -1, axis=1)
    faces: Faces = np.stack([near, far, far_next, near, far_next, near_next], axis=-1).reshape(-1, 3)
    return faces
