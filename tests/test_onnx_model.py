"""A model's session, its device, and steps through bound values."""

import logging
import re
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from server import onnx_cuda, onnx_file, onnx_model
from server.onnx_model import ModelError, OnnxModel, measured
from server.preset import load
from server.show import build_pipeline

MODELS = Path(__file__).resolve().parents[1] / "presets/models"
SHIPPED = sorted(MODELS.glob("*.onnx"))


def bound(model):
    """The model's own session, stepped through values that are bound to a processor's memory."""
    results = [port.name for port in model.manifest.outputs if port.role != "state"]
    feeds = {port.name: port.feeds for port in model.manifest.outputs if port.role == "state"}
    return onnx_cuda.Bound(model._session, model.inputs, results, feeds, "cpu")


def fill(model, random, moments):
    for port in model.manifest.inputs:
        if port.role != "state":
            shape = [1, *(moments if isinstance(size, str) else size for size in port.shape[1:])]
            values = random.normal(0.0, 0.3, shape) if port.role != "time" else np.full(shape, 1 / 60)
            model.inputs[port.name] = values.astype(np.float32)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_bound_values_step_as_plain_ones_do_whatever_the_shapes_and_after_a_reset(path):
    plain, other = OnnxModel(path), OnnxModel(path)
    steps, random = bound(other), np.random.default_rng(0)
    for number in range(5):
        if number == 3:
            plain.reset()
            steps.reset()
        fill(plain, random, moments=2 + number)
        other.inputs |= {name: plain.inputs[name] for name in plain.inputs}
        expected, made = plain.step(), steps.step(other.inputs)
        assert list(made) == list(expected)
        for name in expected:
            np.testing.assert_array_equal(made[name], expected[name])


def test_results_of_a_step_stay_when_there_is_another_one():
    model = OnnxModel(MODELS / "salsa_duet.onnx")
    steps = bound(model)
    fill(model, np.random.default_rng(0), 1)
    first = steps.step(model.inputs)["partner"]
    kept = first.copy()
    fill(model, np.random.default_rng(1), 1)
    assert not np.array_equal(steps.step(model.inputs)["partner"], kept)
    np.testing.assert_array_equal(first, kept)


def test_graphs_with_branches_or_sizes_of_their_own_are_not_recorded():
    records = {}
    for path in SHIPPED:
        inputs = OnnxModel(path).manifest.inputs
        records[path.stem] = onnx_cuda.may_record(onnx_file.check(path), [port.shape for port in inputs])
    never = {"motion_drmm", "pose_drmm", "salsa_match", "upsampler", "upsampler_2d"}
    assert {name for name, may in records.items() if not may} == never


def test_a_size_that_is_not_fixed_is_not_recorded():
    assert onnx_cuda.may_record({"MatMul"}, [["batch", 3]])
    assert not onnx_cuda.may_record({"MatMul"}, [["batch", 3], ["batch", "moments"]])


@pytest.mark.skipif(not onnx_cuda.missing(), reason="there is a card")
@pytest.mark.parametrize("device", ["cuda", "auto"])
def test_without_a_card_models_run_on_the_cpu_and_that_is_said_once(device, caplog):
    onnx_model._say.cache_clear()
    models = [OnnxModel(path, device) for path in (MODELS / "salsa_duet.onnx", MODELS / "effort_meter.onnx")]
    assert [model.device for model in models] == ["cpu", "cpu"]
    assert caplog.messages == [f"device {device}: {onnx_cuda.missing()}; models run on the CPU"]


@pytest.mark.skipif(not onnx_cuda.missing(), reason="there is a card")
def test_a_model_that_does_not_start_on_the_card_says_so_and_runs_on_the_cpu(monkeypatch, caplog):
    onnx_model._say.cache_clear()
    monkeypatch.setattr(onnx_cuda, "missing", lambda: "")  # a driver without libraries, say
    model = OnnxModel(MODELS / "salsa_duet.onnx", "cuda")
    assert model.device == "cpu"
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("salsa_duet.onnx: it does not run on the card, and runs on the CPU: ")


def test_a_device_there_is_none_of_is_refused_with_the_choices():
    with pytest.raises(ModelError, match="unknown device 'gpu'; choose one of cpu, cuda, auto"):
        OnnxModel(MODELS / "salsa_duet.onnx", "gpu")


def test_the_faster_one_is_measured_as_such():
    one, many = (OnnxModel(MODELS / "salsa_deepfake.onnx", batch=batch) for batch in (1, 8))
    fast, slow = measured(one.step, many.step)
    assert 0.0 < fast < slow  # eight times the work


def test_measuring_ends_though_a_step_takes_long(monkeypatch):
    monkeypatch.setattr(onnx_model, "MEASURING_SECONDS", 0.0)
    steps = []
    measured(lambda: steps.append(time.perf_counter()))
    assert len(steps) == onnx_model.WARM_UP + 1


def test_auto_keeps_what_it_measured_and_prints_both(monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    onnx_model._say.cache_clear()
    monkeypatch.setattr(onnx_model, "_on_card", {})
    model = OnnxModel(MODELS / "salsa_duet.onnx")
    chosen = model._is_faster(bound(model))
    (said,) = caplog.messages
    name, cpu, card, place = re.fullmatch(
        r"(\S+): ([\d.]+) ms on the CPU, ([\d.]+) ms on the card; it runs on the (card|CPU)", said
    ).groups()
    assert name == "salsa_duet.onnx"
    assert place == ("card" if chosen else "CPU")
    assert not chosen or float(card) <= float(cpu)
    assert model._is_faster(bound(model)) == chosen  # though nothing is measured again
    assert len(caplog.messages) == 1


@pytest.mark.skipif(not onnx_cuda.missing(), reason="there is a card")
def test_every_model_of_a_preset_may_name_a_device_and_the_show_says_what_it_came_to(tmp_path):
    dancer = {"receive": "vmc", "upsample": {"model": str(MODELS / "upsampler.onnx"), "device": "auto"}}
    partner = {"dancer": "dancer1", "model": str(MODELS / "salsa_duet.onnx"), "device": "cuda"}
    partner["sample"] = {"model": str(MODELS / "pose_drmm.onnx"), "device": "auto"}
    path = tmp_path / "show.yaml"
    show = {
        "format": 1,
        "seed": 1,
        "clock": {"fps": 120},
        "dancers": {"dancer1": dancer},
        "partners": {"partner1": partner},
    }
    path.write_text(yaml.safe_dump(show | {"outputs": [], "stage_page": "off", "control": "off"}))
    preset = load(path)
    assert preset.dancers["dancer1"].upsample.device == "auto"
    assert preset.partners["partner1"].sample.device == "auto"
    assert build_pipeline(preset, path).partners["partner1"].device == "cpu"
