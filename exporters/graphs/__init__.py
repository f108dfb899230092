"""What runs live, one module a kind of model: a trained network as one step from inputs and states to outputs.

A graph is a `torch.nn.Module`. `label(name)` is its manifest, all but where it comes from; `forward` takes the inputs
in the manifest's order and returns the outputs in the manifest's order. Everything else (ONNX, parity, files) is the
same for all of them and stands in exporters.onnx.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from torch import Tensor, nn

from exporters.graphs.drmm import DrmmStep
from exporters.graphs.drmm_motion import MotionStep
from exporters.graphs.duet import DuetStep
from exporters.graphs.duet_match import match_step
from exporters.graphs.duet_window import DeepfakeStep, DuetWindowStep
from exporters.graphs.effort_meter import EffortMeter
from exporters.graphs.identity_action import MannerStep
from exporters.graphs.labelled import LabelledStep
from exporters.graphs.upsampler import UpsamplerStep
from exporters.graphs.upsampler_points import UpsamplerPointsStep
from motion.manifest import Manifest


class Graph(Protocol):
    """See the module."""

    def label(self, name: str) -> Manifest: ...

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]: ...


GRAPHS: Mapping[str, Callable[[nn.Module], Graph]] = {  # by the kind of the checkpoint
    "drmm": DrmmStep,
    "pose_drmm": DrmmStep,
    "motion_drmm": MotionStep,
    "duet": DuetStep,
    "duet_match": match_step,
    "duet_window": DuetWindowStep,
    "deepfake": DeepfakeStep,
    "identity_action": MannerStep,
    "labelled": LabelledStep,
    "upsampler": UpsamplerStep,
    "upsampler_points": UpsamplerPointsStep,
}

# By name: what else can be made of a checkpoint, and of which kind.
OTHER_GRAPHS: Mapping[str, tuple[str, Callable[[nn.Module], Graph]]] = {"effort_meter": ("labelled", EffortMeter)}


def graph_of(kind: str, model: nn.Module, name: str | None = None) -> Graph:
    """The graph of a trained model, or the other one of that name. Raises ValueError for a kind that has none."""
    if name is not None:
        wanted, make = OTHER_GRAPHS[name]
        if kind != wanted:
            raise ValueError(f"{name} is made of a {wanted!r} checkpoint, not of a {kind!r} one")
        return make(model).eval()
    if kind not in GRAPHS:
        raise ValueError(f"a {kind!r} model has no graph to export; these have: {', '.join(GRAPHS)}")
    return GRAPHS[kind](model).eval()
