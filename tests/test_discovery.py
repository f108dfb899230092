"""mDNS on this machine alone: who looks for the show finds it, and whatever goes wrong is told and no more."""

from queue import SimpleQueue

import pytest
from zeroconf import ServiceBrowser, ServiceInfo, ServiceStateChange, Zeroconf

from server import discovery
from server.discovery import Announcement


def test_who_looks_for_the_show_finds_both_services() -> None:
    found: SimpleQueue[ServiceInfo] = SimpleQueue()

    def look(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        if state_change is ServiceStateChange.Added and (info := zeroconf.get_service_info(service_type, name)):
            found.put(info)

    kinds = ["_oscjson._tcp.local.", "_osc._udp.local."]
    announcement = Announcement("Pas de Deux test.show", "127.0.0.1", {"_oscjson._tcp": 9003, "_osc._udp": 9002})
    looking = Zeroconf(interfaces=["127.0.0.1"])
    try:
        ServiceBrowser(looking, kinds, handlers=[look])
        announcement.start()
        infos = [found.get(timeout=10.0) for _ in kinds]
    finally:
        announcement.close()
        looking.close()
    assert announcement.fault == ""
    assert {(info.name, info.port, *info.parsed_addresses()) for info in infos} == {
        ("Pas de Deux test show._oscjson._tcp.local.", 9003, "127.0.0.1"),
        ("Pas de Deux test show._osc._udp.local.", 9002, "127.0.0.1"),
    }


@pytest.mark.parametrize("host", ["192.0.2.7", "no.such.host.invalid"])
def test_an_address_that_this_machine_has_not_is_told_and_nothing_raised(host: str) -> None:
    announcement = Announcement("x", host, {"_osc._udp": 9002})
    announcement.start()
    announcement.announced.wait(timeout=10.0)
    assert announcement.fault.startswith("not announced by mDNS: ")
    announcement.close()


def test_a_machine_without_a_network_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery.ifaddr, "get_adapters", lambda: [])
    announcement = Announcement("x", "0.0.0.0", {"_osc._udp": 9002})
    announcement.start()
    announcement.announced.wait(timeout=10.0)
    assert "this machine has no network address" in announcement.fault
    announcement.close()


def test_an_announcement_may_end_before_it_began() -> None:
    Announcement("x", "127.0.0.1", {"_osc._udp": 9002}).close()


def test_a_long_name_fits_a_dns_label() -> None:
    name = Announcement("ä" * 60, "127.0.0.1", {})._name
    assert len(name.encode()) <= 63
