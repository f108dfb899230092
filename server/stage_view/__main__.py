"""The page's process: opens the port, then draws the newest poses thirty times a second until told to stop.

It ends on SIGINT or SIGTERM, and when its standard input is a pipe that closes: so it never outlives the server that
started it. It prints nothing but errors, and its address when the port was 0. Exit code 2: it could not begin.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import stat
import sys
import threading
import time
from pathlib import Path

import viser

from server.keys import ClientKeys, read_pair, read_public
from server.page_secrets import PageSecrets
from server.protocols.frames import PacketError
from server.stage_view.feed import SILENCE, Feed, Remote
from server.stage_view.opening import open_page
from server.stage_view.panel import Panel
from server.stage_view.scene import Scene

FPS = 30.0
NICENESS = 10  # however many look on: a core that the show wants is the show's
_LONGEST_GLIDE = 0.2  # a page that slept does not leap
_UNSEEN = 0.5  # seconds from one drawing to the next while nobody looks: whoever comes sees somebody at once


def main(arguments: list[str] | None = None) -> int:
    """The command; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    secrets = PageSecrets.received()
    if (options.key is None) != (options.server_key is None):
        parser.error("--key and --server-key go together")
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    logging.getLogger("websockets.server").addFilter(_is_ours)
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    _stop_with_standard_input(stopping)
    try:
        keys = ClientKeys(read_pair(options.key), read_public(options.server_key)) if options.key else secrets.keys
        feed = Feed(options.connect, keys)
    except ValueError as error:
        print(f"--connect, --key: {error}", file=sys.stderr)
        return 2
    try:
        server = open_page(options.host, options.port, options.behind_proxy)
    except OSError as error:
        feed.close()
        print(
            f"cannot open the stage page on {options.host}:{options.port}: {error.strerror or error}; close the "
            f"program that has the port, or choose another with --port",
            file=sys.stderr,
        )
        return 2
    if options.port == 0:
        print(f"http://{options.host}:{server.get_port()}", flush=True)
    remote = None
    if options.control:
        host, port = options.control
        remote = Remote(host, port, secrets.token)
    try:
        run(server, feed, remote, stopping)
    finally:
        feed.close()
        if remote:
            remote.close()
        server.stop()
    return 0


def run(server: viser.ViserServer, feed: Feed, remote: Remote | None, stopping: threading.Event) -> None:
    """Hears, draws and shows figures until `stopping` is set."""
    scene = Scene(server)
    panel = Panel(server, scene, remote)
    notice, now, posed, drawn, sent = "", time.monotonic(), -float("inf"), -float("inf"), 0.0
    while not stopping.wait(max(0.0, now + 1.0 / FPS - time.monotonic())):
        now = time.monotonic()
        news = feed.news()
        if news.stats is not None:
            with contextlib.suppress(PacketError):
                panel.update(news.stats)
        if news.poses is not None:
            posed = now
            if server.get_clients() or now - drawn >= _UNSEEN:
                drawn = now
                frames, header = news.poses
                panel.see(frames)
                scene.show(frames, header.partners, min(max(0.0, header.send_time - sent), _LONGEST_GLIDE))
                sent = header.send_time
        waiting_for = _waiting_for(feed, posed_recently=now - posed < SILENCE)
        if waiting_for != notice:
            notice = waiting_for
            scene.say(notice)
            if notice:
                scene.hide()
            if not feed.alive:
                panel.lost(feed.endpoint)


def _is_ours(record: logging.LogRecord) -> bool:
    """Not that somebody knocked and spoke no HTTP, or nothing: websockets would print a traceback for each."""
    return record.getMessage() != "opening handshake failed"


def _waiting_for(feed: Feed, posed_recently: bool) -> str:
    if not feed.alive:
        return f"waiting for the server at {feed.endpoint}"
    if feed.fault:
        return f"cannot read what the server sends: {feed.fault}"
    return "" if posed_recently else "waiting for a dancer"


def _stop_with_standard_input(stopping: threading.Event) -> None:
    """The server starts the page with a pipe and never writes to it: its end is the server's end."""
    try:
        descriptor = sys.stdin.fileno()
        is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    except (OSError, ValueError, AttributeError):
        return
    if is_pipe:

        def wait() -> None:
            while os.read(descriptor, 4096):  # not sys.stdin: its lock would be held when the interpreter ends
                pass
            stopping.set()

        threading.Thread(target=wait, name="standard input", daemon=True).start()


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host, int(port)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m server.stage_view", description="The stage page in a browser.")
    parser.add_argument("--connect", default="tcp://127.0.0.1:39550", help="the server's ZMQ output")
    parser.add_argument("--key", type=Path, help="our own secret key, for a server that asks for one")
    parser.add_argument("--server-key", type=Path, help="that server's public key")
    parser.add_argument("--host", default="127.0.0.1", help="the address the page listens on")
    parser.add_argument("--behind-proxy", metavar="URL", help="where a proxy with a login shows the page to others")
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one and prints the address")
    parser.add_argument("--control", type=_address, default=None, help="the server's OSC control, HOST:PORT")
    return parser


if __name__ == "__main__":
    sys.exit(main())
