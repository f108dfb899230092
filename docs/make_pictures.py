"""Makes the pictures of the docs, those of STILLS and docs/duet.gif, from a real show on the real stage page.

    python docs/make_pictures.py                 # needs Chromium or Chrome; about three minutes without a GPU
    python docs/make_pictures.py --stills        # without the film

The server dances the demo for a few seconds while its messages are kept. Then the page gets the same messages at the
pace at which the browser can draw them, so that the film runs evenly even where the machine draws two frames a second.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import io
import itertools
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import zmq
from PIL import Image
from websockets.sync.client import connect

from server import preset as presets
from server.protocols import packed

ROOT = Path(__file__).resolve().parents[1]
FILM_SECONDS, FILM_FPS, SERVER_FPS = 5.0, 15, 60
PANEL_WIDTH = 340
FINE = "?fixedDpr=1"  # as on a computer with a GPU, though there may be none here
CLOSER = f"{FINE}&initialCameraPosition=1.8,1.45,3.5&initialCameraLookAt=0,0.9,0"
WIDE, FILM = (1280, 720), (640, 420)
STILLS = {  # the screen, and the tab of the panel that is open
    "stage.png": (WIDE, "Show"),
    "stage_dials.png": ((1280, 800), "Dials"),
    "stage_tablet.png": ((800, 1280), "View"),
}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Sound, sync and updates off: a browser that only draws, in software where there is no GPU.
SWITCHES = [
    *("--headless", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--mute-audio"),
    *("--disable-background-networking", "--disable-sync", "--disable-component-update", "--no-first-run"),
    *("--remote-debugging-port=0", "--hide-scrollbars"),
]
DRAWN = """new Promise(done => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(() =>
    requestAnimationFrame(() => setTimeout(done, 30)))), 120))"""
TAB = """(area => [area.x + area.width / 2, area.y + area.height / 2])([...document.querySelectorAll('[role=tab]')]
    .find(tab => tab.textContent.trim() === '{}').getBoundingClientRect())"""
TIDY = "document.querySelectorAll('.mantine-Notification-closeButton').forEach(button => button.click())"


def main() -> int:
    options = _parser().parse_args()
    print("dancing ...", flush=True)
    poses, stats = record(options.preset, options.skip)
    film, frames = poses[:: SERVER_FPS // FILM_FPS], []
    with page() as (show, address), browser(options.chromium, address + FINE) as screen:
        for message in film[: len(film) // 2]:  # so that there are trails and marks
            show(message, stats)
            time.sleep(1.0 / FILM_FPS)
        screen.settle()
        for name, (size, tab) in STILLS.items():
            screen.size(*size)
            screen.click(*screen.run(TAB.format(tab)))
            screen.settle()
            still = screen.picture(*size).quantize(256, kmeans=3, dither=Image.Dither.NONE)
            still.save(options.out / name, optimize=True)
            print(f"{options.out / name}  {(options.out / name).stat().st_size / 1000:.0f} kB", flush=True)
        if options.stills:
            return 0
        screen.size(FILM[0] + PANEL_WIDTH, FILM[1])
        screen.call("Page.navigate", url=address + CLOSER)
        show(film[0], stats)
        screen.settle()
        for number, message in enumerate(film, start=1):
            show(message, stats)
            screen.run(DRAWN)
            frames.append(screen.picture(*FILM))
            print(f"\rfilming {number}/{len(film)}", end="", flush=True)
    _save_film(frames, options.out / "duet.gif")
    print(f"\n{options.out / 'duet.gif'}  {(options.out / 'duet.gif').stat().st_size / 1000:.0f} kB")
    return 0


def record(preset: Path, skip: float) -> tuple[list[bytes], bytes]:
    """The pose messages of FILM_SECONDS of a show, one a tick, and its last statistics."""
    endpoint = next(output.bind for output in presets.load(preset).outputs if output.send == "zmq")
    seconds = skip + FILM_SECONDS
    command = [sys.executable, "run_server.py", str(preset.resolve()), "--no-page", "--seconds", str(seconds + 3.0)]
    poses: list[bytes] = []
    stats = b""
    with zmq.Context() as context, context.socket(zmq.SUB) as listener:
        listener.subscribe(b"")
        listener.connect(endpoint)
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as server:
            while len(poses) < seconds * SERVER_FPS:
                if not listener.poll(20_000):
                    raise SystemExit("the server sends nothing")
                message = listener.recv()
                if message.startswith(packed.STATS_TOPIC):
                    told = packed.decode_stats(message)["dancers"].values()
                    stats = message if all(dancer["state"] == "live" for dancer in told) else stats or message
                elif len(packed.decode(message)[0]) > 1:
                    poses.append(message)
            server.terminate()
    return poses[-int(FILM_SECONDS * SERVER_FPS) :], stats


@contextlib.contextmanager
def page() -> Iterator[tuple[Any, str]]:
    """A stage page that hears only us: a function that shows a pose message and statistics, and its address."""
    now: list[bytes] = []
    running = threading.Event()
    running.set()
    with (
        zmq.Context() as context,
        context.socket(zmq.PUB) as publisher,
        socket.socket(type=socket.SOCK_DGRAM) as control,
    ):
        port = publisher.bind_to_random_port("tcp://127.0.0.1")
        control.bind(("127.0.0.1", 0))

        def speak() -> None:  # the page counts a silent server as gone
            while running.is_set():
                for message in list(now):
                    publisher.send(message)
                time.sleep(0.05)

        speaker = threading.Thread(target=speak, daemon=True)
        speaker.start()
        command = [sys.executable, "-m", "server.stage_view", "--port", "0", "--connect", f"tcp://127.0.0.1:{port}"]
        command += ["--control", f"127.0.0.1:{control.getsockname()[1]}"]
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            yield lambda pose, stats: now.__setitem__(slice(None), [pose, stats]), address
            process.terminate()
        running.clear()
        speaker.join()


class Screen:
    """A browser's page, spoken to in its debugging protocol."""

    def __init__(self, address: str) -> None:
        self._socket = connect(address, max_size=None)
        self._numbers = itertools.count(1)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (answer := json.loads(self._socket.recv())).get("id") != number:
            pass
        result: dict[str, Any] = answer["result"]
        return result

    def run(self, script: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        return answer["result"].get("value")

    def size(self, width: int, height: int) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def click(self, x: float, y: float) -> None:
        for event in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=event, x=x, y=y, button="left", clickCount=1)

    def settle(self) -> None:
        """Waits for the page to have loaded and faded in, and closes its remark on drawing without a GPU."""
        for _ in range(12):
            self.run(TIDY)
            self.run(DRAWN)
            time.sleep(1.0)

    def picture(self, width: int, height: int) -> Image.Image:
        area = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        data = self.call("Page.captureScreenshot", format="png", clip=area)["data"]
        return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")

    def close(self) -> None:
        self._socket.close()


@contextlib.contextmanager
def browser(program: str | None, address: str) -> Iterator[Screen]:
    program = program or next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        raise SystemExit(f"no browser found; looked for {', '.join(BROWSERS)}; name one with --chromium")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [program, *SWITCHES, f"--user-data-dir={folder}", "about:blank"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            words = (line.split("listening on ")[1].strip() for line in process.stderr if "listening on ws" in line)
            port = next(words).split(":")[2].split("/")[0]
            threading.Thread(target=process.stderr.read, daemon=True).start()
            screen = Screen(_new_tab(port))
            screen.size(*WIDE)
            screen.call("Page.navigate", url=address)
            try:
                yield screen
            finally:
                screen.close()
                process.terminate()


def _new_tab(port: str) -> str:
    """The debugging address of the browser's first page."""
    with urlopen(f"http://127.0.0.1:{port}/json/list", timeout=20) as answer:
        tabs = json.load(answer)
    return str(next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page"))


def _save_film(frames: list[Image.Image], path: Path) -> None:
    """One palette for the whole film, so that what stands still costs nothing."""
    samples = frames[:: max(1, len(frames) // 6)]
    sheet = Image.new("RGB", (FILM[0], FILM[1] * len(samples)))
    for place, frame in enumerate(samples):
        sheet.paste(frame, (0, FILM[1] * place))
    palette = sheet.quantize(256, kmeans=3)
    film = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    times = [10 * round(100 * k / FILM_FPS) for k in range(len(film) + 1)]  # a GIF counts hundredths of a second
    durations = [after - before for before, after in itertools.pairwise(times)]
    film[0].save(path, save_all=True, append_images=film[1:], duration=durations, loop=0, optimize=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Makes the pictures of the docs.")
    parser.add_argument("--preset", type=Path, default=ROOT / "presets/demo.yaml")
    parser.add_argument("--skip", type=float, default=4.0, help="seconds of the show before the film begins")
    parser.add_argument("--stills", action="store_true", help="without the film")
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    parser.add_argument("--chromium", help="the browser's program")
    return parser


if __name__ == "__main__":
    sys.exit(main())
