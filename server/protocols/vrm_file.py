"""A user's avatar, a .vrm file, to the body that stands in it: which bones it has and where they are at rest.

A .vrm is a binary glTF; only its JSON is read, never the meshes. VRM 0 faces -Z in the file and VRM 1.0 +Z, so a VRM 0
is turned round. Receivers move bones of a body in T-pose whose axes are the world's, and so are the offsets here: from
the bone above to this one, whatever nodes lie between. Bytes in, Skeleton out; a file that is none is a PacketError.
Sources: glTF 2.0 specification 4.4 (GLB); VRM 0.x `extensions.VRM.humanoid`, VRM 1.0 `extensions.VRMC_vrm.humanoid`.
"""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

from motion import rotations as rot
from motion.skeleton import Array, Skeleton
from server.protocols.frames import FAR, PacketError
from server.protocols.vmc_bones import unity_names

MAX_NODES = 4096
_MAGIC, _JSON = b"glTF", b"JSON"


def avatar_of(data: bytes) -> Skeleton:
    """The humanoid of a .vrm on Unity's bone names: parents first, metres, Y up, facing +Z, Hips over the floor.

    Raises PacketError naming what is missing or wrong.
    """
    gltf = _json_chunk(data)
    bones, turned = _humanoid(gltf)
    nodes = _listed(gltf, "nodes")
    if not 0 < len(nodes) <= MAX_NODES:
        raise PacketError(f"{len(nodes)} nodes; an avatar has 1 to {MAX_NODES}")
    parents = _parents(nodes)
    order = sorted(bones, key=lambda name: len(_above(bones[name], parents)))
    try:
        names = unity_names(order)
    except ValueError:
        names = []
    if not names or names[0] != "Hips" or len(set(names)) != len(names):
        raise PacketError(f"the humanoid's bones are no VRM: {', '.join(order) or 'none'}")
    places = {bones[name]: place for place, name in enumerate(order)}
    joint_parents, positions = [], np.empty((len(order), 3))
    for place, name in enumerate(order):
        above = _above(bones[name], parents)
        joint_parents.append(next((places[node] for node in above if node in places), -1))
        positions[place] = _world_position([bones[name], *above], nodes)
    if joint_parents.count(-1) > 1 or not np.abs(positions).max() <= FAR:
        raise PacketError("the humanoid's bones do not hang together, or lie kilometres apart")
    positions *= [-1.0, 1.0, -1.0] if turned else [1.0, 1.0, 1.0]
    offsets = positions - np.where(np.array(joint_parents)[:, None] < 0, 0.0, positions[joint_parents])
    return Skeleton(tuple(names), tuple(joint_parents), offsets)


def _json_chunk(data: bytes) -> dict[str, Any]:
    if len(data) < 20 or data[:4] != _MAGIC:
        raise PacketError("no binary glTF: a .vrm begins with the four letters glTF")
    version, _, size = struct.unpack_from("<3I", data, 4)
    if version != 2 or data[16:20] != _JSON or 20 + size > len(data):
        raise PacketError(f"glTF version {version} with {size} bytes of JSON in a file of {len(data)}")
    try:
        gltf = json.loads(data[20 : 20 + size])
    except (ValueError, RecursionError) as error:
        raise PacketError(f"its JSON does not read: {error}") from error
    if not isinstance(gltf, dict):
        raise PacketError("its JSON is no object")
    return gltf


def _humanoid(gltf: dict[str, Any]) -> tuple[dict[str, int], bool]:
    """The node of each bone by the file's own names, and whether the avatar faces -Z (VRM 0)."""
    extensions = gltf.get("extensions")
    extensions = extensions if isinstance(extensions, dict) else {}
    for key, turned in (("VRMC_vrm", False), ("VRM", True)):
        try:
            table = extensions[key]["humanoid"]["humanBones"]
            entries = [(b["bone"], b["node"]) for b in table] if turned else [(b, n["node"]) for b, n in table.items()]
        except KeyError:
            continue
        except (AttributeError, TypeError):
            raise PacketError(f"{key}.humanoid.humanBones is no table of bones") from None
        count = len(_listed(gltf, "nodes"))
        if not all(isinstance(bone, str) and type(node) is int and 0 <= node < count for bone, node in entries):
            raise PacketError(f"{key}.humanoid.humanBones names a node that is not there")
        if len({node for _, node in entries}) != len(entries) or len({bone for bone, _ in entries}) != len(entries):
            raise PacketError(f"{key}.humanoid.humanBones names a bone or a node twice")
        return dict(entries), turned
    raise PacketError("no VRM: neither VRMC_vrm (1.0) nor VRM (0) with a humanoid is among its extensions")


def _parents(nodes: list[Any]) -> list[int]:
    parents = [-1] * len(nodes)
    for number, node in enumerate(nodes):
        for child in _listed(node, "children"):
            if type(child) is not int or not 0 <= child < len(nodes) or parents[child] >= 0:
                raise PacketError(f"node {number} has the child {child!r}, which is none or another's")
            parents[child] = number
    return parents


def _above(node: int, parents: list[int]) -> list[int]:
    """The nodes above one, nearest first."""
    above: list[int] = []
    while (node := parents[node]) >= 0:
        above.append(node)
        if len(above) > len(parents):
            raise PacketError("its nodes hang on each other in a circle")
    return above


def _world_position(chain: list[int], nodes: list[Any]) -> Array:
    """Where a node stands; chain: itself and the nodes above it, nearest first."""
    position: Array = np.zeros(3)
    for node in chain:
        if "matrix" in nodes[node]:
            matrix = _numbers(nodes[node], "matrix", np.eye(4).ravel()).reshape(4, 4).T  # stored by columns
            position = matrix[:3, :3] @ position + matrix[:3, 3]
            continue
        turn = rot.normalize(_numbers(nodes[node], "rotation", rot.IDENTITY))
        scaled = _numbers(nodes[node], "scale", np.ones(3)) * position
        position = rot.rotate(turn, scaled) + _numbers(nodes[node], "translation", np.zeros(3))
    return position


def _listed(node: Any, key: str) -> list[Any]:
    found = node.get(key, []) if isinstance(node, dict) else None
    if not isinstance(found, list):
        raise PacketError(f"{key} is no list")
    return found


def _numbers(node: dict[str, Any], key: str, default: Array) -> Array:
    try:
        numbers = np.array(node.get(key, default), dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        numbers = np.array([np.nan])
    if numbers.shape != default.shape or not (np.abs(numbers) <= 1e6).all():
        raise PacketError(f"a node's {key} is not {len(default)} numbers")
    return numbers
