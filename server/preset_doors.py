"""What a preset must say before a socket of the show is reached from other machines: who may come in, and how.

Listening on this machine alone needs nothing. No sockets here; `allowed.py` and the doors themselves keep what is said.
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from server.allowed import is_loopback
from server.preset_control import Control
from server.preset_dancers import UdpDancer, ZmqDancer
from server.preset_outputs import ZmqOutput
from server.preset_values import LOOPBACK, Host, Origin, Port, Section, Senders

EXAMPLE = "allow: [192.168.1.0/24] for a network, or allow: [0.0.0.0/0] for anybody"
MAKE_KEYS = "`python -m server.keys show` makes key: keys/show.key_secret"


class StagePage(Section):
    """The page in a browser. behind_proxy: the address at which a proxy with a login shows it to others."""

    host: Host = LOOPBACK
    port: Port = 8080
    behind_proxy: Origin | None = None


def page_faults(page: StagePage | None) -> list[str]:
    """Why a stage page may not be where the preset or the command line has it."""
    if page is None or page.behind_proxy or is_loopback(page.host):
        return []
    return [
        f"stage_page.host: {page.host} is reached from other machines, and the page asks nobody who they are; put a "
        f"proxy with a login before it and name the address that people open: behind_proxy: https://stage.example.org "
        f"(--page-behind-proxy)"
    ]


def door_faults(dancers: Mapping[str, Any], outputs: Sequence[Any], control: Control | None) -> list[str]:
    """Sockets that other machines would reach though the preset does not say which may, or with which keys; by key."""
    doors = [(f"dancers.{n}", d.host, d.allow) for n, d in dancers.items() if isinstance(d, UdpDancer)]
    doors += [] if control is None else [("control", control.host, control.allow)]
    faults = [
        f"{key}.allow: {host} is reached from other machines; say which are heard: {EXAMPLE}"
        for key, host, allow in doors
        if not allow and not is_loopback(host)
    ]
    for place, output in enumerate(outputs):
        if not isinstance(output, ZmqOutput):
            continue
        outside = not is_loopback(_host(output.bind))
        if outside and not output.allow:
            said = f"{output.bind} is reached from other machines; say which may connect: {EXAMPLE}"
            faults.append(f"outputs.{place}.allow: {said}")
        if outside and output.key is None:
            faults.append(f"outputs.{place}.key: {output.bind} is reached from other machines; {MAKE_KEYS}")
        if (output.key is None) != (output.clients is None):
            faults.append(f"outputs.{place}: key and clients (a folder with the public keys of others) go together")
    for name, dancer in dancers.items():
        if isinstance(dancer, ZmqDancer) and (dancer.key is None) != (dancer.server_key is None):
            faults.append(f"dancers.{name}: key (our own) and server_key (the publisher's public one) go together")
    return faults


def with_this_machine(control: Control) -> Senders:
    """Who is heard by a control whose show has a page, which steers it from this machine."""
    own = {LOOPBACK}
    with contextlib.suppress(ValueError):  # a name; what it stands for is not looked up here
        own.add(str(ipaddress.ip_address(control.host)))
    return (*control.allow, *sorted(own)) if control.allow else ()


def _host(endpoint: str) -> str:
    """Where a ZMQ endpoint listens; an ipc:// one on this machine."""
    kind, _, where = endpoint.partition("://")
    return where.rpartition(":")[0].strip("[]") if kind == "tcp" else "localhost"
