"""A model on the card: what that takes, and steps whose state stays there, as a CUDA graph where one fits.

Inputs are copied to where they are bound, and each state goes round between two values: what one turn writes the next
one reads. A graph is recorded with its addresses, so there is one for each of the two turns. All but the recording
works on a processor's memory as well, which is where tests have it.
https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html#using-cuda-graphs-preview
"""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

Values = NDArray[np.float32]
# What a recorded graph cannot have: branches, and results whose size is known only when they are there.
NEVER_RECORDED = {"If", "Loop", "Scan", "NonZero", "Compress", "Unique", "NonMaxSuppression"}
_UNRECORDED = -1
_numbers = itertools.count(1)  # of recorded graphs


def missing() -> str:
    """Why no model can run on a card here; empty when one can. Asked first, for onnxruntime prints its own errors."""
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return "this onnxruntime is one without CUDA; onnxruntime-gpu has it"
    try:
        driver = ctypes.CDLL("nvcuda.dll" if hasattr(ctypes, "WinDLL") else "libcuda.so.1")
    except OSError:
        return "no NVIDIA driver is installed"
    if driver.cuInit(0) != 0:
        return "the NVIDIA driver finds no card"
    onnxruntime.preload_dlls()  # the CUDA and cuDNN libraries that pip installed, if any
    folder = Path(onnxruntime.__file__).parent / "capi"
    try:
        for name in ("onnxruntime_providers_shared", "onnxruntime_providers_cuda"):
            library = next(p for p in folder.iterdir() if p.stem in (name, f"lib{name}"))
            ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
    except (OSError, StopIteration) as error:
        return f"CUDA's libraries do not load ({error}); `pip install 'pas-de-deux[cuda]'` has them"
    return ""


def may_record(operators: Collection[str], shapes: Sequence[Sequence[int | str]]) -> bool:
    """Whether a graph of such operators and inputs (their first axis is the batch's) may be recorded."""
    fixed = all(isinstance(size, int) for shape in shapes for size in shape[1:])
    return fixed and NEVER_RECORDED.isdisjoint(operators)


def on_card(
    path: Path,
    options: onnxruntime.SessionOptions,
    inputs: Mapping[str, Values],
    results: Sequence[str],
    feeds: Mapping[str, str],
    records: bool,
) -> Bound:
    """A model's steps on the card; as a graph if it may and onnxruntime finds that it can. Raises what that raises."""
    if records:
        try:
            return Bound(_session(path, options, "1"), inputs, results, feeds, "cuda", records=True)
        except Exception:  # it has nodes that only a processor has, which onnxruntime says in many ways
            return on_card(path, options, inputs, results, feeds, records=False)
    return Bound(_session(path, options, "0"), inputs, results, feeds, "cuda")


def _session(path: Path, options: onnxruntime.SessionOptions, graph: str) -> onnxruntime.InferenceSession:
    # TF32 has ten bits of mantissa: bones of a metre would be a millimetre off.
    card = ("CUDAExecutionProvider", {"use_tf32": "0", "enable_cuda_graph": graph})
    session = onnxruntime.InferenceSession(path, options, providers=[card, "CPUExecutionProvider"])
    if "CUDAExecutionProvider" not in session.get_providers():
        raise RuntimeError("onnxruntime could not start CUDA")
    return session


class Bound:
    """A session's steps through bound values; one model's own.

    inputs: by name, at first; those of states are zeros. results: outputs that are wanted. feeds: which input an output
    is the state of. device: "cuda", or "cpu". records: whether steps are recorded, which fixes all shapes.
    """

    def __init__(
        self,
        session: Any,
        inputs: Mapping[str, Values],
        results: Sequence[str],
        feeds: Mapping[str, str],
        device: str,
        records: bool = False,
    ) -> None:
        self.records = records
        self._session, self._device = session, device
        self._results, self._feeds = list(results), dict(feeds)
        self._held = {name: self._value(values) for name, values in inputs.items() if name not in feeds.values()}
        self._shapes = {name: inputs[name].shape for name in self._held}
        # By turn: what each state is read from. It is written to what the other turn reads.
        self._states = [{name: self._value(inputs[name]) for name in feeds.values()} for _ in range(2)]
        self._turns = [self._turn(number) for number in range(2 if feeds else 1)]
        self._next = 0
        for _ in range(6 if records else 0):  # onnxruntime runs a graph once or twice before it records it
            self.step(inputs)
        self.reset()

    def step(self, inputs: Mapping[str, Values]) -> dict[str, Values]:
        """One step: what stands in `inputs` beside states goes in, the results come back."""
        for name, value in self._held.items():
            values = np.ascontiguousarray(inputs[name])
            if values.shape == self._shapes[name]:
                value.update_inplace(values)
            else:
                self._give(name, values)
        binding, options = self._turns[self._next]
        self._next = (self._next + 1) % len(self._turns)
        if not self.records:
            self._bind_results(binding, "cpu")
        self._session.run_with_iobinding(binding, options)
        made = binding.get_outputs()
        return {name: made[place].numpy() for place, name in enumerate(self._results)}

    def reset(self) -> None:
        """Back to the state of a first frame."""
        for states in self._states:
            for value in states.values():
                value.update_inplace(np.zeros(value.shape(), np.float32))

    def _turn(self, number: int) -> tuple[Any, Any]:
        binding, options = self._session.io_binding(), _options(next(_numbers))
        for name, value in (self._held | self._states[number]).items():
            binding.bind_ortvalue_input(name, value)
        self._bind_results(binding, self._device)
        for name, fed in self._feeds.items():
            binding.bind_ortvalue_output(name, self._states[1 - number][fed])
        if self.records:
            self._session.run_with_iobinding(binding, _options(_UNRECORDED))
            for name, value in zip(self._results, binding.get_outputs(), strict=False):  # states come after them
                binding.bind_ortvalue_output(name, value)
        return binding, options

    def _bind_results(self, binding: Any, device: str) -> None:
        """Wherever onnxruntime puts them: their size may be another one each time."""
        for name in self._results:
            binding.bind_output(name, device)

    def _give(self, name: str, values: Values) -> None:
        """An input of another shape. Raises ValueError where a graph was recorded without it."""
        if self.records:
            raise ValueError(f"{name} has shape {values.shape}; what was recorded takes {self._shapes[name]}")
        self._held[name], self._shapes[name] = self._value(values), values.shape
        for binding, _ in self._turns:
            binding.bind_ortvalue_input(name, self._held[name])

    def _value(self, values: Values) -> Any:
        return onnxruntime.OrtValue.ortvalue_from_numpy(np.array(values, order="C"), self._device)


def _options(graph: int) -> onnxruntime.RunOptions:
    """Of runs that are recorded as this graph, and replayed; elsewhere it says nothing."""
    options = onnxruntime.RunOptions()
    options.add_run_config_entry("gpu_graph_id", str(graph))
    return options
