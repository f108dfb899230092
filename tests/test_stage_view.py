"""The stage page: sliders reach the server and never echo, everybody stays in view, the process behaves."""

import contextlib
import gzip
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import viser
import zmq
from pythonosc.osc_message import OscMessage
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from browsing import browse, tell
from motion import rotations as rot
from motion.skeleton import HUMANOID
from server.protocols import packed
from server.protocols.frames import PacketError, PoseFrame
from server.protocols.osc_messages import encode
from server.stage_view import bodies
from server.stage_view.feed import Feed, Remote
from server.stage_view.health import health_html
from server.stage_view.opening import FIRST, Stage, open_page
from server.stage_view.panel import Panel
from server.stage_view.scene import FURTHER, REACH, Scene

STANDING = (HUMANOID.offsets[0], np.tile(rot.IDENTITY, (len(HUMANOID), 1)))


def stats(value: float = 1.0, name: str = "partner1/variety") -> dict:
    return {
        "show": "demo", "fps_in": {"dancer1": 60.0}, "fps_out": 60.0, "late": 0, "dropped": 0, "frozen": False,
        "latency_p50_ms": 0.4, "latency_p99_ms": None, "pipeline_p50_ms": 0.1,
        "dancers": {"dancer1": {"state": "live", "age_ms": 3.0}},
        "partners": {"partner1": {"state": "dancing", "model": "duet", "device": "cpu"}},
        "params": [{"name": name, "value": value, "default": 1.0, "low": 0.0, "high": 2.0, "about": "freedom"}],
    }  # fmt: skip


class Page:
    """A panel on a real page, a browser's connection to it, and the socket its messages arrive at."""

    def __init__(self) -> None:
        self.server = Stage("127.0.0.1", 0)
        self.control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.control.bind(("127.0.0.1", 0))
        self.control.settimeout(5.0)
        self.remote = Remote(*self.control.getsockname())
        self.scene = Scene(self.server)
        self.panel = Panel(self.server, self.scene, self.remote)
        self.browser = browse(self.server)

    def slider(self, name: str = "partner1/variety") -> viser.GuiSliderHandle[float]:
        return self.panel.dials.faders[name].slider

    def drag(self, value: float) -> None:
        self._tell({"type": "GuiUpdateMessage", "uuid": self.slider()._impl.uuid, "updates": {"value": value}})

    def tick(self, box: viser.GuiCheckboxHandle, value: bool) -> None:
        self._tell({"type": "GuiUpdateMessage", "uuid": box._impl.uuid, "updates": {"value": value}})

    def press(self, buttons: viser.GuiButtonGroupHandle, text: str) -> None:
        self._tell({"type": "GuiUpdateMessage", "uuid": buttons._impl.uuid, "updates": {"value": text}})

    def pull(self, handle: viser.TransformControlsHandle, place: tuple[float, float, float]) -> None:
        owner = handle._impl.api._owner_id
        wxyz = (1.0, 0.0, 0.0, 0.0)
        told = {"type": "TransformControlsUpdateMessage", "name": handle.name, "owner": owner}
        self._tell({**told, "wxyz": wxyz, "position": place})

    def heard_all(self) -> list:
        message = OscMessage(self.control.recv(4096))
        return [message.address, *message.params]

    def heard(self) -> tuple[str, float]:
        message = OscMessage(self.control.recv(4096))
        return message.address, message.params[0]

    def close(self) -> None:
        self.browser.close()
        self.server.stop()
        self.remote.close()
        self.control.close()

    def _tell(self, message: dict) -> None:
        tell(self.browser, message)


@pytest.fixture
def page() -> Iterator[Page]:
    page = Page()
    page.panel.update(stats())
    yield page
    page.close()


def test_a_dragged_slider_sends_one_osc_message(page: Page) -> None:
    page.drag(1.5)
    assert page.heard() == ("/partner1/variety", 1.5)


def test_a_slider_follows_the_server_and_does_not_echo(page: Page) -> None:
    page.panel.update(stats(0.25))
    assert page.slider().value == 0.25
    page.remote.tell("show/freeze", 1)
    assert page.heard() == ("/show/freeze", 1)  # the first thing sent: the slider sent nothing


def test_a_vector_has_one_slider_that_stands_at_its_mean_and_sets_all_of_it(page: Page) -> None:
    vector = stats()
    vector["params"][0] |= {"value": [0.0, 1.0, 2.0, 0.0], "size": 4}
    page.panel.update(vector)
    assert page.slider().value == 0.75
    assert page.slider().label == "variety × 4"
    page.drag(1.5)
    assert page.heard() == ("/partner1/variety", 1.5)


def test_a_touched_slider_is_not_pulled_back_by_older_figures(page: Page) -> None:
    page.drag(1.5)
    page.heard()
    page.panel.update(stats(1.0))
    assert page.slider().value == 1.5


def test_another_servers_params_replace_the_sliders(page: Page) -> None:
    page.panel.update(stats(0.5, name="partner2/distance"))
    assert list(page.panel.dials.faders) == ["partner2/distance"]


def test_a_param_with_names_has_buttons_that_say_them(page: Page) -> None:
    named = stats()
    named["params"][0] |= {"name": "partner1/label/time", "names": ["low", "high"], "high": 1.0}
    page.panel.update(named)
    uuid = page.panel.dials.names["partner1/label/time"].rows[0]._impl.uuid
    page._tell({"type": "GuiUpdateMessage", "uuid": uuid, "updates": {"value": "low"}})
    assert page.heard() == ("/partner1/label/time", "low")
    page.panel.update(stats())
    assert page.panel.dials.names == {}


def read(effort: object) -> dict:
    told = stats()
    told["dancers"]["dancer1"]["effort"] = effort
    return told


def test_what_a_meter_reads_is_shown_as_bars(page: Page) -> None:
    page.panel.update(stats())
    assert page.panel._effort.content == ""
    page.panel.update(read({"time": {"low": 0.07, "<medium>": 0.2, "high": 0.73}}))
    shown = page.panel._effort.content
    assert all(text in shown for text in ("dancer1", "time", "width:73%", "73 %", "&lt;medium&gt;"))
    page.panel.update(read({}))
    assert "nothing is read yet" in page.panel._effort.content
    page.panel.lost("tcp://127.0.0.1:39550")
    assert page.panel._effort.content == ""


@pytest.mark.parametrize("effort", [3, {"time": 3}, {"time": {}}, {"time": {"low": "much"}}, {"time": {"a": np.nan}}])
def test_a_reading_that_is_none_is_a_packet_error(page: Page, effort: object) -> None:
    with pytest.raises(PacketError, match="statistics lack what the page shows"):
        page.panel.update(read(effort))


def held(**wishes: list[float]) -> dict:
    told = stats()
    told["partners"]["partner1"]["sample"] = {"wishes": {f"pin/{point}": place for point, place in wishes.items()}}
    return told


def test_a_box_takes_hold_of_a_hand_where_it_is_and_a_drag_moves_it(page: Page) -> None:
    page.panel.update(held())
    page.panel.see([PoseFrame(HUMANOID, *STANDING, 0.0, 0.0, 0, "partner1")])
    pins = page.panel.pins["partner1"]
    page.tick(pins.boxes["LeftHand"], True)
    address, *place = page.heard_all()
    hand = HUMANOID.rest_positions[HUMANOID.index("LeftHand")] + HUMANOID.offsets[0] - HUMANOID.rest_positions[0]
    assert address == "/partner1/sample/pin/LeftHand"
    np.testing.assert_allclose(place, hand, atol=1e-6)
    page.pull(pins.handles["LeftHand"], (0.5, 1.25, 0.25))
    assert page.heard_all() == ["/partner1/sample/pin/LeftHand", 0.5, 1.25, 0.25]
    page.tick(pins.boxes["LeftHand"], False)
    assert page.heard_all() == ["/partner1/sample/free/LeftHand"]
    assert pins.handles == {}


def test_pins_that_others_set_show_up_and_go(page: Page) -> None:
    page.panel.update(held(Head=[0.0, 1.5, 0.0, 2.0]))
    pins = page.panel.pins["partner1"]
    assert pins.boxes["Head"].value
    np.testing.assert_allclose(pins.handles["Head"].position, [0.0, 1.5, 0.0])
    page.panel.update(held())
    assert not pins.boxes["Head"].value
    assert pins.handles == {}
    page.panel.update(stats())
    assert page.panel.pins == {}
    page.remote.tell("show/freeze", 1)
    assert page.heard() == ("/show/freeze", 1)  # nothing echoed


@pytest.mark.parametrize("sample", [{}, {"wishes": 3}, {"wishes": {"pin/Head": "up"}}, []])
def test_a_sampler_that_is_none_is_a_packet_error(page: Page, sample: object) -> None:
    told = stats()
    told["partners"]["partner1"]["sample"] = sample
    with pytest.raises(PacketError, match=r"partner1\.sample"):
        page.panel.update(told)


def test_a_server_that_offers_everything_may_be_lost(page: Page) -> None:
    offers = stats() | {
        "cues": ["1 opening", "2"],
        "cue": "1 opening",
        "preset": "demo",
        "models": {"partner1": ["one", "two"], "partner1_b": ["one", "two"]},
        "recording": {"folder": None, "counts": {}, "fault": ""},
        "replay": {
            "folder": "takes/a",
            "seconds": 1.0,
            "length": 9.0,
            "paused": False,
            "same": None,
            "different": None,
        },
        "commands": {
            "show/preset": {"value": "demo", "choices": ["demo", "act2"]},
            "show/record": {"value": "", "choices": ["start", "stop"]},
            "show/replay": {"value": "a", "choices": ["start", "stop", "a"]},
        },
    }
    offers["params"][0] |= {"name": "partner1/label/time", "names": ["low", "high"], "high": 1.0}
    page.panel.update(offers)
    page.panel.lost("tcp://127.0.0.1:39550")
    assert page.panel.freeze.disabled
    page.panel.update(offers)
    deck = page.panel.deck
    page.press(deck.buttons["cues"].rows[0], "2")
    assert page.heard_all() == ["/cue/2"]
    page.press(deck.buttons["presets"].rows[0], "act2")
    assert page.heard_all() == ["/show/preset", "act2", 2.0]
    page.press(deck.buttons["models:partner1"].rows[0], "two")
    assert page.heard_all() == ["/show/model", "partner1", "two", 2.0]
    assert deck.tape.takes is not None
    page.press(deck.tape.takes.rows[0], "a")
    assert page.heard_all() == ["/show/replay", "a"]
    assert deck.tape.scrubber is not None
    page._tell({"type": "GuiUpdateMessage", "uuid": deck.tape.scrubber.slider._impl.uuid, "updates": {"value": 4.5}})
    assert page.heard_all() == ["/show/seek", 4.5]


def test_what_the_server_refuses_is_said(page: Page) -> None:
    page.remote.tell("show/preset", "nowhere")
    _, source = page.control.recvfrom(4096)
    page.control.sendto(encode("/error", "/show/preset", "no preset 'nowhere'"), source)
    said: list[str] = []

    def refused() -> list[str]:
        said.extend(page.remote.refusals())
        return said

    until(refused)
    assert said == ["/show/preset: no preset 'nowhere'"]


def test_a_lost_server_disables_the_controls_until_it_is_back(page: Page) -> None:
    page.panel.lost("tcp://127.0.0.1:39550")
    assert page.slider().disabled
    page.panel.update(stats())
    assert not page.slider().disabled


@pytest.mark.parametrize(
    "broken", [{}, {**stats(), "params": [{}]}, stats(float("nan")), stats([]), {**stats(), "dancers": 3}]
)
def test_broken_figures_are_the_senders_fault(page: Page, broken: dict) -> None:
    with pytest.raises(PacketError):
        page.panel.update(broken)


def test_the_page_says_how_far_behind_a_partner_dances() -> None:
    late = stats()
    late["partners"]["partner1"]["latency_ms"] = 640
    assert "640 ms behind" in health_html(late)
    assert "behind" not in health_html(stats())


def test_names_from_the_wire_cannot_be_html() -> None:
    evil = {**stats(), "show": "<img src=x onerror=alert(1)>"}
    assert "<img" not in health_html(evil)


def couple(apart: float) -> list[PoseFrame]:
    root, rotations = STANDING
    places = {"dancer1": root + np.array([10.0, 0.0, 0.0]), "partner1": root + np.array([10.0 + apart, 0.0, 0.0])}
    return [PoseFrame(HUMANOID, place, rotations, None, 0.0, 0, name) for name, place in places.items()]


def test_bodies_come_and_go_with_the_cast(page: Page) -> None:
    page.scene.show(couple(1.0), {"partner1"}, 0.03)
    limbs = page.server.scene.get_handle_by_name("/stage/limbs")
    assert len(limbs.batched_positions) == 2 * len(bodies.LIMB_SCALES)
    page.scene.hide()
    assert page.server.scene.get_handle_by_name("/stage/limbs") is None


def test_dancers_and_partners_wear_different_colours(page: Page) -> None:
    page.scene.show(couple(1.0), {"partner1"}, 0.03)
    dancer, partner = np.split(page.server.scene.get_handle_by_name("/stage/limbs").batched_colors.astype(int), 2)
    assert (dancer[:, 2] > dancer[:, 0]).all()  # blue
    assert (partner[:, 0] > partner[:, 2]).all()  # orange


def test_the_stage_glides_until_the_couple_stands_in_the_middle(page: Page) -> None:
    stage = page.server.scene.get_handle_by_name("/stage")
    page.scene.show(couple(1.0), (), 0.03)
    np.testing.assert_allclose(stage.position, [-10.5, 0.0, 0.0])
    page.scene.show(couple(3.0), (), 0.6)  # one half-life on
    np.testing.assert_allclose(stage.position, [-11.0, 0.0, 0.0])


@pytest.mark.parametrize("follow", [True, False])
def test_the_lens_opens_for_a_couple_far_apart_when_following(page: Page, follow: bool) -> None:
    (client,) = page.server.get_clients().values()
    page.scene.follow, before = follow, client.camera.fov
    for _ in range(10):
        page.scene.show(couple(5.0), (), 0.6)
    assert (client.camera.fov > before + 0.1) == follow


def half_width(client: viser.ClientHandle) -> float:
    """How much is seen to each side of what is looked at, metres."""
    camera = client.camera
    return float(np.linalg.norm(camera.position - camera.look_at)) * np.tan(camera.fov / 2.0) * camera.aspect


def test_a_narrow_picture_is_looked_at_from_further_away_and_has_everybody(page: Page) -> None:
    begins = page.server.initial_camera
    off = float(np.linalg.norm(np.subtract(begins.position, begins.look_at)))
    place, look_at = tuple(map(float, begins.position)), tuple(map(float, begins.look_at))
    with contextlib.closing(browse(page.server, 460, 1280, place, look_at)):
        narrow = page.server.get_clients()[1]
        until(lambda: np.linalg.norm(narrow.camera.position - narrow.camera.look_at) > 1.01 * off)
        for _ in range(10):
            page.scene.show(couple(1.2), (), 0.6)
        assert np.linalg.norm(narrow.camera.position - narrow.camera.look_at) == pytest.approx(FURTHER * off)
        assert half_width(narrow) > 0.6 + 0.99 * REACH


def test_who_looks_from_a_place_of_their_own_stays_there(page: Page) -> None:
    with contextlib.closing(browse(page.server, 460, 1280)):
        page.scene.show(couple(1.2), (), 0.6)
        np.testing.assert_array_equal(page.server.get_clients()[1].camera.position, (0.0, 0.0, 4.0))


def until(done: Callable[[], object]) -> None:
    """Asks again and again, five seconds at most."""
    end = time.monotonic() + 5.0
    while not done():
        assert time.monotonic() < end


def publisher(context: zmq.Context, port: int = 0) -> tuple[zmq.Socket, int]:
    """A server's end; a port that was just closed is free again in a moment."""
    socket = context.socket(zmq.XPUB)

    def bound() -> bool:
        with contextlib.suppress(zmq.ZMQError):
            socket.bind(f"tcp://127.0.0.1:{port or '*'}")
            return True
        return False

    until(bound)
    return socket, int(socket.get_string(zmq.LAST_ENDPOINT).rpartition(":")[2])


def subscribed(socket: zmq.Socket, feed: Feed) -> None:
    """Waits for the feed's subscription to both topics; a feed that nobody asks does not subscribe again."""
    for _ in range(2):
        until(lambda: feed.news() and socket.poll(0))
        socket.recv()


def dance(socket: zmq.Socket, feed: Feed) -> None:
    """Sends eight ticks' poses at once and waits until the feed has seen the last."""
    subscribed(socket, feed)
    for tick in range(8):
        socket.send(packed.encode([PoseFrame(HUMANOID, *STANDING, None, 0.0, tick, "dancer1")], tick, 0.0))

    def last_seen() -> bool:
        poses = feed.news().poses
        return poses is not None and poses[1].tick == 7

    until(last_seen)


def test_the_feed_takes_the_newest_poses_and_comes_back_after_a_restart() -> None:
    with zmq.Context() as context:
        server, port = publisher(context)
        with contextlib.closing(Feed(f"tcp://127.0.0.1:{port}")) as feed:
            assert not feed.alive
            with server:
                dance(server, feed)
            with publisher(context, port)[0] as another:
                dance(another, feed)
            assert feed.alive


def test_poses_that_cannot_be_read_are_a_fault_with_a_reason() -> None:
    with zmq.Context() as context:
        server, port = publisher(context)
        with server, contextlib.closing(Feed(f"tcp://127.0.0.1:{port}")) as feed:
            subscribed(server, feed)
            server.send(packed.POSE_TOPIC + b"nonsense")
            until(lambda: feed.news() and feed.fault)
            assert "bytes" in feed.fault


@pytest.fixture
def process() -> Iterator[tuple[subprocess.Popen, str]]:
    """The page in its own process on a free port, without a server, and its address."""
    command = [sys.executable, "-m", "server.stage_view", "--port", "0", "--connect", "tcp://127.0.0.1:1"]
    pipe = subprocess.PIPE
    started = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    with started:  # closes the pipes
        yield started, started.stdout.readline().strip()
        started.kill()


def test_the_process_serves_the_page_and_ends_on_sigterm(process: tuple[subprocess.Popen, str]) -> None:
    started, address = process
    with urllib.request.urlopen(address, timeout=5) as response:
        assert response.status == 200
    started.send_signal(signal.SIGTERM)
    assert started.wait(timeout=10) == 0
    assert started.stderr.read() == ""
    assert started.stdout.read() == ""


def test_the_process_ends_with_the_server_that_started_it(process: tuple[subprocess.Popen, str]) -> None:
    started, _ = process
    started.stdin.close()
    assert started.wait(timeout=30) == 0


def refused(*arguments: str) -> str:
    """What the process says when it cannot begin."""
    command = [sys.executable, "-m", "server.stage_view", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    return ended.stderr


def test_a_taken_port_is_said_plainly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused("--port", str(port))
    assert f"127.0.0.1:{port}" in said
    assert "--port" in said
    assert "Traceback" not in said


def test_an_endpoint_that_is_none_is_said_plainly() -> None:
    assert "'nowhere'" in refused("--connect", "nowhere")


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_what_is_ours_runs_before_what_is_visers(page: Page, encoding: str) -> None:
    asked = urllib.request.Request(f"http://127.0.0.1:{page.server.get_port()}", headers={"Accept-Encoding": encoding})
    with urllib.request.urlopen(asked, timeout=5) as response:
        body = response.read()
        assert response.headers.get_all("Content-Length") == [str(len(body))]
        assert response.headers.get_all("Content-Encoding") == [encoding]
    shown = gzip.decompress(body) if encoding == "gzip" else body
    assert 0 < shown.index(FIRST) < shown.index(b"<script", shown.index(FIRST) + 1)


@pytest.fixture
def shown_at() -> Iterator[Callable[..., str]]:
    """Opens pages; gives their addresses."""
    pages: list[Stage] = []

    def shown_at(behind_proxy: str | None = None) -> str:
        pages.append(open_page("127.0.0.1", 0, behind_proxy))
        return f"ws://127.0.0.1:{pages[-1].get_port()}"

    yield shown_at
    for page in pages:
        page.stop()


def enters(address: str, origin: str | None) -> bool:
    """Whether a browser may connect from a page of that place."""
    try:
        connect(address, origin=origin, subprotocols=[f"viser-v{viser.__version__}"]).close()
    except InvalidStatus:
        return False
    return True


def test_a_page_of_another_place_cannot_reach_the_stage_through_a_browser_here(shown_at: Callable[..., str]) -> None:
    address = shown_at()
    here = ("http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080", None)
    there = ("https://example.org", "http://localhost.example.org", "http://127.0.0.1.example.org", "null")
    assert [enters(address, origin) for origin in (*here, *there)] == [True] * 4 + [False] * 4


def test_behind_a_proxy_the_page_is_entered_from_there_and_here_only(shown_at: Callable[..., str]) -> None:
    address = shown_at("https://stage.example.org")
    origins = ("https://stage.example.org", "http://localhost:8080", "https://example.org", "http://stage.example.org")
    assert [enters(address, origin) for origin in origins] == [True, True, False, False]


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "stage.local"])
def test_a_page_that_other_machines_reach_needs_a_proxy(host: str) -> None:
    with pytest.raises(OSError, match="other machines reach that, and the page asks for no login"):
        open_page(host, 0)
