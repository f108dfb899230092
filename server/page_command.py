"""The stage page as a program of its own: whether its port can be had, and how it is called."""

from __future__ import annotations

import errno
import os
import re
import socket
import sys

from server.preset_doors import StagePage
from server.preset_values import LOOPBACK


def check_port(page: StagePage) -> None:
    """Raises OSError, with what to do about it, where the page could not be opened."""
    with socket.socket() as probe:
        if os.name == "posix":  # elsewhere it would take a port that another program has
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((page.host, page.port))
        except OSError as error:
            advice = "set stage_page.host (--page-host) to an address of this machine"
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                advice = "close the program that has the port, set stage_page.port (--page-port)"
            raise OSError(
                f"cannot open the stage page on {page.host}:{page.port}: {error.strerror}; {advice}, or run with "
                f"--no-page"
            ) from None


def page_command(page: StagePage, publisher: str, control: str | None) -> list[str]:
    """publisher: the endpoint that has all actors. control: host:port of the remote control, if there is one."""
    command = [sys.executable, "-m", "server.stage_view", "--connect", from_here(publisher)]
    command += ["--host", page.host, "--port", str(page.port)]
    command += ["--behind-proxy", page.behind_proxy] if page.behind_proxy else []
    return command + (["--control", from_here(control)] if control else [])


def from_here(address: str) -> str:
    """An address as this machine's own programs reach it: Windows sends nothing to 0.0.0.0."""
    return re.sub(r"(^|//)0\.0\.0\.0:", rf"\g<1>{LOOPBACK}:", address)
