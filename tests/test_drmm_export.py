"""The exported mixture model: the same choices as torch's, whatever it is asked, and a command that makes one."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from drmm_models import NAMES, random_model
from exporters.graphs import drmm
from exporters.graphs.drmm import DrmmStep
from exporters.onnx import example_steps, run_onnx, write
from motion import sampling
from motion.conditions import Conditions, Space
from server.onnx_model import OnnxModel
from training import train
from training.models import drmm_tables, load_checkpoint


@pytest.fixture(scope="module")
def step() -> DrmmStep:
    return DrmmStep(random_model(3, 12, candidates=32))


@pytest.fixture(scope="module")
def model(step: DrmmStep, tmp_path_factory: pytest.TempPathFactory) -> OnnxModel:
    file = tmp_path_factory.mktemp("models") / "toy.onnx"
    return OnnxModel(write(step, step.label("toy"), file))


def test_onnxruntime_chooses_as_torch_does(step: DrmmStep, model: OnnxModel) -> None:
    label = step.label("toy")
    questions = example_steps(label, 100, seed=3)
    alike, worst = [], 0.0
    for asked, made in zip(questions, run_onnx(model.path.read_bytes(), questions), strict=True):
        truth = step.run(asked)
        same = (truth["components"] == made["components"]).all(axis=2)
        alike.append(same.mean())
        worst = max(worst, np.abs(truth["samples"] - made["samples"])[same].max())
    assert np.mean(alike) >= 0.999
    assert worst <= 1e-3


def test_a_file_that_chooses_otherwise_is_found(step: DrmmStep) -> None:
    asked = example_steps(step.label("toy"), 4, seed=0)
    made = [step.run(each) for each in asked]
    other = [{**each, "components": (each["components"] + 1.0) % 12} for each in made]
    assert step.parity(made, made) == 0.0
    assert step.parity(made, other) == float("inf")
    assert step.parity(made, [{**each, "samples": each["samples"] + 0.5} for each in made]) == pytest.approx(0.5)


def test_the_label_is_all_that_the_host_needs(step: DrmmStep, model: OnnxModel) -> None:
    space, random = Space.of(model.manifest), np.random.default_rng(0)
    assert space.variables == NAMES
    np.testing.assert_allclose(space.variances, step.space.variances, rtol=1e-6)
    wanted = Conditions(space).know("x", 1.5).limit({"y": 1.0}, -2.0)

    def run(values: sampling.Values) -> sampling.Values:
        for name, value in values.items():
            model.inputs[name][...] = value
        return model.step()

    gumbel = sampling.chance(random, model.inputs["gumbel"].shape)
    made = sampling.draw(run, space, wanted.question(), gumbel, random, "best", keep=3)
    assert (made.samples[0, :, 0] == 1.5).all()
    assert made.samples[0, :, 1].max() <= -2.0 + 1e-9


def test_questions_of_a_batch_are_answered_together(model: OnnxModel) -> None:
    two = OnnxModel(model.path, batch=2)
    asked = drmm.example(model.manifest, 2, seed=1)
    for name in two.inputs:
        two.inputs[name][...] = np.concatenate([each[name] for each in asked])
    together = two.step()
    for number, each in enumerate(asked):
        (alone,) = run_onnx(model.path.read_bytes(), [each])
        np.testing.assert_array_equal(alone["components"][0], together["components"][number])


def tables(folder: Path) -> Path:
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        angle = random.uniform(0.0, 6.28, 400)
        rows = np.stack([np.cos(angle), np.sin(angle), np.ones(400)], axis=-1) + 0.05 * random.normal(size=(400, 3))
        np.savetxt(folder / f"{name}.csv", rows, delimiter=",", header="x,y,weight", comments="")
    sections = {"model": {"layers": 2, "components": 8, "candidates": 16}, "training": {"epochs": 6, "batch_size": 64}}
    (folder / "small.yaml").write_text(yaml.safe_dump(sections))
    return folder


def test_the_command_trains_and_exports_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = tables(tmp_path), tmp_path / "runs" / "ring"
    command = ["drmm", str(data / "small.yaml"), "--data", str(data), "--out", str(out), "--fold", "1/2"]
    assert train.main(command) == 0
    assert "the model:" in capsys.readouterr().out
    assert load_checkpoint(out / "last.ckpt").config.variables == ("x", "y")
    label = OnnxModel(out / "ring.onnx").manifest
    assert label.kind == "sampler"
    assert [each["take"] for each in label.made_from["takes"]] == ["b.csv"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("x,y\n1,2\n3,nan\n", r"c\.csv: row 2: y is nan, which is no number"),
        ("x,weight\n1,0\n", r"c\.csv: weights must be 0 or more, and not all 0"),
        ("x,y\n1,2,3\n", r"c\.csv: rows \(1, 3\) do not fit 2 variables"),
    ],
)
def test_a_table_that_makes_no_sense_is_told_by_its_name(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "c.csv").write_text(content)
    with pytest.raises(ValueError, match=said):
        drmm_tables.load(drmm_tables.Config(), tmp_path)


def test_tables_of_other_variables_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    np.savez(tmp_path / "b.npz", rows=np.ones((2, 2)), variables=["x", "z"])
    with pytest.raises(ValueError, match=r"b\.npz: its variables are x, z, those of a\.csv x, y"):
        drmm_tables.load(drmm_tables.Config(), tmp_path)
