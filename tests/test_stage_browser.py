"""The stage page in a real browser, with a real show behind it: what is touched is danced, what is danced is seen.

Chromium draws in software, without a window, on a screen of 800 x 1280 that is touched. Where there is none, the tests
are skipped: `apt-get install chromium`, or `playwright install chromium`.
"""

from __future__ import annotations

import io
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import viser
import yaml
from PIL import Image

from motion.bvh_write import write_bvh
from motion.kinematics import global_positions
from motion.load import load_humanoid
from motion.skeleton import HUMANOID
from server import preset as presets
from server.app import Show
from server.protocols import packed
from server.stage_view import bodies, pins
from server.stage_view.__main__ import run
from server.stage_view.feed import Feed, Remote
from server.stage_view.opening import Stage

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

sync_api = pytest.importorskip("playwright.sync_api")

ROOT = Path(__file__).resolve().parents[1]
SCREEN = {"width": 800, "height": 1280}
FINENESS = 0.5  # pixels that are drawn for one of the screen's, each way: they are dear without a GPU
SWITCHES = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--mute-audio"]
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 40.0  # seconds, on a machine that has much else to do
SOLID = ("Hips", "Chest", "Head", "LeftLowerLeg", "RightLowerLeg")  # joints inside of something with volume
FLESH = 0.2  # metres: no part of a body reaches further from its nearest joint
AROUND = FLESH * np.vstack([np.eye(3), -np.eye(3)])
FLOW = 5  # pictures in a second, with other work beside it
REMARK = ".mantine-Notification-root"  # on drawing without a GPU: it has a stripe of the partner's colour
CLIP_SECONDS = 20
GRIP = 1.7 / 7 * pins.SIZE  # of viser's handles: from the middle to a square's middle, along both axes
FLOATING = 220  # pixels from below that have the buttons in them


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_api.sync_playwright() as playwright:
        program = next(filter(None, map(shutil.which, PROGRAMS)), None)
        try:
            opened = playwright.chromium.launch(executable_path=program, args=SWITCHES)
        except sync_api.Error as error:
            pytest.skip(f"no Chromium here: {str(error).splitlines()[0]}")
        yield opened
        opened.close()


class Theatre:
    """A show whose partner can be held, the page it is seen on, and a browser's tab with that page."""

    def __init__(self, show: Show, stage: Stage, page: Page) -> None:
        self.show, self.stage, self.page = show, stage, page

    @property
    def viewer(self) -> viser.ClientHandle:
        (client,) = self.stage.get_clients().values()
        return client

    def target(self, param: str) -> float:
        return float(self.show.tick.pipeline.params.target(param))

    def joints(self) -> dict[str, np.ndarray]:
        """What left last, world metres, by actor."""
        return {
            pose.actor: global_positions(HUMANOID, pose.root_position, pose.rotations)
            for pose in list(self.show.tick.way_out.latest.values())
        }

    def tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name).tap()

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Where points of the world (N, 3) are on the screen (N, 2), by the viewer's camera and where the stage is.

        The stage is left of the panel and as high as the screen.
        """
        camera = self.viewer.camera
        position, look_at = np.asarray(camera.position), np.asarray(camera.look_at)
        ahead = (look_at - position) / np.linalg.norm(look_at - position)
        right = np.cross(ahead, (0.0, 1.0, 0.0))
        right /= np.linalg.norm(right)
        seen = points + np.asarray(self.stage.scene.get_handle_by_name("/stage").position) - position
        x, y, z = seen @ right, seen @ np.cross(right, ahead), seen @ ahead
        height = float(SCREEN["height"])
        scale = height / 2.0 / np.tan(camera.fov / 2.0)
        return np.stack([height * camera.aspect / 2.0 + scale * x / z, height / 2.0 - scale * y / z], axis=1)

    def picture(self) -> np.ndarray:
        """The stage as it is on the screen, (height, width, 3), in drawn pixels; without what floats over it."""
        width = SCREEN["height"] * self.viewer.camera.aspect
        area = {"x": 0, "y": 0, "width": width, "height": SCREEN["height"] - FLOATING}
        data = self.page.screenshot(clip=area, timeout=1000 * PATIENCE)
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def until(happened: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def preset_file(folder: Path) -> Path:
    take = load_humanoid(ROOT / "presets/clips/demo_dancer.bvh").clip[: 60 * CLIP_SECONDS]
    write_bvh(folder / "take.bvh", take)
    partner = {"dancer": "dancer1", "model": str(ROOT / "presets/models/salsa_duet.onnx"), "sample": {}}
    data = {"format": 1, "dancers": {"dancer1": {"receive": "bvh", "file": "take.bvh"}}}
    data |= {"partners": {"partner1": partner}, "outputs": [{"send": "zmq", "bind": "tcp://127.0.0.1:*"}]}
    cues = [{"name": "opening", "params": {"*/energy": 0.75}}, {"name": "finale", "params": {"*/energy": 0.9}}]
    data |= {"control": {"port": 0}, "stage_page": "off", "cues": cues}
    (folder / "show.yaml").write_text(yaml.safe_dump(data))
    return folder / "show.yaml"


def coloured(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the picture has the dancer's blue, and the partner's orange."""
    red, green, blue = np.moveaxis(picture, -1, 0)
    return (blue > red + 50) & (blue > green + 15), (red > blue + 60) & (green > blue + 25)


def report(show: Show, stopping: threading.Event) -> None:
    """What the main thread of a show does."""
    while not stopping.wait(0.2):
        show.tick.way_out.notice = packed.encode_stats(show.report.figures())


@contextmanager
def running(target: Callable[..., None], *arguments: object) -> Iterator[None]:
    """In a thread, until the event that is its last argument is set."""
    stopping = threading.Event()
    thread = threading.Thread(target=target, args=(*arguments, stopping), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


@pytest.fixture(scope="module")
def theatre(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    path = preset_file(tmp_path_factory.mktemp("show"))
    with ExitStack() as stack:
        show = stack.enter_context(closing(Show(presets.load(path), path)))
        show.start()
        assert show.steering is not None
        feed = stack.enter_context(closing(Feed(show.publishers[0].sender.endpoint)))
        remote = stack.enter_context(closing(Remote("127.0.0.1", show.steering.control.port)))
        stage = Stage("127.0.0.1", 0)
        stack.callback(stage.stop)
        stack.enter_context(running(report, show))
        stack.enter_context(running(run, stage, feed, remote))
        context = browser.new_context(viewport=SCREEN, has_touch=True, device_scale_factor=FINENESS)
        page = stack.enter_context(context).new_page()
        page.set_default_timeout(1000 * PATIENCE)
        theatre = Theatre(show, stage, page)
        began = time.monotonic()
        page.goto(f"http://127.0.0.1:{stage.get_port()}")
        until(stage.get_clients, "no viewer")
        until(lambda: all(colour.any() for colour in coloured(theatre.picture())), "nobody on the picture")
        print(f"\nfirst picture after {time.monotonic() - began:.1f} s")
        page.add_style_tag(content=REMARK + " { display: none !important }")
        yield theatre


def type_energy(theatre: Theatre, text: str) -> Locator:
    """Into the number beside the slider, which is returned."""
    theatre.tab("Dials")
    box: Locator = (
        theatre.page.get_by_text("energy", exact=True)
        .locator("xpath=ancestor::*[.//input][1]//input[not(@type='hidden')]")
        .first
    )
    box.fill(text)
    box.press("Enter")
    return box


def test_a_slider_moves_its_param(theatre: Theatre) -> None:
    type_energy(theatre, "1.25")
    until(lambda: theatre.target("partner1/energy") == 1.25, "the slider moved nothing")


def test_a_cue_is_given(theatre: Theatre) -> None:
    theatre.tab("Show")
    theatre.button("1 opening").tap()
    until(lambda: theatre.target("partner1/energy") == 0.75, "the cue was not given")


def test_keys_do_what_buttons_do_wherever_somebody_has_just_touched(theatre: Theatre) -> None:
    page, pipeline = theatre.page, theatre.show.tick.pipeline
    theatre.tab("View")
    page.get_by_label("side by side", exact=True).check()
    page.get_by_label("side by side", exact=True).uncheck()
    page.keyboard.press("f")
    until(lambda: pipeline.frozen, "F freezes nothing")
    until(theatre.button("Dance on").is_visible, "the page does not know")
    page.keyboard.press("f")
    until(lambda: not pipeline.frozen, "F lets nobody dance on")
    type_energy(theatre, "1")
    page.keyboard.press("r")
    until(lambda: theatre.target("partner1/stillness") == 1.0, "R lets nobody rest")
    until(theatre.button("Dance on").is_visible, "the page does not know")
    page.keyboard.press("r")
    until(lambda: theatre.target("partner1/stillness") == 0.0, "R lets nobody dance on")
    page.keyboard.press("g")
    until(lambda: theatre.target("partner1/energy") == 0.9, "G gives no cue")


def test_a_cue_that_is_not_there_is_refused_in_words(theatre: Theatre) -> None:
    theatre.page.keyboard.press("g")
    refusal = theatre.page.locator(REMARK).filter(has_text="nowhere to go: cue 2 was the last one")
    until(refusal.count, "nothing is said")
    assert theatre.target("partner1/energy") == 0.9


def test_a_number_out_of_range_becomes_the_nearest_that_may_be(theatre: Theatre) -> None:
    highest = theatre.show.tick.pipeline.params.table["partner1/energy"].high
    box = type_energy(theatre, "99")
    until(lambda: theatre.target("partner1/energy") == highest, "it is not the highest")
    box.blur()
    until(lambda: float(box.input_value()) == highest, "the page says another number")
    box.fill("")
    box.blur()
    assert theatre.target("partner1/energy") == highest  # nothing is no number


def test_another_model_dances_beside_the_first_and_leaves(theatre: Theatre) -> None:
    partners = theatre.show.tick.pipeline.partners
    assert set(partners) == {"partner1"}
    theatre.tab("Show")
    theatre.page.get_by_role("textbox", name="beside them").or_(theatre.page.get_by_label("beside them")).first.tap()
    theatre.page.get_by_role("option", name="salsa_match", exact=True).tap()
    until(lambda: len(theatre.show.tick.pipeline.partners) == 2, "nobody came")
    assert theatre.show.tick.pipeline.partners["partner1_b"].model == "salsa_match"

    def on_stage() -> int:
        limbs = theatre.stage.scene.get_handle_by_name("/stage/limbs")  # none while one cast leaves and another enters
        return 0 if limbs is None else len(limbs.batched_positions) // len(bodies.LIMB_SCALES)

    until(lambda: on_stage() == 4, "two couples are not side by side")
    until(lambda: not theatre.show.tick.pipeline.crossing, "it does not end")
    theatre.button("partner1_b leaves").tap()
    until(lambda: on_stage() == 2, "they have not left")


def test_frames_come_to_the_screen(theatre: Theatre) -> None:
    """In the best second of a while, for this machine has other things to do; how many is printed."""
    script = """() => new Promise(done => { let n = 0; const end = performance.now() + 1000;
        const count = now => now > end ? done(n) : (n++, requestAnimationFrame(count));
        requestAnimationFrame(count) })"""
    seconds: list[int] = []

    def flows() -> bool:
        seconds.append(theatre.page.evaluate(script))
        return seconds[-1] >= FLOW

    until(flows, f"pictures in each second: {seconds}")
    print(f"\n{seconds} pictures a second")


def test_freeze_freezes_and_rest_rests(theatre: Theatre) -> None:
    pipeline = theatre.show.tick.pipeline
    theatre.button("Rest").tap()
    until(lambda: theatre.target("partner1/stillness") == 1.0, "they do not rest")
    theatre.button("Dance on").tap()
    until(lambda: theatre.target("partner1/stillness") == 0.0, "they rest on")
    until(lambda: theatre.button("Freeze").is_enabled(), "no button")
    theatre.button("Freeze").tap()
    until(lambda: pipeline.frozen, "nothing freezes")
    held = theatre.joints()["partner1"]
    number = theatre.show.tick.stats.counts["ticks"]
    until(lambda: theatre.show.tick.stats.counts["ticks"] > number + 30, "the show stands")
    np.testing.assert_array_equal(theatre.joints()["partner1"], held)
    theatre.button("Dance on").tap()
    until(lambda: not pipeline.frozen, "frozen for good")


def test_a_handle_moves_the_hand(theatre: Theatre) -> None:
    page = theatre.page
    hold_still(theatre)
    theatre.tab("Dials")
    page.get_by_text("partner1: hold", exact=True).tap()
    page.get_by_label("right hand", exact=True).check()
    name = "/stage/pins/partner1/RightHand"
    until(lambda: theatre.stage.scene.get_handle_by_name(name) is not None, "no handle")
    settled(theatre)
    handle = theatre.stage.scene.get_handle_by_name(name)
    began = np.array(handle.position)
    # The handle's square between the axes to the side and up, and a place 0.25 m higher.
    square = began + np.array([GRIP, GRIP, 0.0])
    (x, y), (x_then, y_then) = theatre.pixels(np.stack([square, square + np.array([0.0, 0.25, 0.0])]))
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x_then, y_then, steps=6)
    page.mouse.up()
    until(lambda: handle.position[1] > began[1] + 0.15, "the handle was not taken")
    held = np.array(handle.position)
    theatre.button("Dance on").tap()
    wrist = HUMANOID.index("RightHand")

    def nearer() -> bool:
        hand = theatre.joints()["partner1"][wrist]
        return bool(np.linalg.norm(hand - held) < 0.5 * np.linalg.norm(began - held))

    until(nearer, "the hand does not come")
    page.get_by_label("right hand", exact=True).uncheck()
    theatre.tab("Show")
    theatre.button("Play").tap()


def test_bodies_are_seen_where_the_poses_say(theatre: Theatre) -> None:
    page = theatre.page
    theatre.tab("View")
    for box in ("trails", "marks"):
        page.get_by_label(box, exact=True).uncheck()
    hold_still(theatre)
    still = settled(theatre)
    blue, orange = coloured(theatre.picture())
    for actor, mask in (("dancer1", blue), ("partner1", orange)):
        joints = still[actor]
        inside = FINENESS * theatre.pixels(joints[[HUMANOID.index(name) for name in SOLID]])
        columns, rows = np.rint(inside).astype(int).T
        seen = sum(
            mask[row - 8 : row + 9, column - 8 : column + 9].any() for row, column in zip(rows, columns, strict=True)
        )
        assert seen >= len(SOLID) - 1, f"{actor} is not where {SOLID} are: {inside}"  # one may be behind the other body
        body = FINENESS * theatre.pixels((joints[:, None] + AROUND).reshape(-1, 3))
        (left, top), (right, bottom) = body.min(axis=0), body.max(axis=0)
        rows, columns = np.nonzero(mask)
        outside = (columns < left) | (columns > right) | (rows < top) | (rows > bottom)
        assert outside.mean() < 0.01, f"{outside.mean():.0%} of {actor}'s colour is elsewhere"


def hold_still(theatre: Theatre) -> None:
    """Everybody: the partner is frozen, and the dancer's clip stops."""
    theatre.tab("Show")
    theatre.button("Freeze").tap()
    theatre.button("Pause").tap()
    until(lambda: theatre.show.tick.pipeline.frozen, "nothing freezes")


def settled(theatre: Theatre) -> dict[str, np.ndarray]:
    """The joints, once neither they nor the stage under them nor the lens has moved for a while."""

    def state() -> np.ndarray:
        stage = theatre.stage.scene.get_handle_by_name("/stage").position
        return np.concatenate(
            [*(joints.ravel() for joints in theatre.joints().values()), stage, [theatre.viewer.camera.fov]]
        )

    before, since = state(), time.monotonic()
    end = since + PATIENCE
    while time.monotonic() - since < 1.0:
        assert time.monotonic() < end, "nothing comes to rest"
        time.sleep(0.1)
        now = state()
        if np.abs(now - before).max() > 1e-3:
            before, since = now, time.monotonic()
    return theatre.joints()
