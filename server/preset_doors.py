"""What a preset must say before a socket of the show is reached from other machines: who may come in, and how.

Listening on this machine alone needs nothing. No sockets here; `allowed.py` and the doors themselves keep what is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from server.preset_control import Control
from server.preset_dancers import UdpDancer
from server.preset_values import is_loopback

EXAMPLE = "allow: [192.168.1.0/24] for a network, or allow: [0.0.0.0/0] for anybody"


def door_faults(dancers: Mapping[str, Any], control: Control | None) -> list[str]:
    """Sockets that other machines would reach though the preset does not say which may; by key."""
    doors: list[tuple[str, UdpDancer | Control]]
    doors = [(f"dancers.{name}", dancer) for name, dancer in dancers.items() if isinstance(dancer, UdpDancer)]
    doors += [("control", control)] if control is not None else []
    return [
        f"{key}.allow: {door.host} is reached from other machines; say which are heard: {EXAMPLE}"
        for key, door in doors
        if not door.allow and not is_loopback(door.host)
    ]
