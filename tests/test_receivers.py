"""Receivers on real sockets: frames arrive, and nothing a peer sends ends the thread."""

import socket
import threading
import time
from contextlib import closing
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
import pytest

from motion import rotations as rot
from motion.skeleton import HUMANOID
from server.admission import Rates
from server.protocols import osc, packed
from server.protocols.frames import PacketError, PoseFrame
from server.protocols.vmc import VmcDecoder, VmcEncoder
from server.receivers import ReceiverError
from server.receivers.udp import HEARD_MS, UdpReceiver
from server.receivers.zmq import ZmqReceiver
from server.senders.udp import UdpSender
from server.senders.zmq import ZmqSender

PATIENCE = 10.0  # seconds; a busy machine may be slow, a broken receiver never delivers


def pose(number=0, actor="dancer1") -> PoseFrame:
    rotations = np.tile(rot.IDENTITY, (len(HUMANOID), 1))
    return PoseFrame(HUMANOID, np.array([0.0, 0.9, 0.1 * number]), rotations, float(number), 0.0, number, actor)


def whole(frame: PoseFrame) -> list[bytes]:
    """A frame in one datagram, so that a busy machine cannot put 2 ms between its parts."""
    messages = [message for datagram in VmcEncoder().encode(frame) for message in osc.parse(datagram)]
    return osc.Template(messages, limit=65507).fill(np.empty(0))


class Stage:
    """A receiver and a sender that know each other, and what came through."""

    def __init__(self, **options) -> None:
        self.arrived: SimpleQueue[PoseFrame] = SimpleQueue()
        on_frame = options.pop("on_frame", self.arrived.put)
        self.receiver = UdpReceiver(partial(VmcDecoder, "dancer1"), "127.0.0.1", 0, on_frame, **options)
        self.sender = UdpSender("127.0.0.1", self.receiver.port)
        self.receiver.start()

    def close(self) -> None:
        self.sender.close()
        self.receiver.close()

    def next(self) -> PoseFrame:
        return self.arrived.get(timeout=PATIENCE)

    def until(self, count: str, value: int = 1) -> int:
        end = time.monotonic() + PATIENCE
        while self.receiver.counts[count] < value and time.monotonic() < end:
            threading.Event().wait(0.001)
        return self.receiver.counts[count]


def test_a_frame_sent_arrives_with_the_time_of_its_arrival():
    with closing(Stage()) as stage:
        before = time.perf_counter()
        stage.sender.send(whole(pose(3)))
        frame = stage.next()
    assert before < frame.receive_time < time.perf_counter()
    assert (frame.sender_time, frame.actor) == (3.0, "dancer1")
    assert frame.root_position[2] == pytest.approx(0.3)
    assert stage.receiver.counts == {"packets": 1, "frames": 1}


def test_a_frame_whose_end_waited_in_the_socket_is_not_torn_in_two():
    entered, go_on = threading.Event(), threading.Event()
    arrived: SimpleQueue[PoseFrame] = SimpleQueue()

    def slow(frame: PoseFrame) -> None:
        arrived.put(frame)
        entered.set()
        go_on.wait(PATIENCE)

    with closing(Stage(on_frame=slow)) as stage:
        stage.sender.send(whole(pose(1)))
        entered.wait(PATIENCE)
        opens, ends = VmcEncoder().encode(pose(2))
        stage.sender.send([opens, ends])
        threading.Event().wait(0.005)  # longer than a frame may stay open
        go_on.set()
        frames = [arrived.get(timeout=PATIENCE) for _ in range(2)]
        assert [frame.sender_time for frame in frames] == [1.0, 2.0]


def test_a_show_that_does_not_keep_up_dances_the_newest_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second of frames waits at the socket; each takes 20 ms to dance, by a clock that only dancing moves."""
    danced: list[float | None] = []
    now = [100.0]
    monkeypatch.setattr("server.receivers.udp.time.perf_counter", lambda: now[0])

    def slow(frame: PoseFrame) -> None:
        danced.append(frame.sender_time)
        now[0] += 0.02

    receiver = UdpReceiver(partial(VmcDecoder, "dancer1"), "127.0.0.1", 0, slow)
    sender = UdpSender("127.0.0.1", receiver.port)
    with closing(sender), closing(receiver):
        for number in range(120):
            sender.send(whole(pose(number)))
        receiver.start()
        end = time.monotonic() + PATIENCE
        while (not danced or danced[-1] != 119.0) and time.monotonic() < end:
            threading.Event().wait(0.001)
    # in order for a tenth of a second; then the newest, once there is nothing newer
    assert danced == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 119.0]
    assert receiver.counts["frames"] == 120
    assert receiver.counts["dropped_behind"] == 120 - len(danced)


def test_the_last_frame_is_danced_though_what_came_after_it_was_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits while the show is behind; by the end of a flood the show is behind no more."""
    danced: list[float | None] = []
    now = [100.0]
    monkeypatch.setattr("server.receivers.udp.time.perf_counter", lambda: now[0])

    def slow(frame: PoseFrame) -> None:
        danced.append(frame.sender_time)
        now[0] += 0.06

    receiver = UdpReceiver(partial(VmcDecoder, "dancer1"), "127.0.0.1", 0, slow)
    take = receiver.take

    def taken(datagram: memoryview, *rest: Any) -> None:
        now[0] += 0.01 if len(datagram) == 1 else 0.0
        take(datagram, *rest)

    monkeypatch.setattr(receiver, "take", taken)
    sender = UdpSender("127.0.0.1", receiver.port)
    with closing(sender), closing(receiver):
        for number in range(4):
            sender.send(whole(pose(number)))
        sender.send([b"x"] * 40)
        receiver.start()
        end = time.monotonic() + PATIENCE
        while (not danced or danced[-1] != 3.0) and time.monotonic() < end:
            threading.Event().wait(0.001)
    assert danced == [0.0, 1.0, 3.0]


def test_a_flood_of_others_datagrams_thins_out_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but a clock that every datagram moves by 5 ms, and dancing not at all."""
    danced: list[float | None] = []
    now = [100.0]

    def tick() -> float:
        return now[0]

    monkeypatch.setattr("server.receivers.udp.time.perf_counter", tick)
    receiver = UdpReceiver(
        partial(VmcDecoder, "dancer1"), "127.0.0.1", 0, lambda frame: danced.append(frame.sender_time)
    )
    take = receiver.take

    def taken(*datagram: Any) -> None:
        now[0] += 0.005
        take(*datagram)

    monkeypatch.setattr(receiver, "take", taken)
    sender = UdpSender("127.0.0.1", receiver.port)
    with closing(sender), closing(receiver):
        for number in range(60):
            sender.send([b"x", b"x", *whole(pose(number))])
        receiver.start()
        end = time.monotonic() + PATIENCE
        while len(danced) < 60 and time.monotonic() < end:
            threading.Event().wait(0.001)
    assert danced == [float(number) for number in range(60)]
    assert receiver.counts["dropped_behind"] == 0


def test_who_is_not_to_be_understood_is_read_for_so_long_and_the_dancer_always(monkeypatch) -> None:
    """A broken datagram takes 20 ms here, of a clock that nothing else moves."""
    clock, read = [0.0], []
    monkeypatch.setattr("server.receivers.udp.time.perf_counter", lambda: clock[0])

    class Slow(VmcDecoder):
        def feed(self, datagram, now):
            read.append(bytes(datagram[:1]))
            if read[-1] == b"?":
                clock[0] += 0.02
                raise PacketError("nothing that anybody would say")
            return super().feed(datagram, now)

    arrived: list[PoseFrame] = []
    strangers = Rates(HEARD_MS)
    doors = [UdpReceiver(Slow, "127.0.0.1", 0, arrived.append, listens=False, strangers=strangers) for _ in range(2)]
    for beat in range(100):
        for datagram in whole(pose(beat)):
            doors[0].take(memoryview(datagram), ("127.0.0.1", 5), beat / 100)
        for number in range(40 if beat > 4 else 0):  # eight seconds' worth, from many ports, to both doors
            doors[number % 2].take(memoryview(b"?!"), ("127.0.0.1", 6000 + number), beat / 100 + 0.005)
    assert len(arrived) == 100
    assert read.count(b"?") == pytest.approx((2 * HEARD_MS + HEARD_MS) / 20, abs=3)  # of a second and what is at once
    assert sum(door.counts["dropped_flood"] for door in doors) == 3800 - read.count(b"?")


def test_a_frame_without_its_end_is_delivered_all_the_same():
    with closing(Stage()) as stage:
        stage.sender.send(VmcEncoder().encode(pose())[:1])  # the datagram with the time is lost
        assert stage.next().sender_time is None


def test_garbage_is_counted_and_the_next_frame_arrives():
    with closing(Stage()) as stage:
        stage.sender.send([b"", b"garbage!", b"#bundle\0" * 100, bytes(65507), b"/VMC/Ext/Bone/Pos\0\0\0,s\0\0"])
        stage.sender.send(whole(pose(1)))
        assert stage.next().sender_time == 1.0
        assert stage.receiver.counts["dropped_packet"] == 5
    assert "type" in stage.receiver.last_packet_error or "string" in stage.receiver.last_packet_error


def test_a_fault_of_our_own_is_kept_and_the_thread_goes_on():
    arrived = SimpleQueue()

    def on_frame(frame):
        arrived.put(frame)
        if frame.number == 1:
            raise RuntimeError("the first frame is too much")

    with closing(Stage(on_frame=on_frame)) as stage:
        for number in (1, 2):
            stage.sender.send(whole(pose(number)))
        assert [arrived.get(timeout=PATIENCE).number for _ in range(2)] == [1, 2]
    assert stage.receiver.counts["internal_error"] == 1
    assert str(stage.receiver.first_error) == "the first frame is too much"


@pytest.mark.parametrize("allow", [("127.0.0.1",), ("10.0.0.1", "127.0.0.0/8")])
def test_senders_on_the_list_are_heard(allow):
    with closing(Stage(allow=allow)) as stage:
        stage.sender.send(whole(pose()))
        assert stage.next().number == 1


class Tapped:
    """What a recorder would have been given."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []

    def packet(self, data, sender, receive_time) -> None:
        self.packets.append(bytes(data))

    def flush(self, now) -> None:
        """A frame was closed."""


def test_senders_off_the_list_are_counted_and_neither_heard_nor_recorded():
    tap = Tapped()
    with closing(Stage(allow=("10.0.0.1", "192.168.0.0/16"), tap=tap)) as stage:
        stage.sender.send(whole(pose()))
        assert stage.until("dropped_source") == 1
        assert stage.receiver.counts["frames"] == 0
    assert tap.packets == []


def test_what_the_decoder_drops_is_in_the_counts():
    with closing(Stage()) as stage:
        bad = pose()
        bad.root_position = np.array([0.0, np.nan, 0.0])
        stage.sender.send(whole(bad))
        assert stage.until("dropped_not_finite") == 1


def test_a_port_in_use_is_an_error_that_says_what_to_do():
    with closing(Stage()) as stage, pytest.raises(ReceiverError) as error:
        UdpReceiver(VmcDecoder, "127.0.0.1", stage.receiver.port, print, dancer="dancer2")
    assert f"port {stage.receiver.port} on 127.0.0.1 is in use (dancer 'dancer2')" in str(error.value)
    assert "set dancers.dancer2.port" in str(error.value)


@pytest.mark.parametrize("host", ["203.0.113.7", "no such host.invalid"])
def test_a_host_that_is_not_here_is_an_error_with_its_key(host):
    with pytest.raises(ReceiverError, match=r"set dancers.dancer1.host"):
        UdpReceiver(VmcDecoder, host, 0, print, dancer="dancer1")


def test_an_allowed_address_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"dancers.dancer1.allow: 'suit' is no IP address"):
        UdpReceiver(VmcDecoder, "127.0.0.1", 0, print, allow=("suit",), dancer="dancer1")


def test_closing_gives_the_port_back_and_may_be_done_twice():
    receiver = UdpReceiver(VmcDecoder, "127.0.0.1", 0, print)
    receiver.close()  # never started
    with closing(Stage()) as stage:
        port = stage.receiver.port
    stage.receiver.close()
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as again:
        again.bind(("127.0.0.1", port))


# ZMQ


def first_arrival(sender: ZmqSender, arrived: SimpleQueue, messages) -> PoseFrame:
    """A subscriber needs a moment to be known to the publisher: send until something comes through."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for message in messages:
            sender.send(message)
        try:
            return arrived.get(timeout=0.01)
        except Empty:
            continue
    raise AssertionError("nothing came through")


@pytest.mark.parametrize(("actor", "expected"), [("", "dancer1"), ("partner1", "partner1")])
@pytest.mark.parametrize("conflate", [True, False])
def test_the_actor_asked_for_arrives_and_stats_do_not_disturb(actor, expected, conflate):
    arrived = SimpleQueue()
    messages = [packed.encode([pose(1), pose(2, "partner1")], 5, 0.0, {"partner1"}), packed.encode_stats({"a": 1})]
    with closing(ZmqSender("tcp://127.0.0.1:*")) as sender:
        with closing(ZmqReceiver(sender.endpoint, actor, arrived.put, conflate)) as receiver:
            receiver.start()
            frame = first_arrival(sender, arrived, messages)
        assert (frame.actor, receiver.counts["dropped_packet"]) == (expected, 0)


def test_an_actor_who_is_not_there_and_garbage_are_counted():
    with closing(ZmqSender("tcp://127.0.0.1:*")) as sender:
        with closing(ZmqReceiver(sender.endpoint, "nobody", print, conflate=False)) as receiver:
            receiver.start()
            end = time.monotonic() + PATIENCE
            while min(receiver.counts[c] for c in ("dropped_packet", "dropped_no_such_actor")) < 1:
                assert time.monotonic() < end
                sender.send(packed.POSE_TOPIC + b"garbage")
                sender.send(packed.encode([pose()], 0, 0.0))
                threading.Event().wait(0.01)
        assert receiver.first_error is None


class SlowDancer:
    """Takes one frame and looks at no other until told to go on."""

    def __init__(self) -> None:
        self.entered: SimpleQueue[PoseFrame] = SimpleQueue()
        self._go_on: SimpleQueue[None] = SimpleQueue()

    def on_frame(self, frame: PoseFrame) -> None:
        self.entered.put(frame)
        self._go_on.get(timeout=PATIENCE)

    def let_go(self) -> None:
        self._go_on.put(None)

    def next(self) -> int:
        self.let_go()
        return self.entered.get(timeout=PATIENCE).number


def test_a_reader_that_was_busy_skips_to_the_newest_message():
    slow, quick = SlowDancer(), SimpleQueue()
    with (
        closing(ZmqSender("tcp://127.0.0.1:*")) as sender,
        closing(ZmqReceiver(sender.endpoint, "", slow.on_frame)) as slow_reader,
        closing(ZmqReceiver(sender.endpoint, "", quick.put, conflate=False)) as quick_reader,
    ):
        slow_reader.start()
        quick_reader.start()
        first_arrival(sender, slow.entered, [packed.encode([pose(0)], 0, 0.0)])
        for number in range(1, 200):
            while first_arrival(sender, quick, [packed.encode([pose(number)], number, 0.0)]).number != number:
                pass
        danced = list(iter(slow.next, 199))
        slow.let_go()
    assert len(danced) < 10


@pytest.mark.parametrize("endpoint", ["127.0.0.1:5556", "tcp://", "udp://127.0.0.1:1"])
def test_an_endpoint_that_is_none_is_an_error_with_its_key(endpoint):
    with pytest.raises(ReceiverError, match=r"set dancers.dancer1.connect"):
        ZmqReceiver(endpoint, "", print, dancer="dancer1")
