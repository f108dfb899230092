"""The floor as one mesh whose light is painted on it: nothing of it is computed for each pixel while people dance.

The floor fills most of the picture, so lights on it cost most of the drawing where there is no GPU.

Format: glTF 2.0 binary, https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html, and its extension
KHR_materials_unlit.
"""

from __future__ import annotations

import json
import struct

import numpy as np

# Metres from the middle, and the colour there in linear light before the browser's tone mapping (ACES, as three.js
# has it): sRGB (78, 86, 108) under the pool of light, (60, 67, 82) outside of it.
_POOL = (
    (0.0, (0.086, 0.099, 0.143)),
    (1.2, (0.081, 0.093, 0.133)),
    (2.4, (0.069, 0.079, 0.111)),
    (3.6, (0.063, 0.072, 0.098)),
    (40.0, (0.062, 0.071, 0.096)),
)
_AROUND = 48
_FLOAT, _UNSIGNED = 5126, 5125  # glTF's numbers for kinds of components
_JSON, _BINARY = 0x4E4F534A, 0x004E4942


def floor_glb() -> bytes:
    """A disc about the origin in the floor plane, facing up, as a file of glTF."""
    angles = np.linspace(0.0, 2.0 * np.pi, _AROUND, endpoint=False)
    rim = np.stack([np.sin(angles), np.zeros(_AROUND), np.cos(angles)], axis=1)
    radii, colours = np.array([radius for radius, _ in _POOL]), np.array([colour for _, colour in _POOL])
    vertices = (radii[:, None, None] * rim).reshape(-1, 3).astype("<f4")
    painted = np.repeat(colours, _AROUND, axis=0).astype("<f4")
    place = np.arange(len(vertices)).reshape(len(radii), _AROUND)
    near, far = place[:-1], place[1:]
    near_next, far_next = np.roll(near, -1, axis=1), np.roll(far, -1, axis=1)
    faces = np.stack([near, far, far_next, near, far_next, near_next], axis=-1).reshape(-1).astype("<u4")
    return _glb(vertices, painted, faces)


def _glb(vertices: np.ndarray, colours: np.ndarray, faces: np.ndarray) -> bytes:
    parts = (vertices, colours, faces)
    starts = np.cumsum([0, *(part.nbytes for part in parts)]).tolist()
    described = {
        "asset": {"version": "2.0"},
        "extensionsUsed": ["KHR_materials_unlit"],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "COLOR_0": 1}, "indices": 2, "material": 0}]}],
        "materials": [{"extensions": {"KHR_materials_unlit": {}}}],
        "buffers": [{"byteLength": starts[-1]}],
        "bufferViews": [
            {"buffer": 0, "byteOffset": start, "byteLength": part.nbytes}
            for start, part in zip(starts, parts, strict=False)
        ],
        "accessors": [
            {
                "bufferView": 0,
                "componentType": _FLOAT,
                "count": len(vertices),
                "type": "VEC3",
                "min": vertices.min(axis=0).tolist(),
                "max": vertices.max(axis=0).tolist(),
            },
            {"bufferView": 1, "componentType": _FLOAT, "count": len(colours), "type": "VEC3"},
            {"bufferView": 2, "componentType": _UNSIGNED, "count": len(faces), "type": "SCALAR"},
        ],
    }
    text = json.dumps(described).encode()
    text += b" " * (-len(text) % 4)
    data = b"".join(part.tobytes() for part in parts)
    chunks = struct.pack("<II", len(text), _JSON) + text + struct.pack("<II", len(data), _BINARY) + data
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks
