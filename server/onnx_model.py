"""A model file ready to run: session, device, warm-up, state. Only this and `onnx_cuda` import onnxruntime.

A model is known by its manifest alone. One thread a session: small graphs lose time to more. Plain `run` on numpy
arrays is the fastest door for a graph this small: 105 µs a step, against 120 with bound values and 145 with OrtValues.
A card is another matter: what is bound there stays there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from motion.manifest import METADATA_KEY, Manifest, ManifestError
from server import onnx_cuda, onnx_file

DEVICES = ("cpu", "cuda", "auto")
NAMED_AXIS = 16  # how long an axis that may have any length is while a model is measured: beats between a suit's keys
WARM_UP, ROUNDS, MEASURING_SECONDS = 3, 30, 1.0
Values = NDArray[np.float32]

_log = logging.getLogger(__name__)


class ModelError(ValueError):
    """A model file that cannot go on stage: what is wrong, with the choices."""


class OnnxModel:
    """A model for `batch` dancers at once.

    device: "cpu", "cuda" (the CPU where that does not run, which is said) or "auto" (the faster one, likewise); the
    attribute is what it came to, "cpu" or "cuda". On a card, states do not stand in `inputs`.
    """

    def __init__(self, path: Path, device: str = "cpu", batch: int = 1) -> None:
        if device not in DEVICES:
            raise ModelError(f"unknown device {device!r}; choose one of {', '.join(DEVICES)}")
        self._session, self.manifest = _open(path)
        self.path = path
        self.batch = batch
        self.device = "cpu"
        self._bound: onnx_cuda.Bound | None = None
        self._output_names = [port.name for port in self.manifest.outputs]
        self._feeds = {port.name: port.feeds for port in self.manifest.outputs if port.role == "state"}
        self.inputs = self._inputs(0.0, 1)
        ports = (*self._session.get_inputs(), *self._session.get_outputs())
        self._any_batch = all(node.shape and not isinstance(node.shape[0], int) for node in ports)
        self.warm_up()
        if device != "cpu":
            self._move(device)

    @property
    def is_graph(self) -> bool:
        """Whether the card runs it as a CUDA graph."""
        return self._bound is not None and self._bound.records

    def step(self) -> dict[str, Values]:
        """Runs one step on what stands in `inputs` and keeps the new state there. Returns the other outputs by name."""
        if self._bound is not None:
            return self._bound.step(self.inputs)
        results = dict(zip(self._output_names, self._session.run(self._output_names, self.inputs), strict=True))
        for name, feeds in self._feeds.items():
            self.inputs[feeds] = results.pop(name)
        return results

    @property
    def company(self) -> object:
        """What models have in common that may be run as one (`step_together`); nobody else has it where none may."""
        return self if self._bound is not None or not self._any_batch else self._session

    def reset(self) -> None:
        """Back to the state of a first frame."""
        if self._bound is not None:
            self._bound.reset()
        for feeds in self._feeds.values():
            self.inputs[feeds] = np.zeros_like(self.inputs[feeds])

    def warm_up(self) -> None:
        """Runs a few steps so that the first frame on stage is not the slow one, then resets."""
        try:
            for _ in range(WARM_UP):
                self.step()
        except Exception as error:  # onnxruntime raises many types of its own
            raise ModelError(f"{self.path} loads but does not run: {error}") from None
        self.reset()

    def _inputs(self, value: float, named: int) -> dict[str, Values]:
        """Inputs full of a number, states of zeros; an axis with a name of its own is so long."""
        return {
            port.name: np.full(
                (self.batch, *(named if isinstance(size, str) else size for size in port.shape[1:])),
                0.0 if port.role == "state" else value,
                np.float32,
            )
            for port in self.manifest.inputs
        }

    def _move(self, asked: str) -> None:
        """To the card, unless there is none that runs it or, with `auto`, the CPU is faster."""
        if why := onnx_cuda.missing():
            _say(logging.WARNING, f"device {asked}: {why}; models run on the CPU")
            return
        records = onnx_cuda.may_record(onnx_file.check(self.path), [port.shape for port in self.manifest.inputs])
        results = [name for name in self._output_names if name not in self._feeds]
        try:
            bound = onnx_cuda.on_card(self.path, _options(), self.inputs, results, self._feeds, records)
            for _ in range(WARM_UP):
                bound.step(self.inputs)
            bound.reset()
        except Exception as error:  # onnxruntime raises many types of its own
            _say(logging.WARNING, f"{self.path.name}: it does not run on the card, and runs on the CPU: {error}")
            return
        if asked == "auto" and not self._is_faster(bound):
            return
        self._bound, self.device = bound, "cuda"

    def _is_faster(self, bound: onnx_cuda.Bound) -> bool:
        """Whether a step on the card is faster; what was found is said, and holds for the next one with this file."""
        key = (_key(self.path), self.batch)
        if key not in _on_card:
            inputs = self._inputs(0.1, NAMED_AXIS)
            cpu, card = measured(
                lambda: self._session.run(self._output_names, inputs),
                lambda: bound.step(inputs),
            )
            bound.reset()
            _on_card[key] = card < cpu
            graph = ", as a CUDA graph" if bound.records else ""
            found = f"{cpu:.2f} ms on the CPU, {card:.2f} ms on the card{graph}"
            _say(logging.INFO, f"{self.path.name}: {found}; it runs on the {'card' if _on_card[key] else 'CPU'}")
        return _on_card[key]


def step_together(models: Sequence[OnnxModel]) -> list[dict[str, Values]]:
    """A step of each of some models of one `company`, in one run: as `step` of each, to the last bits of a float."""
    if len(models) == 1:
        return [models[0].step()]
    names, feeds = models[0]._output_names, models[0]._feeds
    inputs = {name: np.concatenate([model.inputs[name] for model in models]) for name in models[0].inputs}
    made = dict(zip(names, models[0]._session.run(names, inputs), strict=True))
    answers, begin = [], 0
    for model in models:
        rows = slice(begin, begin := begin + model.batch)
        model.inputs |= {feeds[name]: made[name][rows] for name in feeds}
        answers.append({name: values[rows] for name, values in made.items() if name not in feeds})
    return answers


def measured(*steps: Callable[[], object]) -> list[float]:
    """Milliseconds (median) of each of some steps, taken by turns so that all meet the same neighbours."""
    times: list[list[float]] = []
    end = time.perf_counter() + MEASURING_SECONDS
    while len(times) < WARM_UP + ROUNDS and (len(times) <= WARM_UP or time.perf_counter() < end):
        times.append([])
        for step in steps:
            begun = time.perf_counter()
            step()
            times[-1].append(1e3 * (time.perf_counter() - begun))
    return [float(each) for each in np.median(times[WARM_UP:], axis=0)]


def _open(path: Path) -> tuple[Any, Manifest]:
    if not path.is_file():
        others = sorted(p.name for p in path.parent.glob("*.onnx")) if path.parent.is_dir() else []
        raise ModelError(f"no model file {path}; models there: {', '.join(others) or 'none'}")
    session = _session(path)
    label = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if label is None:
        raise ModelError(
            f"{path} carries no manifest; export it with `python -m exporters.onnx CHECKPOINT {path.name}`"
        )
    try:
        manifest = Manifest.from_json(label)
    except ManifestError as error:
        raise ModelError(f"{path}: {error}") from None
    _check_shapes(path, session, manifest)
    graph_inputs = {node.name for node in session.get_inputs()}
    graph_outputs = {node.name for node in session.get_outputs()}
    listed_inputs = {port.name for port in manifest.inputs}
    listed_outputs = {port.name for port in manifest.outputs}
    if graph_inputs != listed_inputs or not listed_outputs <= graph_outputs:
        raise ModelError(
            f"{path}: manifest and graph disagree: the graph takes {sorted(graph_inputs)} and gives "
            f"{sorted(graph_outputs)}, the manifest lists {sorted(listed_inputs)} and {sorted(listed_outputs)}"
        )
    return session, manifest


def _session(path: Path) -> onnxruntime.InferenceSession:
    """The file's session: the one that is open already, if its file has not changed. Sessions hold no state."""
    key = _key(path)
    session = _sessions.get(key)
    if session is not None:
        return session
    try:
        onnx_file.check(path)
        session = onnxruntime.InferenceSession(path, _options(), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises many types of its own for a file it cannot use
        raise ModelError(f"{path} is not a model that onnxruntime can run: {error}") from None
    _sessions[key] = session
    return session


_Key = tuple[Path, int, int]
_sessions: WeakValueDictionary[_Key, onnxruntime.InferenceSession] = WeakValueDictionary()
_on_card: dict[tuple[_Key, int], bool] = {}  # what `auto` came to, by file and batch


def _key(path: Path) -> _Key:
    stat = path.stat()
    return path.resolve(), stat.st_mtime_ns, stat.st_size


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4  # what fails is raised, too
    return options


@cache
def _say(level: int, text: str) -> None:
    """Once, however many models it is true of."""
    _log.log(level, text)


def _check_shapes(path: Path, session: Any, manifest: Manifest) -> None:
    """ModelError when a port's shape is not the graph's; a named axis fits any number."""
    graph = {node.name: node.shape for node in (*session.get_inputs(), *session.get_outputs())}
    for port in (*manifest.inputs, *manifest.outputs):
        shape = graph.get(port.name)
        if shape is not None and (
            len(shape) != len(port.shape)
            or any(isinstance(a, int) and a != b for a, b in zip(shape[1:], port.shape[1:], strict=True))
        ):
            raise ModelError(f"{path}: {port.name} has shape {shape} in the graph, {list(port.shape)} in the manifest")
