"""A show with a stopwatch: the server's own process, every part of it that a frame passes through timed.

    python -m benchmarks.stages PRESET OUT.json

`benchmarks.latency --stages` starts it. What is timed is wrapped here, when the process begins: a show that is not
measured has nothing of it. A part's seconds are its own, without those of parts within it. A frame's time begins with
the arrival of its first datagram and ends when its partner's packet has been given to the system; what comes after that
(other outputs, what is left to do) is told by itself.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import server.stages
from server import preset as presets
from server.app import Show
from server.onnx_model import OnnxModel
from server.receivers.peers import Peers
from server.receivers.udp import UdpReceiver
from server.stages.walk import Walk

FORGOTTEN = 0.1  # seconds after which datagrams that made no frame belong to none
LEAVES = "send"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("preset", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    watch = Stopwatch()
    for owner, method, name in ((Peers, "feed", "decode"), (OnnxModel, "step", "model"), *_stages()):
        timed = watch.through if method == "walk" else watch.around
        setattr(owner, method, timed(name, getattr(owner, method)))
    UdpReceiver.take = watch.of_frames(UdpReceiver.take)
    preset = presets.load(options.preset).model_copy(update={"stage_page": None})
    show = Show(preset, options.preset)
    try:
        for output in show.outputs:
            output._encoder.encode = watch.around("encode", output._encoder.encode)
            output.sender.send = watch.around(LEAVES, output.sender.send)
        print(show.report.opening(None), flush=True)
        show.start()
        show.run()
    finally:
        show.close()
    options.out.write_text(json.dumps(breakdown(watch.frames)), encoding="utf-8")


class Stopwatch:
    """frames: of each, its parts' seconds by name, `total` and `afterwards`. Only what is done within a datagram's
    delivery counts: rehearsals and workers pass through unseen.
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self.frames: list[dict[str, float]] = []
        self._now = now
        self._threads = threading.local()

    def around(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same work, timed."""

        def timed(*arguments: Any, **more: Any) -> Any:
            frame: _Frame | None = getattr(self._threads, "frame", None)
            if frame is None or not frame.is_open:
                return work(*arguments, **more)
            frame.within.append(0.0)
            begun = self._now()
            try:
                return work(*arguments, **more)
            finally:
                ended = self._now()
                frame.spent[name] += ended - begun - frame.within.pop()
                if frame.within:
                    frame.within[-1] += ended - begun
                if name == LEAVES and frame.left is None:
                    frame.left = ended
                    frame.parts = dict(frame.spent)

        return timed

    def through(self, name: str, walk: Callable[..., Walk[Any]]) -> Callable[..., Walk[Any]]:
        """The same walk, timed where it goes, and not where it waits for a model."""

        def walked(*arguments: Any, **more: Any) -> Walk[Any]:
            going = walk(*arguments, **more)
            send, throw = self.around(name, going.send), self.around(name, going.throw)
            try:
                model = send(None)
                while True:
                    try:
                        answer = yield model
                    except Exception as error:
                        model = throw(error)
                    else:
                        model = send(answer)
            except StopIteration as end:
                return end.value

        return walked

    def of_frames(self, take: Callable[..., None]) -> Callable[..., None]:
        """A receiver's `take(self, datagram, source, receive_time)`: the frame's time begins and ends here."""

        def taken(receiver: Any, datagram: Any, source: Any, receive_time: float) -> None:
            frame: _Frame | None = getattr(self._threads, "frame", None)
            if frame is None or receive_time - frame.begun > FORGOTTEN:
                frame = self._threads.frame = _Frame(receive_time)
            frame.is_open = True
            try:
                take(receiver, datagram, source, receive_time)
            finally:
                frame.is_open = False
                if frame.left is not None:
                    times = {"total": frame.left - frame.begun, "afterwards": self._now() - frame.left}
                    self.frames.append(frame.parts | times)
                    self._threads.frame = None

        return taken


class _Frame:
    """One that is under way."""

    def __init__(self, begun: float) -> None:
        self.begun, self.is_open = begun, False
        self.left: float | None = None
        self.spent: defaultdict[str, float] = defaultdict(float)
        self.parts: dict[str, float] = {}
        self.within: list[float] = []  # of every part that is being timed, the seconds of parts within it


def breakdown(frames: list[dict[str, float]]) -> dict[str, float]:
    """Means in microseconds of the middle half of frames by their total, which the parts and `between` add up to."""
    if not frames:
        return {}
    totals = np.array([frame["total"] for frame in frames])
    low, high = np.percentile(totals, (25, 75), method="nearest")  # some frame's, however few there are
    middle = [frame for frame, total in zip(frames, totals, strict=True) if low <= total <= high]
    names = dict.fromkeys(name for frame in middle for name in frame)
    means = {name: 1e6 * float(np.mean([frame.get(name, 0.0) for frame in middle])) for name in names}
    total, afterwards = means.pop("total"), means.pop("afterwards")
    return {**means, "between": total - sum(means.values()), "server": total, "afterwards": afterwards}


def _stages() -> list[tuple[Any, str, str]]:
    """Every stage there is, and what it is called."""
    found = []
    for module in pkgutil.iter_modules(server.stages.__path__):
        for kind in vars(importlib.import_module(f"server.stages.{module.name}")).values():
            if isinstance(kind, type) and kind.__module__.endswith(f".{module.name}") and "step" in vars(kind):
                name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()
                found += [(kind, method, name) for method in ("step", "walk") if method in vars(kind)]
    return found


if __name__ == "__main__":
    main()
