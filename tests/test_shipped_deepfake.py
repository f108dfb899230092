"""The shipped deepfake: its label is whole, its preset plays, and between its two dancers lies everything."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from exporters import inspect
from motion import rotations as rot
from motion.bvh import read_bvh, write_bvh
from motion.clip import Clip
from motion.load import load_humanoid
from server import preset, render
from server.show import build_pipeline
from training.results.player import Player
from training.results.sequences import at_rate

PRESETS = Path(__file__).resolve().parents[1] / "presets"
MODEL = PRESETS / "models/salsa_deepfake.onnx"


@pytest.fixture(scope="module")
def dancer() -> Clip:
    """Two seconds of the demo dancer."""
    clip = at_rate(load_humanoid(PRESETS / "clips/demo_dancer.bvh").clip, 50.0)
    return clip[200:300]


def test_its_label_names_its_takes_and_holds_no_recordings() -> None:
    made_from = inspect.read_manifest(MODEL).made_from
    assert len(made_from["takes"]) == 22
    assert not made_from["contains_recordings"]
    assert "CMU" in made_from["licence"]
    assert MODEL.stat().st_size < 25e6


def test_its_scorecard_lies_beside_it() -> None:
    style = json.loads(MODEL.with_suffix(".json").read_text())["style"]
    assert style["d1_to_d2_body_from_d2"] < 1.0  # nearer to dancer 2 than dancer 1's own dance
    assert style["d1_to_d2_taken_for_d2"] > 0.8 > 0.2 > style["d1_taken_for_d2"]
    assert style["d1_to_d1_kept_m"] < 0.05
    assert "style" in MODEL.with_suffix(".md").read_text()


def test_its_preset_plays(dancer: Clip, tmp_path: Path) -> None:
    path = PRESETS / "deepfake.yaml"
    write_bvh(tmp_path / "dancer.bvh", dancer)
    pipeline = build_pipeline(preset.load(path), path)
    for _ in render.render(pipeline, tmp_path / "dancer.bvh", 60.0, tmp_path / "partner.bvh"):
        pass
    made, _ = read_bvh(tmp_path / "partner.bvh", scale=1.0)
    assert len(made) == 119  # from the first frame to the last of two seconds at 60 fps
    assert np.isfinite(made.root_positions).all()
    assert rot.angle(made.rotations[60], made.rotations[-1]).max() > 0.05  # radians: it moves


def test_from_one_dancer_to_the_other_there_is_no_jump(dancer: Clip) -> None:
    player = Player(MODEL)
    mixes = np.linspace(0.0, 1.0, 11)
    danced = [player.dance(dancer, mix=mix, variety=0.0).rotations for mix in mixes]
    whole = rot.angle(danced[0], danced[-1])  # (T, J)
    steps = np.array([rot.angle(a, b) for a, b in pairwise(danced)])
    assert whole.max() > 0.2  # radians: they are two dancers
    assert steps.max() < 0.3 * whole.max()  # a tenth of the way each, a little more for nlerp
