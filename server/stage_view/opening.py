"""Opens a page of viser's: on the port that was asked for or not at all, without its banner and its tunnel outside."""

from __future__ import annotations

import contextlib
import errno
import gzip
import io
import os
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import viser
from websockets.asyncio import server
from websockets.http11 import Request, Response
from websockets.typing import Origin

from server.allowed import is_loopback

# A page of any other place that a browser here has open could reach this one's port as well as its own.
OURS = re.compile(r"http://(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?")

# Runs in the browser before anything of viser's. What viser lights the stage with until it is told otherwise is an
# image that takes long to unpack, and nothing here is lit by it. Where there is no GPU pixels are dear, and to smooth
# edges four are drawn for each: there the stage is drawn coarser, unless the address says how fine (?fixedDpr=1).
# Keys such as F for freeze are to be heard even where somebody has just ticked a box or typed a number.
FIRST = b"""<script>
{
  const theirs = window.fetch;
  window.fetch = (what, ...how) =>
    String(what.url ?? what).startsWith("data:image/jpeg") ? new Promise(() => {}) : theirs(what, ...how);
  const asked = new URLSearchParams(location.search);
  const probe = asked.has("fixedDpr") ? null : document.createElement("canvas").getContext("webgl2");
  const names = probe?.getExtension("WEBGL_debug_renderer_info");
  if (names && /swiftshader|llvmpipe|software|basic render/i.test(probe.getParameter(names.UNMASKED_RENDERER_WEBGL))) {
    const make = HTMLCanvasElement.prototype.getContext;
    HTMLCanvasElement.prototype.getContext = function (kind, wishes) {
      return make.call(this, kind, kind === "webgl2" ? { ...wishes, antialias: false } : wishes);
    };
    asked.set("fixedDpr", "0.67");
    history.replaceState(null, "", "?" + asked);
  }
  const isText = part => part.type !== "checkbox" && part.inputMode !== "decimal" && part.inputMode !== "numeric";
  addEventListener("keydown", event => {
    const { target, key, code } = event, isLetter = /^[a-z]$/i.test(key);
    const isOurs = isLetter && !event.ctrlKey && !event.metaKey && !event.altKey;
    if (target.tagName !== "INPUT" || isText(target) || !isOurs) return;
    event.stopImmediatePropagation();
    event.preventDefault();
    document.body.dispatchEvent(new KeyboardEvent("keydown", { key, code, bubbles: true }));
  }, true);
}
</script>"""
Answer = Callable[[Any, Request], Response | None]


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
    """While a server of viser's is made: viser has no word for who may connect and what runs first; websockets has."""
    serve = server.serve

    def ours(*arguments: Any, process_request: Answer, **options: Any) -> server.serve:
        return serve(*arguments, process_request=_with_first(process_request), origins=origins, **options)

    server.serve = ours  # type: ignore[assignment, misc]
    try:
        yield
    finally:
        server.serve = serve  # type: ignore[misc]


def _with_first(answer: Answer) -> Answer:
    """The page has FIRST in it."""

    @cache
    def page(body: bytes, zipped: bool) -> bytes:
        whole = body.replace(b"<head>", b"<head>" + FIRST, 1)
        return gzip.compress(whole, 1) if zipped else whole  # it is packed already: more takes long and gains nothing

    def ours(connection: Any, request: Request) -> Response | None:
        zipped = any("gzip" in kinds for kinds in request.headers.get_all("Accept-Encoding"))
        if zipped:
            del request.headers["Accept-Encoding"]
        response = answer(connection, request)
        if response is not None and response.headers.get("Content-Type", "").startswith("text/html"):
            response.body = page(bytes(response.body), zipped)
            for name in ("Content-Length", "Content-Encoding"):
                del response.headers[name]
            response.headers["Content-Length"] = str(len(response.body))
            response.headers["Content-Encoding"] = "gzip" if zipped else "identity"
        return response

    return ours


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
