"""Poses as msgpack: what a peer who knows only msgpack reads."""

from contextlib import suppress
from dataclasses import replace

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broken_bytes import assert_good, damaged
from motion import rotations as rot
from motion.axes import PROFILES, UNITS
from motion.skeleton import HUMANOID
from server.protocols import msgpack_poses
from server.protocols.frames import PacketError, PoseFrame
from server.protocols.in_axes import InAxes


def pose(actor: str, sender_time: float | None) -> PoseFrame:
    random = np.random.default_rng(3)
    return PoseFrame(
        HUMANOID, random.normal(size=3), rot.normalize(random.normal(size=(22, 4))), sender_time, 0, 7, actor
    )


def test_a_reader_that_knows_msgpack_needs_no_more():
    frames = [pose("dancer1", 1.25), pose("partner1", None)]
    read = msgpack.unpackb(msgpack_poses.encode(frames, 5, 1.7e9 + 0.001, {"partner1"}, "unity", "cm"))
    actors = read.pop("actors")
    assert read == {"format": "pas-de-deux/poses/1", "tick": 5, "time": 1.7e9 + 0.001, "profile": "unity", "unit": "cm"}
    assert [(a["name"], a["partner"], a["number"], a["time"]) for a in actors] == [
        ("dancer1", False, 7, 1.25),
        ("partner1", True, 7, None),
    ]
    for frame, actor in zip(frames, actors, strict=True):
        assert actor["root"] == frame.root_position.tolist()
        assert actor["rotations"] == frame.rotations.tolist()
        assert (actor["names"], actor["parents"]) == (list(HUMANOID.names), list(HUMANOID.parents))
        assert actor["offsets"] == HUMANOID.offsets.tolist()


def sent(*actors: dict, **head) -> bytes:
    return msgpack.packb(head | {"actors": list(actors)})


def least(**changes) -> dict:
    """What an actor has to tell."""
    return {"root": [1.0, 2.0, 3.0], "rotations": [[0.0, 0.0, 0.0, 2.0]] * 22} | changes


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("unit", [None, *UNITS])
def test_what_we_send_comes_back_from_any_axes(profile, unit):
    axes = PROFILES[profile] if unit is None else PROFILES[profile].in_unit(unit)
    body = HUMANOID.with_offsets(1.1 * HUMANOID.offsets)
    frame = replace(pose("dancer1", 1.25), skeleton=body)
    message = msgpack_poses.encode([InAxes(axes)(frame)], 5, 0.0, (), profile, axes.unit)
    decoder = msgpack_poses.MsgpackDecoder()
    (first,), (again,) = decoder.decode(message, 7.0), decoder.decode(message, 8.0)
    assert first.skeleton is again.skeleton
    assert np.allclose(first.skeleton.offsets, body.offsets, atol=1e-12)
    assert np.allclose(first.root_position, frame.root_position, atol=1e-12)
    assert rot.angle(first.rotations, frame.rotations).max() < 1e-7
    assert (first.actor, first.sender_time, first.receive_time, first.number) == ("dancer1", 1.25, 7.0, 7)


def test_a_peer_need_not_tell_more_than_a_pose():
    decoder = msgpack_poses.MsgpackDecoder()
    first, second = (decoder.decode(sent(least()), 7.0)[0] for _ in range(2))
    assert first.skeleton.names == HUMANOID.names
    assert first.rotations.tolist() == [rot.IDENTITY.tolist()] * 22
    assert (first.sender_time, first.number, second.number) == (None, 1, 2)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"", "no msgpack map"),
        (b"\xc1", "no msgpack map"),
        (b"\x91" * 2000, "no msgpack map"),
        (bytes(40_000), "40000 bytes; at most"),
        (msgpack.packb([1]), "a list is no map"),
        (msgpack.packb({}), "'actors' is no list"),
        (msgpack.packb({"actors": [1]}), "'actors' is no list of maps"),
        (sent(*[least()] * 17), "17 actors"),
        (sent(least(), profile="maya"), "profile 'maya' is not one of raw"),
        (sent(least(), unit="inch"), "unit 'inch' is not one of m"),
        (sent(least(name=3)), "name is a text"),
        (sent(least(root=[1, 2])), "'root' is not 3 numbers"),
        (sent(least(root=[1, 2, float("nan")])), "'root' is not 3 numbers"),
        (sent(least(root=[1, 2, "3"])), "'root' is not 3 numbers"),
        (sent(least(root=[1, 2, 1e9])), "out of range"),
        (sent(least(rotations=[[0, 0, 0, 1]] * 21)), "'rotations' is not 22 x 4 numbers"),
        (sent(least(rotations=[[0, 0, 0, 0]] * 22)), "a rotation is zero"),
        (sent(least(rotations=[[0, 0, 0, 1], [1]])), "'rotations' is not 22 x 4 numbers"),
        (sent(least(names=["a"], rotations=[[0, 0, 0, 1]])), "no 'offsets'"),
        (sent(least(names=["a"], parents=[0], offsets=[[0, 0, 0]])), "parent -1"),
        (sent(least(names=["a"], parents=[True], offsets=[[0, 0, 0]])), "no list of whole numbers"),
        (sent(least(names="abc")), "no list of texts"),
    ],
)
def test_what_is_no_pose_is_refused(message, reason):
    with pytest.raises(PacketError, match=reason):
        msgpack_poses.MsgpackDecoder().decode(message, 0.0)


@settings(deadline=None, database=None, max_examples=300)
@given(st.data())
def test_damaged_messages_raise_nothing_but_packet_error(data):
    message = damaged(data, msgpack_poses.encode([pose("dancer1", 1.25)], 5, 0.0))
    with suppress(PacketError):
        assert_good(msgpack_poses.MsgpackDecoder().decode(message, 0.0))
