"""The shipped upsamplers: their labels are whole, and for the demo's dancer they are nearer than the plain ways."""

from pathlib import Path

import numpy as np
import pytest

from exporters import inspect
from exporters.upsampling import Upsampler
from motion import key_window, kinematics, upsampling
from motion.clean import resample
from motion.load import load_humanoid
from motion.skeleton import HUMANOID
from server.onnx_model import OnnxModel

PRESETS = Path(__file__).resolve().parents[1] / "presets"
MODELS = PRESETS / "models"
POSES, POINTS = MODELS / "upsampler.onnx", MODELS / "upsampler_2d.onnx"
FPS = 120
CLIP = resample(load_humanoid(PRESETS / "clips/demo_dancer.bvh").clip, FPS)[240:1440]
TRUTH = kinematics.global_positions(HUMANOID, CLIP.root_positions, CLIP.rotations)


@pytest.mark.parametrize("path", [POSES, POINTS])
def test_a_label_names_its_takes_and_holds_no_recordings(path: Path) -> None:
    manifest = inspect.read_manifest(path)
    assert manifest.kind == "upsampler"
    assert len(manifest.made_from["takes"]) == 57
    assert not manifest.made_from["contains_recordings"]
    assert "CMU" in manifest.made_from["licence"]
    assert path.stat().st_size < 15e6


@pytest.mark.parametrize(("step", "ahead", "plain"), [(4, 0, "extrapolate"), (8, 0, "extrapolate"), (32, 2, "cubic")])
def test_it_is_nearer_than_the_plain_way(step: int, ahead: int, plain: str) -> None:
    keys = np.arange(0, len(CLIP), step)
    queries = np.arange(5 * step, len(CLIP) - 3 * step) / FPS
    queries = queries[np.arange(5 * step, len(CLIP) - 3 * step) % step > 0]
    valid = np.ones((len(keys), 22), dtype=bool)
    root, rotations = CLIP.root_positions[keys], CLIP.rotations[keys]
    made = Upsampler(OnnxModel(POSES)).between(keys / FPS, root, rotations, valid, queries, ahead)
    off = np.linalg.norm(
        kinematics.global_positions(HUMANOID, *made) - TRUTH[np.round(queries * FPS).astype(int)], axis=-1
    )
    other = upsampling.points_at(plain, keys / FPS, TRUTH[keys], queries) - TRUTH[np.round(queries * FPS).astype(int)]
    assert off.mean() < np.linalg.norm(other, axis=-1).mean()


def test_a_forecast_is_nearer_than_holding_still() -> None:
    frames = np.arange(60, len(CLIP) - 12, 6)
    upsampler = Upsampler(OnnxModel(POSES))
    made = upsampler.ahead(np.arange(len(CLIP)) / FPS, CLIP.root_positions, CLIP.rotations, frames, 6 / FPS)
    off = np.linalg.norm(kinematics.global_positions(HUMANOID, *made) - TRUTH[frames + 6], axis=-1).mean()
    assert off < 0.5 * np.linalg.norm(TRUTH[frames] - TRUTH[frames + 6], axis=-1).mean()


def test_the_label_says_where_a_spline_is_nearer() -> None:
    upsampler = Upsampler(OnnxModel(POSES))
    assert upsampler.spline_is_better(40.0, 2)
    assert upsampler.spline_is_better(30.0, 0) is None
    assert upsampler.spline_is_better(7.5, 2) is None


def test_missing_points_of_a_picture_are_found_again() -> None:
    model = OnnxModel(POINTS)
    rest = 300.0 + 150.0 * model.manifest.skeleton.rest_positions[:, :2]
    times = np.arange(40) / 8
    points = rest + 20.0 * np.sin(2.0 * times)[:, None, None] + 15.0 * np.cos(times)[:, None, None] * [1.0, 0.0]
    valid = np.ones(points.shape[:2])
    valid[20, [4, 17]] = 0.0
    given = np.where(valid[..., None] > 0.5, points, np.nan)
    queries = times[19:22].mean(keepdims=True)
    shown = key_window.shown_points(key_window.between(times, queries), times, given, valid, queries)
    model.inputs |= shown.inputs()
    made = shown.told(model.step()["pose"]).reshape(19, 3)[:, :2]
    assert np.abs(made - points[20]).max() < 10.0  # pixels, of a body of 250
