"""How a show is steered: a preset's `control`, and its `cues`, the list that `/cue/go` walks through."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from server.allowed import is_loopback
from server.preset_values import (
    LOOPBACK,
    Host,
    Numbers,
    Port,
    Section,
    Senders,
    Setting,
    TargetPort,
    several,
)
from server.stages.sample_wishes import PLACE, check

OFF = -1
LONGEST_CROSS_FADE = 60.0  # seconds
RESERVED = ("go", "back", "current")  # addresses below /cue that are no cue's name
ADDRESSES = (
    "show",
    "cue",
    "fade",
    "go",
    "player",
    "mocap",
    "synth",
    "sample",
    "calibrate",
    "effort",
    "manner",
    "reply",
    "error",
    "token",
)  # no partner's name


def _port_or_off(value: Any) -> Any:
    """A port as it is, and OFF for `off`, which YAML reads as false."""
    if value is False or value in ("off", OFF):
        return OFF
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 65535:
        raise ValueError("must be a port, 1 to 65535, 0 for any free one, or off")
    return value


class Control(Section):
    """OSC in, and OSCQuery to find what there is.

    allow: only these senders' addresses or networks, if any are given. token: a file with what a sender must show
    before it is heard. rate: messages a second that are heard from one address, twice as many at once. reply_port:
    where answers go on the sender's machine; left out, to the port the message came from. oscquery: the HTTP port, the
    OSC port's number when left out. discovery: announced by mDNS; when left out, only if `host` is reached from other
    machines.
    """

    host: Host = LOOPBACK
    port: Port = 9002
    allow: Senders = ()
    token: Path | None = None
    rate: Annotated[int, Field(ge=1, le=100_000)] = 1000
    reply_port: TargetPort | None = None
    oscquery: Annotated[int | None, BeforeValidator(_port_or_off)] = None
    discovery: bool | None = None

    @property
    def query_port(self) -> int | None:
        """The port of OSCQuery; None: there is none."""
        if self.oscquery == OFF:
            return None
        return self.port if self.oscquery is None else self.oscquery

    @property
    def announced(self) -> bool:
        if self.discovery is None:
            return not is_loopback(self.host)
        return self.discovery


class Cue(Section):
    """One step of a show. seconds: how long its params take, or its cross-fade to another preset.

    params: by their address without the first slash ("partner1/energy", "*/stillness"). sample: what poses are told, by
    their address without /sample/, in order; any number where none is needed ("clear: 1"). still: every partner at
    rest, or not. reset: every model starts over. preset: a name in the folder of this one; such a cue does nothing
    else.
    """

    name: Annotated[str, Field(pattern=r"^([A-Za-z][A-Za-z0-9_-]{0,31})?$")] = ""
    params: Annotated[dict[str, Setting], Field(default_factory=dict)]
    sample: Annotated[dict[str, Numbers], Field(default_factory=dict)]
    freeze: bool | None = None
    still: bool | None = None
    reset: bool = False
    preset: str | None = None
    seconds: Annotated[float, Field(ge=0, le=600)] = 0.0

    @field_validator("name")
    @classmethod
    def _no_address(cls, name: str) -> str:
        if name in RESERVED:
            raise ValueError(f"is an address of its own (/cue/{name}); take another name")
        return name

    @field_validator("sample")
    @classmethod
    def _can_be_wished(cls, wishes: dict[str, Numbers]) -> dict[str, Numbers]:
        for name, value in wishes.items():
            if (fault := check(PLACE + name, several(value))) is not None:
                raise ValueError(f"{name}: {fault}")
        return wishes

    @field_validator("seconds")
    @classmethod
    def _no_endless_cross_fade(cls, seconds: float, info: ValidationInfo) -> float:
        if info.data.get("preset") is not None and seconds > LONGEST_CROSS_FADE:
            raise ValueError(f"a cross-fade to another preset takes 0 to {LONGEST_CROSS_FADE:g} seconds")
        return seconds

    @model_validator(mode="after")
    def _does_one_thing(self) -> Cue:
        acts = bool(self.params or self.sample or self.reset) or self.freeze is not None or self.still is not None
        if self.preset is not None and acts:
            raise ValueError("switches the preset and does something else as well; make it two cues")
        if self.preset is None and not acts:
            raise ValueError("does nothing; give it params, sample, freeze, still, reset or preset")
        return self


def steering_faults(control: Control | None, cues: tuple[Cue, ...], partners: Iterable[str]) -> list[str]:
    """What is wrong between them: names that are taken, and cues that nobody can give."""
    first: dict[str, int] = {}
    faults = [
        f"cues.{place}.name: {cue.name!r} is the name of cues.{first[cue.name]} already"
        for place, cue in enumerate(cues)
        if cue.name and first.setdefault(cue.name, place) != place
    ]
    faults += [
        f"partners.{name}: /{name}/... is an address of the show's own; take another name"
        for name in partners
        if name in ADDRESSES
    ]
    if cues and control is None:
        faults.append("cues: nobody can give them while control is off")
    return faults
