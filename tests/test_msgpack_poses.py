"""Poses as msgpack: what a peer who knows only msgpack reads."""

import msgpack
import numpy as np

from motion import rotations as rot
from motion.skeleton import HUMANOID
from server.protocols import msgpack_poses
from server.protocols.frames import PoseFrame


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
