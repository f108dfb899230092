"""What a preset's `outputs` become: an encoder and one stable socket each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from motion.skeleton import HUMANOID
from server.preset import Preset
from server.preset_outputs import AiToolboxOutput, VmcOutput, ZmqOutput
from server.protocols import packed
from server.protocols.ai_toolbox import AiToolboxEncoder
from server.protocols.frames import PoseFrame
from server.protocols.vmc import VmcEncoder
from server.senders.udp import UdpSender
from server.senders.zmq import ZmqSender


class Encoder(Protocol):
    def encode(self, frame: PoseFrame) -> Sequence[bytes]: ...


class ActorOutput:
    """One actor to one UDP address. encoder: makes one, of which the output needs two, one to rehearse with."""

    def __init__(self, actor: str, encoder: Callable[[], Encoder], host: str, port: int, label: str) -> None:
        self.actor = actor
        self.label = label
        self.sender = UdpSender(host, port)
        self._encoder, self._twin = encoder(), encoder()

    def send(self, frame: PoseFrame) -> None:
        self.sender.send(self._encoder.encode(frame))

    def rehearse(self, frame: PoseFrame) -> None:
        """The work of `send`, and nothing is sent."""
        self._twin.encode(frame)

    def close(self) -> None:
        self.sender.close()


class Publisher:
    """All actors of a tick, and now and then the stats, on one ZMQ endpoint."""

    def __init__(self, bind: str, partners: frozenset[str]) -> None:
        self.sender = ZmqSender(bind)
        self.label = f"ZMQ all actors -> {self.sender.endpoint}"
        self.partners = partners

    def send_poses(self, frames: Sequence[PoseFrame], tick: int, sent: float) -> None:
        self.sender.send(packed.encode(frames, tick, sent, self.partners))

    def send_stats(self, message: bytes) -> None:
        self.sender.send(message)

    def close(self) -> None:
        self.sender.close()


def _vmc(output: VmcOutput) -> ActorOutput:
    encoder = partial(VmcEncoder, HUMANOID, output.actor, bundle=output.bundle)
    label = f"VMC {output.actor} -> {output.host}:{output.port}"
    return ActorOutput(output.actor, encoder, output.host, output.port, label)


def _ai_toolbox(output: AiToolboxOutput) -> ActorOutput:
    encoder = partial(AiToolboxEncoder, HUMANOID, output.index, output.position_scale)
    label = f"AI-Toolbox {output.actor} -> {output.host}:{output.port} /mocap/{output.index}/joint/..."
    return ActorOutput(output.actor, encoder, output.host, output.port, label)


_ACTOR_OUTPUTS: dict[type, Callable[..., ActorOutput]] = {VmcOutput: _vmc, AiToolboxOutput: _ai_toolbox}


def open_outputs(preset: Preset) -> tuple[list[ActorOutput], list[Publisher]]:
    """Opens every output of a preset. Raises OSError naming the endpoint when one cannot be had."""
    actor_outputs: list[ActorOutput] = []
    publishers: list[Publisher] = []
    try:
        for output in preset.outputs:
            if isinstance(output, ZmqOutput):
                publishers.append(Publisher(output.bind, frozenset(preset.partners)))
            else:
                actor_outputs.append(_ACTOR_OUTPUTS[type(output)](output))
    except OSError:
        close_outputs(actor_outputs, publishers)
        raise
    return actor_outputs, publishers


def close_outputs(actor_outputs: Sequence[ActorOutput], publishers: Sequence[Publisher]) -> None:
    for output in actor_outputs:
        output.close()
    for publisher in publishers:
        publisher.close()
