"""Poses as VMC messages and datagrams, and back."""

import numpy as np

from motion import rotations as rot
from motion.skeleton import HUMANOID
from server.protocols import osc
from server.protocols.frames import PoseFrame
from server.protocols.vmc import FRAME_TIMEOUT, VmcDecoder, VmcEncoder

FLOAT32 = 2e-7  # half a float32 step at 1.0 is 6e-8; a product of two roundings reaches 1.3e-7
STILL = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)


def pose(seed=0, sender_time=1.25, skeleton=HUMANOID, **changes) -> PoseFrame:
    random = np.random.default_rng(seed)
    rotations = rot.normalize(random.normal(size=(len(skeleton), 4)))
    frame = {"sender_time": sender_time, "receive_time": 0.0, "number": 1} | changes
    return PoseFrame(skeleton, random.normal(size=3), rotations, **frame)


def messages_of(frame) -> list[osc.Message]:
    return [message for datagram in VmcEncoder().encode(frame) for message in osc.parse(datagram)]


def bundle(messages) -> bytes:
    return osc.Template(messages, limit=65507).fill(np.empty(0))[0]


def decoded(datagrams, decoder=None, flush=True) -> list[PoseFrame]:
    decoder = decoder or VmcDecoder("dancer1")
    frames = [frame for datagram in datagrams for frame in decoder.feed(datagram, 10.0)]
    return frames + (decoder.flush(10.0 + FRAME_TIMEOUT) if flush else [])


def assert_same(frame, sent):
    assert np.abs(frame.root_position - sent.root_position).max() < 4 * FLOAT32  # metres of a few
    assert rot.angle(frame.rotations, sent.rotations).max() < 1e-6
    assert frame.sender_time == sent.sender_time


def split(messages, pieces) -> list[bytes]:
    parts = np.array_split(np.arange(len(messages)), pieces)
    return [bundle([messages[n] for n in part]) for part in parts]
