"""Meshes that carry their light in their colours: whoever draws one computes no light for any pixel of it.

Format: glTF 2.0 binary, https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html, and its extension
KHR_materials_unlit. Colours are linear light before the browser's tone mapping (ACES, as three.js has it).
"""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motion.skeleton import Array

_FLOAT, _UNSIGNED = 5126, 5125  # glTF's numbers for kinds of components
_JSON, _BINARY = 0x4E4F534A, 0x004E4942


def painted(vertices: Array, colours: Array, faces: NDArray[np.integer[Any]]) -> bytes:
    """A file of glTF. vertices (V, 3); colours (V, 3), or (V, 4) where it is see-through; faces (F, 3)."""
    parts = (vertices.astype("<f4"), colours.astype("<f4"), faces.astype("<u4").reshape(-1))
    starts = np.cumsum([0, *(part.nbytes for part in parts)]).tolist()
    blended = colours.shape[1] == 4
    described = {
        "asset": {"version": "2.0"},
        "extensionsUsed": ["KHR_materials_unlit"],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "COLOR_0": 1}, "indices": 2, "material": 0}]}],
        "materials": [{"alphaMode": "BLEND" if blended else "OPAQUE", "extensions": {"KHR_materials_unlit": {}}}],
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
                "min": parts[0].min(axis=0).tolist(),
                "max": parts[0].max(axis=0).tolist(),
            },
            {
                "bufferView": 1,
                "componentType": _FLOAT,
                "count": len(vertices),
                "type": "VEC4" if blended else "VEC3",
            },
            {"bufferView": 2, "componentType": _UNSIGNED, "count": len(parts[2]), "type": "SCALAR"},
        ],
    }
    text = json.dumps(described).encode()
    text += b" " * (-len(text) % 4)
    data = b"".join(part.tobytes() for part in parts)
    chunks = struct.pack("<II", len(text), _JSON) + text + struct.pack("<II", len(data), _BINARY) + data
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks
