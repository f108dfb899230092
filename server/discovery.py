"""The show says by mDNS where it is, so that nobody types addresses: `_oscjson._tcp` and `_osc._udp`.

Never worth a show: a machine without a network, or with another program in the way, is a fault that is told, no more.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Sequence

import ifaddr
from zeroconf import InterfaceChoice, ServiceInfo, Zeroconf

EVERYWHERE = ("0.0.0.0", "")
LONGEST_NAME = 63  # bytes of a DNS label


class Announcement:
    """name: for people. ports: what is announced, by service, "_osc._udp" and "_oscjson._tcp".

    host: where the show listens. fault: why nobody finds it; empty while all is well.
    """

    def __init__(self, name: str, host: str, ports: dict[str, int]) -> None:
        self.fault = ""
        self.announced = threading.Event()
        self._name = name.encode()[:LONGEST_NAME].decode(errors="ignore").replace(".", " ")
        self._host, self._ports = host, ports
        self._zeroconf: Zeroconf | None = None
        self._thread = threading.Thread(target=self._announce, name="discovery", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Takes the announcement back."""
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)
        if self._zeroconf is not None:
            self._zeroconf.close()

    def _announce(self) -> None:
        try:
            addresses = self._addresses()
            everywhere = self._host in EVERYWHERE
            self._zeroconf = Zeroconf(interfaces=InterfaceChoice.All if everywhere else addresses)
            asyncio.run(self._register(self._zeroconf, addresses))
        except Exception as error:  # mDNS has many ways to fail, and none may fail the show
            self.fault = f"not announced by mDNS: {type(error).__name__}: {error}".rstrip(": ")
        self.announced.set()

    async def _register(self, zeroconf: Zeroconf, addresses: Sequence[str]) -> None:
        """Both at once: each takes half a second to make sure that nobody has the name."""
        services = [self._service(service, port, addresses) for service, port in self._ports.items()]
        registering = [zeroconf.async_register_service(service, allow_name_change=True) for service in services]
        assert zeroconf.loop is not None
        await asyncio.gather(
            *(asyncio.wrap_future(asyncio.run_coroutine_threadsafe(each, zeroconf.loop)) for each in registering)
        )

    def _service(self, service: str, port: int, addresses: Sequence[str]) -> ServiceInfo:
        kind = f"{service}.local."
        return ServiceInfo(
            kind, f"{self._name}.{kind}", port, parsed_addresses=list(addresses), properties={"txtvers": 1}
        )

    def _addresses(self) -> list[str]:
        """Where others reach this show. Raises OSError when nobody can."""
        own = [str(ip.ip) for adapter in ifaddr.get_adapters() for ip in adapter.ips if ip.is_IPv4]
        if self._host in EVERYWHERE:
            addresses = [address for address in own if not address.startswith("127.")]
            if not addresses:
                raise OSError("this machine has no network address")
            return addresses
        address = socket.gethostbyname(self._host)
        if address not in own:
            raise OSError(f"{self._host} is no address of this machine; it has: {', '.join(own) or 'none'}")
        return [address]
