"""What a preset's `outputs` become: an encoder and one stable socket, or a file, each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from typing import Any, Protocol

from motion.axes import UNITS, Axes
from motion.skeleton import HUMANOID
from server.keys import Pair, read_clients, read_pair
from server.preset import Preset
from server.preset_outputs import (
    AiToolboxOutput,
    BvhOutput,
    EffortOutput,
    TouchDesignerOutput,
    UdpOutput,
    VmcOutput,
    ZmqOutput,
)
from server.protocols import msgpack_poses, packed
from server.protocols.ai_toolbox import AiToolboxEncoder
from server.protocols.effort import Reading, messages
from server.protocols.frames import PoseFrame
from server.protocols.in_axes import InAxes
from server.protocols.touchdesigner import TouchDesignerEncoder
from server.protocols.vmc import VmcEncoder
from server.protocols.vrm_file import avatar_of
from server.senders.bvh import BvhSender
from server.senders.udp import UdpSender
from server.senders.zmq import ZmqSender

LARGEST_AVATAR = 1 << 29  # bytes


class Encoder(Protocol):
    def encode(self, frame: PoseFrame) -> Sequence[Any]: ...


class Sender(Protocol):
    """Sends what an encoder makes; never waits and never raises during the show."""

    @property
    def counts(self) -> Counter[str]: ...

    def send(self, encoded: Iterable[Any]) -> None: ...

    def close(self) -> None: ...


class Divider:
    """Which frames of a stream an output sends: each n-th, or at most fps a second, the first one always."""

    EARLY = 0.25  # of a period: frames are not punctual, and 120 a second halved must stay 60

    def __init__(self, every: int = 1, fps: float | None = None) -> None:
        self._every, self._count = every, 0
        self._period = 1.0 / fps if fps else 0.0
        self._due = 0.0

    def take(self, now: float) -> bool:
        """Whether the frame of this moment, seconds, is sent."""
        self._count += 1
        if not self._period:
            return (self._count - 1) % self._every == 0
        early = self._due - now
        if self._count > 1 and self._period * self.EARLY < early < 2.0 * self._period:
            return False
        behind = self._count == 1 or abs(early) >= self._period
        self._due = (now if behind else self._due) + self._period
        return True


class ActorOutput:
    """One actor to one place. encoder: makes one, of which the output needs two, one to rehearse with."""

    def __init__(
        self, actor: str, encoder: Callable[[], Encoder], sender: Sender, label: str, rate: Divider | None = None
    ) -> None:
        self.actor = actor
        self.label = label
        self.sender = sender
        self._encoder, self._twin = encoder(), encoder()
        self._rate = rate or Divider()

    def send(self, frame: PoseFrame) -> None:
        if self._rate.take(frame.receive_time):
            self.sender.send(self._encoder.encode(frame))

    def rehearse(self, frame: PoseFrame) -> None:
        """The work of `send`, and nothing is sent."""
        self._twin.encode(frame)

    def close(self) -> None:
        self.sender.close()


class Publisher:
    """All actors of a tick, and now and then the stats, on one ZMQ endpoint; stats for those only who read packed."""

    def __init__(self, output: ZmqOutput, partners: frozenset[str]) -> None:
        key, clients = _keys(output)
        self.sender = ZmqSender(output.bind, output.allow, key, clients)
        self.packed = output.format == "packed"
        locked = f", encrypted for {len(clients)} keys" if key is not None else ""
        self.label = f"ZMQ all actors -> {self.sender.endpoint} ({output.format}{locked})"
        self.partners = partners
        self._rate = Divider(output.every, output.fps)
        self._axes = output.axes
        self._in_axes: dict[str, InAxes] = {}  # by actor
        self._profile, self._unit = output.profile, output.axes.unit

    def send_poses(self, frames: Sequence[PoseFrame], tick: int, sent: float) -> None:
        if not self._rate.take(max(frame.receive_time for frame in frames)):
            return
        if self.packed:
            self.sender.send(packed.encode(frames, tick, sent, self.partners))
            return
        if self._axes.changes:
            frames = [self._in_axes.setdefault(frame.actor, InAxes(self._axes))(frame) for frame in frames]
        self.sender.send(msgpack_poses.encode(frames, tick, sent, self.partners, self._profile, self._unit))

    def send_stats(self, message: bytes) -> None:
        if self.packed:
            self.sender.send(message)

    def close(self) -> None:
        self.sender.close()


class ReadingOutput:
    """What effort meters read, one actor's or everybody's, to one place."""

    def __init__(self, output: EffortOutput) -> None:
        self._actor, self._apart = output.actor, output.apart
        self.sender = UdpSender(output.host, output.port)
        self.label = f"effort of {output.actor or 'everybody'} -> {output.host}:{output.port} /effort/..."

    def send(self, reading: Reading) -> None:
        if self._actor in (None, reading.actor):
            self.sender.send(messages(reading, self._apart))

    def close(self) -> None:
        self.sender.close()


def _keys(output: ZmqOutput) -> tuple[Pair | None, frozenset[bytes]]:
    """Our own keys and those of who may connect; none where the output asks for none. ValueError names the key."""
    try:
        key = None if output.key is None else read_pair(output.key)
        return key, frozenset() if output.clients is None else read_clients(output.clients)
    except ValueError as error:
        raise ValueError(f"key: {error}") from None


class _Mapped:
    """An encoder of frames in another program's axes."""

    def __init__(self, encoder: Callable[[], Encoder], axes: Axes) -> None:
        self._encoder, self._in_axes = encoder(), InAxes(axes)

    def encode(self, frame: PoseFrame) -> Sequence[Any]:
        return self._encoder.encode(self._in_axes(frame))


class _Unchanged:
    """For a sender that takes frames."""

    def encode(self, frame: PoseFrame) -> Sequence[PoseFrame]:
        return (frame,)


def _vmc(output: VmcOutput, fps: float) -> ActorOutput:
    avatar = None
    if output.vrm_file is not None:
        try:
            if output.vrm_file.stat().st_size > LARGEST_AVATAR:
                raise ValueError(f"it has more than {LARGEST_AVATAR:,} bytes")
            avatar = avatar_of(output.vrm_file.read_bytes())
        except (OSError, ValueError) as error:
            raise ValueError(f"vrm_file: {output.vrm_file}: {error}") from error
    encoder = partial(VmcEncoder, HUMANOID, output.actor, bundle=output.bundle, vrm=output.vrm, avatar=avatar)
    body = f" as {output.vrm_file.name}" if output.vrm_file else ""
    return _udp(output, encoder, f"VMC {output.actor}{body}", "")


def _ai_toolbox(output: AiToolboxOutput, fps: float) -> ActorOutput:
    encoder = partial(AiToolboxEncoder, HUMANOID, output.index, output.position_scale, output.quantities)
    number = "" if output.index is None else f"/{output.index}"
    return _udp(output, _in(output.axes, encoder), f"AI-Toolbox {output.actor}", f" /mocap{number}/joint/...")


def _touchdesigner(output: TouchDesignerOutput, fps: float) -> ActorOutput:
    encoder = partial(
        TouchDesignerEncoder,
        HUMANOID,
        output.person,
        output.channels,
        output.rotate_order,
        world=output.space == "world",
        flat=output.flat,
        bundle=output.bundle,
    )
    return _udp(output, _in(output.axes, encoder), f"TouchDesigner {output.actor}", f" /p{output.person}/...")


def _bvh(output: BvhOutput, fps: float) -> ActorOutput:
    sender = BvhSender(output.file, output.fps or fps / output.every, UNITS[output.unit])
    return ActorOutput(output.actor, _Unchanged, sender, f"BVH {output.actor} -> {sender.path}")


def _in(axes: Axes, encoder: Callable[[], Encoder]) -> Callable[[], Encoder]:
    return partial(_Mapped, encoder, axes) if axes.changes else encoder


def _udp(output: UdpOutput, encoder: Callable[[], Encoder], what: str, where: str) -> ActorOutput:
    label = f"{what} -> {output.host}:{output.port}{where}"
    rate = Divider(output.every, output.fps)
    return ActorOutput(output.actor, encoder, UdpSender(output.host, output.port), label, rate)


_ACTOR_OUTPUTS: dict[type, Callable[[Any, float], ActorOutput]] = {
    VmcOutput: _vmc,
    AiToolboxOutput: _ai_toolbox,
    TouchDesignerOutput: _touchdesigner,
    BvhOutput: _bvh,
}


def open_outputs(preset: Preset) -> tuple[list[ActorOutput], list[Publisher]]:
    """Opens every output of poses; the publishers of packed ones, which the page reads, come first.

    Raises OSError naming the endpoint or file when one cannot be had, ValueError for a vrm_file that is none.
    """
    actor_outputs: list[ActorOutput] = []
    publishers: list[Publisher] = []
    try:
        for place, output in enumerate(preset.outputs):
            try:
                if isinstance(output, ZmqOutput):
                    publishers.append(Publisher(output, frozenset(preset.partners)))
                elif not isinstance(output, EffortOutput):
                    actor_outputs.append(_ACTOR_OUTPUTS[type(output)](output, preset.clock.fps))
            except ValueError as error:
                raise ValueError(f"outputs.{place}.{error}") from error
    except (OSError, ValueError):
        close_outputs(actor_outputs, publishers)
        raise
    return actor_outputs, sorted(publishers, key=lambda publisher: not publisher.packed)


def open_reading_outputs(preset: Preset) -> list[ReadingOutput]:
    """Where a preset sends what effort meters read. Raises OSError naming what cannot be had."""
    return [ReadingOutput(output) for output in preset.outputs if isinstance(output, EffortOutput)]


def close_outputs(*outputs: Sequence[ActorOutput | Publisher | ReadingOutput]) -> None:
    for output in chain(*outputs):
        output.close()
