"""Every decoder of the server with real datagrams of its format: what `benchmarks.fuzz` breaks.

A decoder in `server/protocols` that is in no row is found all the same, and gets everybody's datagrams.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgpack
import numpy as np

from motion import rotations as rot
from motion.keypoint_body import POINTS, REST
from motion.skeleton import HUMANOID, Array, Skeleton
from server import protocols
from server.protocols import lz4_frame, mocopi, msgpack_poses, osc_messages, packed, rokoko, xsens_packets
from server.protocols.ai_toolbox import AiToolboxEncoder
from server.protocols.ai_toolbox_in import AiToolboxDecoder
from server.protocols.camera import AXES
from server.protocols.frames import PoseFrame
from server.protocols.mediapipe import LANDMARKS, MediapipeDecoder
from server.protocols.msgpack_poses import MsgpackDecoder
from server.protocols.openpose import BODY_25, OpenPoseDecoder
from server.protocols.osc import IMMEDIATE
from server.protocols.rokoko import RokokoDecoder
from server.protocols.vmc import BONE, ROOT, TIME, VmcDecoder, VmcEncoder
from server.protocols.vmc_bones import FINGERS_AND_FACE
from server.protocols.xsens import XsensDecoder

Feed = Callable[[bytes, float], list[PoseFrame]]
Seeds = tuple[list[bytes], list[bytes]]  # usual and heavy ones


@dataclass
class Target:
    """fresh: a new decoder's `feed`. seeds: datagrams it reads, the usual ones first. heavy: as much as a datagram can
    hold, and more than a decoder should take."""

    fresh: Callable[[], Feed]
    seeds: list[bytes]
    heavy: list[bytes]


def targets() -> dict[str, Target]:
    """By name: the rows, and the decoders that are in none."""
    rows = {
        VmcDecoder: Target(lambda: VmcDecoder().feed, *_vmc()),
        AiToolboxDecoder: Target(lambda: AiToolboxDecoder(HUMANOID).feed, *_ai_toolbox()),
        mocopi.MocopiDecoder: Target(lambda: mocopi.MocopiDecoder().feed, *_mocopi()),
        RokokoDecoder: Target(lambda: RokokoDecoder().feed, *_rokoko()),
        XsensDecoder: Target(lambda: XsensDecoder().feed, *_xsens()),
        MediapipeDecoder: Target(lambda: MediapipeDecoder().feed, *_mediapipe()),
        OpenPoseDecoder: Target(lambda: OpenPoseDecoder().feed, *_openpose()),
        MsgpackDecoder: Target(lambda: MsgpackDecoder().decode, *_msgpack()),
    }
    found = {decoder.__name__.removesuffix("Decoder").lower(): target for decoder, target in rows.items()}
    messages, many = _vmc()
    stats = packed.encode_stats({"a": [1, {"b": 2.5}]})
    found["packed"] = Target(lambda: lambda datagram, now: packed.decode(datagram, now)[0], *_packed())
    found["stats"] = Target(lambda: _nothing(packed.decode_stats), [stats], [stats + b"[" * 5000])
    found["osc"] = Target(lambda: _nothing(osc_messages.parse), [*messages, _every_type()], many)
    seeds = [seed for target in found.values() for seed in target.seeds]
    heavy = [seed for target in found.values() for seed in target.heavy]
    for decoder in decoders() - rows.keys():
        found[f"{decoder.__module__.rpartition('.')[2]}.{decoder.__name__}"] = Target(_feed_of(decoder), seeds, heavy)
    return found


def decoders() -> set[type]:
    """Every class with a `feed` or a `decode` of its own in server/protocols, the Protocol aside."""
    names = [f"{protocols.__name__}.{module.name}" for module in pkgutil.iter_modules(protocols.__path__)]
    return {
        one
        for name in names
        for _, one in inspect.getmembers(importlib.import_module(name), inspect.isclass)
        if one.__module__ == name and {"feed", "decode"} & vars(one).keys() and not getattr(one, "_is_protocol", False)
    }


def _feed_of(decoder: type) -> Callable[[], Feed]:
    return lambda: getattr(decoder(), "feed" if hasattr(decoder, "feed") else "decode")


def _nothing(read: Callable[[bytes], object]) -> Feed:
    """A reader of something that is no pose."""

    def feed(datagram: bytes, _: float) -> list[PoseFrame]:
        read(datagram)
        return []

    return feed


def _pose(skeleton: Skeleton = HUMANOID, number: int = 1) -> PoseFrame:
    random = np.random.default_rng(number)
    rotations = rot.normalize(random.normal(size=(len(skeleton), 4)))
    return PoseFrame(skeleton, random.normal(size=3), rotations, number / 60.0, 0.0, number, "dancer1")


def _vmc() -> Seeds:
    bundled = VmcEncoder().encode(_pose())
    alone = VmcEncoder(bundle=False).encode(_pose())
    fingers = [name for name in sorted(FINGERS_AND_FACE) if name[0].isupper()]
    bones = [osc_messages.encode(BONE, name, 0.1, 0.2, 0.3, 0.0, 0.0, 0.0, 1.0) for name in (*HUMANOID.names, *fingers)]
    scaled = osc_messages.encode(ROOT, "root", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0)
    whole = _bundle(scaled, *bones, osc_messages.encode(TIME, 1.5))  # one large bundle, as some senders make
    heavy = [*_many(alone[2]), *_many(alone[2], alone[-1]), *_many(b"/a\0\0")]
    return [*bundled, whole, *alone[:3], alone[-1]], heavy


def _bundle(*messages: bytes) -> bytes:
    return b"#bundle\0" + IMMEDIATE + b"".join(len(one).to_bytes(4, "big") + one for one in messages)


def _many(*messages: bytes) -> list[bytes]:
    """The same messages again and again, in a datagram of 5 kB and in one of 16."""
    size = sum(len(one) + 4 for one in messages)
    return [_bundle(*messages * (length // size)) for length in (5000, 16000)]


def _every_type() -> bytes:
    doubles = b"/x\0\0,dht\0\0\0\0" + bytes(24)
    return _bundle(osc_messages.encode("/all", 1, 2.0, "three", b"four!", True, False, None), _bundle(doubles))


def _ai_toolbox() -> Seeds:
    datagrams = AiToolboxEncoder(HUMANOID, 1).encode(_pose())
    older = osc_messages.encode("/mocap/joint/rot_local", *([0.5] * 4 * len(HUMANOID)))
    return [*datagrams, older], [*_many(datagrams[0], datagrams[1]), *_many(older)]


def _mocopi() -> Seeds:
    body = Skeleton(mocopi.BONES, mocopi.PARENTS, np.full((len(mocopi.BONES), 3), 0.1))
    large = _chain(mocopi.MAX_BONES - 5)
    frames = [mocopi.encode_frame(_pose(one, number)) for one, number in ((body, 1), (body, 2), (large, 3))]
    return [frames[0], mocopi.encode_skeleton(body), frames[1]], [frames[2], mocopi.encode_skeleton(large)]


def _rokoko() -> Seeds:
    actor = rokoko.actor_of(_pose(rokoko.SKELETON))
    scene = rokoko.Scene((actor,), 1.0)
    lists = [b'{"version":3,"scene":{"actors":[' + b"[]," * count + b"0]}}" for count in (3000, 20000, 80000)]
    usual = [rokoko.encode(scene), rokoko.encode(scene, compress=True)]
    nobody = rokoko.encode(rokoko.Scene((), 1.0, 60.0, ("anna",)))
    return [*usual, nobody], [*lists[:2], *map(lz4_frame.deflate, lists)]


def _xsens() -> Seeds:
    body = Skeleton(xsens_packets.SEGMENTS, xsens_packets.PARENTS, np.full((len(xsens_packets.SEGMENTS), 3), 0.1))
    meta = xsens_packets.encode_meta({"name": "anna", "color": "red"})
    many = xsens_packets.encode_meta({f"key{n}": "value" for n in range(600)})
    usual = [xsens_packets.encode_pose(_pose(body)), xsens_packets.encode_t_pose(body), meta]
    return usual, [xsens_packets.encode_t_pose(_chain(250)), many]


def _chain(joints: int) -> Skeleton:
    """A body of one long limb."""
    return Skeleton(tuple(f"b{n}" for n in range(joints)), tuple(range(-1, joints - 1)), np.full((joints, 3), 0.1))


def _mediapipe() -> Seeds:
    world = _seen(LANDMARKS)
    picture = world * [0.3, 0.4, 0.3, 1.0] + [0.5, 0.5, 0.0, 0.0]
    seeds = [
        osc_messages.encode(f"/pose/{n}", *rows.ravel().tolist()) for n, rows in enumerate((world, picture), start=1)
    ]
    return seeds, [*_many(seeds[0]), *_many(*seeds)]


def _openpose() -> Seeds:
    rows = _seen(BODY_25) * [400.0, 400.0, 400.0, 1.0] + [960.0, 1000.0, 0.0, 0.0]
    flat = rows[:, [0, 1, 3]]
    two = [
        {"person_id": [n], "pose_keypoints_2d": flat.ravel().tolist(), "pose_keypoints_3d": rows.ravel().tolist()}
        for n in (0, 1)
    ]
    one = [{"person_id": [-1], "pose_keypoints_2d": flat.ravel().tolist()}]
    texts = [json.dumps({"version": 1.3, "people": people}).encode() for people in (one, two, one * 8)]
    message = osc_messages.encode("/openpose/0", *flat.ravel().tolist())
    return [*texts[:2], message], [texts[2], *_many(message)]


def _seen(names: Sequence[str]) -> Array:
    """A standing body as a detector sees it: (points, 4), x y z about the hips and how sure it is."""
    rows = np.zeros((len(names), 4))
    for name, place in zip(POINTS, (REST - REST.mean(axis=0)) * AXES["picture"], strict=True):
        if name in names:
            rows[names.index(name)] = (*place, 0.9)
    return rows


def _msgpack() -> Seeds:
    pose = _pose()
    least = {"root": pose.root_position.tolist(), "rotations": pose.rotations.tolist()}
    two = msgpack_poses.encode([pose, _pose(number=2)], 7, 1e9, {"dancer1"}, "unreal", "cm")
    one, many = (msgpack.packb({"actors": [least] * n}) for n in (1, 16))
    return [msgpack_poses.encode([pose], 7, 1e9), two, one], [many]


def _packed() -> Seeds:
    usual = [packed.encode([_pose(), _pose(number=2)], 7, 1e9, {"dancer1"}), packed.encode([], 8, 1e9)]
    return usual, [packed.encode([_pose()] * 100, 9, 1e9)]
