"""A checkpoint becomes a file that describes itself, does what torch does, and is never written when it does not."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import yaml

from benchmarks import models as benchmark
from exporters import inspect, onnx
from exporters.graphs.duet import DuetStep
from motion import clean, kinematics
from motion.load import load_humanoid
from motion.manifest import Manifest
from motion.skeleton import HUMANOID
from server import preset
from server.app import Show
from training import train
from training.models import describe, duet

PRESETS = Path(__file__).resolve().parents[1] / "presets"
SHIPPED = [PRESETS / f"models/{name}.onnx" for name in ("salsa_match", "salsa_duet")]
DEMO, DEMO_DANCER = PRESETS / "demo.yaml", PRESETS / "clips/demo_dancer.bvh"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    model = duet.Duet(duet.Config(placement_width=32, pose_width=32, code=8, latent=4), HUMANOID)
    path = tmp_path_factory.mktemp("run") / "last.ckpt"
    about = {"takes": [{"take": "a.bvh", "sha256": "0" * 64}], "licence": "ours", "source": "here", "command": "x"}
    torch.save({**describe("duet", model), "about": about}, path)
    return path


@pytest.fixture(scope="module")
def exported(checkpoint: Path) -> Path:
    return onnx.export(checkpoint, checkpoint.parent / "mine.onnx")


def test_the_label_tells_what_the_model_was_made_from(exported: Path) -> None:
    manifest = inspect.read_manifest(exported)
    assert (manifest.name, manifest.kind, manifest.fps_in) == ("mine", "duet", None)
    assert manifest.made_from["licence"] == "ours"
    assert manifest.made_from["takes"] == [{"take": "a.bvh", "sha256": "0" * 64}]
    assert len(manifest.made_from["checkpoint_sha256"]) == 64


def test_the_label_and_the_graph_list_the_same_ports(exported: Path) -> None:
    manifest, session = inspect.read_manifest(exported), onnxruntime.InferenceSession(exported)
    for listed, found in ((manifest.inputs, session.get_inputs()), (manifest.outputs, session.get_outputs())):
        assert {p.name: list(p.shape[1:]) for p in listed} == {p.name: p.shape[1:] for p in found}
        assert all(isinstance(p.shape[0], str) for p in found)  # the batch axis is dynamic


def test_a_batch_is_its_dancers_one_by_one(exported: Path) -> None:
    steps = onnx.example_steps(inspect.read_manifest(exported), 40, seed=2, batch=3)
    together = onnx.run_onnx(exported.read_bytes(), steps)[-1]["partner"]
    for k in range(3):
        alone = onnx.run_onnx(exported.read_bytes(), [{n: v[k : k + 1] for n, v in s.items()} for s in steps])
        np.testing.assert_allclose(alone[-1]["partner"][0], together[k], atol=2e-5)  # sums in another order


def test_a_run_repeats_bit_for_bit(exported: Path) -> None:
    steps = onnx.example_steps(inspect.read_manifest(exported), 50, seed=5)
    a, b = (onnx.run_onnx(exported.read_bytes(), steps) for _ in range(2))
    assert onnx.parity(a, b) == 0.0


def test_a_graph_that_differs_from_torch_is_not_written(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(step: DuetStep, label: Manifest) -> object:
        with torch.no_grad():
            step.place_out.bias += 0.01
        proto = right(step, label)
        step.place_out.bias -= 0.01
        return proto

    right = onnx.to_onnx
    monkeypatch.setattr(onnx, "to_onnx", wrong)
    with pytest.raises(onnx.ParityError, match="is not written"):
        onnx.export(checkpoint, tmp_path / "bad.onnx")
    assert list(tmp_path.iterdir()) == []


def test_parity_of_what_is_not_finite_is_infinite() -> None:
    one, other = [{"partner": np.array([0.0])}], [{"partner": np.array([np.nan])}]
    assert onnx.parity(one, other) == np.inf


def test_the_command_line_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert onnx.main([str(tmp_path / "no.ckpt"), str(tmp_path / "no.onnx")]) == 1
    assert "no.ckpt" in capsys.readouterr().err


def test_inspect_prints_the_label_for_people(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect.main([str(exported)]) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("mine", "variety", "any rate", "a.bvh", "ours", "state_plans"))


def test_inspect_refuses_what_is_no_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.onnx").write_bytes(b"\x00not a model")
    assert inspect.main([str(tmp_path / "x.onnx")]) == 2
    assert "x.onnx" in capsys.readouterr().err


def test_the_show_written_after_training_opens_with_its_stage_page(exported: Path) -> None:
    path = train.write_show(exported.parent / "live.yaml", exported, DEMO_DANCER)
    assert (written := preset.load(path)).stage_page
    assert written.outputs == preset.load(DEMO).outputs
    free = yaml.safe_load(path.read_text()) | {"control": {"port": 0}, "stage_page": {"port": 0}}
    free["outputs"] = [
        output | ({"bind": "tcp://127.0.0.1:*"} if "bind" in output else {}) for output in free["outputs"]
    ]
    show = Show(preset.parse(free, path), path)
    show.close()
    assert [partner["model"] for partner in show.report.figures()["partners"].values()] == ["mine"]


@pytest.mark.parametrize("model", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_model_is_small_holds_no_recording_and_still_does_its_example(model: Path) -> None:
    label = inspect.read_manifest(model)
    assert model.stat().st_size <= 8e6
    assert not label.made_from["contains_recordings"]
    figure = benchmark.parity(model, label, None)
    assert figure is not None
    assert figure <= 1e-4


def test_the_benchmark_measures_parity_when_given_the_checkpoint(exported: Path, checkpoint: Path) -> None:
    figure = benchmark.parity(exported, inspect.read_manifest(exported), checkpoint)
    assert figure is not None
    assert 0.0 < figure <= 1e-4


def test_the_benchmark_writes_its_keys(exported: Path, tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    assert benchmark.main(["--models", str(exported), "--steps", "20", "--json", str(out)]) == 0
    expected = {"step_p50_us", "step_p99_us", "batch64_p50_us", "parity_max_abs", "size_mb"}
    assert json.loads(out.read_text())["mine"].keys() == expected


@pytest.mark.parametrize("model", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_partner_stands_on_the_floor_near_the_dancer(model: Path, shared: Path) -> None:
    clip = clean.trailing_median(load_humanoid(shared / "data/salsa_pairs/60_10.bvh").clip[10::4])
    dancer = kinematics.global_positions(HUMANOID, clip.root_positions, clip.rotations).reshape(len(clip), -1)
    label = inspect.read_manifest(model)
    knobs = {"dt": 1 / clip.fps, "noise": np.zeros(label.ports("noise")[0].shape[1])}
    knobs |= {param.name: param.default for param in label.params}
    steps = [{"dancer": pose, **knobs} for pose in dancer]
    steps = [{n: np.atleast_2d(np.asarray(v, dtype=np.float32)) for n, v in step.items()} for step in steps]
    partner = np.concatenate([result["partner"] for result in onnx.run_onnx(model.read_bytes(), steps)])
    assert 0.3 < np.linalg.norm(partner[:, [0, 2]] - clip.root_positions[:, [0, 2]], axis=1).mean() < 1.5
    assert 0.7 < partner[:, 1].min() < partner[:, 1].max() < 1.0
