"""Opens a page of viser's: on the port that was asked for or not at all, without its banner and its tunnel outside."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import socket
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import viser
from websockets.asyncio import server
from websockets.typing import Origin

from server.allowed import is_loopback

# A page of any other place that a browser here has open could reach this one's port as well as its own.
OURS = re.compile(r"http://(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?")


class Stage(viser.ViserServer):
    """viser without its banner and without its tunnel to the outside: nothing on the page can share the stage.

    behind_proxy: where else than on this machine the page may have been opened, such as https://stage.example.org.
    """

    def __init__(self, host: str, port: int, behind_proxy: str | None = None) -> None:
        origins: list[Any] = [None, OURS, *([behind_proxy] if behind_proxy else [])]  # None: no browser
        with contextlib.redirect_stdout(io.StringIO()), _connected_from(origins):
            super().__init__(host=host, port=port, verbose=False)

    def request_share_url(self, verbose: bool = True) -> str | None:
        return None

    def stop(self) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            super().stop()


@contextlib.contextmanager
def _connected_from(origins: Sequence[Origin | re.Pattern[str] | None]) -> Iterator[None]:
    """While a server of viser's is made: viser has no word for who may connect, and websockets has."""
    serve = server.serve
    server.serve = partial(serve, origins=origins)  # type: ignore[assignment, misc]
    try:
        yield
    finally:
        server.serve = serve  # type: ignore[misc]


def open_page(host: str, port: int, behind_proxy: str | None = None) -> Stage:
    """A page; port 0 takes a free one. behind_proxy: where a proxy with a login shows it to other machines.

    Raises OSError when the port is taken, for viser would quietly take the next one, and for a host that other machines
    reach without a proxy.
    """
    if not behind_proxy and not is_loopback(host):
        raise OSError(errno.EACCES, "other machines reach that, and the page asks for no login; put a proxy before it")
    if port:
        with socket.socket() as probe:
            if os.name == "posix":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    stage = Stage(host, port, behind_proxy)
    if port and stage.get_port() != port:
        stage.stop()
        raise OSError("another program took the port")
    return stage
