"""Where a preset's dancers come from: one class a protocol, told apart by `receive`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from server.preset_values import LOOPBACK, Endpoint, Host, Port, Scale, Section


class BvhSource(Section):
    """A recording plays as the dancer."""

    receive: Literal["bvh"]
    file: Path
    loop: bool = True
    scale: Scale = "auto"


class VmcSource(Section):
    """VMC (Virtual Motion Capture protocol) over OSC/UDP. allow: only these senders' addresses, if any are given."""

    receive: Literal["vmc"]
    host: Host = LOOPBACK
    port: Port = 39540
    allow: tuple[str, ...] = ()


class ZmqSource(Section):
    """Our packed poses from a ZMQ publisher. actor: which of its actors, the first one when empty."""

    receive: Literal["zmq"]
    connect: Endpoint
    actor: str = ""


class DancerStages(Section):
    """The stages a dancer's frames pass through."""

    stages: tuple[Literal["retarget", "deglitch"], ...] = ("retarget", "deglitch")


class BvhDancer(BvhSource, DancerStages):
    pass


class VmcDancer(VmcSource, DancerStages):
    pass


class ZmqDancer(ZmqSource, DancerStages):
    pass


Dancer = Annotated[BvhDancer | VmcDancer | ZmqDancer, Field(discriminator="receive")]
