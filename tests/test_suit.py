"""The recording that plays a suit, and the codec figures: the commands as a user starts them."""

import json
import struct
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import pytest

from motion import rotations as rot
from motion.bvh import write_bvh
from motion.clip import Clip
from motion.skeleton import HUMANOID
from server.protocols.frames import PoseFrame
from server.protocols.vmc import VmcDecoder
from server.receivers.udp import UdpReceiver

ROOT = Path(__file__).resolve().parents[1]


def command(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60)


@pytest.fixture
def take(tmp_path) -> Path:
    """A body of 1.7 m that walks 1 m in a second, at 30 fps, after ten frames somewhere else."""
    frames = 40
    root = np.tile(HUMANOID.offsets[0], (frames, 1))
    root[10:, 2] = np.arange(30) / 30
    root[:10, 0] = 5.0
    clip = Clip(HUMANOID, 30.0, root, np.tile(rot.IDENTITY, (frames, len(HUMANOID), 1)))
    write_bvh(tmp_path / "take.bvh", clip)
    return tmp_path / "take.bvh"


def test_a_take_arrives_whole_at_the_rate_asked_for(take):
    arrived: SimpleQueue[PoseFrame] = SimpleQueue()
    with closing(UdpReceiver(VmcDecoder, "127.0.0.1", 0, arrived.put)) as receiver:
        receiver.start()
        suit = command("benchmarks.suit", str(take), "--to", f"127.0.0.1:{receiver.port}", "--fps", "120")
    frames = [arrived.get_nowait() for _ in range(arrived.qsize())]
    # On a busy machine 2 ms may pass between a frame's two datagrams; the first then counts as a frame without a time.
    frames = [frame for frame in frames if frame.sender_time is not None]
    assert suit.returncode == 0, suit.stderr
    assert [frame.sender_time for frame in frames] == [
        struct.unpack("f", struct.pack("f", n / 120))[0] for n in range(117)
    ]
    assert np.allclose([frame.root_position[2] for frame in frames], np.arange(117) / 120, atol=2e-3)
    assert "117 frames" in suit.stdout
    assert "send jitter p50" in suit.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "here"], "host:port"),
        (["--to", "127.0.0.1:99999"], "--to: '127.0.0.1:99999' is not host:port with a port from 1 to 65535"),
        (["--fps", "0"], "--fps: '0' is not a rate from 1 to 1000"),
        (["--drop-first", "40"], "take.bvh has 40 frames"),
        (["--protocol", "fax"], "vmc"),
    ],
)
def test_a_suit_that_cannot_play_says_why(take, arguments, message):
    suit = command("benchmarks.suit", str(take), *arguments)
    assert suit.returncode == 2
    assert message in suit.stderr


def test_the_codec_figures_are_written_for_machines(tmp_path):
    file = tmp_path / "codecs.json"
    assert command("benchmarks.codecs", "--repeats", "10", "--json", str(file)).returncode == 0
    figures = json.loads(file.read_text())
    assert list(figures) == ["vmc_build_us", "vmc_parse_us", "python_osc_build_us", "python_osc_parse_us"]
    assert min(figures.values()) > 0
