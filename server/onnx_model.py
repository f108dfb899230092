"""A model file ready to run: session, provider choice, warm-up, state. The only place that imports onnxruntime.

A model is known by its manifest alone. One thread a session: small graphs lose time to more. Plain `run` on numpy
arrays is the fastest door for a graph this small: 105 µs a step, against 120 with bound values and 145 with OrtValues.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from motion.manifest import METADATA_KEY, Manifest, ManifestError
from server import onnx_file

DEVICES = ("cpu", "cuda", "auto")
Values = NDArray[np.float32]


class ModelError(ValueError):
    """A model file that cannot go on stage: what is wrong, with the choices."""


class OnnxModel:
    """A model for `batch` dancers at once.

    device: "cpu", "cuda" (ModelError when its libraries do not load) or "auto" (CUDA when it loads).
    """

    def __init__(self, path: Path, device: str = "cpu", batch: int = 1) -> None:
        session, self.manifest = _open(path, device)
        self.path = path
        self.batch = batch
        self.device = "cuda" if "CUDAExecutionProvider" in session.get_providers() else "cpu"
        self._session = session
        self._output_names = [port.name for port in self.manifest.outputs]
        self._feeds = {port.name: port.feeds for port in self.manifest.outputs if port.role == "state"}
        self.inputs: dict[str, Values] = {
            port.name: np.zeros((batch, *(1 if isinstance(size, str) else size for size in port.shape[1:])), np.float32)
            for port in self.manifest.inputs
        }
        self.warm_up()

    def step(self) -> dict[str, Values]:
        """Runs one step on what stands in `inputs` and keeps the new state there. Returns the other outputs by name."""
        results = dict(zip(self._output_names, self._session.run(self._output_names, self.inputs), strict=True))
        for name, feeds in self._feeds.items():
            self.inputs[feeds] = results.pop(name)
        return results

    def reset(self) -> None:
        """Back to the state of a first frame."""
        for feeds in self._feeds.values():
            self.inputs[feeds] = np.zeros_like(self.inputs[feeds])

    def warm_up(self) -> None:
        """Runs a few steps so that the first frame on stage is not the slow one, then resets."""
        try:
            for _ in range(3):
                self.step()
        except Exception as error:  # onnxruntime raises many types of its own
            raise ModelError(f"{self.path} loads but does not run: {error}") from None
        self.reset()


def _open(path: Path, device: str) -> tuple[Any, Manifest]:
    if not path.is_file():
        others = sorted(p.name for p in path.parent.glob("*.onnx")) if path.parent.is_dir() else []
        raise ModelError(f"no model file {path}; models there: {', '.join(others) or 'none'}")
    session = _session(path, device)
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


def _session(path: Path, device: str) -> onnxruntime.InferenceSession:
    """The file's session: the one that is open already, if its file has not changed. Sessions hold no state."""
    stat = path.stat()
    key = (path.resolve(), stat.st_mtime_ns, stat.st_size, device)
    session = _sessions.get(key)
    if session is not None:
        return session
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    try:
        onnx_file.check(path)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is not a model that onnxruntime can run: {error}") from None
    try:
        session = onnxruntime.InferenceSession(path, options, providers=_providers(device))
    except ModelError:
        raise
    except Exception as error:  # onnxruntime raises many types of its own for a file it cannot use
        raise ModelError(f"{path} is not a model that onnxruntime can run: {error}") from None
    _sessions[key] = session
    return session


_sessions: WeakValueDictionary[tuple[Path, int, int, str], onnxruntime.InferenceSession] = WeakValueDictionary()


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


def _providers(device: str) -> list[str]:
    if device not in DEVICES:
        raise ModelError(f"unknown device {device!r}; choose one of {', '.join(DEVICES)}")
    if device == "cpu":
        return ["CPUExecutionProvider"]
    if _cuda_loads():
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]
    if device == "cuda":
        raise ModelError("device 'cuda' was asked for, but CUDA's libraries or its driver do not load here; use 'cpu'")
    return ["CPUExecutionProvider"]


def _cuda_loads() -> bool:
    """Whether the CUDA provider would start: asked before onnxruntime is, which would print its own errors."""
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return False
    try:
        ctypes.CDLL("nvcuda.dll" if hasattr(ctypes, "WinDLL") else "libcuda.so.1")  # the driver
    except OSError:
        return False
    onnxruntime.preload_dlls()  # the CUDA and cuDNN libraries that pip installed, if any
    folder = Path(onnxruntime.__file__).parent / "capi"
    names = ("onnxruntime_providers_shared", "onnxruntime_providers_cuda")
    try:
        for name in names:
            library = next(p for p in folder.iterdir() if p.stem in (name, f"lib{name}"))
            ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
    except (OSError, StopIteration):
        return False
    return True
