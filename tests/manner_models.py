"""A small manner model as a file, for tests: untrained, with experts that differ."""

from pathlib import Path

import torch

from exporters import onnx as exporters_onnx
from exporters.graphs.identity_action import MannerStep
from identity_models import small_model
from training.models.identity_action import IdentityAction


def differing() -> IdentityAction:
    """Knows the manners of a, b and c."""
    made = small_model(identities=("a", "b", "c"))
    for blended in made.frames.blends:
        torch.nn.init.normal_(blended.weights, std=0.3)
    return made


def written(model: IdentityAction, folder: Path) -> Path:
    """Its file, mine.onnx."""
    step = MannerStep(model).eval()
    return exporters_onnx.write(step, step.label("mine"), folder / "mine.onnx")
