"""Opens a page of viser's: on the port that was asked for or not at all, without its banner and its tunnel outside."""

from __future__ import annotations

import contextlib
import io
import os
import socket

import viser


class Stage(viser.ViserServer):
    """viser without its banner and without its tunnel to the outside: nothing on the page can share the stage."""

    def __init__(self, host: str, port: int) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            super().__init__(host=host, port=port, verbose=False)

    def request_share_url(self, verbose: bool = True) -> str | None:
        return None

    def stop(self) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            super().stop()


def open_page(host: str, port: int) -> Stage:
    """A page; port 0 takes a free one. Raises OSError when the port is taken: viser would quietly take the next one."""
    if port:
        with socket.socket() as probe:
            if os.name == "posix":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    server = Stage(host, port)
    if port and server.get_port() != port:
        server.stop()
        raise OSError("another program took the port")
    return server
