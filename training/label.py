"""Label parts of recordings in a browser, or say of generated clips what they are, without knowing.

    python -m training.label RECORDINGS --set time=low,medium,high --labels labels.csv --who Ada
    python -m training.label --blind runs/mine/evaluation/blind --set time=low,medium,high
    python -m training.label --agreement ada.csv ben.csv

Every word is in the file at once; the same command goes on where it stopped. docs/labelled.md tells the rest.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from server.stage_view.opening import Stage, open_page
from training import label_agreement, label_windows
from training.label_agreement import Agreement
from training.label_book import CLIPS, TAKES, Book, key_columns, read_lines
from training.label_page import Others, Page
from training.label_session import Session
from training.label_windows import Cut
from training.labels import LabelSets

FPS = 30.0  # turns of the page a second


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns 0, or 2 for an error that has been printed."""
    options = parse(arguments)
    try:
        if options.agreement:
            print(label_agreement.report(options.agreement))
            return 0
        session, others = begin(options)
        server = _open(options.host, options.port)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    done, skipped, count = session.progress()
    print(f"{session.book.path}: {done} of {count} windows are labelled, {skipped} cannot be told")
    print(f"http://{options.host}:{server.get_port()}  (Ctrl-C stops; everything is saved)", flush=True)
    page, now = Page(server, session, others), time.monotonic()
    while not stopping.wait(max(0.0, now + 1.0 / FPS - time.monotonic())):
        now = time.monotonic()
        page.turn(now)
    server.stop()
    return 0


def begin(options: argparse.Namespace) -> tuple[Session, Others]:
    """A session as the options say, and how far the files of others agree with it.

    Raises ValueError and OSError naming what is wrong.
    """
    if (options.folder is None) == (options.blind is None):
        raise ValueError("name one folder: of recordings to be labelled, or --blind of clips to be recognised")
    if not 0.0 <= options.repeat <= 1.0:
        raise ValueError(f"--repeat {options.repeat:g} must be from 0 to 1")
    if options.count is not None and options.count < 1:
        raise ValueError(f"--count {options.count} must be 1 or more")
    path = options.labels or (options.blind / "blind.csv" if options.blind else Path("labels.csv"))
    if not path.parent.is_dir():
        raise ValueError(f"--labels {path}: there is no folder {path.parent}")
    sets = _sets(options.set)
    if options.blind:
        windows, faults = label_windows.of_blind(options.blind, options.seed)
    else:
        cut = Cut(options.window, options.fps, options.drop_first)
        windows, faults = label_windows.of_folder(options.folder, cut, options.seed)
    if options.unsure:
        from training import label_unsure  # imports torch, which takes seconds and is not needed otherwise

        windows = label_unsure.ordered(windows, options.unsure, [name for name, _ in sets])
    for fault in faults:
        print(f"left out: {fault}", file=sys.stderr)
    about = CLIPS if options.blind else TAKES
    book = Book(path.resolve(), about, sets, windows, options.who)
    if kept := sorted({line["label set"] for line in book.lines.values()} - dict(sets).keys()):
        print(f"{path} also has {', '.join(kept)}: kept as it is")
    known, others = [name for name, _ in sets], {}
    for other in options.others:
        columns, others[other.name] = read_lines(other)
        if key_columns(columns) != about:
            raise ValueError(f"--others {other} has {', '.join(key_columns(columns))}, not {', '.join(about)}")

    def compared() -> dict[str, dict[str, Agreement]]:
        mine = [line for line in book.lines.values() if line["label set"] in known]
        return {name: label_agreement.compare(mine, lines) for name, lines in others.items()}

    return Session(windows[: options.count], book, options.repeat, options.seed), compared


def _sets(said: Sequence[str]) -> LabelSets:
    """The label sets of the command line. Raises ValueError for one that is none, and without any."""
    if not said:
        raise ValueError("--set is missing: it says what labels there are, as in --set time=low,medium,high")
    sets: dict[str, tuple[str, ...]] = {}
    for each in said:
        name, _, given = (part.strip() for part in each.partition("="))
        choices = tuple(label.strip() for label in given.split(",") if label.strip())
        if not name or len(choices) < 2 or len(set(choices)) < len(choices):
            raise ValueError(f"--set {each!r} must be a name and two labels or more that differ: time=low,medium,high")
        if name in sets:
            raise ValueError(f"--set {name} stands there twice")
        sets[name] = choices
    return tuple(sets.items())


def _open(host: str, port: int) -> Stage:
    try:
        return open_page(host, port)
    except OSError as error:
        raise OSError(
            f"cannot open the page on {host}:{port}: {error.strerror or error}; close the program that has the port, "
            "or choose another with --port"
        ) from None


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.label", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="folder of recordings")
    parser.add_argument("--labels", type=Path, help="CSV to write (default: labels.csv; with --blind its blind.csv)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=LABEL,LABEL",
        help="a label set and its labels in the order of the dial; several sets are asked for together",
    )
    parser.add_argument("--who", default="", help="name of who labels")
    parser.add_argument("--blind", type=Path, help="folder of clips to be recognised, as training.evaluate writes it")
    parser.add_argument("--repeat", type=float, default=0.0, help="share of windows that are shown a second time")
    parser.add_argument("--others", type=Path, nargs="+", default=[], help="files of other people to compare with")
    parser.add_argument("--agreement", type=Path, nargs="+", metavar="FILE", help="only print how far files agree")
    parser.add_argument("--count", type=int, help="label so many windows, of all takes (default: all)")
    parser.add_argument("--unsure", type=Path, metavar="CKPT", help="first what this labelled partner is least sure of")
    parser.add_argument("--seed", type=int, default=0, help="of the order")
    parser.add_argument("--window", type=int, default=40, help="frames of a window")
    parser.add_argument("--fps", type=float, default=30.0, help="frames a second")
    parser.add_argument("--drop-first", type=int, default=10, help="frames at a file's beginning that are left out")
    parser.add_argument("--host", default="127.0.0.1", help="the address that the page listens on")
    parser.add_argument("--port", type=int, default=8081, help="0 takes a free one")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
