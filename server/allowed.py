"""Who is heard at a socket: the addresses and networks that a preset's `allow` names, everybody where it names none."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

MAX_SOURCES = 256  # remembered; a network may hold any number


class Allowed:
    """allow: "192.168.1.20", "192.168.1.0/24" ... key: the preset's, for messages. Raises ValueError for no address."""

    def __init__(self, allow: Sequence[str], key: str) -> None:
        self._networks = [_network(address, key) for address in allow]
        self._known: dict[str, bool] = {}

    def __contains__(self, source: str) -> bool:
        if not self._networks:
            return True
        allowed = self._known.get(source)
        if allowed is None:
            if len(self._known) >= MAX_SOURCES:
                self._known.clear()
            address = ipaddress.ip_address(source.partition("%")[0])
            if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
                address = address.ipv4_mapped  # how a socket of both kinds names an IPv4 sender
            allowed = self._known[source] = any(address in network for network in self._networks)
        return allowed


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches `host`. Names are not looked up: of them, only localhost is."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _network(address: str, key: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(address, strict=False)
    except ValueError:
        raise ValueError(f"{key}: {address!r} is no IP address or network") from None
