"""Where a preset's actors go: one class a protocol, told apart by `send`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from server.preset_values import LOOPBACK, Endpoint, Host, Section, TargetPort


class VmcOutput(Section):
    """One actor to one port: VMC has no actor id."""

    send: Literal["vmc"]
    actor: str
    host: Host = LOOPBACK
    port: TargetPort = 39539
    bundle: bool = True


class AiToolboxOutput(Section):
    """/mocap/<index>/joint/..., quaternions w x y z."""

    send: Literal["ai_toolbox"]
    actor: str
    index: Annotated[int, Field(ge=0, le=99)] = 0
    host: Host = LOOPBACK
    port: TargetPort = 9004
    position_scale: Annotated[float, Field(gt=0)] = 1.0


class ZmqOutput(Section):
    """All actors of a tick in one message; the stage page listens here too."""

    send: Literal["zmq"]
    bind: Endpoint = f"tcp://{LOOPBACK}:39550"


Output = Annotated[VmcOutput | AiToolboxOutput | ZmqOutput, Field(discriminator="send")]
