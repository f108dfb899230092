"""The stage page in a browser without a GPU: how soon somebody is seen, and how often they move.

    python -m benchmarks.page

A show runs with its page, and Chromium, which has no window, opens it: `--times` times, each with a browser of its
own; medians are told. Two ways to draw: `software`, as Chromium does by itself on a computer without a GPU, and
`swiftshader`, where its own surfaces are drawn by the same software renderer as the stage, which is dearer.

    first_picture_s  from the navigation to the first picture with somebody in each of the two colours
    updates_fps      pictures a second in which somebody has moved; the page is sent 30
    pictures_fps     pictures of the stage a second, moved or not
    cpu_ms           what a picture costs the browser, all its processes together
    canvas           pixels that are drawn; the browser makes them as large as the screen asks for

--address: of a page that is open already, such as http://127.0.0.1:8080, instead of a show of our own.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from benchmarks import report
from benchmarks.live import FILES, LOOPBACK, ROOT, free_ports, shipped
from benchmarks.processes import cpu_seconds, family
from server.preset import PresetError, load

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
PLAIN = ("--no-sandbox", "--enable-unsafe-swiftshader", "--mute-audio")
WAYS = {"software": PLAIN, "swiftshader": (*PLAIN, "--use-angle=swiftshader")}
PATIENCE = 60.0  # seconds for the first picture
SETTLED = 3.0  # seconds after it, until everything on the page is there
# Counts pictures as they are drawn, and looks on a small copy of each for both colours until they are there.
WATCH = """(() => {
  const seen = (window.__seen = { first: null, pictures: 0, updates: 0, canvas: "" });
  const calls = WebGL2RenderingContext.prototype;
  let drawn = false, moved = false;
  const hear = (name, then) => {
    const call = calls[name];
    calls[name] = function (...given) { then(given); return call.apply(this, given); };
  };
  hear("drawElementsInstanced", () => { drawn = true; });
  hear("texSubImage2D", given => { moved ||= given.some(part => part instanceof Float32Array); });
  const small = new OffscreenCanvas(240, 150).getContext("2d", { willReadFrequently: true });
  const look = canvas => {
    small.clearRect(0, 0, 240, 150);
    small.drawImage(canvas, 0, 0, 240, 150);
    const { data } = small.getImageData(0, 0, 240, 150);
    let blue = 0, orange = 0;
    for (let k = 0; k < data.length; k += 4) {
      const [r, g, b] = [data[k], data[k + 1], data[k + 2]];
      blue += b > r + 50 && b > g + 15;
      orange += r > b + 60 && g > b + 25;
    }
    return blue > 20 && orange > 20;
  };
  const frame = () => {
    if (drawn) {
      seen.pictures += 1;
      seen.updates += moved;
      const canvas = document.querySelector("canvas[data-engine]");
      if (canvas) seen.canvas = `${canvas.width}x${canvas.height}`;
      if (seen.first === null && canvas && look(canvas)) seen.first = performance.now();
    }
    drawn = moved = false;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
})()"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", type=Path, default=ROOT / "presets/demo.yaml")
    parser.add_argument("--address", help="of a page that is open, instead of the preset's")
    parser.add_argument("--screen", type=_size, default=(1280, 800), help="WIDTHxHEIGHT, 1280x800 by itself")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--seconds", type=float, default=10.0, help="in which pictures are counted")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--picture", type=Path, help="a PNG of what was seen last")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        parser.exit(2, "Playwright is not installed: pip install playwright\n")
    try:
        load(options.preset)
    except PresetError as error:
        parser.error(str(error))
    with contextlib.ExitStack() as stack:
        address = options.address or stack.enter_context(showing(options.preset))
        playwright = stack.enter_context(sync_playwright())
        subjects = {}
        for way in options.ways:
            turns = [
                opened(playwright, way, address, options.screen, options.seconds, options.picture)
                for _ in range(options.times)
            ]
            subjects[way] = {name: _middle([turn[name] for turn in turns]) for name in turns[0]}
    load_now = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    title = f"{address} on {'x'.join(map(str, options.screen))}, medians of {options.times}; load {load_now}"
    report.show(title, subjects, options.json)


def opened(
    playwright: Playwright,
    way: str,
    address: str,
    screen: tuple[int, int],
    seconds: float,
    picture: Path | None = None,
) -> dict[str, Any]:
    """The figures of one opening. Raises SystemExit where there is no browser, or nobody is seen."""
    others = family(os.getpid())
    with contextlib.closing(_browser(playwright, way)) as browser:
        page = browser.new_page(viewport={"width": screen[0], "height": screen[1]})
        page.add_init_script(WATCH)
        page.goto(address, wait_until="commit")
        end = time.monotonic() + PATIENCE
        while (first := page.evaluate("window.__seen?.first ?? null")) is None:
            if time.monotonic() > end:
                raise SystemExit(f"nobody is seen at {address} in {PATIENCE:g} s")
            time.sleep(0.1)
        time.sleep(SETTLED)
        ours = family(os.getpid()) - others
        spent, before, began = cpu_seconds(ours), page.evaluate("({ ...__seen })"), time.monotonic()
        time.sleep(seconds)
        after, took = page.evaluate("({ ...__seen })"), time.monotonic() - began
        spent_then = cpu_seconds(ours)
        if picture is not None:
            page.screenshot(path=picture, timeout=1000 * PATIENCE)
    pictures = after["pictures"] - before["pictures"]
    known = spent is not None and spent_then is not None and pictures
    return {
        "first_picture_s": first / 1000.0,
        "updates_fps": (after["updates"] - before["updates"]) / took,
        "pictures_fps": pictures / took,
        "cpu_ms": 1000.0 * (spent_then - spent) / pictures if known else None,
        "canvas": after["canvas"],
    }


@contextlib.contextmanager
def showing(preset: Path) -> Iterator[str]:
    """The preset's show on free ports, with its page: the page's address."""
    data = yaml.safe_load(preset.read_text())
    zmq, control, port = free_ports(3)
    for section in (*data["dancers"].values(), *data["partners"].values()):
        for part in (section, *(part for part in section.values() if isinstance(part, dict))):
            part.update({k: str((preset.parent / part[k]).resolve()) for k in (*FILES, "file") if part.get(k)})
    data["outputs"] = [{"send": "zmq", "bind": f"tcp://{LOOPBACK}:{zmq}"}]
    data |= {"control": {"port": control}, "stage_page": {"port": port}}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / preset.name
        file.write_text(yaml.safe_dump(data))
        command = [word for word in shipped(file) if word != "--no-page"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as show:
            assert show.stdout is not None
            while "Ctrl-C stops" not in (line := show.stdout.readline()):
                if not line:
                    raise SystemExit(f"the server did not start from {preset}; exit code {show.wait()}")
            try:
                time.sleep(SETTLED)
                yield f"http://{LOOPBACK}:{port}"
            finally:
                show.terminate()
                show.communicate(timeout=30)


def _browser(playwright: Playwright, way: str) -> Browser:
    from playwright.sync_api import Error

    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    try:
        return playwright.chromium.launch(executable_path=program, args=list(WAYS[way]))
    except Error as error:
        raise SystemExit(f"no Chromium here: {str(error).splitlines()[0]}") from None


def _middle(values: list[Any]) -> Any:
    if None in values:
        return None
    return values[-1] if isinstance(values[0], str) else float(np.median(values))


def _size(text: str) -> tuple[int, int]:
    wide, _, high = text.partition("x")
    if not (wide.isdigit() and high.isdigit() and int(wide) and int(high)):
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, such as 1280x800")
    return int(wide), int(high)


if __name__ == "__main__":
    main()
