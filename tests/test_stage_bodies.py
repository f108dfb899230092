"""Poses as bodies with volume: shapes stand where the joints are."""

import json
import struct

import numpy as np
import pytest

from motion import rotations as rot
from motion.kinematics import global_positions
from motion.skeleton import HUMANOID
from server.stage_view import bodies, floor

STANDING = (HUMANOID.offsets[0], np.tile(rot.IDENTITY, (len(HUMANOID), 1)))


def turned(wxyzs: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    return rot.rotate(wxyzs[:, [1, 2, 3, 0]], vectors)


def test_limbs_begin_and_end_at_joints() -> None:
    random = np.random.default_rng(1)
    root, rotations = random.normal(size=3), rot.normalize(random.normal(size=(len(HUMANOID), 4)))
    positions = global_positions(HUMANOID, root, rotations)
    body = bodies.place(root, rotations)
    along = bodies.LIMB_SCALES * (0.0, 1.0, 0.0)
    ends = body.limb_positions + turned(body.limb_wxyzs, along)
    for ends_of_limbs in (body.limb_positions, ends):
        nearest = np.linalg.norm(ends_of_limbs[:, None] - positions[None], axis=-1).min(axis=1)
        np.testing.assert_allclose(nearest, 0.0, atol=1e-5)  # float32 of a few metres


def test_a_standing_body_touches_the_floor_and_nothing_goes_below() -> None:
    body = bodies.place(*STANDING)
    lowest = (body.ellipsoid_positions - bodies.ELLIPSOID_SCALES)[:, 1]
    assert -0.002 < lowest.min() < 0.002


def test_a_body_turns_as_a_whole() -> None:
    quarter = rot.yaw(np.pi / 2)
    root, rotations = STANDING
    still, spun = bodies.place(root, rotations), bodies.place(root, np.vstack([quarter, rotations[1:]]))
    moved = rot.rotate(quarter, still.ellipsoid_positions.astype(float))
    np.testing.assert_allclose(spun.ellipsoid_positions, moved, atol=1e-6)


def test_a_lifted_foot_loses_its_shadow() -> None:
    root, rotations = STANDING
    standing, jumping = bodies.place(root, rotations), bodies.place(root + np.array([0.0, 0.5, 0.0]), rotations)
    assert jumping.shadow_scales[:2, 0].max() < 0.01 < standing.shadow_scales[:2, 0].min()
    assert (standing.shadow_positions[:, 1] > 0).all()


@pytest.mark.parametrize("mesh", [bodies.limb_mesh(), bodies.sphere_mesh()])
def test_meshes_face_outwards(mesh: bodies.Mesh) -> None:
    vertices, faces = mesh
    a, b, c = (vertices[faces[:, k]].astype(float) for k in range(3))
    normals = np.cross(b - a, c - a)
    outwards = (a + b + c) / 3 - (0.0, 0.5 if vertices[:, 1].min() == 0 else 0.0, 0.0) + (0.0, 1e-6, 0.0)
    big = np.linalg.norm(normals, axis=1) > 1e-4  # not the slivers at the poles
    assert (np.einsum("fk,fk->f", normals[big], outwards[big]) > 0).all()


@pytest.mark.parametrize(
    ("data", "reach"),
    [
        (floor.floor_glb(), 40.0),
        (floor.grid_glb(), 7.0),
        (floor.spot_glb(np.array([0.0, 0.1, 0.5]), np.array([0.4, 0.2, 0.0])), 1.0),
    ],
    ids=["floor", "grid", "spot"],
)
def test_what_lies_on_the_floor_is_read_back_flat_and_faces_up(data: bytes, reach: float) -> None:
    magic, version, size, length, kind = struct.unpack("<4sIIII", data[:20])
    assert (magic, version, size, kind) == (b"glTF", 2, len(data), 0x4E4F534A)
    told = json.loads(data[20 : 20 + length])
    binary = data[28 + length :]
    assert len(binary) == told["buffers"][0]["byteLength"]
    views = [binary[view["byteOffset"] :][: view["byteLength"]] for view in told["bufferViews"]]
    vertices, faces = np.frombuffer(views[0], "<f4").reshape(-1, 3), np.frombuffer(views[2], "<u4").reshape(-1, 3)
    colours = np.frombuffer(views[1], "<f4").reshape(len(vertices), -1)
    assert told["accessors"][1]["type"] == f"VEC{colours.shape[1]}"
    assert (told["materials"][0]["alphaMode"] == "BLEND") == (colours.shape[1] == 4)
    assert set(faces.ravel()) == set(range(len(vertices)))
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    normals = np.cross(b - a, c - a)
    assert (normals[:, 1] >= 0).all()
    assert normals[:, 1].any()
    assert np.abs(vertices).max() == pytest.approx(reach, rel=0.01)
    assert not vertices[:, 1].any()
