"""Two senders at one port: which of them a dancer follows. Times are told, nobody waits."""

from collections import Counter

import numpy as np

from motion.skeleton import HUMANOID
from server.protocols.frames import PoseFrame
from server.receivers.peers import MAX_RIVALS, Peers

SUIT, OTHER = ("10.0.0.1", 5000), ("10.0.0.2", 6000)
POSE = np.tile([0.0, 0.0, 0.0, 1.0], (22, 1))


class OneByte:
    """A protocol of one datagram a frame: its number, and nothing for an empty one."""

    protocol = "test"
    numbering = None

    def __init__(self) -> None:
        self.deadline: float | None = None
        self.dropped: Counter[str] = Counter()
        self.unknown: Counter[str] = Counter()

    def feed(self, datagram, receive_time):
        return [PoseFrame(HUMANOID, np.zeros(3), POSE, None, receive_time, byte, "dancer1") for byte in bytes(datagram)]

    def flush(self, now):
        return []


class Stream:
    """Senders that talk at 50 fps, and whose frames were taken."""

    def __init__(self) -> None:
        self.peers = Peers(OneByte)
        self.now = 100.0

    def talk(self, seconds, *senders) -> list[set]:
        """For so long every sender sends; the senders whose frames came through, frame by frame."""
        taken = []
        for _ in range(round(50 * seconds)):
            self.now += 0.02
            taken.append({s for s in senders if self.peers.feed(memoryview(b"\1"), s, self.now)})
        return taken


def test_one_sender_is_followed_from_its_first_datagram():
    stream = Stream()
    assert stream.talk(0.5, SUIT) == [{SUIT}] * 25
    assert stream.peers.others(stream.now) == []
    assert not stream.peers.counts


def test_a_second_sender_takes_over_when_it_has_been_steady_for_a_second_and_the_first_is_named():
    stream = Stream()
    stream.talk(1.0, SUIT)
    taken = stream.talk(3.0, SUIT, OTHER)
    assert taken[:50] == [{SUIT}] * 50
    assert taken[52:] == [{OTHER}] * 98
    assert stream.peers.others(stream.now) == ["10.0.0.1:5000"]
    assert stream.peers.counts["sender_changes"] == 1
    assert stream.peers.counts["dropped_other_sender"] > 90


def test_a_frame_is_never_taken_of_two_senders_at_once():
    stream = Stream()
    assert max(len(senders) for senders in stream.talk(4.0, SUIT, OTHER)[3:]) == 1


def test_a_stray_datagram_moves_nobody():
    stream = Stream()
    stream.talk(1.0, SUIT)
    for _ in range(20):
        assert stream.talk(0.2, SUIT) == [{SUIT}] * 10
        assert stream.talk(0.02, OTHER) == [set()]


def test_an_app_that_is_started_again_is_followed_at_once():
    stream = Stream()
    stream.talk(1.0, SUIT)
    stream.now += 1.0
    assert stream.talk(0.5, ("10.0.0.1", 5001)) == [{("10.0.0.1", 5001)}] * 25


def test_who_only_talks_and_brings_no_frames_is_not_followed():
    stream = Stream()
    stream.talk(1.0, SUIT)
    for _ in range(100):
        stream.now += 0.02
        stream.peers.feed(memoryview(b""), OTHER, stream.now)
    assert stream.talk(0.1, SUIT) == [{SUIT}] * 5


def test_a_sender_that_changes_its_port_with_every_datagram_is_one_sender():
    peers = Peers(OneByte)
    decoder = peers.decoder
    frames = [peers.feed(memoryview(b"\1"), ("10.0.0.1", 5000 + n), 0.02 * n) for n in range(200)]
    assert all(frames)
    assert peers.decoder is decoder


def test_a_flood_of_senders_costs_a_fixed_number_of_decoders():
    stream = Stream()
    stream.talk(0.2, SUIT)
    crowd = [("10.0.1.1", port) for port in range(50)]
    assert stream.talk(0.2, SUIT, *crowd) == [{SUIT}] * 10
    assert len(stream.peers.others(stream.now)) == MAX_RIVALS
    assert stream.peers.counts["dropped_too_many_senders"] == 10 * (50 - MAX_RIVALS)


def test_noise_keeps_no_suit_out():
    stream = Stream()
    stream.talk(0.5, SUIT)
    for number in range(50):
        stream.now += 0.02
        for port in range(20):
            stream.peers.feed(memoryview(b""), ("10.0.2.1", port), stream.now)
        taken = stream.peers.feed(memoryview(b"\1"), ("10.0.0.1", 5001), stream.now) != []
        assert taken == (number > 11)
