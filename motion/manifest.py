"""The label inside every model file: what goes in, what comes out, on which skeleton, made from what.

JSON in the `.onnx` file's metadata under `METADATA_KEY`. Because a model describes itself, the server needs no code
per model. Exporters write it, the server and `exporters.inspect` read it; reading reports every fault at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from motion import features
from motion.skeleton import Skeleton

METADATA_KEY = "pas_de_deux"
FORMAT = 1
ROLES = ("motion", "valid", "known", "constraint", "condition", "noise", "state", "time", "label")
KINDS = ("duet", "upsampler", "sampler", "meter")


class ManifestError(ValueError):
    """A label that cannot be trusted; the message lists every fault."""


@dataclass(frozen=True)
class Port:
    """One input or output of the graph. shape has the batch axis first, written as "batch"; another axis with a name
    has as many as whoever runs it gives.

    motion ports name their `layout` (see motion.features), label outputs, probabilities, their labels in it; a state
    output names in `feeds` the input it returns to.
    """

    name: str
    role: str
    shape: tuple[int | str, ...]
    layout: tuple[str, ...] = ()
    feeds: str = ""


@dataclass(frozen=True)
class Param:
    """A live knob, smoothed with its half-life in seconds (0 acts at once).

    In a manifest `name` is also the name of the model's condition input, shape (batch, size). A knob of size n is
    n numbers under one name; default, low and high hold for each of them. names: texts that may be said instead of a
    number; they stand evenly from low to high.
    """

    name: str
    default: float
    low: float
    high: float
    half_life: float = 0.1
    about: str = ""
    size: int = 1
    names: tuple[str, ...] = ()

    def named(self, text: str) -> float:
        """The number that a text stands for. Raises ValueError with the texts there are."""
        if text not in self.names:
            raise ValueError(
                f"{text[:40]!r} is none of {', '.join(self.names)}"
                if self.names
                else f"takes a number, not {text[:40]!r}"
            )
        return self.low + (self.high - self.low) * self.names.index(text) / max(len(self.names) - 1, 1)


@dataclass(frozen=True)
class Manifest:
    """See the module. fps_in is None when any rate will do; fps_out is then how often a second the model moves, once a
    run at most, None: once a run.

    window: frames in, and out, of one run (1: one frame at a time). hop: frames between two runs. latency_frames: how
    many frames after the dancer's, at fps_in, the partner's answer is shown. ahead_frames: how many frames later than
    the frames it is given an answer is meant for (it predicts); at most latency_frames, which it takes off.
    variables: what a sampler's numbers are.
    """

    name: str
    kind: str
    skeleton: Skeleton
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    params: tuple[Param, ...] = ()
    fps_in: float | None = None
    fps_out: float | None = None
    window: int = 1
    hop: int = 1
    latency_frames: int = 0
    ahead_frames: int = 0
    variables: tuple[str, ...] = ()
    made_from: dict[str, Any] = field(default_factory=dict)
    vectors: dict[str, list[float]] = field(default_factory=dict)
    scorecard: dict[str, Any] = field(default_factory=dict)
    example: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        faults = _faults(self)
        if faults:
            raise ManifestError(f"manifest of model {self.name!r}: " + "; ".join(faults))

    def ports(self, role: str) -> tuple[Port, ...]:
        """The inputs with this role."""
        return tuple(port for port in self.inputs if port.role == role)

    def to_json(self) -> str:
        data = {"format": FORMAT, **asdict(self), "skeleton": self.skeleton.to_dict()}
        return json.dumps(data, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Raises ManifestError naming what is missing, unknown or wrong."""
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise ManifestError(f"the manifest is not JSON: {error}") from None
        if not isinstance(data, dict) or data.pop("format", None) != FORMAT:
            raise ManifestError(f"the manifest is not of format {FORMAT}; export the model again")
        required = {"name", "kind", "skeleton", "inputs", "outputs"}
        if missing := sorted(required - data.keys()):
            raise ManifestError(f"the manifest lacks: {', '.join(missing)}")
        try:
            return cls(
                **{
                    **data,
                    "skeleton": Skeleton.from_dict(data["skeleton"]),
                    "inputs": tuple(_port(port) for port in data["inputs"]),
                    "outputs": tuple(_port(port) for port in data["outputs"]),
                    "params": tuple(_param(param) for param in data.get("params", ())),
                    "variables": tuple(data.get("variables", ())),
                }
            )
        except (TypeError, KeyError, ValueError) as error:
            if isinstance(error, ManifestError):
                raise
            raise ManifestError(f"the manifest cannot be read: {error}") from None


def _param(data: dict[str, Any]) -> Param:
    return Param(**{**data, "names": tuple(data.get("names", ()))})


def _port(data: dict[str, Any]) -> Port:
    return Port(**{**data, "shape": tuple(data["shape"]), "layout": tuple(data.get("layout", ()))})


def _faults(manifest: Manifest) -> list[str]:
    faults = [] if manifest.kind in KINDS else [f"kind {manifest.kind!r} is none of {', '.join(KINDS)}"]
    for port in (*manifest.inputs, *manifest.outputs):
        faults += [f"{port.name}: {fault}" for fault in _port_faults(port, len(manifest.skeleton))]
    inputs = {port.name: port for port in manifest.inputs}
    fed = {port.feeds for port in manifest.outputs if port.role == "state"}
    faults += [
        f"state {port.name} is never fed by an output" for port in manifest.ports("state") if port.name not in fed
    ]
    faults += [f"a state output feeds {name!r}, which is no input" for name in sorted(fed - inputs.keys())]
    for param in manifest.params:
        faults += [f"param {param.name!r}{fault}" for fault in _param_faults(param, inputs.get(param.name))]
    return faults + _time_faults(manifest)


def _port_faults(port: Port, joints: int) -> Iterator[str]:
    if port.role not in ROLES:
        yield f"role {port.role!r} is none of {', '.join(ROLES)}"
    if not port.shape or port.shape[0] != "batch":
        yield f"shape {list(port.shape)} must begin with 'batch'"
    if port.role == "motion":
        try:
            expected = features.width(port.layout, joints)
        except ValueError as error:
            yield str(error)
        else:
            if port.shape[-1] != expected:
                yield f"{port.shape[-1]} numbers, its layout has {expected}"
    if port.role == "label" and port.shape[-1] != len(port.layout):
        yield f"{port.shape[-1]} numbers for {len(port.layout)} labels"


def _param_faults(param: Param, port: Port | None) -> Iterator[str]:
    if port is None or port.role != "condition":
        yield " has no condition input of that name"
    elif port.shape[1:] != (param.size,):
        yield f" has size {param.size}, its input {list(port.shape)}"
    if not param.low <= param.default <= param.high:
        yield f": default {param.default} is not in {param.low}..{param.high}"


def _time_faults(manifest: Manifest) -> list[str]:
    faults = []
    if not 1 <= manifest.hop <= manifest.window:
        faults.append(f"hop {manifest.hop} is not in 1..{manifest.window}, the window")
    if not 0 <= manifest.ahead_frames <= manifest.latency_frames:
        faults.append(f"ahead_frames {manifest.ahead_frames} is not in 0..{manifest.latency_frames}, the latency")
    if manifest.window > 1 and not (manifest.fps_in or 0.0) > 0.0:
        faults.append(f"a window of {manifest.window} frames needs their rate, fps_in; it is {manifest.fps_in}")
    return faults
