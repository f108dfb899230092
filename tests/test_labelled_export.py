"""The labelled partner's graph dances what the model does, at any rate, near the dancer, by its labels."""

from pathlib import Path

import numpy as np
import pytest
import torch

from exporters import onnx as exporters_onnx
from exporters.graphs.labelled import ROOM, LabelledStep
from labelled_models import fitted
from motion import features, kinematics
from motion.skeleton import HUMANOID
from server.onnx_model import OnnxModel
from server.protocols.frames import PoseFrame
from server.stages.partner import Partner
from training.models import labelled_pose as pose
from training.models.labelled import Labelled

STANDING = HUMANOID.rest_positions + np.array([0.0, 0.9, 0.0])


@pytest.fixture(scope="module")
def made() -> Labelled:
    return fitted(latent=120)


@pytest.fixture(scope="module")
def file(made: Labelled, tmp_path_factory: pytest.TempPathFactory) -> Path:
    step = LabelledStep(made).eval()
    return exporters_onnx.write(step, step.label("mine"), tmp_path_factory.mktemp("models") / "mine.onnx")


def _danced(model: OnnxModel, count: int, fps: float, noise: np.ndarray, **knobs: float) -> np.ndarray:
    """Partner vectors (count, D) of frames beside somebody who stands."""
    model.reset()
    values = {"label/time": 0.5, "label/space": 0.0, "variety": 1.0, "distance": 1.5, "attention": 0.0} | knobs
    for name, value in values.items():
        model.inputs[name][:] = value
    model.inputs["dancer"][0] = STANDING.reshape(-1)
    model.inputs["dt"][:] = 1.0 / fps
    model.inputs["noise"][0] = noise
    return np.stack([model.step()["partner"][0].copy() for _ in range(count)])


def _joints(vectors: np.ndarray) -> np.ndarray:
    root, rotations = features.decode(("root_position", "rotations_6d"), 22, vectors)
    return kinematics.global_positions(HUMANOID, root, rotations)


def test_at_its_own_rate_it_dances_the_models_moves(made: Labelled, file: Path) -> None:
    z = torch.randn(1, 120)
    labels = torch.tensor([[0, 1]])  # in, medium
    one, state = made.generate(z, labels)
    other, _ = made.generate(z, labels, state)
    moves = torch.cat([one, other], dim=1)
    expected = pose.positions(moves)[0].numpy()
    joints = _joints(_danced(OnnxModel(file), 33, 30.0, z[0].numpy()))
    apart = [np.linalg.norm(each[:, :, None] - each[:, None], axis=-1) for each in (joints[2:], expected[1:32])]
    np.testing.assert_allclose(*apart, atol=2e-3)  # at 30 frames a second what is shown is a move late


def test_its_path_is_the_models_path(made: Labelled, file: Path) -> None:
    z, labels = 0.3 * torch.randn(1, 120), torch.tensor([[0, 1]])
    moves, _ = made.generate(z, labels)
    place, _ = pose.path(moves, pose.positions(moves), 30.0)
    away = _danced(OnnxModel(file), 16, 30.0, z[0].numpy())[1:, 0:3:2] - np.array([1.5, 0.0])
    expected = place[0, :15].numpy()
    assert np.linalg.norm(expected, axis=1).max() < ROOM
    np.testing.assert_allclose(away, expected, atol=2e-3)


@pytest.mark.parametrize("fps", [50.0, 60.0, 120.0])
def test_at_another_rate_it_is_the_same_dance(file: Path, fps: float) -> None:
    noise = np.random.default_rng(0).standard_normal(120, dtype=np.float32)
    plain = _joints(_danced(OnnxModel(file), 40, 30.0, noise))
    other = _joints(_danced(OnnxModel(file), int(40 * fps / 30.0), fps, noise))
    time, own = np.arange(len(other)) / fps - 1.0 / 30.0, np.arange(len(plain)) / 30.0 - 1.0 / 30.0
    for joint in (0, HUMANOID.index("LeftHand")):
        expected = np.stack([np.interp(time, own, plain[:, joint, axis]) for axis in range(3)], axis=-1)
        off = np.linalg.norm(other[:, joint] - expected, axis=-1)[4 : int(36 * fps / 30.0)]
        assert off.max() < 0.02  # rotations between two moves are not on the line between two points


@pytest.mark.parametrize("fps", [5.0, 12.5, 24.0, 30.0, 29.97, 120.0])
def test_on_stage_it_keeps_its_time_at_any_rate(file: Path, fps: float) -> None:
    """As many moves as the time has, whatever the show's rate."""
    stage = Partner(OnnxModel(file), seed=1)
    knobs = {param.name: param.default for param in stage.params}
    places = []
    for number in range(1 + round(2.0 * fps)):
        root = np.array([0.001 * number, 0.9, 0.0])
        frame = PoseFrame(HUMANOID, root, np.tile([0.0, 0.0, 0.0, 1.0], (22, 1)), 0.0, 0.0, number, "dancer1")
        stage.step(frame, 1.0 / fps, knobs)
        places.append(int(stage.model.inputs["clock"][0, 1]))
    assert (np.diff(places) % 16).sum() == pytest.approx(60, abs=1)  # moves in two seconds; a window has 16


@pytest.mark.parametrize("seconds", [0.0, 10.0])
def test_whoever_is_faded_to_the_other_side_keeps_away_from_the_dancer(file: Path, seconds: float) -> None:
    model = OnnxModel(file)
    noise = np.random.default_rng(3)
    model.inputs["dancer"][0] = STANDING.reshape(-1)
    model.inputs["dt"][:] = 1.0 / 30.0
    model.inputs["variety"][:] = 1.0
    path = []
    for number in range(1800):
        gone = np.clip((number - 300) / (30.0 * seconds + 1.0), 0.0, 1.0)
        model.inputs["distance"][:] = 1.5 - 3.0 * gone
        noise.standard_normal(out=model.inputs["noise"], dtype=np.float32)
        path.append(model.step()["partner"][0, 0:3:2].copy())
    assert np.linalg.norm(path, axis=1).min() > 0.35
    assert path[-1][0] < 0.0


def test_a_step_is_as_long_as_a_step(file: Path) -> None:
    noise = np.random.default_rng(1).standard_normal(120, dtype=np.float32)
    joints = _joints(_danced(OnnxModel(file), 120, 60.0, noise))
    steps = np.linalg.norm(np.diff(joints, axis=0), axis=-1)
    inside = np.concatenate([steps[begin : begin + 24] for begin in (4, 36, 68)])  # a window has 32 frames of these
    assert steps.max() < 2.0 * inside.max()


def test_who_goes_too_far_comes_back(made: Labelled, file: Path) -> None:
    with torch.no_grad():
        z = torch.zeros(1, 120)
        z[0, made.decoder.basis.shapes[:, -2].abs().argmax()] = 3.0
    path = _danced(OnnxModel(file), 1800, 60.0, z[0].numpy())[:, 0:3:2] - np.array([1.5, 0.0])
    assert np.linalg.norm(path, axis=1).max() < 6.0


@pytest.mark.parametrize("distance", [1.5, -1.5])
def test_who_is_told_to_looks_at_the_dancer(file: Path, distance: float) -> None:
    """More often than who is not, in a minute, from wherever it is; and from the first frame on."""
    model, noise = OnnxModel(file), np.random.default_rng(5)
    seen = {}
    for wanted in (0.0, 1.0):
        ahead = []
        for _ in range(4):
            vectors = _danced(model, 450, 30.0, noise.standard_normal(120), distance=distance, attention=wanted)
            looks = vectors[:, 3:6][:, [2, 0]] * [-1.0, 1.0]  # ahead is across from the hips' own left
            looks /= np.linalg.norm(looks, axis=1, keepdims=True)
            ahead.append(-(looks * vectors[:, 0:3:2]).sum(axis=1) / np.linalg.norm(vectors[:, 0:3:2], axis=1))
        seen[wanted] = np.concatenate(ahead)
    assert seen[1.0][0] > 0.9
    assert seen[1.0].mean() > seen[0.0].mean() + 0.2


def test_labels_are_knobs_with_names(file: Path) -> None:
    knobs = {param.name: param for param in OnnxModel(file).manifest.params}
    assert knobs["label/time"].names == ("low", "medium", "high")
    assert [knobs["label/time"].named(name) for name in knobs["label/time"].names] == [0.0, 0.5, 1.0]
    with pytest.raises(ValueError, match="'fast' is none of low, medium, high"):
        knobs["label/time"].named("fast")


def test_a_dial_between_two_labels_is_so_much_of_each(made: Labelled) -> None:
    y = made.between((torch.tensor([0.25, 1.0]), torch.tensor([0.75, 0.0])))
    assert y.tolist() == [[0.75, 0.25, 0.0, 0.5, 0.5], [0.0, 1.0, 1.0, 0.0, 0.0]]


def test_a_partner_stage_dances_it(file: Path) -> None:
    stage = Partner(OnnxModel(file), seed=1)
    knobs = {param.name: param.default for param in stage.params}
    frame = PoseFrame(
        HUMANOID, np.array([0.0, 0.9, 0.0]), np.tile([0.0, 0.0, 0.0, 1.0], (22, 1)), 0.0, 0.0, 0, "dancer1"
    )
    shown = [stage.step(frame, 1.0 / 60.0, knobs) for _ in range(8)]
    assert all(np.isfinite(each.rotations).all() for each in shown)
    assert abs(shown[0].root_position[0] - 1.5) < 1e-5
