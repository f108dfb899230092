"""Other people's receivers get every bone of every frame we send: python-osc, and liblo's oscdump.

And the example subscriber of clients/python, which knows nothing of this project, reads what we publish.
"""

import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from pythonosc.dispatcher import Dispatcher
from pythonosc.osc_server import BlockingOSCUDPServer

from motion import rotations as rot
from motion.skeleton import HUMANOID
from server.protocols import packed
from server.protocols.frames import PoseFrame
from server.protocols.vmc import BONE, TIME, VmcEncoder
from server.senders.udp import UdpSender
from server.senders.zmq import ZmqSender

EXAMPLE = Path(__file__).resolve().parents[1] / "clients/python/subscribe.py"
CHUNK = 10  # frames on the way at once: 20 kB bundled, far under any receive buffer
PATIENCE = 30.0  # seconds for a chunk


class Tally:
    """What a receiver got: messages by address and bone, and the times."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.times: list[float] = []
        self._changed = threading.Condition()

    def add(self, address: str, *args) -> None:
        with self._changed:
            self.seen[f"{address} {args[0]}" if address == BONE else address] += 1
            if address == TIME:
                self.times.append(args[0])
            self._changed.notify_all()

    def wait_for(self, address: str, count: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.seen[address] >= count, PATIENCE)


def stream(port: int, frames: int, bundle: bool, tally: Tally) -> None:
    """Sends frames a chunk at a time, the next one when the receiver has told of the last."""
    random = np.random.default_rng(0)
    encoder = VmcEncoder(bundle=bundle)
    with closing(UdpSender("127.0.0.1", port)) as sender:
        for number in range(frames):
            rotations = rot.normalize(random.normal(size=(len(HUMANOID), 4)))
            sender.send(encoder.encode(PoseFrame(HUMANOID, random.normal(size=3), rotations, number / 64, 0.0, number)))
            if number % CHUNK == CHUNK - 1:
                assert tally.wait_for(TIME, number + 1), f"frame {number}: {tally.seen[TIME]} arrived"
        assert sender.counts == {"datagrams": frames * (2 if bundle else 25)}


@contextmanager
def python_osc(tally: Tally) -> Iterator[int]:
    dispatcher = Dispatcher(strict_timing=False)
    dispatcher.set_default_handler(tally.add)
    with BlockingOSCUDPServer(("127.0.0.1", 0), dispatcher) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@contextmanager
def oscdump(tally: Tally) -> Iterator[int]:
    if shutil.which("oscdump") is None:
        pytest.skip("oscdump is not installed: apt-get install liblo-tools")
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        probe.bind(("", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(["oscdump", "-L", str(port)], stdout=subprocess.PIPE, text=True)
    reader = threading.Thread(target=read_oscdump, args=(process.stdout, tally))
    reader.start()
    try:
        with closing(UdpSender("127.0.0.1", port)) as sender:
            while not tally.seen["/ready"]:  # until it listens
                sender.send([b"/ready\0\0,\0\0\0"])
                threading.Event().wait(0.01)
                assert process.poll() is None
        yield port
    finally:
        process.send_signal(signal.SIGINT)
        reader.join()
        process.stdout.close()
        process.wait(PATIENCE)


def read_oscdump(lines, tally: Tally) -> None:
    """Lines like: e9c1f0b2.5a1cac08 /VMC/Ext/Bone/Pos sfffffff "Hips" 0.000000 ..."""
    for line in lines:
        _, address, _, *args = [*re.findall(r'"[^"]*"|\S+', line), ""]
        tally.add(address, *(arg.strip('"') if arg.startswith('"') else float(arg) for arg in args if arg))


@pytest.mark.parametrize("receiver", [python_osc, oscdump])
@pytest.mark.parametrize(("bundle", "frames"), [(True, 1000), (False, 100)])
def test_every_bone_of_every_frame_arrives(receiver: Callable, bundle: bool, frames: int):
    tally = Tally()
    with receiver(tally) as port:
        stream(port, frames, bundle, tally)
    assert {name: tally.seen[f"{BONE} {name}"] for name in HUMANOID.names} == dict.fromkeys(HUMANOID.names, frames)
    assert tally.seen["/VMC/Ext/Root/Pos"] == tally.seen["/VMC/Ext/OK"] == frames
    assert tally.times == [round(number / 64, 6) for number in range(frames)]


def printed(messages: list[bytes], lines: int) -> list[str]:
    """The first lines the example prints of messages that are published again and again."""
    with closing(ZmqSender("tcp://127.0.0.1:*")) as sender:
        command = [sys.executable, "-u", str(EXAMPLE), sender.endpoint]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        read: list[str] = []
        reader = threading.Thread(target=lambda: read.extend(process.stdout.readline() for _ in range(lines)))
        reader.start()
        while reader.is_alive() and process.poll() is None:
            for message in messages:
                sender.send(message)
            reader.join(0.02)
        process.kill()
        process.communicate()
    return read


def test_the_example_subscriber_reads_dancer_and_partner():
    rotations = np.tile(rot.IDENTITY, (len(HUMANOID), 1))
    poses = [PoseFrame(HUMANOID, np.array([1.0, 0.9, 2.0]), rotations, None, 0.0, 7, name) for name in ("anna", "bob")]
    assert printed([packed.encode(poses, 5, 0.0, {"bob"}), packed.encode_stats({})], lines=2) == [
        "tick 5 dancer anna #7 hips [1.  0.9 2. ] [0. 0. 0. 1.]\n",
        "tick 5 partner bob #7 hips [1.  0.9 2. ] [0. 0. 0. 1.]\n",
    ]
