"""OSCQuery over real HTTP: the tree as others read it, the answers of the specification, and what it shrugs off."""

import contextlib
import gc
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from pythonoscquery.osc_query_client import OSCQueryClient
from pythonoscquery.shared.osc_access import OSCAccess
from zeroconf import ServiceInfo

from motion.manifest import Param
from server.admission import Rates
from server.control import ControlError
from server.cues import CueList
from server.desk import Desk
from server.errands import Command
from server.lines import PartnerLine
from server.osc_query import MOST_CONNECTIONS, OscQuery, host_info
from server.params import Changes, ControlChange
from server.pipeline import Pipeline
from server.preset_control import Cue


class Knobs:
    params = (
        Param("variety", 0.5, 0.0, 2.0, about="how lively"),
        Param("latent", 0.0, -4.0, 4.0, size=3),
        Param("stillness", 0.0, 0.0, 1.0),
    )


@pytest.fixture
def desk() -> Desk:
    pipeline = Pipeline([], [PartnerLine("partner1", "dancer1", [Knobs()])])  # type: ignore[list-item]
    desk = Desk(Changes(), lambda: pipeline, CueList((Cue(name="rest", still=True), Cue(freeze=True))))
    desk.commands["show/preset"] = Command(str, "another preset", "s", lambda: ("act1", "act2"), lambda: "act1")
    desk.commands["show/record"] = Command(str, "records", "s", lambda: ("start", "stop"))
    return desk


@pytest.fixture
def query(desk: Desk) -> Iterator[OscQuery]:
    query = OscQuery("127.0.0.1", 0, desk, host_info("Pas de Deux demo", "127.0.0.1", 9002))
    query.start()
    yield query
    query.close()


def get(query: OscQuery, target: str) -> tuple[int, Any]:
    """Status and content."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{query.port}{target}", timeout=5.0) as response:
            body = response.read()
            return response.status, json.loads(body) if body else None
    except urllib.error.HTTPError as error:
        with error:
            return error.code, None


def test_the_host_says_where_osc_goes(query: OscQuery) -> None:
    status, info = get(query, "/?HOST_INFO")
    assert (status, info["NAME"], info["OSC_IP"], info["OSC_PORT"]) == (200, "Pas de Deux demo", "127.0.0.1", 9002)
    assert info["OSC_TRANSPORT"] == "UDP"
    assert info["EXTENSIONS"]["VALUE"] is True
    assert info["EXTENSIONS"]["LISTEN"] is False


def test_who_listens_everywhere_names_no_address() -> None:
    assert "OSC_IP" not in host_info("x", "0.0.0.0", 9002)


def test_a_param_is_described_with_type_range_and_value(query: OscQuery) -> None:
    assert get(query, "/partner1/latent") == (
        200,
        {
            "FULL_PATH": "/partner1/latent",
            "DESCRIPTION": "",
            "TYPE": "fff",
            "ACCESS": 3,
            "VALUE": [0.0, 0.0, 0.0],
            "RANGE": [{"MIN": -4.0, "MAX": 4.0}] * 3,
            "CLIPMODE": ["both"] * 3,
        },
    )
    assert get(query, "/partner1/variety")[1]["DESCRIPTION"] == "how lively"


def test_the_tree_holds_every_address_and_each_is_where_it_says(query: OscQuery) -> None:
    found = []

    def walk(node: dict[str, Any]) -> None:
        for name, below in node.get("CONTENTS", {}).items():
            assert below["FULL_PATH"].endswith(f"/{name}")
            assert ("TYPE" in below) == bool(below["ACCESS"])
            if "TYPE" in below:
                found.append(below["FULL_PATH"])
            walk(below)

    walk(get(query, "/")[1])
    assert found == [
        *("/show/freeze", "/show/still", "/show/reset", "/show/preset", "/show/record"),
        *("/cue/current", "/cue/go", "/cue/back", "/cue/1", "/cue/2"),
        *("/partner1/variety", "/partner1/latent", "/partner1/stillness"),
    ]


def test_values_are_those_of_now(query: OscQuery, desk: Desk) -> None:
    pipeline = desk._pipeline()
    pipeline.apply(ControlChange("partner1/variety", 1.5))
    pipeline.apply(ControlChange("show/freeze", 1.0))
    assert get(query, "/partner1/variety?VALUE") == (200, {"VALUE": [1.5]})
    assert get(query, "/show/freeze")[1]["VALUE"] == [True]
    assert get(query, "/show/freeze?TYPE") == (200, {"TYPE": "T"})


def test_a_choice_is_a_range_of_values(query: OscQuery) -> None:
    assert get(query, "/show/preset")[1]["RANGE"] == [{"VALS": ["act1", "act2"]}]
    assert get(query, "/show/preset?VALUE") == (200, {"VALUE": ["act1"]})


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/", 200),
        ("/partner1/", 200),
        ("/cue?VALUE", 204),
        ("/show/reset?RANGE", 204),
        ("/partner1/variety?COLOUR", 400),
        ("/partner9/variety", 404),
        ("/partner1/variety/x", 404),
        ("/%2e%2e/etc/passwd", 404),
        ("//[", 400),
    ],
)
def test_statuses_are_those_of_the_specification(query: OscQuery, target: str, status: int) -> None:
    assert get(query, target)[0] == status


def test_a_reader_of_another_house_understands_the_whole_tree(query: OscQuery) -> None:
    kind = "_oscjson._tcp.local."
    client = OSCQueryClient(ServiceInfo(kind, f"x.{kind}", query.port, parsed_addresses=["127.0.0.1"]))
    info, root, knob = client.get_host_info(), client.query_node("/"), client.query_node("/partner1/variety")
    assert (info.name, info.osc_port) == ("Pas de Deux demo", 9002)
    assert {node.full_path for node in root.contents} == {"/show", "/cue", "/partner1"}
    assert (knob.access, knob.attributes[next(k for k in knob.attributes if k.name == "VALUE")]) == (
        OSCAccess.READWRITE_VALUE,
        [0.5],
    )


def raw(query: OscQuery, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", query.port), timeout=5.0) as peer:
        peer.sendall(request)
        answer = b""
        while more := peer.recv(65536):
            answer += more
        return answer


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\x16\x03\x01 hello\r\n\r\n", b"400"),
        (b"GET / HTTP/9\r\n\r\n", b"400"),
        (b"GET /" + b"x" * 8300, b"400"),
        (b"POST /show/freeze HTTP/1.1\r\n\r\n", b"405"),
        (b"GET / HTTP/1.0\r\n\r\n", b"200"),
    ],
)
def test_what_is_no_question_is_answered_as_such_and_hung_up(query: OscQuery, request_: bytes, status: bytes) -> None:
    assert raw(query, request_).split(b" ")[1] == status


def test_a_connection_is_kept_for_further_questions(query: OscQuery) -> None:
    asked = b"GET /show/still?VALUE HTTP/1.1\r\n\r\n"
    answer = raw(query, asked * 3 + asked.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert answer.count(b'{"VALUE": [false]}') == 4


def test_those_who_hold_the_line_and_say_nothing_are_hung_up_on(
    query: OscQuery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.osc_query.PATIENCE_SECONDS", 0.05)
    silent = [socket.create_connection(("127.0.0.1", query.port), timeout=5.0) for _ in range(2 * MOST_CONNECTIONS)]
    assert get(query, "/show/still?VALUE")[0] == 200
    for peer in silent:
        peer.close()


def test_a_thousand_connections_leave_it_answering(query: OscQuery) -> None:
    peers = []
    for _ in range(1000):
        peer = socket.socket()
        peer.setblocking(False)
        peer.connect_ex(("127.0.0.1", query.port))
        peers.append(peer)
    for peer in peers:
        peer.close()
    deadline = time.monotonic() + 10.0
    while get(query, "/show/still?VALUE")[0] != 200:
        assert time.monotonic() < deadline


def test_only_who_is_allowed_is_answered(desk: Desk) -> None:
    query = OscQuery("127.0.0.1", 0, desk, {}, allow=("192.0.2.0/24",))
    query.start()
    answer = b""
    with contextlib.closing(query), contextlib.suppress(ConnectionResetError):  # it hangs up without reading
        answer = raw(query, b"GET / HTTP/1.0\r\n\r\n")
    assert answer == b""
    assert query.counts == {"dropped_source": 1}


def test_a_port_in_use_names_the_key(query: OscQuery, desk: Desk) -> None:
    with pytest.raises(ControlError, match=rf"OSCQuery on 127\.0\.0\.1:{query.port}.*control\.oscquery"):
        OscQuery("127.0.0.1", query.port, desk, {})


def test_one_address_is_answered_so_many_times_a_second(query: OscQuery) -> None:
    with socket.create_connection(("127.0.0.1", query.port), timeout=5.0) as connection:
        query._rates = Rates(1.0)
        connection.sendall(b"GET /?HOST_INFO HTTP/1.1\r\n\r\n" * 3)
        answers = b""
        while data := connection.recv(65536):
            answers += data
    assert answers.count(b"HTTP/1.1 200") == 2
    assert query.counts == {"http_200": 2, "dropped_rate": 1}


def test_who_has_just_come_when_it_closes_is_let_go(desk: Desk) -> None:
    for _ in range(20):
        query = OscQuery("127.0.0.1", 0, desk, host_info("Pas de Deux demo", "127.0.0.1", 9002))
        query._loop.call_soon(query._loop.stop)  # the next turn of the loop is the last
        with socket.create_connection(("127.0.0.1", query.port), timeout=5.0) as peer:
            query.start()
            query._thread.join()
            query.close()
            with contextlib.suppress(ConnectionResetError):
                assert peer.recv(1) == b""
    gc.collect()  # a socket that nobody has closed is a warning here, which is an error
