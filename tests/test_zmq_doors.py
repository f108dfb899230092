"""Who hears a publisher: real connections over loopback, by address and by key."""

import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import zmq

from motion.skeleton import HUMANOID
from server.keys import ClientKeys, Pair, make_keys
from server.outputs import Publisher
from server.page_secrets import VARIABLE, PageSecrets
from server.preset_outputs import ZmqOutput
from server.protocols import packed
from server.protocols.frames import PoseFrame
from server.receivers.zmq import ZmqReceiver
from server.senders.zmq import ZmqSender
from server.stage_view.feed import Feed

CLIENTS = Path(__file__).resolve().parents[1] / "clients"

SHOW, ANNA, STRANGER = Pair.new(), Pair.new(), Pair.new()
Connect = Callable[..., "zmq.Socket[bytes]"]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Makes subscribers, with keys or without."""
    context = zmq.Context()
    sockets = []

    def made(sender: ZmqSender, keys: ClientKeys | None = None) -> "zmq.Socket[bytes]":
        socket = context.socket(zmq.SUB)
        socket.setsockopt(zmq.LINGER, 0)
        socket.subscribe(b"")
        if keys is not None:
            keys.show(socket)
        socket.connect(sender.endpoint)
        sockets.append(socket)
        return socket

    yield made
    context.destroy()


def hears(sender: ZmqSender, socket: "zmq.Socket[bytes]") -> bool:
    """Whether what is sent arrives; gives up after five seconds."""
    deadline = time.monotonic() + 5.0
    while time.monotonic() < deadline:
        sender.send(b"pose")
        if socket.poll(5):
            return True
    return False


def await_count(sender: ZmqSender, what: str) -> None:
    deadline = time.monotonic() + 5.0
    while not sender.counts[what]:
        assert time.monotonic() < deadline, sender.counts


def guarded() -> ZmqSender:
    return ZmqSender("tcp://127.0.0.1:*", ("127.0.0.0/8",), SHOW, {ANNA.public})


def test_whoever_shows_a_known_key_hears(connect: Connect) -> None:
    with closing(guarded()) as sender:
        assert hears(sender, connect(sender, ClientKeys(ANNA, SHOW.public)))
        assert "refused_key" not in sender.counts


@pytest.mark.parametrize(
    ("keys", "count"),
    [
        (ClientKeys(STRANGER, SHOW.public), "refused_key"),
        (ClientKeys(ANNA, STRANGER.public), "refused_handshake"),  # takes the show for another one
        (None, "refused_handshake"),
    ],
)
def test_a_wrong_key_or_none_hears_nothing_and_is_counted(
    connect: Connect, keys: ClientKeys | None, count: str
) -> None:
    with closing(guarded()) as sender:
        stranger = connect(sender, keys)
        await_count(sender, count)
        assert hears(sender, connect(sender, ClientKeys(ANNA, SHOW.public)))
        assert not stranger.poll(0)


@pytest.mark.parametrize("key", [None, SHOW])
def test_an_address_that_is_not_allowed_hears_nothing_and_is_counted(connect: Connect, key: Pair | None) -> None:
    with closing(ZmqSender("tcp://127.0.0.1:*", ("192.0.2.0/24",), key, {ANNA.public})) as sender:
        elsewhere = connect(sender, ClientKeys(ANNA, SHOW.public) if key else None)
        await_count(sender, "refused_address")
        sender.send(b"pose")
        assert not elsewhere.poll(0)


def test_an_address_that_is_allowed_hears_without_keys(connect: Connect) -> None:
    with closing(ZmqSender("tcp://127.0.0.1:*", ("127.0.0.1",))) as sender:
        assert hears(sender, connect(sender))


def test_the_shows_own_page_hears_from_wherever_it_runs(connect: Connect) -> None:
    with closing(ZmqSender("tcp://127.0.0.1:*", ("192.0.2.0/24",), SHOW, {ANNA.public})) as sender:
        assert hears(sender, connect(sender, sender.page_keys))


def test_the_page_is_told_its_keys_where_nobody_else_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(guarded()) as sender:
        secrets = PageSecrets(sender.page_keys, "open sesame")
        monkeypatch.setenv(VARIABLE, secrets.environment()[VARIABLE])
        assert PageSecrets.received() == secrets
        assert VARIABLE not in os.environ
        with closing(Feed(sender.endpoint, secrets.keys)) as feed:
            deadline = time.monotonic() + 5.0
            while not feed.alive:
                assert time.monotonic() < deadline
                sender.send(packed.encode_stats({}))
                feed.news()
    assert PageSecrets.received() == PageSecrets()


def test_the_python_client_reads_files_of_keys(tmp_path: Path) -> None:
    show, _ = make_keys("show", tmp_path / "keys")
    make_keys("anna", tmp_path / "guests")
    (tmp_path / "clients").mkdir()
    (tmp_path / "guests/anna.key").rename(tmp_path / "clients/anna.key")
    output = ZmqOutput(
        send="zmq", bind="tcp://127.0.0.1:*", key=show.with_suffix(".key_secret"), clients=tmp_path / "clients"
    )
    with closing(Publisher(output, frozenset())) as publisher:
        assert "encrypted for 1 keys" in publisher.label
        script = [sys.executable, CLIENTS / "python/subscribe.py", publisher.sender.endpoint]
        with subprocess.Popen([*script, show, tmp_path / "guests/anna.key_secret"], stdout=subprocess.PIPE) as client:
            frame = PoseFrame(HUMANOID, np.zeros(3), np.tile([0.0, 0.0, 0.0, 1.0], (22, 1)), None, 0.0, 7, "anna")
            assert client.stdout is not None
            said = selectors.DefaultSelector()
            said.register(client.stdout, selectors.EVENT_READ)
            deadline = time.monotonic() + 20.0
            while not said.select(0.02):
                assert time.monotonic() < deadline, publisher.sender.counts
                publisher.sender.send(packed.encode([frame], 5, 0.0))
            client.kill()
            said.close()


def test_a_dancer_comes_in_with_keys() -> None:
    arrived: list[object] = []
    with closing(guarded()) as sender:
        keys = ClientKeys(ANNA, SHOW.public)
        with closing(ZmqReceiver(sender.endpoint, "", arrived.append, keys=keys)) as receiver:
            receiver.start()
            deadline = time.monotonic() + 5.0
            while not receiver.counts["dropped_packet"]:
                assert time.monotonic() < deadline
                sender.send(b"pose/00\0")  # is no pose, but it was heard
            assert receiver.describe().endswith("(ZMQ, encrypted)")


@pytest.mark.parametrize(
    "keys",
    [None, ClientKeys(STRANGER, SHOW.public), ClientKeys(ANNA, STRANGER.public)],
    ids=["none", "own", "server's"],
)
def test_a_dancer_who_is_turned_away_is_told_so(keys: ClientKeys | None) -> None:
    with closing(guarded()) as sender, closing(ZmqReceiver(sender.endpoint, "", print, keys=keys)) as receiver:
        receiver.start()
        deadline = time.monotonic() + 5.0
        while not receiver.counts["refused_handshake"]:
            assert time.monotonic() < deadline
        assert receiver.counts.keys() == {"refused_handshake"}


def test_a_secret_is_not_shown_by_accident() -> None:
    assert SHOW.secret.decode() not in repr(ClientKeys(SHOW, ANNA.public))
