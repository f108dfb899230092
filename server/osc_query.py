"""OSCQuery: every address of the show, with its type, range and value, as JSON over HTTP. It only tells; OSC sets.

And `/metrics`: the show's figures as Prometheus asks for them.
A thread of its own that never does more than its share: so many connections and so many answers a second, and whoever
sends nothing is sent away. Spec: https://github.com/Vidvox/OSCQueryProposal
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urlsplit

from server.addresses import Node
from server.admission import Rates
from server.allowed import Allowed
from server.control import ControlError
from server.desk import Desk

MOST_CONNECTIONS = 32
PAUSE_SECONDS = 0.004  # after each connection, and after each answer
PATIENCE_SECONDS = 5.0
ANSWERS_A_SECOND = 100  # to one address
LONGEST_REQUEST = 8192  # bytes
METRICS = "/metrics"
JSON_TYPE = "application/json"
ATTRIBUTES = ("ACCESS", "CLIPMODE", "CONTENTS", "DESCRIPTION", "FULL_PATH", "RANGE", "TYPE", "VALUE")
READ, WRITE = 1, 2

Json = dict[str, Any]


class OscQuery:
    """Owns the HTTP socket and its thread. info: HOST_INFO. allow: as for OSC. metrics: their type and text.

    Raises ControlError for a port in use.
    """

    def __init__(
        self,
        host: str,
        port: int,
        desk: Desk,
        info: Json,
        allow: Sequence[str] = (),
        metrics: Callable[[], tuple[str, bytes]] | None = None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._desk, self._info, self._metrics = desk, info, metrics
        self._allowed = Allowed(allow, "control.allow")
        self._rates = Rates(ANSWERS_A_SECOND)
        self._room, self._turn = asyncio.Semaphore(MOST_CONNECTIONS), asyncio.Lock()
        self._socket = _listening(host, port)
        self.host, self.port = self._socket.getsockname()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="oscquery", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        else:
            self._loop.close()
        self._socket.close()

    def _run(self) -> None:
        accepting = self._loop.create_task(self._accept())
        self._loop.run_forever()
        tasks = asyncio.all_tasks(self._loop) | {accepting}
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _accept(self) -> None:
        served: set[asyncio.Task[None]] = set()
        while True:
            await self._room.acquire()
            try:
                connection, source = await self._loop.sock_accept(self._socket)
            except OSError:  # too many files are open, or the peer has gone already
                self.counts["socket_error"] += 1
                self._room.release()
            else:
                task = self._loop.create_task(self._serve(connection, source[0]))
                served.add(task)
                task.add_done_callback(served.discard)
                task.add_done_callback(partial(self._part, connection))
            await asyncio.sleep(PAUSE_SECONDS)

    def _part(self, connection: socket.socket, task: asyncio.Task[None]) -> None:
        """The connection is done with, also where the server was closed before it was served at all."""
        connection.close()
        self._room.release()

    async def _serve(self, connection: socket.socket, source: str) -> None:
        connection.setblocking(False)
        with contextlib.suppress(OSError, TimeoutError):
            waiting, again = b"", source in self._allowed
            if not again:
                self.counts["dropped_source"] += 1
            while again:
                request, waiting = await asyncio.wait_for(self._request(connection, waiting), PATIENCE_SECONDS)
                if request is None:
                    return
                if not self._rates.take(source, self._loop.time()):
                    self.counts["dropped_rate"] += 1
                    return
                async with self._turn:
                    try:
                        status, kind, body, again = self._answer(request)
                    except Exception:  # a fault of ours, whatever it is, is one answer's
                        status, kind, body, again = HTTPStatus.INTERNAL_SERVER_ERROR, JSON_TYPE, b"", False
                    self.counts[f"http_{status.value}"] += 1
                    await asyncio.sleep(PAUSE_SECONDS)
                await asyncio.wait_for(
                    self._loop.sock_sendall(connection, _response(status, kind, body, again)), PATIENCE_SECONDS
                )

    async def _request(self, connection: socket.socket, waiting: bytes) -> tuple[bytes | None, bytes]:
        """The head of the next request, and what came behind it; None when there is no more."""
        while b"\r\n\r\n" not in waiting:
            if len(waiting) > LONGEST_REQUEST:
                return waiting, b""
            data = await self._loop.sock_recv(connection, LONGEST_REQUEST)
            if not data:
                return None, b""
            waiting += data
        head, _, behind = waiting.partition(b"\r\n\r\n")
        return head, behind

    def _answer(self, head: bytes) -> tuple[HTTPStatus, str, bytes, bool]:
        """Status, what the body is, the body, and whether the connection stays."""
        line, *headers = head.decode("latin-1").split("\r\n")
        method, _, rest = line.partition(" ")
        target, _, version = rest.rpartition(" ")
        stays = version == "HTTP/1.1" and not any(h.lower().replace(" ", "") == "connection:close" for h in headers)
        if not version.startswith("HTTP/1.") or len(head) > LONGEST_REQUEST:
            return HTTPStatus.BAD_REQUEST, JSON_TYPE, b"", False
        if method != "GET":
            return HTTPStatus.METHOD_NOT_ALLOWED, JSON_TYPE, b"", False
        if self._metrics is not None and target.partition("?")[0] == METRICS:
            return HTTPStatus.OK, *self._metrics(), stays
        status, content = self.query(target)
        return status, JSON_TYPE, b"" if content is None else json.dumps(content).encode(), stays

    def query(self, target: str) -> tuple[HTTPStatus, Json | None]:
        """What a URL's path and query ask for. 204: there is nothing of the kind at this address."""
        try:
            parts = urlsplit(target)
        except ValueError:
            return HTTPStatus.BAD_REQUEST, None
        if parts.query == "HOST_INFO":
            return HTTPStatus.OK, self._info
        if parts.query and parts.query not in ATTRIBUTES:
            return HTTPStatus.BAD_REQUEST, None
        node = tree(self._desk.nodes())
        for name in filter(None, unquote(parts.path).split("/")):
            node = node.get("CONTENTS", {}).get(name)
            if node is None:
                return HTTPStatus.NOT_FOUND, None
        if not parts.query:
            return HTTPStatus.OK, node
        if parts.query not in node:
            return HTTPStatus.NO_CONTENT, None
        return HTTPStatus.OK, {parts.query: node[parts.query]}


def host_info(name: str, osc_host: str, osc_port: int) -> Json:
    """HOST_INFO. Whoever listens everywhere has no one address: clients then take the one they ask at."""
    address = {} if osc_host in ("0.0.0.0", "") else {"OSC_IP": osc_host}
    known = {"ACCESS", "CLIPMODE", "DESCRIPTION", "RANGE", "TYPE", "VALUE"}
    extensions = {extension: extension in known for extension in (*sorted(known), "LISTEN", "PATH_CHANGED")}
    return {"NAME": name, **address, "OSC_PORT": osc_port, "OSC_TRANSPORT": "UDP", "EXTENSIONS": extensions}


def tree(nodes: Iterable[Node]) -> Json:
    """The root of the address space, with all below it."""
    root: Json = {"FULL_PATH": "/", "DESCRIPTION": "all there is", "ACCESS": 0, "CONTENTS": {}}
    for node in nodes:
        place, path = root, ""
        for name in node.address.strip("/").split("/"):
            path += f"/{name}"
            contents = place.setdefault("CONTENTS", {})
            place = contents.setdefault(name, {"FULL_PATH": path, "ACCESS": 0})
        place |= _described(node)
    return root


def _described(node: Node) -> Json:
    numbers = len(node.value)
    described: Json = {
        "DESCRIPTION": node.about,
        "TYPE": node.type,
        "ACCESS": READ | WRITE if node.writable else READ,
        "VALUE": list(node.value),  # a button's is null, which is the value of its type, N
    }
    if node.span is not None:
        described["RANGE"] = [{"MIN": node.span[0], "MAX": node.span[1]}] * numbers
        described["CLIPMODE"] = ["both"] * numbers
    elif node.choices and (choices := node.choices()):
        described["RANGE"] = [{"VALS": list(choices)}]
    return described


def _response(status: HTTPStatus, kind: str, body: bytes, stays: bool) -> bytes:
    head = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Content-Type: {kind}",
        "Access-Control-Allow-Origin: *",  # pages of other hosts may show the knobs; nothing can be set here
        f"Connection: {'keep-alive' if stays else 'close'}",
    ]
    if status is not HTTPStatus.NO_CONTENT:
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode() + body


def _listening(host: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # elsewhere it would take a port that another program has
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(64)
    except OSError as error:
        listening.close()
        advice = "set control.host to an address of this machine, such as 127.0.0.1"
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            advice = "close the program that has the port, set control.oscquery to another one, or to off"
        raise ControlError(f"cannot answer OSCQuery on {host}:{port}: {error.strerror}; {advice}") from None
    listening.setblocking(False)
    return listening
