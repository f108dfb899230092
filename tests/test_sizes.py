"""Nothing that comes from outside takes more room than it may: the bounds that no decoder's tests hold."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import zmq
from zmq.utils.monitor import recv_monitor_message

from motion import rotations as rot
from motion.skeleton import HUMANOID
from server import calibrations, outputs, recording
from server.preset_outputs import VmcOutput
from server.protocols import packed
from server.protocols.frames import PacketError, PoseFrame
from server.senders.zmq import LONGEST_SUBSCRIPTION, ZmqSender
from server.stage_view import feed


def poses(number: int) -> bytes:
    frame = PoseFrame(HUMANOID, np.zeros(3), np.tile(rot.IDENTITY, (len(HUMANOID), 1)), None, 0.0, 1, "anna")
    return packed.encode([frame] * number, 1, 0.0)


def test_a_message_has_so_many_actors() -> None:
    assert len(packed.decode(poses(packed.MAX_ACTORS))[0]) == packed.MAX_ACTORS
    with pytest.raises(PacketError, match="257 actors; at most 256"):
        packed.decode(poses(packed.MAX_ACTORS + 1))


def test_what_a_recording_tells_of_a_show_is_read_up_to_a_size(tmp_path: Path) -> None:
    (tmp_path / recording.SHOW).write_bytes(b" " * (recording.LARGEST_ABOUT + 1))
    with pytest.raises(recording.RecordingError, match="more than 16,777,216 bytes"):
        recording.Recording(tmp_path)


def test_calibrations_are_read_up_to_a_size(tmp_path: Path) -> None:
    calibrations.file_of(tmp_path / "show.yaml").write_bytes(b" " * (calibrations.LARGEST_FILE + 1))
    with pytest.raises(ValueError, match="more than 1,048,576 bytes; delete it"):
        calibrations.load(tmp_path / "show.yaml")
    calibrations.file_of(tmp_path / "show.yaml").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="cannot be read"):
        calibrations.load(tmp_path / "show.yaml")


def test_an_avatar_is_read_up_to_a_size(tmp_path: Path) -> None:
    with (tmp_path / "large.vrm").open("wb") as avatar:
        avatar.truncate(outputs.LARGEST_AVATAR + 1)  # a hole: no disk is filled
    output = VmcOutput(send="vmc", actor="partner1", vrm_file=tmp_path / "large.vrm")
    with pytest.raises(ValueError, match=r"vrm_file: .*more than 536,870,912 bytes"):
        outputs._vmc(output, 60.0)


def disconnects(socket: "zmq.Socket[bytes]", endpoint: str) -> bool:
    """Whether the other side hangs up; gives up after five seconds."""
    monitor = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    socket.connect(endpoint)
    try:
        return bool(monitor.poll(5000)) and recv_monitor_message(monitor)["event"] == zmq.EVENT_DISCONNECTED
    finally:
        socket.disable_monitor()
        monitor.close()


def test_a_subscriber_that_says_too_much_is_hung_up_on() -> None:
    with closing(ZmqSender("tcp://127.0.0.1:*")) as sender, zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.subscribe(bytes(LONGEST_SUBSCRIPTION + 1))
        assert disconnects(socket, sender.endpoint)


def test_a_message_that_is_too_long_for_the_page_is_not_received() -> None:
    with zmq.Context() as context, context.socket(zmq.XPUB) as publisher:
        publisher.setsockopt(zmq.LINGER, 0)
        publisher.bind("tcp://127.0.0.1:*")
        monitor = publisher.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        with closing(feed.Feed(publisher.last_endpoint.decode())) as page:
            for _ in range(2):  # poses and statistics
                assert publisher.poll(5000)
                publisher.recv()
            publisher.send(packed.STATS_TOPIC + bytes(feed.LONGEST_MESSAGE))
            assert monitor.poll(5000)
            assert page.news() == feed.News(None, None)
        publisher.disable_monitor()
        monitor.close()
