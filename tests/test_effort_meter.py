"""The effort meter's graph says what the labelled partner's classifier says, of joints as the stage has them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from exporters import inspect
from exporters import onnx as exporters_onnx
from exporters.graphs import graph_of
from exporters.graphs.effort_meter import EffortMeter, under_the_hips
from labelled_models import fitted, small_model
from made_up_takes import made_up_clip
from motion import kinematics
from motion import rotations as rot
from motion.manifest import Manifest, ManifestError, Port
from motion.skeleton import HUMANOID
from server.onnx_model import OnnxModel
from training.models import labelled_pose as pose
from training.models.labelled import Labelled


@pytest.fixture(scope="module")
def made() -> Labelled:
    return fitted()


@pytest.fixture(scope="module")
def file(made: Labelled, tmp_path_factory: pytest.TempPathFactory) -> Path:
    step = EffortMeter(made).eval()
    return exporters_onnx.write(step, step.label("meter"), tmp_path_factory.mktemp("models") / "meter.onnx")


def _windows(count: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Roots (N, T, 3) and rotations (N, T, J, 4) of somebody who walks about and turns."""
    clip = made_up_clip(4.0, 30.0)
    clip.rotations[:, 0] = rot.yaw(np.linspace(0.0, 5.0, len(clip)))
    starts = np.linspace(0, len(clip) - length, count).astype(int)[:, None] + np.arange(length)
    return clip.root_positions[starts], clip.rotations[starts]


def test_it_says_what_the_classifier_says_wherever_somebody_dances(made: Labelled, file: Path) -> None:
    roots, rotations = _windows(6, made.config.window)
    x = torch.stack([pose.moves(*each, 30.0) for each in zip(roots, rotations, strict=True)])
    with torch.no_grad():
        expected = [said.exp().numpy() for said in made.classifier(x, pose.positions(x))]
    model = OnnxModel(file, batch=6)
    model.inputs["dancer"][:] = kinematics.global_positions(HUMANOID, roots, rotations).reshape(6, -1, 66)
    said = model.step()
    np.testing.assert_allclose(said["label/space"], expected[0], atol=1e-5)  # measured 9e-7, float32
    np.testing.assert_allclose(said["label/time"], expected[1], atol=1e-5)
    assert np.ptp(said["label/time"], axis=0).max() > 0.01  # and not always the same


def test_seen_from_under_the_hips_a_body_is_as_the_classifier_learnt_it() -> None:
    roots, rotations = _windows(2, 8)
    x = torch.stack([pose.moves(*each, 30.0) for each in zip(roots, rotations, strict=True)])
    world = torch.from_numpy(kinematics.global_positions(HUMANOID, roots, rotations)).float()
    torch.testing.assert_close(under_the_hips(world), pose.positions(x), atol=1e-5, rtol=0.0)


def test_its_label_names_sets_and_labels(file: Path) -> None:
    manifest = inspect.read_manifest(file)
    assert {port.name: port.layout for port in manifest.outputs} == {
        "label/space": ("in", "out"),
        "label/time": ("low", "medium", "high"),
    }
    assert (manifest.kind, manifest.window, manifest.fps_in) == ("meter", 16, 30.0)
    assert "reads the last 16 frames every 3" in inspect.describe(file)


def test_a_partner_without_labels_has_no_meter() -> None:
    with pytest.raises(ValueError, match="trained without labels"):
        EffortMeter(small_model(label_sets=()))


def test_a_meter_is_made_of_a_labelled_checkpoint_only(made: Labelled) -> None:
    with pytest.raises(ValueError, match="effort_meter is made of a 'labelled' checkpoint, not of a 'duet' one"):
        graph_of("duet", made, "effort_meter")


def test_a_port_of_labels_has_as_many_numbers_as_names(file: Path) -> None:
    manifest = inspect.read_manifest(file)
    with pytest.raises(ManifestError, match="label/time: 3 numbers for 2 labels"):
        Manifest(
            "meter",
            "meter",
            HUMANOID,
            manifest.inputs,
            (Port("label/time", "label", ("batch", 3), layout=("low", "high")),),
        )
