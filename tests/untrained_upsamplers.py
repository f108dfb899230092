"""Upsamplers that are not trained, as model files: the plain way, with bones that keep their lengths."""

from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from exporters.graphs import upsampler, upsampler_points
from exporters.onnx import write
from motion.manifest import METADATA_KEY, Manifest
from training.models.upsampler import Config, Upsampler
from training.models.upsampler_points import Config as PointsConfig
from training.models.upsampler_points import PointsUpsampler


def of_poses(path: Path) -> Path:
    return _written(upsampler.UpsamplerStep(Upsampler(Config()).eval()), path)


def of_points(path: Path) -> Path:
    return _written(upsampler_points.UpsamplerPointsStep(PointsUpsampler(PointsConfig()).eval()), path)


def relabelled(model: Path, path: Path, **changes) -> Path:
    """The same graph under another label."""
    proto = onnx.load(model)
    label = replace(Manifest.from_json(proto.metadata_props[0].value), **changes)
    onnx.helper.set_model_props(proto, {METADATA_KEY: label.to_json()})
    onnx.save(proto, path)
    return path


def _written(step, path: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("exporters.onnx.STEPS", 8)  # whether torch and onnxruntime agree is tested elsewhere
        return write(step, replace(step.label("untrained"), made_from={"takes": []}), path)
