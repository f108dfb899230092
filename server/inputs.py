"""What a preset's `dancers` become: a receiver each, on sockets of their own or, where people are numbered, on one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from motion.load import load_clip, load_humanoid
from motion.skeleton import HUMANOID
from server.admission import Rates
from server.keys import ClientKeys, read_pair, read_public
from server.preset import Preset
from server.preset_dancers import (
    AiToolboxDancer,
    BvhDancer,
    CameraDancer,
    MediapipeDancer,
    MocopiDancer,
    OpenPoseDancer,
    RokokoDancer,
    UdpDancer,
    VmcDancer,
    XsensDancer,
    ZmqDancer,
)
from server.protocols.ai_toolbox_in import AiToolboxDecoder
from server.protocols.camera import View
from server.protocols.frames import Decoder
from server.protocols.mediapipe import MediapipeDecoder
from server.protocols.mocopi import MocopiDecoder
from server.protocols.openpose import OpenPoseDecoder
from server.protocols.rokoko import RokokoDecoder
from server.protocols.vmc import VmcDecoder
from server.protocols.xsens import XsensDecoder
from server.receivers import OnFrame, Receiver, Tap
from server.receivers.bvh_player import BvhPlayer
from server.receivers.readiness import Company, Readiness, Rehearse
from server.receivers.udp import HEARD_MS, UdpReceiver
from server.receivers.zmq import ZmqReceiver

EVERYTHING_MS = 1e9  # a second: what a recording has was heard once


class Listener(NamedTuple):
    """Who takes a dancer's frames, who rehearses between them, and who sees their packets first; nobody when None."""

    on_frame: OnFrame
    rehearse: Rehearse | None = None
    tap: Tap | None = None


def open_inputs(preset: Preset, listeners: Mapping[str, Listener], listens: bool = True) -> dict[str, Receiver]:
    """Opens every dancer's source, not started yet. Raises OSError and ValueError naming the dancer.

    listens: False opens no socket: a replay gives the receivers their packets.
    """
    receivers: dict[str, Receiver] = {}
    company, strangers = Company(), Rates(HEARD_MS if listens else EVERYTHING_MS)
    try:
        for name, dancer in preset.dancers.items():
            listener = listeners[name]
            if isinstance(dancer, UdpDancer):
                receivers[name] = _udp(name, preset, listener, receivers, listens, company, strangers)
            elif isinstance(dancer, ZmqDancer):
                receivers[name] = ZmqReceiver(
                    dancer.connect,
                    dancer.actor,
                    listener.on_frame,
                    dancer=name,
                    tap=listener.tap,
                    listens=listens,
                    form=dancer.format,
                    keys=_keys(name, dancer) if listens else None,
                )
            else:
                receivers[name] = _bvh(name, dancer, preset.clock.fps, listener.on_frame)
    except (OSError, ValueError):
        for receiver in receivers.values():
            receiver.close()
        raise
    return receivers


def _bvh(name: str, dancer: BvhDancer, fps: float, on_frame: OnFrame) -> Receiver:
    try:
        return BvhPlayer(load_humanoid(dancer.file, dancer.scale).clip, fps, loop=dancer.loop, on_frame=on_frame)
    except (OSError, ValueError) as error:
        raise ValueError(f"dancers.{name}.file: {dancer.file}: {error}") from error


def _keys(name: str, dancer: ZmqDancer) -> ClientKeys | None:
    if dancer.key is None or dancer.server_key is None:
        return None
    try:
        return ClientKeys(read_pair(dancer.key), read_public(dancer.server_key))
    except ValueError as error:
        raise ValueError(f"dancers.{name}.key: {error}") from None


def _udp(
    name: str,
    preset: Preset,
    listener: Listener,
    opened: Mapping[str, Receiver],
    listens: bool,
    company: Company,
    strangers: Rates,
) -> Receiver:
    dancer = preset.dancers[name]
    assert isinstance(dancer, UdpDancer)
    decoder = _decoder(name, dancer)
    ready = None
    if listener.rehearse is not None:
        ready = Readiness(decoder(), listener.rehearse, preset.clock.ready_ms / 1000.0, company=company)
    beside = next((opened[other] for other in opened if dancer.port and _one_port(dancer, preset.dancers[other])), None)
    assert beside is None or isinstance(beside, UdpReceiver)
    return UdpReceiver(
        decoder,
        dancer.host,
        dancer.port,
        listener.on_frame,
        dancer.allow,
        name,
        ready,
        beside,
        listener.tap,
        listens,
        strangers,
    )


def _one_port(dancer: UdpDancer, other: object) -> bool:
    return isinstance(other, UdpDancer) and (dancer.host, dancer.port) == (other.host, other.port)


def _decoder(name: str, dancer: UdpDancer) -> Callable[[], Decoder]:
    """Makes a decoder for each sender. Raises ValueError for a skeleton file that cannot be read."""
    match dancer:
        case VmcDancer():
            return partial(VmcDecoder, name)
        case XsensDancer():
            return partial(XsensDecoder, name, dancer.character)
        case MocopiDancer():
            return partial(MocopiDecoder, name)
        case RokokoDancer():
            return partial(RokokoDecoder, name, dancer.profile)
        case MediapipeDancer():
            return partial(MediapipeDecoder, name, dancer.person, dancer.landmarks, _view(dancer))
        case OpenPoseDancer():
            return partial(OpenPoseDecoder, name, dancer.person, _view(dancer))
        case AiToolboxDancer():
            skeleton = HUMANOID
            if dancer.skeleton_file is not None:
                try:
                    skeleton = load_clip(dancer.skeleton_file).clip.skeleton
                except (OSError, ValueError) as error:
                    raise ValueError(f"dancers.{name}.skeleton_file: {dancer.skeleton_file}: {error}") from error
            return partial(AiToolboxDecoder, skeleton, name, dancer.number, dancer.axes, dancer.scale)
        case _:
            raise TypeError(f"no decoder for a {type(dancer).__name__}")


def _view(dancer: CameraDancer) -> View:
    return View(dancer.mirror, dancer.axes, dancer.scale, dancer.aspect, dancer.tilt, dancer.visibility)
