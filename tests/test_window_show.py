"""A show with a model of windows: what its preset may say, and what the show says of itself."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from server import preset as presets
from server.app import Show
from server.report import status_line
from server.show import build_pipeline
from tests.window_models import FPS, LATENCY, window_model

ROOT = Path(__file__).resolve().parents[1]


def preset_with(tmp_path: Path, ahead: int = 0, **params: object) -> Path:
    window_model(tmp_path / "latent.onnx", "latent", ahead=ahead)
    demo = yaml.safe_load((ROOT / "presets/demo.yaml").read_text())
    demo["dancers"]["dancer1"]["file"] = str(ROOT / "presets/clips/demo_dancer.bvh")
    demo["partners"]["partner1"] |= {"model": "latent.onnx", "params": params}
    demo |= {"control": {"port": 0}, "stage_page": "off", "outputs": []}
    (tmp_path / "show.yaml").write_text(yaml.safe_dump(demo))
    return tmp_path / "show.yaml"


@pytest.mark.parametrize("value", [0.5, [0.25, 0.75, 0.5]])
def test_a_preset_names_a_model_of_windows_and_its_vector(tmp_path: Path, value: object) -> None:
    path = preset_with(tmp_path, latent_offset=value)
    pipeline = build_pipeline(presets.load(path), path)
    np.testing.assert_allclose(pipeline.params.target("partner1/latent_offset"), value)
    assert pipeline.partners["partner1"].latency == pytest.approx(LATENCY / FPS)


@pytest.mark.parametrize(
    ("value", "said"), [([0.5, 0.5], "2 numbers; it takes 3, or one for all"), ([0.5, 7.0, 0.0], "7 is not in -1..1")]
)
def test_a_preset_whose_vector_does_not_fit_says_how(tmp_path: Path, value: object, said: str) -> None:
    path = preset_with(tmp_path, latent_offset=value)
    with pytest.raises(presets.PresetError, match=said):
        build_pipeline(presets.load(path), path)


def test_a_preset_whose_param_is_no_number_says_what_is_right(tmp_path: Path) -> None:
    with pytest.raises(presets.PresetError, match=r"params\.latent_offset.*must be a number, or a list of numbers"):
        presets.load(preset_with(tmp_path, latent_offset=[0.5, "much"]))


@pytest.mark.parametrize(("ahead", "said"), [(0, "200 ms behind"), (8, "200 ms behind, 160 ms of it predicted")])
def test_a_show_states_its_latency(tmp_path: Path, ahead: int, said: str) -> None:
    path = preset_with(tmp_path, ahead)
    running = Show(presets.load(path), path)
    running.start()
    try:
        running.tick.first_pose.wait(5.0)
        figures, opening = running.report.figures(), running.report.opening(None)
    finally:
        running.close()
    partner = figures["partners"]["partner1"]
    assert (partner["latency_ms"], partner["ahead_ms"]) == (round(1000 * LATENCY / FPS), round(1000 * ahead / FPS))
    assert f"partner1 dancing, {said} | " in status_line(figures)
    assert f"latent on cpu, {said}\n" in opening
