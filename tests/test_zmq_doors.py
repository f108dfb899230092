"""Who hears a publisher: real connections over loopback, by address and by key."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
import zmq

from server.keys import ClientKeys, Pair
from server.receivers.zmq import ZmqReceiver
from server.senders.zmq import ZmqSender

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


def test_a_secret_is_not_shown_by_accident() -> None:
    assert SHOW.secret.decode() not in repr(ClientKeys(SHOW, ANNA.public))
