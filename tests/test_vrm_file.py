"""A user's avatar: its bones and offsets out of a .vrm of either version, and what goes out for it."""

import json
import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broken_bytes import damaged
from motion import kinematics
from motion import rotations as rot
from motion.skeleton import HUMANOID, Skeleton
from server.protocols import osc
from server.protocols.frames import PacketError, PoseFrame
from server.protocols.vmc import BONE, VmcEncoder
from server.protocols.vrm_file import avatar_of


def glb(gltf: object) -> bytes:
    text = json.dumps(gltf).encode()
    text += b" " * (-len(text) % 4)
    return b"glTF" + struct.pack("<3I", 2, 20 + len(text), len(text)) + b"JSON" + text


def avatar_gltf(version: int, body: Skeleton = HUMANOID, missing: tuple[str, ...] = (), root=None) -> dict:
    """A file's JSON with `body` standing in it, below a node that is no bone; missing: nodes that are no bones."""
    turn = np.array([1.0, 1.0, 1.0]) if version == 1 else np.array([-1.0, 1.0, -1.0])
    nodes: list[dict] = [{"name": "Root", "children": [1]} | (root or {})]
    for name, offset in zip(body.names, body.offsets, strict=True):
        nodes.append({"name": name, "translation": (offset * turn).tolist(), "children": []})
    for joint, parent in enumerate(body.parents[1:], start=1):
        nodes[parent + 1]["children"].append(joint + 1)
    bones = [(n[0].lower() + n[1:], k + 1) for k, n in enumerate(body.names) if n not in missing]
    if version == 1:
        extensions = {"VRMC_vrm": {"humanoid": {"humanBones": {bone: {"node": node} for bone, node in bones}}}}
    else:
        extensions = {"VRM": {"humanoid": {"humanBones": [{"bone": bone, "node": node} for bone, node in bones]}}}
    return {"nodes": nodes, "extensions": extensions}


def stretched() -> Skeleton:
    """Long legs, short arms, and ankles higher over the floor than HUMANOID's."""
    offsets = HUMANOID.offsets * np.where(np.abs(HUMANOID.offsets[:, :1]) > 0.2, 0.8, 1.2)
    offsets[0] = [0.0, 1.05, 0.02]
    return HUMANOID.with_offsets(offsets)


def by_name(skeleton: Skeleton) -> dict[str, list[float]]:
    return dict(zip(skeleton.names, skeleton.rest_positions.tolist(), strict=True))


def bones_of(encoder: VmcEncoder, frame: PoseFrame) -> dict[str, tuple[float, ...]]:
    messages = [message for datagram in encoder.encode(frame) for message in osc.parse(datagram)]
    return {args[0]: args[1:] for address, args in messages if address == BONE}


def standing(height: float = HUMANOID.offsets[0, 1]) -> PoseFrame:
    still = np.tile(rot.IDENTITY, (len(HUMANOID), 1))
    return PoseFrame(HUMANOID, np.array([0.0, height, 0.0]), still, 0.0, 0.0, 0)


@pytest.mark.parametrize("version", [0, 1])
def test_the_body_of_either_version_faces_forward_with_its_left_on_the_left(version):
    expected, found = by_name(stretched()), by_name(avatar_of(glb(avatar_gltf(version, stretched()))))
    assert found.keys() == expected.keys()
    for name, position in expected.items():
        assert found[name] == pytest.approx(position, abs=1e-12), name


def test_nodes_between_bones_and_scaled_turned_roots_are_gone_through():
    half = np.sqrt(0.5)
    root = {"scale": [0.01] * 3, "rotation": [-half, 0.0, 0.0, half], "translation": [0.0, 0.0, 0.0]}
    z_up = HUMANOID.with_offsets(100.0 * HUMANOID.offsets[:, [0, 2, 1]] * [1.0, -1.0, 1.0])  # a Blender export
    body = avatar_of(glb(avatar_gltf(1, z_up, missing=("UpperChest", "LeftToes"), root=root)))
    for name, position in by_name(body).items():
        assert position == pytest.approx(by_name(HUMANOID)[name], abs=1e-12), name
    assert "UpperChest" not in body.names
    assert body.names[body.parents[body.index("Neck")]] == "Chest"


def test_a_matrix_stands_for_the_three_parts():
    root = {"matrix": [0, 0, -2, 0, 0, 2, 0, 0, 2, 0, 0, 0, 1, 0, 0, 1]}  # by columns: X to -Z, Z to X, twice, 1 aside
    assert avatar_of(glb(avatar_gltf(1, root=root))).offsets[0].tolist() == [1.0, 2 * 0.88, 0.0]


def test_vrm_1_thumbs_are_unitys():
    gltf = avatar_gltf(1)
    wrist = HUMANOID.index("LeftHand") + 1
    for number, bone in enumerate(("leftThumbMetacarpal", "leftThumbProximal", "leftThumbDistal")):
        gltf["nodes"].append(
            {"translation": [0.02, 0.0, 0.0], "children": [len(gltf["nodes"]) + 1] if number < 2 else []}
        )
        gltf["extensions"]["VRMC_vrm"]["humanoid"]["humanBones"][bone] = {"node": len(gltf["nodes"]) - 1}
    gltf["nodes"][wrist]["children"] = [len(HUMANOID) + 1]
    body = avatar_of(glb(gltf))
    assert {"LeftThumbProximal", "LeftThumbIntermediate", "LeftThumbDistal"} < set(body.names)


@pytest.mark.parametrize("version", [0, 1])
def test_at_rest_the_avatar_gets_its_own_offsets_and_height(version):
    bones = bones_of(VmcEncoder(avatar=avatar_of(glb(avatar_gltf(version, stretched())))), standing())
    for name, offset in zip(HUMANOID.names, stretched().offsets, strict=True):
        expected = [0.0, 1.05, 0.0] if name == "Hips" else offset * [-1.0, 1.0, 1.0]
        assert bones[name][:3] == pytest.approx(expected, abs=1e-6), name


def test_the_avatars_ankles_are_as_far_above_its_floor_whatever_its_legs():
    """A squat of a tenth of the dancer's leg is one of a tenth of the avatar's."""
    body = stretched()
    leg = HUMANOID.rest_positions[0, 1] - HUMANOID.rest_positions[HUMANOID.index("LeftFoot"), 1]
    avatars_leg = body.rest_positions[0, 1] - body.rest_positions[body.index("LeftFoot"), 1]
    hips = bones_of(VmcEncoder(avatar=body), standing(HUMANOID.offsets[0, 1] - 0.1 * leg))["Hips"]
    assert hips[1] == pytest.approx(1.05 - 0.1 * avatars_leg, abs=1e-6)


@pytest.mark.parametrize("missing", [("UpperChest",), ("Chest", "UpperChest"), ("Neck",), ("LeftShoulder", "LeftToes")])
def test_a_bone_the_avatar_lacks_still_turns_what_hangs_on_it(missing):
    random = np.random.default_rng(1)
    frame = standing()
    frame.rotations = rot.normalize(random.normal(size=(len(HUMANOID), 4)))
    body = avatar_of(glb(avatar_gltf(1, missing=missing)))
    bones = bones_of(VmcEncoder(avatar=body), frame)
    assert set(bones) == set(HUMANOID.names) - set(missing)
    local = np.array([bones[name][3:] for name in body.names]) * [1.0, -1.0, -1.0, 1.0]
    turns = kinematics.local_to_global(body, local)
    expected = kinematics.local_to_global(HUMANOID, frame.rotations)
    assert rot.angle(turns, expected[[HUMANOID.index(name) for name in body.names]]).max() < 1e-6


def broken(**changes) -> bytes:
    return glb(avatar_gltf(1) | changes)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no binary glTF"),
        (b"PK\3\4" + bytes(100), "no binary glTF"),
        (glb({})[:22], "4 bytes of JSON in a file of 22"),
        (glb([]), "no object"),
        (glb({"nodes": []}), "neither VRMC_vrm"),
        (broken(nodes=[]), "not there"),
        (broken(nodes=3), "nodes is no list"),
        (broken(extensions={"VRMC_vrm": {"humanoid": {"humanBones": []}}}), "no table of bones"),
        (broken(extensions={"VRMC_vrm": {"humanoid": {"humanBones": {}}}}), "no VRM: none"),
        (broken(extensions={"VRMC_vrm": {"humanoid": {"humanBones": {"tail": {"node": 1}}}}}), "no VRM: tail"),
        (broken(extensions={"VRM": {"humanoid": {"humanBones": [{"bone": "hips", "node": 99}]}}}), "not there"),
        (broken(nodes=[{"children": [1]}, {"children": [0]}] * 15), "another's"),
        (broken(nodes=[{"children": [1]}, {"children": [0]}, *[{}] * 30]), "in a circle"),
    ],
)
def test_a_file_that_is_none_is_refused_with_the_reason(data, message):
    with pytest.raises(PacketError, match=message):
        avatar_of(data)


@settings(deadline=None, database=None, max_examples=200)
@given(st.data())
def test_a_damaged_file_raises_nothing_but_packet_error(data):
    content = damaged(data, glb(avatar_gltf(data.draw(st.sampled_from([0, 1])))))
    with suppress(PacketError):
        assert np.isfinite(avatar_of(content).offsets).all()
