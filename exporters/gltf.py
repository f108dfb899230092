"""Clips -> one animated glTF file (.glb), which Blender, Unity, three.js and every viewer open: metres, +Y up, seconds.

Joints are nodes named NAME/JOINT with rotation channels; the root also has a translation channel. So that there is
something to see, each bone is a child node: one octahedron, stretched from the joint to the next. No skins.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pygltflib as gltf

from motion import rotations as rot
from motion.clip import Clip
from motion.skeleton import Skeleton

COLOURS = ((0.0, 0.45, 0.7), (0.9, 0.5, 0.0), (0.0, 0.6, 0.5), (0.8, 0.47, 0.65))  # Okabe and Ito 2008
_WIDTH = 0.16  # of a bone's thickness to its length

# From (0, 0, 0) to (0, 1, 0), thickest at a quarter.
_POINTS = np.array([[0, 0, 0], [1, 0.25, 0], [0, 0.25, 1], [-1, 0.25, 0], [0, 0.25, -1], [0, 1, 0]], dtype=np.float32)
_FACES = np.array(
    [face for k in range(1, 5) for face in ((0, k, k % 4 + 1), (5, k % 4 + 1, k))],
    dtype=np.uint16,
)


def write_gltf(path: str | Path, clips: Mapping[str, Clip]) -> Path:
    """Write clips by their names; each keeps its own rate. Raises ValueError when there is none."""
    if not clips:
        raise ValueError(f"{path}: no clips to write")
    file = _File()
    for number, (name, clip) in enumerate(clips.items()):
        file.add(name, clip, number % len(COLOURS))
    file.save(Path(path))
    return Path(path)


class _File:
    """A document that grows by clips, and the bytes that its accessors point into."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._document = gltf.GLTF2(
            asset=gltf.Asset(version="2.0", generator="pas-de-deux"),
            scene=0,
            scenes=[gltf.Scene(nodes=[])],
            animations=[gltf.Animation(name="dance", channels=[], samplers=[])],
        )
        flat = _POINTS[_FACES.reshape(-1)]  # a corner a face: flat faces need their own normals
        normals = np.cross(flat[1::3] - flat[0::3], flat[2::3] - flat[0::3])
        normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
        points = self._accessor(flat, gltf.VEC3, gltf.ARRAY_BUFFER, bounds=True)
        normals = self._accessor(np.repeat(normals, 3, axis=0), gltf.VEC3, gltf.ARRAY_BUFFER)
        for number, colour in enumerate(COLOURS):
            shine = gltf.PbrMetallicRoughness(baseColorFactor=[*colour, 1.0], metallicFactor=0.0, roughnessFactor=0.8)
            self._document.materials.append(gltf.Material(pbrMetallicRoughness=shine, doubleSided=True))
            attributes = gltf.Attributes(POSITION=points, NORMAL=normals)
            self._document.meshes.append(gltf.Mesh(primitives=[gltf.Primitive(attributes=attributes, material=number)]))

    def add(self, name: str, clip: Clip, colour: int) -> None:
        document, skeleton = self._document, clip.skeleton
        first = len(document.nodes)
        for joint, offset in enumerate(skeleton.offsets):
            place = clip.root_positions[0] if joint == 0 else offset
            document.nodes.append(
                gltf.Node(name=f"{name}/{skeleton.names[joint]}", translation=place.tolist(), children=[])
            )
        for joint, parent in enumerate(skeleton.parents):
            if parent < 0:
                document.scenes[0].nodes.append(first + joint)
            else:
                document.nodes[first + parent].children.append(first + joint)
        for joint, turn, size in _bones(skeleton):
            document.nodes[first + joint].children.append(len(document.nodes))
            document.nodes.append(gltf.Node(mesh=colour, rotation=turn, scale=size))
        seconds = np.arange(len(clip), dtype=np.float32) / np.float32(clip.fps)
        times = self._accessor(seconds, gltf.SCALAR, None, bounds=True)
        rotations = rot.continuous(clip.rotations)
        for joint in range(len(skeleton)):
            self._channel(first + joint, "rotation", times, self._accessor(rotations[:, joint], gltf.VEC4, None))
        self._channel(first, "translation", times, self._accessor(clip.root_positions, gltf.VEC3, None))

    def save(self, path: Path) -> None:
        self._document.buffers = [gltf.Buffer(byteLength=len(self._bytes))]
        self._document.set_binary_blob(bytes(self._bytes))
        self._document.save_binary(str(path))

    def _channel(self, node: int, what: str, times: int, values: int) -> None:
        animation = self._document.animations[0]
        target = gltf.AnimationChannelTarget(node=node, path=what)
        animation.channels.append(gltf.AnimationChannel(sampler=len(animation.samplers), target=target))
        animation.samplers.append(gltf.AnimationSampler(input=times, output=values, interpolation=gltf.ANIM_LINEAR))

    def _accessor(self, values: np.ndarray, kind: str, target: int | None, bounds: bool = False) -> int:
        """The number of a new accessor with these values (N, ...), as float32."""
        values = np.ascontiguousarray(values, dtype=np.float32)
        document, rows = self._document, values.reshape(len(values), -1)
        view = gltf.BufferView(buffer=0, byteOffset=len(self._bytes), byteLength=values.nbytes, target=target)
        self._bytes += values.tobytes()
        document.bufferViews.append(view)
        limits = {"min": rows.min(axis=0).tolist(), "max": rows.max(axis=0).tolist()} if bounds else {}
        document.accessors.append(
            gltf.Accessor(
                bufferView=len(document.bufferViews) - 1,
                componentType=gltf.FLOAT,
                count=len(values),
                type=kind,
                **limits,
            )
        )
        return len(document.accessors) - 1


def _bones(skeleton: Skeleton) -> list[tuple[int, list[float], list[float]]]:
    """(joint, rotation xyzw, scale) of the octahedra: from every joint to each of its children."""
    bones = []
    for joint, parent in enumerate(skeleton.parents):
        length = float(np.linalg.norm(skeleton.offsets[joint]))
        if parent >= 0 and length > 1e-6:
            turn = rot.between(np.array([0.0, 1.0, 0.0]), skeleton.offsets[joint])
            width = min(_WIDTH * length, 0.05)
            bones.append((parent, turn.tolist(), [width, length, width]))
    return bones
