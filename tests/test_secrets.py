"""A show with a token and keys: what others see, hear and keep of it has neither."""

import json
import socket
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from pythonosc.osc_message import OscMessage

from server import preset as presets
from server.app import Show
from server.keys import make_keys, make_token, read_pair
from server.preset import PresetError
from server.stage_view.feed import SHOWN_SECONDS, Remote

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A preset with everything that is secret, beside its keys."""
    make_token("desk", tmp_path / "keys")
    make_keys("show", tmp_path / "keys")
    make_keys("guest", tmp_path / "clients")
    data = yaml.safe_load((ROOT / "presets/demo.yaml").read_text()) | {
        "dancers": {"dancer1": {"receive": "bvh", "file": str(ROOT / "presets/clips/demo_dancer.bvh")}},
        "partners": {"partner1": {"dancer": "dancer1", "model": str(ROOT / "presets/models/salsa_match.onnx")}},
        "outputs": [
            {"send": "zmq", "bind": "tcp://127.0.0.1:*", "key": "keys/show.key_secret", "clients": "clients"},
        ],
        "control": {"port": 0, "token": "keys/desk.token"},
        "stage_page": "off",
    }
    (tmp_path / "act1.yaml").write_text(yaml.safe_dump(data))
    data["control"]["token"] = "keys/other.token"
    (tmp_path / "act2.yaml").write_text(yaml.safe_dump(data))
    return tmp_path / "act1.yaml"


def test_no_secret_is_recorded_shown_or_answered(path: Path, tmp_path: Path) -> None:
    token = (tmp_path / "keys/desk.token").read_text().strip()
    with closing(Show(presets.load(path), path, record=tmp_path / "recordings")) as show:
        assert show.steering is not None
        assert show.steering.token == token
        show.start()
        assert show.tick.first_pose.wait(timeout=10.0)
        with closing(Remote("127.0.0.1", show.steering.control.port, token)) as remote:
            remote.tell("show/subscribe", 60.0)
            remote._socket.settimeout(5.0)
            heard = [remote._socket.recv(65536) for _ in range(9)]
            remote.tell("show/preset", "act2")
            while not (answer := remote._socket.recv(65536)).startswith(b"/error\0\0,ss\0/show/preset"):
                pass
        said = show.report.opening(None) + json.dumps(show.report.figures())
    kept = b"".join(file.read_bytes() for file in (tmp_path / "recordings").rglob("*") if file.is_file())
    for secret in (token.encode(), read_pair(tmp_path / "keys/show.key_secret").secret):
        assert secret not in b"".join(heard) + answer + said.encode() + kept
    assert b"keys/other.token" in answer  # which names what differs: files


def test_a_token_that_others_can_read_ends_before_the_show(path: Path, tmp_path: Path) -> None:
    (tmp_path / "keys/desk.token").chmod(0o644)
    with pytest.raises(PresetError, match=r"control\.token: .*desk\.token can be read by others.*: chmod 600 "):
        Show(presets.load(path), path)


def test_a_key_that_others_can_read_ends_before_the_show(path: Path, tmp_path: Path) -> None:
    (tmp_path / "keys/show.key_secret").chmod(0o644)
    with pytest.raises(PresetError, match=r"outputs\.0\.key: .*show\.key_secret can be read by others.*: chmod 600 "):
        Show(presets.load(path), path)


def test_the_page_shows_its_token_before_it_speaks_and_again_now_and_then() -> None:
    time = 0.0
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as control:
        control.bind(("127.0.0.1", 0))
        control.settimeout(5.0)
        with closing(Remote(*control.getsockname(), token="open sesame", now=lambda: time)) as remote:
            remote.tell("show/reset", 1)
            remote.tell("show/freeze", 1)
            time = SHOWN_SECONDS + 1.0
            remote.tell("partner1/variety", 1.0)
            heard = [OscMessage(control.recv(4096)).address for _ in range(5)]
    assert heard == ["/token", "/show/reset", "/show/freeze", "/token", "/partner1/variety"]
