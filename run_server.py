"""Starts a show: `python run_server.py` runs the demo; `python run_server.py presets/live_vmc.yaml` hears a suit.

Where the project is installed, `pas-de-deux live_vmc` does the same from any folder: shipped shows go by their names.

Exit codes: 0 the show ended as asked, or could begin (--check), 2 it could not (the reason is printed), 1 it broke off
by a fault of ours, of which there is a report.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from motion import shipped
from server import logs, terminal
from server import preset as presets
from server.app import Show
from server.dry_run import DryRun, dry_run
from server.preset_doors import page_faults
from server.preset_values import host_name, origin
from server.recording import Recording
from server.render import render
from server.show import build_pipeline


def main(arguments: list[str] | None = None) -> int:
    terminal.prepare()
    parser = _parser()
    options = parser.parse_args(arguments)
    _check_offline(parser, options)
    try:
        with logs.logging_to(options.log_file, options.log_format) as diary:
            preset = presets.load(options.preset)
            if options.render:
                return _render(options, preset)
            if options.check:
                return _try_out(options, preset)
            return _show(options, preset, diary)
    except (presets.PresetError, OSError, ValueError) as error:
        print(f"{error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # before the show had begun
        return 0


def _show(options: argparse.Namespace, preset: presets.Preset, diary: Callable[[Mapping[str, Any]], None]) -> int:
    preset = _with_page(preset, options)
    recording = Recording(options.replay) if options.replay else None
    show = Show(preset, options.preset, options.seed, options.record, recording, options.speed, options.crash_reports)
    as_json, colours = options.log_format == "json", terminal.colourful(sys.stdout)
    printer = terminal.StatusPrinter(as_json, in_place=sys.stdout.isatty(), colours=colours)
    try:
        for difference in show.tapes.differences():
            print(f"--replay: {difference}; the partner need not be the recorded one", file=sys.stderr)
        page = preset.stage_page
        if not as_json:
            opening = show.report.opening(f"http://{page.host}:{page.port}" if page else None)
            print(terminal.block(opening, colours), flush=True)
        return _run(show, options.seconds, printer, diary)
    finally:
        show.close()
        printer.close()
        for said in (show.recorded, show.tapes.replay.summary() if show.tapes.replay else ""):
            if said:
                print(said, file=sys.stderr if as_json else sys.stdout)


def _run(show: Show, seconds: float | None, *readers: Callable[[Mapping[str, Any]], None]) -> int:
    """The show, from start to end. readers: take its figures; a terminal that is gone is none any more."""

    def tell(figures: Mapping[str, Any]) -> None:
        for reader in readers:
            with contextlib.suppress(OSError):
                reader(figures)

    try:
        show.start()
        show.run(seconds, tell)
    except Exception as error:
        traceback.print_exc()
        show.crashed(error)
        return 1
    return 0


def _try_out(options: argparse.Namespace, preset: presets.Preset) -> int:
    """Opens all that the show opens, dances two seconds without dancers, and closes it."""
    preset = _with_page(preset, options)
    page = preset.stage_page
    show = Show(preset, options.preset, options.seed)
    try:
        opening = show.report.opening(f"http://{page.host}:{page.port}" if page else None)
    finally:
        show.close()
    opening = opening.removesuffix(show.report.HOW_TO_STOP).rstrip()
    print(terminal.block(opening, terminal.colourful(sys.stdout)))
    fps = preset.clock.fps
    tried = dry_run(build_pipeline(preset, options.preset, options.seed), fps)
    for fault in tried.faults:
        print(f"{options.preset}: {fault}", file=sys.stderr)
    print(
        f"\n  {tried.frames} frames: a tick takes {tried.p50_ms:.1f} ms (p50), {tried.p99_ms:.1f} (p99), of "
        f"{1e3 / fps:.1f}; {_verdict(tried, fps)}"
    )
    return 2 if tried.faults else 0


def _verdict(tried: DryRun, fps: float) -> str:
    if tried.faults:
        return "not ready"
    return "ready" if tried.p50_ms < 1e3 / fps else "ready, but slower than a frame"


def _with_page(preset: presets.Preset, options: argparse.Namespace) -> presets.Preset:
    page = preset.stage_page
    if options.no_page or page is None:
        return preset.model_copy(update={"stage_page": None})
    asked = {"host": options.page_host, "port": options.page_port, "behind_proxy": options.page_behind_proxy}
    page = page.model_copy(update={key: value for key, value in asked.items() if value is not None})
    if faults := page_faults(page):
        raise presets.PresetError(faults)
    return preset.model_copy(update={"stage_page": page})


def _render(options: argparse.Namespace, preset: presets.Preset) -> int:
    pipeline = build_pipeline(preset, options.preset, options.seed)
    progress = render(pipeline, options.input, preset.clock.fps, options.render, options.render_dancer)
    in_place = sys.stdout.isatty()
    for done, total in progress:
        if in_place:
            print(f"\r{done}/{total} frames", end="", flush=True)
    print("\r" * in_place + f"{options.render}: {total} frames at {preset.clock.fps:g} fps; {pipeline.faults} faults")
    return 0


def _check_offline(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Refuses files that cannot be read or written now, not when the last frame is danced."""
    if options.check and (options.render or options.record or options.replay):
        parser.error("--check tries a show out; --render, --record and --replay are for showing it")
    if options.speed is not None and options.replay is None:
        parser.error("--speed goes with --replay DIR")
    options.speed = 1.0 if options.speed is None else options.speed
    if options.render is not None and (options.record or options.replay):
        parser.error("--record and --replay go with a show, not with --render")
    if options.render is None:
        if options.input or options.render_dancer:
            parser.error("--input and --render-dancer go with --render OUT.bvh")
        return
    if options.input is None:
        parser.error("--render needs --input TAKE.bvh: the recording to dance with")
    if not options.input.is_file():
        parser.error(f"--input: no file {options.input}")
    taken = {options.input.resolve(): "--input"}
    for option, name in (("--render", options.render), ("--render-dancer", options.render_dancer)):
        if name is None:
            continue
        path = name.resolve()
        if path in taken:
            parser.error(f"{option}: {name} is the file of {taken[path]}; name another one")
        taken[path] = option
        was_there = path.exists()
        try:
            path.open("ab").close()
        except OSError as error:
            parser.error(f"{option}: cannot write {name}: {error.strerror}; name a file in a folder that is there")
        if not was_there:
            path.unlink()


def _preset(text: str) -> Path:
    path = shipped.find(text)
    if not path.is_file() and path.parent == Path() and not path.suffix:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a file nor a shipped show; shows: {', '.join(shipped.names())}"
        )
    return path


def _natural(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not seconds > 0.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = math.nan
    if not 0.0 <= speed < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a speed: 1 as it was, 2 twice as fast, 0 as fast as it goes")
    return speed


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: 1 to 65535, or 0 for any free one")
    return int(text)


def _host(text: str) -> str:
    try:
        return host_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} {error}") from None


def _origin(text: str) -> str:
    try:
        return origin(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} {error}") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="A live AI dance partner.")
    parser.add_argument(
        "preset",
        type=_preset,
        nargs="?",
        default=shipped.find("demo"),
        help="the show: a YAML file, or a shipped one's name",
    )
    parser.add_argument("--seed", type=_natural, help="another seed than the preset's: another partner")
    parser.add_argument(
        "--check", action="store_true", help="try the show out, files, ports, models and two seconds of dance, and end"
    )
    parser.add_argument("--seconds", type=_seconds, help="stop the show after this long")
    parser.add_argument("--no-page", action="store_true", help="without the stage page")
    parser.add_argument(
        "--page-host", type=_host, help="where the stage page listens; beyond this machine, with --page-behind-proxy"
    )
    parser.add_argument(
        "--page-behind-proxy", type=_origin, metavar="URL", help="a proxy with a login shows the page to others there"
    )
    parser.add_argument("--page-port", type=_port, help="the stage page's port")
    parser.add_argument("--log-format", choices=("text", "json"), default="text", help="json: one object a second")
    parser.add_argument(
        "--log-file", type=Path, metavar="FILE", help="a log of what changes, and the status line; old ones are kept"
    )
    parser.add_argument(
        "--crash-reports", type=Path, default=Path("crashes"), metavar="DIR", help="where faults of ours are reported"
    )
    tape = parser.add_argument_group("recording", "what a show was given and what it danced; see docs/recording.md")
    tape.add_argument("--record", type=Path, metavar="DIR", help="record the show in a new folder in this one")
    tape.add_argument(
        "--replay", type=Path, metavar="DIR", help="a recording, or the newest one in DIR, as the dancers"
    )
    tape.add_argument("--speed", type=_speed, help="of the replay: 1 (default) as it was, 0 as fast as it goes")
    offline = parser.add_argument_group("offline", "dance with a recording, as fast as it goes, no network")
    offline.add_argument("--input", type=Path, help="the dancer's recording (BVH)")
    offline.add_argument("--render", type=Path, metavar="OUT.bvh", help="write the partner here")
    offline.add_argument(
        "--render-dancer", type=Path, metavar="OUT.bvh", help="write the dancer as the server saw them"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
