"""A recording as a live suit: plays a take over the network the way a mocap system sends a dancer.

    python -m benchmarks.suit TAKE.bvh --protocol vmc --to 127.0.0.1:39540 --fps 120 --loop

Frames leave on absolute deadlines from one source port; what tells a time tells the take's. `--protocol zmq` publishes
our packed format on the address instead. Xsens and mocopi tell their skeleton first and again every few seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import suit_cameras
from benchmarks.suit_bodies import worn
from motion.clean import repair
from motion.clip import Clip
from motion.load import load_humanoid
from motion.retarget import Retargeter
from motion.skeleton import HUMANOID, Skeleton
from server.protocols import mocopi, packed, rokoko, xsens_packets
from server.protocols.ai_toolbox import AiToolboxEncoder
from server.protocols.frames import PoseFrame
from server.protocols.vmc import VmcEncoder
from server.receivers.bvh_player import BvhPlayer
from server.senders.udp import UdpSender
from server.senders.zmq import ZmqSender

Send = Callable[[PoseFrame], None]
Encode = Callable[[PoseFrame], list[bytes]]
TELL_AGAIN = 300  # frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("take", type=Path, help="a recording (.bvh)")
    parser.add_argument("--protocol", choices=sorted(PROTOCOLS), default="vmc")
    parser.add_argument(
        "--to", type=_address, default="127.0.0.1:39540", help="host:port; for zmq the address to publish on"
    )
    parser.add_argument("--fps", type=_fps, default=120.0, help="1 to 1000")
    parser.add_argument("--loop", action="store_true", help="dissolve the end into the start and go on")
    parser.add_argument("--seconds", type=_seconds, help="stop after so long")
    parser.add_argument("--no-clean", action="store_true", help="leave glitches and gaps in")
    parser.add_argument("--drop-first", type=_natural, default=10, help="frames of the take to leave out at its start")
    parser.add_argument("--actor", default="dancer1", help="the name, in the formats that tell one")
    options = parser.parse_args()

    if not options.take.is_file():
        parser.error(f"no file {options.take}")
    try:
        clip, note = _take(options.take, options.drop_first, not options.no_clean)
        with contextlib.ExitStack() as stack:
            send = PROTOCOLS[options.protocol](*options.to, options.actor, stack)
            _play(clip, note, send, options)
    except (OSError, ValueError) as error:
        parser.exit(2, f"{error}\n")


def _take(path: Path, drop_first: int, clean: bool) -> tuple[Clip, str]:
    loaded = load_humanoid(path)
    if drop_first >= len(loaded.clip):
        raise ValueError(f"{path.name} has {len(loaded.clip)} frames; --drop-first {drop_first} leaves none")
    clip = loaded.clip[drop_first:]
    if not clean:
        return clip, loaded.note
    clip, found = repair(clip)
    return clip, f"{loaded.note}; {found.glitches} glitches and {found.gaps} gaps of {found.frames} frames repaired"


def _play(clip: Clip, note: str, send: Send, options: argparse.Namespace) -> None:
    lateness: list[float] = []  # of each frame against its deadline, up to the start time they share

    def on_frame(frame: PoseFrame) -> None:
        assert frame.sender_time is not None
        send(frame)
        lateness.append(frame.receive_time - frame.sender_time)

    host, port = options.to
    player = BvhPlayer(clip, options.fps, options.loop, on_frame, actor=options.actor)
    print(f"{options.take.name}: {note}")
    print(f"{player.describe()} -> {options.protocol} {host}:{port}; Ctrl-C stops", flush=True)
    started = time.perf_counter()
    player.start()
    with contextlib.suppress(KeyboardInterrupt):
        player.finished.wait(options.seconds)
    player.close()
    seconds = time.perf_counter() - started
    print(f"{len(lateness)} frames in {seconds:.1f} s, {player.counts['skipped']} skipped")
    if player.first_error is not None:
        raise player.first_error
    if lateness:
        jitter_ms = 1e3 * (np.array(lateness) - min(lateness))
        print(f"send jitter p50 {np.percentile(jitter_ms, 50):.3f} ms, p99 {np.percentile(jitter_ms, 99):.3f} ms")


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not (host and port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is not host:port with a port from 1 to 65535")
    return host, int(port)


def _fps(text: str) -> float:
    if not 1.0 <= (fps := _number(text)) <= 1000.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a rate from 1 to 1000 frames a second")
    return fps


def _seconds(text: str) -> float:
    if not 0.0 < (seconds := _number(text)) < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds


def _number(text: str) -> float:
    """Not a number, for text that is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _natural(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on")
    return int(text)


def _zmq(host: str, port: int, actor: str, stack: contextlib.ExitStack) -> Send:
    sender = stack.enter_context(contextlib.closing(ZmqSender(f"tcp://{host}:{port}")))
    return lambda frame: sender.send(packed.encode([frame], frame.number, time.time()))


def _udp(suit: Callable[[str], Encode], host: str, port: int, actor: str, stack: contextlib.ExitStack) -> Send:
    sender = stack.enter_context(contextlib.closing(UdpSender(host, port)))
    encode = suit(actor)
    return lambda frame: sender.send(encode(frame))


# What each suit makes of a frame on HUMANOID.


def _vmc(actor: str) -> Encode:
    return VmcEncoder(HUMANOID, actor).encode


def _ai_toolbox(actor: str) -> Encode:
    return AiToolboxEncoder(HUMANOID).encode


def _xsens(actor: str) -> Encode:
    body = worn(xsens_packets.SEGMENTS, xsens_packets.PARENTS, "xsens")
    told = [xsens_packets.encode_meta({"name": actor}), xsens_packets.encode_t_pose(body)]
    return _in_suit(body, lambda frame: [xsens_packets.encode_pose(frame)], told)


def _mocopi(actor: str) -> Encode:
    body = worn(mocopi.BONES, mocopi.PARENTS, "mocopi")
    return _in_suit(body, lambda frame: [mocopi.encode_frame(frame)], [mocopi.encode_skeleton(body)])


def _rokoko(actor: str, compress: bool = False) -> Encode:
    def encode(frame: PoseFrame) -> list[bytes]:
        person = rokoko.actor_of(replace(frame, actor=actor))
        return [rokoko.encode(rokoko.Scene((person,), frame.sender_time), compress)]

    return _in_suit(worn(rokoko.SKELETON.names, rokoko.SKELETON.parents, "rokoko"), encode, [])


def _in_suit(body: Skeleton, encode: Encode, told: list[bytes]) -> Encode:
    """Puts frames on a suit's body; `told` goes out before the first of them and every `TELL_AGAIN` frames."""
    retargeter = Retargeter(HUMANOID, body)

    def send(frame: PoseFrame) -> list[bytes]:
        root, rotations = retargeter.pose(frame.root_position, frame.rotations)
        datagrams = encode(replace(frame, skeleton=body, root_position=root, rotations=rotations))
        return datagrams if frame.number % TELL_AGAIN else [*told, *datagrams]

    return send


SUITS: dict[str, Callable[[str], Encode]] = {  # what each makes datagrams with, for an actor's name
    "vmc": _vmc,
    "ai_toolbox": _ai_toolbox,
    "xsens": _xsens,
    "mocopi": _mocopi,
    "rokoko": _rokoko,
    "rokoko_lz4": partial(_rokoko, compress=True),
    "mediapipe": lambda actor: suit_cameras.mediapipe(actor).encode,
    "openpose": lambda actor: suit_cameras.openpose(actor).encode,
}
PROTOCOLS: dict[str, Callable[[str, int, str, contextlib.ExitStack], Send]] = {
    "zmq": _zmq,
    **{name: partial(_udp, suit) for name, suit in SUITS.items()},
}


if __name__ == "__main__":
    main()
