"""What one value of a preset may be: ports, hosts, endpoints, scales. Each check says what is right instead."""

from __future__ import annotations

import ipaddress
import math
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

LOOPBACK = "127.0.0.1"
Device = Literal["cpu", "cuda", "auto"]  # where a model runs; auto: where it is faster


class Section(BaseModel):
    """A mapping of a preset: unknown keys are faults, and nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def host_name(text: str) -> str:
    """A host's name or address as it is. Raises ValueError for text that is none; nothing is looked up here."""
    try:
        text.encode("idna")
    except UnicodeError:
        text = ""
    if not text:
        raise ValueError("must be a host or an address such as 127.0.0.1")
    return text


def _port(port: int) -> int:
    if not 0 <= port <= 65535:
        raise ValueError("must be a port, 1 to 65535, or 0 for any free one")
    return port


def _target_port(port: int) -> int:
    if not 1 <= port <= 65535:
        raise ValueError("must be a port to send to, 1 to 65535")
    return port


def _endpoint(text: str) -> str:
    """ZMQ itself takes port 99999 without a word and opens another one."""
    kind, _, where = text.partition("://")
    host, _, port = where.rpartition(":")
    is_port = port == "*" or (port.isascii() and port.isdigit() and int(port) <= 65535)
    if not (kind == "tcp" and host and is_port) and not (kind == "ipc" and where):
        raise ValueError("must be an endpoint: tcp://HOST:PORT such as tcp://127.0.0.1:39550, or ipc://FILE")
    return text


def _scale(value: Any) -> Any:
    """YAML reads 1e-2 as text, so text counts as the number it is."""
    if value == "auto":
        return value
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0.0 < number < math.inf:
        raise ValueError("must be metres per unit of the file, a number above 0, or auto")
    return number


def _numbers(value: Any) -> Any:
    numbers = value if isinstance(value, list | tuple) and value else [value]
    try:
        if any(isinstance(number, bool) for number in numbers):
            raise TypeError
        made = tuple(map(float, numbers))
    except (TypeError, ValueError):
        raise ValueError("must be a number, or a list of numbers for a param of several") from None
    return made if isinstance(value, list | tuple) else made[0]


def _setting(value: Any) -> Any:
    """YAML reads 1e-2 as text, so text that is a number counts as one."""
    try:
        return _numbers(value)
    except ValueError:
        if not isinstance(value, str) or not value:
            raise
        return value


def _senders(addresses: tuple[str, ...]) -> tuple[str, ...]:
    for address in addresses:
        try:
            ipaddress.ip_network(address, strict=False)
        except ValueError:
            raise ValueError(f"{address!r} must be an address or a network, such as 192.168.1.0/24") from None
    return addresses


def origin(text: str) -> str:
    """An address as browsers name where a page is from. Raises ValueError for text that is none."""
    found = re.fullmatch(r"(https?://[^\s/?#@]+)/?", text)
    if found is None:
        raise ValueError("must be the address that people open, such as https://stage.example.org, without a path")
    return found[1].lower()


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,15}$")]
Senders = Annotated[tuple[str, ...], AfterValidator(_senders)]
Host = Annotated[str, AfterValidator(host_name)]
Port = Annotated[int, AfterValidator(_port)]  # to listen on
TargetPort = Annotated[int, AfterValidator(_target_port)]
Origin = Annotated[str, AfterValidator(origin)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]


def several(value: float | tuple[float, ...]) -> tuple[float, ...]:
    """One number or more as more."""
    return value if isinstance(value, tuple) else (value,)


Numbers = Annotated[float | tuple[float, ...], BeforeValidator(_numbers)]
Setting = Annotated[float | tuple[float, ...] | str, BeforeValidator(_setting)]  # of a param: also one of its names
Scale = Annotated[Literal["auto"] | float, BeforeValidator(_scale)]
