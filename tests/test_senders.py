"""Senders: one stable source, and never a wait or an exception during the show."""

import contextlib
import socket
from contextlib import closing

import pytest
import zmq

from server.senders import SenderError
from server.senders.udp import UdpSender
from server.senders.zmq import ZmqSender


@pytest.fixture
def listener():
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as bound:
        bound.bind(("127.0.0.1", 0))
        bound.settimeout(10.0)
        yield bound


def test_all_datagrams_come_from_one_port(listener):
    with closing(UdpSender("localhost", listener.getsockname()[1])) as sender:
        for n in range(10):
            sender.send([b"a%d" % n, b"b%d" % n])
        received = [listener.recvfrom(100) for _ in range(20)]
    assert {source for _, source in received} == {("127.0.0.1", sender.source_port)}
    assert [data for data, _ in received][:3] == [b"a0", b"b0", b"a1"]
    assert sender.counts == {"datagrams": 20}


def test_nobody_listening_is_no_error(listener):
    port = listener.getsockname()[1]
    listener.close()
    with closing(UdpSender("127.0.0.1", port)) as sender:
        for _ in range(100):
            sender.send([b"hello"])
    assert sender.counts == {"datagrams": 100}


def test_what_cannot_be_sent_is_counted_and_the_rest_goes_out(listener):
    with closing(UdpSender("127.0.0.1", listener.getsockname()[1])) as sender:
        sender.send([bytes(70000), b"after"])
        assert listener.recv(100) == b"after"
    assert sender.counts == {"send_error": 1, "datagrams": 1}


def test_an_unknown_host_is_an_error_that_names_it():
    with pytest.raises(SenderError, match=r"cannot send to no such host.invalid:39539"):
        UdpSender("no such host.invalid", 39539)


def test_a_taken_endpoint_is_an_error_that_names_it():
    with closing(ZmqSender("tcp://127.0.0.1:*")) as sender, pytest.raises(SenderError) as error:
        ZmqSender(sender.endpoint)
    assert sender.endpoint in str(error.value)
    assert "close the other program" in str(error.value)


def test_an_endpoint_that_is_none_is_refused():
    with pytest.raises(SenderError, match="cannot publish on 'here'"):
        ZmqSender("here")


def test_without_subscribers_sending_does_not_wait():
    with closing(ZmqSender("tcp://127.0.0.1:*")) as sender:
        for _ in range(1000):
            sender.send(bytes(10000))
    assert sender.counts == {"messages": 1000}


def test_a_subscriber_that_never_reads_does_not_hold_the_sender():
    with closing(ZmqSender("tcp://127.0.0.1:*")) as sender, zmq.Context() as context, context.socket(zmq.SUB) as lazy:
        lazy.setsockopt(zmq.LINGER, 0)
        lazy.setsockopt(zmq.RCVHWM, 1)
        lazy.subscribe(b"")
        lazy.connect(sender.endpoint)
        while not lazy.poll(10):
            sender.send(bytes(100000))
        for _ in range(1000):
            sender.send(bytes(100000))
        assert sender.counts["messages"] >= 1000
        assert sender.counts["send_error"] == 0


def test_a_receiver_that_was_gone_hears_on_when_it_is_back(listener):
    address = listener.getsockname()
    with closing(UdpSender(*address)) as sender:
        sender.send([b"before"])
        assert listener.recv(100) == b"before"
        listener.close()
        for _ in range(100):  # each is answered by "port unreachable"
            sender.send([b"nobody"])
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as back:
            back.bind(address)
            back.settimeout(10.0)
            sender.send([b"after"])
            assert back.recv(100) == b"after"
        assert sender.counts == {"datagrams": 102}


def test_a_receiver_that_is_slow_loses_what_it_does_not_read_and_holds_nobody(listener):
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with closing(UdpSender(*listener.getsockname())) as sender:
        for n in range(5000):
            sender.send([b"%4d" % n + bytes(1000)])
        assert sum(sender.counts.values()) == 5000  # nothing was waited for
        assert listener.recv(2000)[:4] == b"   0"
        listener.setblocking(False)
        waited = 0
        with contextlib.suppress(BlockingIOError):
            while listener.recv(2000):
                waited += 1
        assert waited < 100  # the rest is lost
        listener.settimeout(10.0)
        sender.send([b"4999"])
        assert listener.recv(2000) == b"4999"


@pytest.mark.parametrize("conflates", [True, False])
def test_a_subscriber_that_was_away_for_a_second_is_back_with_the_newest(conflates):
    """Two actors' poses, 120 a second. conflates: as clients/python does; without it all that was kept comes first."""
    with closing(ZmqSender("tcp://127.0.0.1:*")) as sender, zmq.Context() as context, context.socket(zmq.SUB) as away:
        away.setsockopt(zmq.LINGER, 0)
        away.setsockopt(zmq.CONFLATE, conflates)
        away.subscribe(b"")
        away.connect(sender.endpoint)
        while not away.poll(10):
            sender.send(b"   0" + bytes(1600))
        for n in range(1, 121):
            sender.send(b"%4d" % n + bytes(1600))
        heard = []
        for n in range(121, 181):
            sender.send(b"%4d" % n + bytes(1600))
            while away.poll(100):
                heard.append(int(away.recv()[:4]))
            if heard and heard[-1] == n:
                break
        assert heard[-1] == n
        assert heard == sorted(heard)
        assert sender.counts["send_error"] == 0
