"""Senders: one stable source, and never a wait or an exception during the show."""

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
