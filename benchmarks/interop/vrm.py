"""A VRM 1.0 avatar made from a skeleton: a bone a node, and a small box along every bone to see it by.

Source: VRMC_vrm 1.0, github.com/vrm-c/vrm-specification; glTF 2.0. Metres, right-handed, Y up, facing +Z, as inside.
"""

from __future__ import annotations

import json
import struct
from itertools import product
from typing import Any

import numpy as np

from motion.skeleton import Array, Skeleton

THICKNESS = 0.05  # metres


def vrm(skeleton: Skeleton) -> bytes:
    """The file. Joint names are Unity's bone names."""
    bones = {name[0].lower() + name[1:]: {"node": joint} for joint, name in enumerate(skeleton.names)}
    nodes: list[dict[str, Any]] = [
        {"name": name, "translation": offset.tolist(), "children": []}
        for name, offset in zip(skeleton.names, skeleton.offsets, strict=True)
    ]
    for joint, parent in enumerate(skeleton.parents[1:], start=1):
        nodes[parent]["children"] += [joint, len(nodes)]
        nodes.append({"mesh": 0, **_box_along(skeleton.offsets[joint])})
    for node in nodes:
        if not node.get("children", True):
            del node["children"]  # an empty list is not allowed
    corners = np.array(list(product((-0.5, 0.5), repeat=3)), dtype="<f4")
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    indices = np.array([(a, b, c, a, c, d) for a, b, c, d in faces], dtype="<u2").ravel()
    binary = corners.tobytes() + indices.tobytes()
    meta = {"name": "sticks", "authors": ["Pas de Deux"], "licenseUrl": "https://vrm.dev/licenses/1.0/"}
    document = {
        "asset": {"version": "2.0"},
        "extensionsUsed": ["VRMC_vrm"],
        "extensions": {"VRMC_vrm": {"specVersion": "1.0", "meta": meta, "humanoid": {"humanBones": bones}}},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": nodes,
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1, "material": 0}]}],
        "materials": [{"pbrMetallicRoughness": {"baseColorFactor": [0.9, 0.5, 0.2, 1.0], "metallicFactor": 0.0}}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 8, "type": "VEC3", "min": [-0.5] * 3, "max": [0.5] * 3},
            {"bufferView": 1, "componentType": 5123, "count": len(indices), "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": corners.nbytes},
            {"buffer": 0, "byteOffset": corners.nbytes, "byteLength": indices.nbytes},
        ],
        "buffers": [{"byteLength": len(binary)}],
    }
    text = json.dumps(document).encode()
    chunks = _chunk(b"JSON", text + b" " * (-len(text) % 4)) + _chunk(b"BIN\0", binary + b"\0" * (-len(binary) % 4))
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack("<I4s", len(content), kind) + content


def _box_along(bone: Array) -> dict[str, list[float]]:
    """Where a box of size 1 goes so that it lies along a bone: its Y axis becomes the bone's."""
    length = float(np.linalg.norm(bone))
    direction = bone / max(length, 1e-9)
    turn = np.array([direction[2], 0.0, -direction[0], 1.0 + direction[1]])  # half the way from Y to the bone
    if np.linalg.norm(turn) < 1e-6:
        turn = np.array([1.0, 0.0, 0.0, 0.0])
    turn /= np.linalg.norm(turn)
    return {
        "translation": (bone / 2.0).tolist(),
        "rotation": turn.tolist(),
        "scale": [THICKNESS, max(length, 0.01), THICKNESS],
    }
