"""Where a preset's actors go: one class a protocol, told apart by `send`.

VMC has Unity's axes and BVH its own by their specifications, and packed poses are what other shows read: they take no
profile, and say so. All others take one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from motion.axes import PROFILES, Axes
from server.preset_values import LOOPBACK, Endpoint, Host, Section, Senders, TargetPort
from server.protocols.touchdesigner import chosen_channels

Profile = Literal["raw", "unity", "touchdesigner", "unreal", "blender"]
Quantity = Literal["rot_local", "pos_world", "rot_world", "pos_local"]
RotateOrder = Literal["xyz", "xzy", "yxz", "yzx", "zxy", "zyx"]
# The keys of outputs that are paths, relative to the preset.
FILES = ("vrm_file", "file", "key", "clients")


class _Rate(Section):
    """every: each n-th frame. fps: at most so many a second."""

    every: Annotated[int, Field(ge=1, le=1000)] = 1
    fps: Annotated[float, Field(gt=0, le=1000)] | None = None

    @field_validator("fps")
    @classmethod
    def _one_of_both(cls, fps: float | None, info: ValidationInfo) -> float | None:
        if fps is not None and info.data.get("every", 1) != 1:
            raise ValueError(f"every: {info.data['every']} says the rate already; leave one of them out")
        return fps


class _Space(Section):
    """profile: whose axes and unit. unit: another one, if any."""

    profile: Profile = "raw"
    unit: Literal["m", "cm", "mm"] | None = None

    @property
    def axes(self) -> Axes:
        axes = PROFILES[self.profile]
        return axes if self.unit is None else axes.in_unit(self.unit)


def _only(legal: str, why: str) -> AfterValidator:
    def check(value: str) -> str:
        if value != legal:
            raise ValueError(f"{why}; leave it out")
        return value

    return AfterValidator(check)


def _some(names: tuple[str, ...]) -> tuple[str, ...]:
    """Checked when each of them is right: pydantic counts only those, and a wrong one is a fault already."""
    if not names:
        raise ValueError("must name at least one")
    return names


def _off(value: Any) -> Any:
    return None if value is False or value == "off" else value  # YAML reads a bare `off` as false


class ActorSection(_Rate):
    """An output of one actor."""

    actor: str


class UdpOutput(ActorSection):
    """One actor to one UDP address; bundle: as many messages a datagram as fit, or one each."""

    host: Host = LOOPBACK
    port: TargetPort

    apart_key: ClassVar[str] = ""  # the key that tells actors at one port apart; empty: the protocol cannot


class VmcOutput(UdpOutput):
    """One actor to one port: VMC has no actor id. vrm: whose names thumbs have. vrm_file: the avatar that is shown."""

    send: Literal["vmc"]
    port: TargetPort = 39539
    bundle: bool = True
    vrm: Literal[0, 1] = 0
    vrm_file: Path | None = None
    profile: Annotated[str, _only("unity", "VMC has Unity's axes by its specification")] = "unity"
    unit: Annotated[str, _only("m", "VMC has metres by its specification")] = "m"


class AiToolboxOutput(UdpOutput, _Space):
    """/mocap/<index>/joint/..., or /mocap/joint/... where index is off; quaternions w x y z."""

    apart_key: ClassVar[str] = "index"
    send: Literal["ai_toolbox"]
    port: TargetPort = 9004
    index: Annotated[Annotated[int, Field(ge=0, le=99)] | None, BeforeValidator(_off)] = 0
    position_scale: Annotated[float, Field(gt=0)] = 1.0
    quantities: Annotated[tuple[Quantity, ...], AfterValidator(_some)] = (
        "rot_local",
        "pos_world",
        "rot_world",
        "pos_local",
    )


class TouchDesignerOutput(UdpOutput, _Space):
    """/p<person>/hips:tx, a float an address, for an OSC In CHOP; flat: /p<person>/pose, one array, for DATs."""

    apart_key: ClassVar[str] = "person"
    send: Literal["touchdesigner"]
    port: TargetPort = 7000
    profile: Profile = "touchdesigner"
    person: Annotated[int, Field(ge=1, le=99)] = 1
    channels: Annotated[tuple[str, ...], AfterValidator(_some)] = ("*",)
    space: Literal["world", "local"] = "world"
    rotate_order: RotateOrder = "xyz"
    flat: bool = False
    bundle: bool = True

    @field_validator("channels")
    @classmethod
    def _known(cls, channels: tuple[str, ...]) -> tuple[str, ...]:
        chosen_channels(channels)
        return channels


class BvhOutput(ActorSection):
    """A file that grows while the show runs; the time of day is added to its name. fps: of its rows."""

    send: Literal["bvh"]
    file: Path
    profile: Annotated[str, _only("raw", "BVH is right-handed with Y up")] = "raw"
    unit: Literal["m", "cm"] = "m"


class ZmqOutput(_Rate, _Space):
    """All actors of a tick in one message; packed is what the stage page and other shows read.

    allow: only subscribers at these addresses or networks, if any are given. key: a secret key's file, and clients: the
    folder with the public keys of those who may then connect.
    """

    send: Literal["zmq"]
    format: Annotated[Literal["packed", "msgpack"], Field(validate_default=True)] = "packed"
    bind: Endpoint = f"tcp://{LOOPBACK}:39550"
    allow: Senders = ()
    key: Path | None = None
    clients: Path | None = None

    @field_validator("format")
    @classmethod
    def _packed_is_raw(cls, kind: str, info: ValidationInfo) -> str:
        profile, unit = info.data.get("profile", "raw"), info.data.get("unit")
        if kind == "packed" and (profile != "raw" or unit not in (None, "m")):
            raise ValueError("packed poses are raw, in metres; use format: msgpack, or leave profile and unit out")
        return kind


class EffortOutput(Section):
    """What effort meters read, by OSC. actor: whose, everybody's when left out. apart: a number a message."""

    send: Literal["effort"]
    host: Host = LOOPBACK
    port: TargetPort = 9005
    actor: str | None = None
    apart: bool = False


Output = Annotated[
    VmcOutput | AiToolboxOutput | TouchDesignerOutput | ZmqOutput | BvhOutput | EffortOutput,
    Field(discriminator="send"),
]


def shared_targets(outputs: Sequence[Any]) -> list[str]:
    """Faults of outputs whose receiver could not tell their actors apart."""
    faults = []
    sent: dict[tuple[Any, ...], int] = {}
    for place, output in enumerate(outputs):
        if isinstance(output, UdpOutput):
            key = output.apart_key
            target = (output.host, output.port, type(output), getattr(output, key) if key else None)
            first = sent.setdefault(target, place)
            if first != place and not (key and outputs[first].actor == output.actor):
                apart = f"give each actor {'an' if key[0] in 'aeiou' else 'a'} {key} or a port" if key else ""
                faults.append(
                    f"outputs.{place}.port: {output.host}:{output.port} has outputs.{first} already; "
                    f"{apart or 'give each actor a port'}"
                )
    return faults
