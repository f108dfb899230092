"""Before a socket is reached from other machines the preset says who may come in."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from server import preset as presets
from server.allowed import Allowed, is_loopback
from server.preset import PresetError
from server.preset_control import Control
from server.preset_doors import StagePage, with_this_machine

DEMO = Path(__file__).resolve().parents[1] / "presets/demo.yaml"


def parse(**changes: Any) -> presets.Preset:
    return presets.parse(yaml.safe_load(DEMO.read_text()) | changes, DEMO)


def dancer(**keys: Any) -> dict[str, Any]:
    return {"dancers": {"dancer1": {"receive": "vmc", **keys}}}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "stage.local"])
@pytest.mark.parametrize(
    ("key", "section"),
    [("dancers.dancer1", lambda host: dancer(host=host)), ("control", lambda h: {"control": {"host": h}})],
)
def test_listening_to_other_machines_needs_allow(key: str, section: Any, host: str) -> None:
    said = rf"demo\.yaml: {key}\.allow: {host} is reached from other machines; .*allow: \[192\.168\.1\.0/24\]"
    with pytest.raises(PresetError, match=said):
        parse(**section(host))


def test_whoever_says_who_may_come_is_heard_from_other_machines() -> None:
    show = parse(
        **dancer(host="0.0.0.0", allow=["192.168.1.0/24"]), control={"host": "0.0.0.0", "allow": ["0.0.0.0/0"]}
    )
    assert show.dancers["dancer1"].allow == ("192.168.1.0/24",)


def publisher(**keys: Any) -> dict[str, Any]:
    return {"outputs": [{"send": "zmq", "bind": "tcp://127.0.0.1:39550"}, {"send": "zmq", **keys}]}


@pytest.mark.parametrize("host", ["*", "0.0.0.0", "192.168.1.20", "eth0", "[::]"])
def test_publishing_to_other_machines_needs_allow_and_keys(host: str) -> None:
    with pytest.raises(PresetError) as error:
        parse(**publisher(bind=f"tcp://{host}:39551"))
    allow, key = error.value.faults
    assert re.search(r"outputs\.1\.allow: .* is reached from other machines; .*allow: \[192\.168\.1\.0/24\]", allow)
    assert re.search(r"outputs\.1\.key: .*`python -m server\.keys show` makes key: keys/show\.key_secret", key)


@pytest.mark.parametrize("bind", ["tcp://127.0.0.1:*", "tcp://[::1]:39551", "ipc:///tmp/poses"])
def test_publishing_on_this_machine_needs_neither(bind: str) -> None:
    assert parse(**publisher(bind=bind)).outputs[1].key is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (publisher(key="show.key_secret"), "outputs.1: key and clients"),
        (publisher(clients="keys"), "outputs.1: key and clients"),
        ({"dancers": {"dancer1": {"receive": "zmq", "connect": "tcp://10.0.0.1:1", "key": "k"}}}, "server_key"),
    ],
)
def test_half_of_the_keys_is_a_fault(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(PresetError, match=said):
        parse(**changes)


def test_keys_stand_beside_the_preset() -> None:
    show = parse(**publisher(key="keys/show.key_secret", clients="keys/clients"))
    assert (show.outputs[1].key, show.outputs[1].clients) == (
        DEMO.parent / "keys/show.key_secret",
        DEMO.parent / "keys/clients",
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.1.1", "::1", "localhost"])
def test_this_machine_alone_needs_no_allow(host: str) -> None:
    assert is_loopback(host)
    assert parse(**dancer(host=host)).dancers["dancer1"].allow == ()


def test_an_ipv4_sender_is_the_same_at_a_socket_of_both_kinds() -> None:
    allowed = Allowed(["192.168.1.0/24"], "allow")
    assert "::ffff:192.168.1.7" in allowed
    assert "::ffff:192.168.2.7" not in allowed
    assert "::1" not in allowed


@pytest.mark.parametrize(
    ("control", "heard"),
    [
        (Control(), ()),
        (Control(host="0.0.0.0", allow=("10.0.0.0/8",)), ("10.0.0.0/8", "0.0.0.0", "127.0.0.1")),
        (Control(host="192.168.1.5", allow=("10.0.0.0/8",)), ("10.0.0.0/8", "127.0.0.1", "192.168.1.5")),
        (Control(host="stage.local", allow=("10.0.0.0/8",)), ("10.0.0.0/8", "127.0.0.1")),
    ],
)
def test_the_shows_own_page_may_always_steer(control: Control, heard: tuple[str, ...]) -> None:
    assert with_this_machine(control) == heard
    assert "127.0.0.1" in Allowed(heard, "allow")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.20", "stage.local"])
def test_a_page_for_other_machines_needs_a_proxy_with_a_login(host: str) -> None:
    with pytest.raises(
        PresetError, match=rf"stage_page\.host: {host} is reached .*behind_proxy: https://stage\.example"
    ):
        parse(stage_page={"host": host})
    page = parse(stage_page={"host": host, "behind_proxy": "https://Stage.example.org/"}).stage_page
    assert page == StagePage(host=host, behind_proxy="https://stage.example.org")


@pytest.mark.parametrize(
    "address", ["stage.example.org", "https://", "https://a/b", "https://me:you@a", "ftp://a", True]
)
def test_a_proxys_address_is_what_a_browser_calls_it(address: Any) -> None:
    with pytest.raises(PresetError, match=r"stage_page\.behind_proxy"):
        parse(stage_page={"behind_proxy": address})
