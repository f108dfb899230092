"""The live graph dances as the model does: what it senses, whose manner, and where who it makes stands."""

from pathlib import Path

import numpy as np
import pytest
import torch

from exporters.graphs import identity_action as graphs
from exporters.graphs.identity_action import MannerStep
from identity_models import small_model
from made_up_takes import made_up_clip
from manner_models import differing, written
from motion import features, kinematics
from motion.clip import Clip
from motion.skeleton import HUMANOID
from server.onnx_model import OnnxModel
from training.models import identity_pose as pose
from training.models.identity_action import IdentityAction

POSE = ("root_position", "rotations_6d")


@pytest.fixture(scope="module")
def model() -> IdentityAction:
    return differing()


@pytest.fixture(scope="module")
def file(model: IdentityAction, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(model, tmp_path_factory.mktemp("models"))


def _vectors(clip: Clip) -> np.ndarray:
    return features.encode(POSE, HUMANOID, clip.root_positions, clip.rotations)


def _danced(file: Path, frames: np.ndarray, fps: float, noise: float = 0.0, **knobs: float) -> np.ndarray:
    """Partner vectors (T, D) of a dancer's (T, D), from the beginning."""
    model = OnnxModel(file)
    for param in model.manifest.params:
        model.inputs[param.name][:] = param.default
    for name, value in ({"distance": 0.0} | knobs).items():
        model.inputs[name.replace("__", "/")][:] = value
    model.inputs["dt"][:] = 1.0 / fps
    random = np.random.default_rng(0)
    made = []
    for frame in frames:
        model.inputs["dancer"][0] = frame
        model.inputs["noise"][:] = noise * random.standard_normal(model.inputs["noise"].shape)
        made.append(model.step()["partner"][0].copy())
    return np.stack(made)


def _joints(vectors: np.ndarray) -> np.ndarray:
    return kinematics.global_positions(HUMANOID, *features.decode(POSE, 22, vectors))


def test_it_senses_moves_as_the_model_was_trained_on_them() -> None:
    clip = made_up_clip(1.0, 30.0)
    given = torch.from_numpy(_vectors(clip))
    expected = pose.moves(clip.root_positions, clip.rotations, 30.0)
    sensed = graphs.moves(given[:-1], given[1:], torch.full((len(given) - 1, 1), 1.0 / 30.0))
    np.testing.assert_allclose(sensed.numpy(), expected[1:].numpy(), atol=2e-4)  # float32, differences times 30


def test_feet_are_where_forward_kinematics_has_them(model: IdentityAction) -> None:
    clip = made_up_clip(1.0, 30.0)
    feet = MannerStep(model).feet(torch.from_numpy(_vectors(clip))[:, 3:])
    joints = kinematics.global_positions(HUMANOID, clip.root_positions, clip.rotations)
    for leg, side in enumerate(("Left", "Right")):
        for point, bone in enumerate(("Foot", "Toes")):
            expected = joints[:, HUMANOID.index(side + bone)] - joints[:, 0]
            np.testing.assert_allclose(feet[:, leg, point].numpy(), expected, atol=1e-5)


def test_what_is_danced_is_what_the_decoder_makes_of_what_the_encoder_reads(model: IdentityAction, file: Path) -> None:
    still = np.repeat(_vectors(made_up_clip(1.0, 30.0))[5:6], 90, axis=0)
    joints = _joints(_danced(file, still, 30.0, identity__b=1.0))[-1]
    move = pose.moves(*features.decode(POSE, 22, still[:2]), 30.0)[1:].repeat(64, 1)[None]
    with torch.no_grad():
        read = model.frames.encode(move)
        theirs = model.mixture(model.identity(read)[0])
        z = model.now_of(read, theirs)[0]
        made = pose.positions(model.danced(z, model.asked(torch.tensor([[0.0, 1.0, 0.0]]))))[0, -1].numpy()
    apart = [np.linalg.norm(each[:, None] - each[None], axis=-1) for each in (joints, made)]
    np.testing.assert_allclose(*apart, atol=1e-3)


def test_shares_are_whose_manner_it_is(file: Path) -> None:
    frames = _vectors(made_up_clip(1.0, 60.0))
    own, a, b = (
        _joints(_danced(file, frames, 60.0, **knobs)) for knobs in ({}, {"identity__a": 1.0}, {"identity__b": 1.0})
    )
    half = _joints(_danced(file, frames, 60.0, identity__a=0.5, identity__b=0.5))
    assert np.abs(a - b).max() > 0.02
    assert np.abs(a - own).max() > 0.005
    assert np.abs(half - a).mean() < np.abs(b - a).mean()
    twice = _joints(_danced(file, frames, 60.0, identity__a=1.0, identity__b=1.0))
    np.testing.assert_allclose(twice, half, atol=1e-4)  # more than one is as many of each


@pytest.mark.parametrize("fps", [50.0, 120.0])
def test_at_another_rate_it_is_the_same_dance(file: Path, fps: float) -> None:
    def at(rate: float) -> np.ndarray:
        return _joints(_danced(file, _vectors(made_up_clip(2.0, rate)), rate, identity__a=1.0))

    plain, other = at(30.0), at(fps)
    for joint in (0, HUMANOID.index("LeftHand")):
        expected = np.stack(
            [
                np.interp(np.arange(len(other)) / fps, np.arange(len(plain)) / 30.0, plain[:, joint, axis])
                for axis in range(3)
            ],
            axis=-1,
        )
        assert np.linalg.norm(other[:, joint] - expected, axis=-1)[int(0.5 * fps) : -8].max() < 0.06


def test_it_keeps_the_place_and_the_height_of_the_feet(file: Path) -> None:
    clip = made_up_clip(2.0, 60.0)
    frames = _vectors(clip)
    toes = [HUMANOID.index(name) for name in ("LeftFoot", "LeftToes", "RightFoot", "RightToes")]
    source, joints = _joints(frames)[:, toes], _joints(_danced(file, frames, 60.0, identity__c=1.0))[:, toes]
    np.testing.assert_allclose(joints[..., 1].min(axis=1), source[..., 1].min(axis=1), atol=1e-4)
    away = np.linalg.norm(joints.mean(axis=1) - source.mean(axis=1), axis=-1)
    assert away.max() < 0.8  # a step of an untrained body


def test_bones_keep_their_lengths(file: Path) -> None:
    joints = _joints(_danced(file, _vectors(made_up_clip(1.0, 60.0)), 60.0, identity__a=0.7, manner__improvise=0.5))
    lengths = np.linalg.norm(joints[:, 1:] - joints[:, list(HUMANOID.parents[1:])], axis=-1)
    np.testing.assert_allclose(
        lengths, np.broadcast_to(np.linalg.norm(HUMANOID.offsets[1:], axis=-1), lengths.shape), atol=1e-5
    )


def test_who_improvises_for_long_stays_finite_and_near(file: Path) -> None:
    frames = np.repeat(_vectors(made_up_clip(1.0, 60.0))[20:21], 1800, axis=0)
    made = _danced(file, frames, 60.0, noise=1.0, identity__a=1.0, manner__improvise=1.0, manner__chance=1.5)
    assert np.isfinite(made).all()
    assert np.linalg.norm(made[:, 0:3:2] - made[:1, 0:3:2], axis=1).max() < 4.0


def test_who_improvises_comes_back(file: Path) -> None:
    model = OnnxModel(file)
    frames = _vectors(made_up_clip(1.0, 60.0))
    for param in model.manifest.params:
        model.inputs[param.name][:] = param.default
    model.inputs["distance"][:], model.inputs["dt"][:] = 0.0, 1.0 / 60.0
    model.inputs["dancer"][0] = frames[0]
    random = np.random.default_rng(0)
    made = []
    for number in range(1200):
        model.inputs["manner/improvise"][:] = float(300 <= number < 600)
        model.inputs["noise"][:] = random.standard_normal(model.inputs["noise"].shape)
        made.append(model.step()["partner"][0].copy())
    joints = _joints(np.stack(made))
    assert np.abs(joints[590] - joints[299]).max() > 0.01
    np.testing.assert_allclose(joints[-1], joints[299], atol=5e-3)


def test_two_dancers_in_one_run_are_two_runs(file: Path) -> None:
    frames = _vectors(made_up_clip(1.0, 60.0))
    single = [_danced(file, frames[first : first + 30], 60.0, identity__a=1.0) for first in (0, 20)]
    model = OnnxModel(file, batch=2)
    for param in model.manifest.params:
        model.inputs[param.name][:] = param.default
    model.inputs["identity/a"][:], model.inputs["distance"][:], model.inputs["dt"][:] = 1.0, 0.0, 1.0 / 60.0
    for number in range(30):
        model.inputs["dancer"][:] = frames[[number, 20 + number]]
        both = model.step()["partner"]
    np.testing.assert_allclose(both, [each[-1] for each in single], atol=1e-4)


def test_a_model_without_identities_has_no_manner_to_export() -> None:
    with pytest.raises(ValueError, match="trained without identities"):
        MannerStep(small_model(identities=(), identity_loss=0.0))
