"""Where a preset's dancers come from: one class a protocol, told apart by `receive`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from server.preset_values import LOOPBACK, Device, Endpoint, Host, Port, Scale, Section, Senders

# The keys of dancers that are paths, relative to the preset.
KEYS = ("key", "server_key")  # those that no recording tells of
FILES = ("file", "skeleton_file", "upsample.model", "forecast.model", "effort")


class CalibrationWishes(Section):
    """When a dancer is calibrated by itself, and what a calibration sets right (`motion.calibration.Wishes`).

    at: `first_frame` at the start of every show, where what a kept T-pose says of the joints stays; `t_pose` when they
    first stand in one and no calibration is kept; `command` only when told. keep: in a file beside the preset.
    """

    at: Literal["command", "first_frame", "t_pose"] = "command"
    facing: bool = True
    floor: bool = True
    place: bool = False
    hip_scale: Literal["bones", "height"] = "bones"
    keep: bool = True


class Upsampling(Section):
    """A pose for every beat of the clock from the frames of a slower suit. delay: keys that are waited for."""

    model: Path
    device: Device = "cpu"
    delay: Annotated[int, Field(ge=0, le=2)] = 1


class Forecasting(Section):
    """The dancer so many milliseconds ahead of the suit, for those who see them and for their partners."""

    model: Path
    device: Device = "cpu"
    ms: Annotated[float, Field(ge=0.0, le=100.0)] = 50.0


class DancerStages(Section):
    """The stages a dancer's frames pass through; `calibrate` does nothing until something was measured.

    effort: the meter that reads what they dance.
    """

    stages: tuple[Literal["retarget", "calibrate", "deglitch"], ...] = ("retarget", "calibrate", "deglitch")
    calibration: CalibrationWishes = CalibrationWishes()
    upsample: Upsampling | None = None
    forecast: Forecasting | None = None
    effort: Path | None = None

    def files(self) -> dict[str, Path]:
        """The files that this dancer is made with, by key."""
        found = {}
        for key in FILES:
            value: Any = self
            for part in key.split("."):
                value = getattr(value, part, None)
            if isinstance(value, Path):
                found[key] = value
        return found


class BvhDancer(DancerStages):
    """A recording plays as the dancer."""

    receive: Literal["bvh"]
    file: Path
    loop: bool = True
    scale: Scale = "auto"


class ZmqDancer(DancerStages):
    """Poses from a ZMQ publisher, in our packed format or as msgpack. actor: which one, the first when empty.

    key, server_key: files of our own secret key and the publisher's public one, for a publisher that asks for keys.
    """

    receive: Literal["zmq"]
    connect: Endpoint
    actor: str = ""
    format: Literal["packed", "msgpack"] = "packed"
    key: Path | None = None
    server_key: Path | None = None


class UdpDancer(DancerStages):
    """allow: only these senders' addresses or networks, if any are given."""

    host: Host = LOOPBACK
    port: Port
    allow: Senders = ()

    person_key: ClassVar[str] = ""  # the key that says whom of several people in a stream; empty: a stream has one

    @property
    def whom(self) -> int | str | None:
        """Whom of several; None for the first that comes. Two dancers who want different ones may share a port."""
        asked = getattr(self, self.person_key) if self.person_key else None
        return None if asked == "" else asked


class VmcDancer(UdpDancer):
    """VMC (Virtual Motion Capture protocol) over OSC."""

    receive: Literal["vmc"]
    port: Port = 39540


class AiToolboxDancer(UdpDancer):
    """AI-Toolbox's OSC, without joint names. number: <n> in `/mocap/<n>/...`, the first that comes when left out.

    skeleton_file: a BVH or FBX of the sender's skeleton, our own 22 joints when left out. axes: the sender's. scale:
    metres per unit of its positions.
    """

    person_key: ClassVar[str] = "number"
    receive: Literal["ai_toolbox"]
    port: Port = 9007
    number: Annotated[int, Field(ge=0, le=999_999)] | None = None
    skeleton_file: Path | None = None
    axes: Literal["y_up", "z_up", "z_up_x_forward"] = "y_up"
    scale: Scale = "auto"


class XsensDancer(UdpDancer):
    """Xsens MVN's network streamer. character: its number there, the first that comes when left out."""

    person_key: ClassVar[str] = "character"
    receive: Literal["xsens"]
    port: Port = 9763
    character: Annotated[int, Field(ge=0, le=255)] | None = None


class MocopiDancer(UdpDancer):
    """Sony mocopi: one port a person."""

    receive: Literal["mocopi"]
    port: Port = 12351


class RokokoDancer(UdpDancer):
    """Rokoko Studio's custom streaming, JSON v3. profile: the actor's name in Studio, the first when empty."""

    person_key: ClassVar[str] = "profile"
    receive: Literal["rokoko"]
    port: Port = 14043
    profile: str = ""


class CameraDancer(UdpDancer):
    """What a detector sees in a camera's picture. person: its number there, the first that is seen when left out.

    mirror: the picture is a mirror's, or the dancer shall be their mirror image. axes: how the sender's x y z run.
    scale: metres per unit, or told by the body. aspect: the picture's width over its height, for coordinates that are
    shares of it. tilt: degrees by which the camera looks down. visibility: less sure points are not believed.
    """

    person_key: ClassVar[str] = "person"
    person: Annotated[int, Field(ge=0, le=999_999)] | None = None
    mirror: bool = False
    axes: Literal["picture", "y_up", "unity"] = "picture"
    scale: Scale = "auto"
    aspect: Annotated[float, Field(ge=0.1, le=10.0)] = 4.0 / 3.0
    tilt: Annotated[float, Field(ge=-90.0, le=90.0)] = 0.0
    visibility: Annotated[float, Field(ge=0.0, le=1.0)] | None = None


class MediapipeDancer(CameraDancer):
    """MediaPipe's 33 landmarks by OSC. landmarks: metres around the hips, or shares of the picture."""

    receive: Literal["mediapipe"]
    port: Port = 7500
    landmarks: Literal["auto", "world", "image"] = "auto"


class OpenPoseDancer(CameraDancer):
    """OpenPose's BODY_25 by OSC, or its own JSON in datagrams."""

    receive: Literal["openpose"]
    port: Port = 7501


Dancer = Annotated[
    BvhDancer
    | ZmqDancer
    | VmcDancer
    | AiToolboxDancer
    | XsensDancer
    | MocopiDancer
    | RokokoDancer
    | MediapipeDancer
    | OpenPoseDancer,
    Field(discriminator="receive"),
]
