"""The upsampler: what it answers untrained, what it makes of gaps, odd times and nothing, and that its bones keep."""

import numpy as np
import pytest
import torch

from made_up_takes import made_up_clip
from motion import key_window, kinematics, upsampling
from motion import rotations as rot
from motion.corruption import LIMBS
from motion.skeleton import HUMANOID
from training.models import upsampler_keys
from training.models.upsampler import Config, Upsampler
from training.models.upsampler_body import Body
from training.models.upsampler_corruption import NOISE, corrupt
from training.models.upsampler_keys import Keys
from training.models.upsampler_takes import Dancer, Take
from training.models.upsampler_windows import Windows

CLIP = made_up_clip(2.0, 120)
TIMES = np.arange(len(CLIP)) / 120
EVERYTHING = np.ones(CLIP.rotations.shape[:2], dtype=bool)
TURNS = rot.to_6d(CLIP.rotations).astype(np.float32)
POINTS = kinematics.global_positions(HUMANOID, CLIP.root_positions, CLIP.rotations).astype(np.float32)
LENGTHS = np.linalg.norm(HUMANOID.offsets[1:], axis=-1)
Answer = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module", params=["residual", "transformer"])
def untrained(request: pytest.FixtureRequest) -> Upsampler:
    return Upsampler(Config(network=request.param, width=32)).eval()


@pytest.fixture(scope="module", params=["residual", "transformer"])
def stirred(request: pytest.FixtureRequest) -> Upsampler:
    """One whose answers are not the plain way's, small and random."""
    torch.manual_seed(0)
    model = Upsampler(Config(network=request.param, width=32)).eval()
    if model.transformer is not None:
        torch.nn.init.constant_(model.transformer.gate, 0.05)
        torch.nn.init.constant_(model.transformer.gate_keys, 0.02)
        return model
    for expert in model.experts.all:
        torch.nn.init.normal_(expert.leave.weight, std=2e-3)
        torch.nn.init.ones_(expert.gate[2].bias)
    torch.nn.init.normal_(model.cleaner.leave.weight, std=0.01)
    return model


@pytest.fixture
def unmending() -> Upsampler:
    """Experts that are stirred, with keys left as they came."""
    torch.manual_seed(0)
    model = Upsampler(Config(width=32)).eval()
    for expert in model.experts.all:
        torch.nn.init.normal_(expert.leave.weight, std=2e-3)
        torch.nn.init.ones_(expert.gate[2].bias)
    return model


@pytest.mark.parametrize(
    "config", [Config(width=32, network="transformer", layers=1), Config(width=16, adversarial_loss=0.1)]
)
def test_every_part_that_a_config_adds_is_trained(config: Config) -> None:
    torch.manual_seed(2)
    model = Upsampler(config)
    for value in model.parameters():  # what begins at zero lets nothing through to what is before it
        if not value.any():
            torch.nn.init.normal_(value, std=0.1)
    takes = [Take("made up", 120.0, (Dancer("made up", "", POINTS, POINTS, TURNS, TURNS),))]
    batch = Windows(takes, 11, 2, True, (1.0, 1.0, 1.0, 1.0), 0.5).gather(torch.arange(0, 480, 3))
    model.loss(batch)[0].backward()
    assert [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()] == []


def given(
    step: int, ahead: int, now: int = 120, share: float = 0.4, valid: np.ndarray = EVERYTHING
) -> key_window.Shown:
    """What a model is shown of every step-th frame of the clip, for a moment after frame `now`."""
    keys = np.arange(now % step, len(CLIP), step)
    query = np.array([(now + share * step) / 120])
    places = key_window.between(TIMES[keys], query, ahead)
    return key_window.shown(places, TIMES[keys], CLIP.root_positions[keys], CLIP.rotations[keys], valid[keys], query)


@torch.no_grad()
def answer(model: Upsampler, shown: key_window.Shown) -> Answer:
    """Root (Q, 3) and rotations (Q, J, 4)."""
    keys, valid, times, query = map(torch.from_numpy, shown.inputs().values())
    root, sixd, _, _ = model(keys[..., :3], keys[..., 3:].unflatten(-1, (-1, 6)), times, valid, query)
    return key_window.poses(shown.told(torch.cat([root, sixd.flatten(2)], dim=-1).numpy()))


def positions(pose: Answer) -> np.ndarray:
    return kinematics.global_positions(HUMANOID, *pose)


def on_bones(points: np.ndarray) -> np.ndarray:
    return Body(HUMANOID).standing(torch.from_numpy(points).float()).numpy()


def truth(now: float) -> np.ndarray:
    points = kinematics.global_positions(HUMANOID, CLIP.root_positions, CLIP.rotations)
    return upsampling.points_at("cubic", TIMES, points, np.array([now / 120]))


def test_untrained_without_looking_ahead_it_goes_on_at_the_last_speed(untrained: Upsampler) -> None:
    keys = np.arange(0, 121, 4)
    points = kinematics.global_positions(HUMANOID, CLIP.root_positions[keys], CLIP.rotations[keys])
    expected = on_bones(upsampling.points_at("extrapolate", TIMES[keys], points, np.array([121.6 / 120])))
    assert np.abs(positions(answer(untrained, given(4, 0))) - expected).max() < 1e-5  # float32


def test_untrained_between_two_keys_alone_it_goes_straight(untrained: Upsampler) -> None:
    keys = np.array([120, 128])
    places = np.full((1, 13), -1)
    places[0, 10:12] = [0, 1]
    query = np.array([123 / 120])
    points = kinematics.global_positions(HUMANOID, CLIP.root_positions[keys], CLIP.rotations[keys])
    shown = key_window.shown(
        places, TIMES[keys], CLIP.root_positions[keys], CLIP.rotations[keys], EVERYTHING[keys], query
    )
    expected = on_bones(upsampling.points_at("linear", TIMES[keys], points, query))
    assert np.abs(positions(answer(untrained, shown)) - expected).max() < 1e-5


def test_untrained_with_keys_ahead_it_is_nearer_than_catmull_rom(untrained: Upsampler) -> None:
    keys = np.arange(0, len(CLIP), 16)
    points = kinematics.global_positions(HUMANOID, CLIP.root_positions[keys], CLIP.rotations[keys])
    now = 112 + 0.4 * 16
    rom = upsampling.points_at("catmull_rom", TIMES[keys], points, np.array([now / 120]))
    off = [np.abs(each - truth(now)).mean() for each in (positions(answer(untrained, given(16, 2, 112))), rom)]
    assert off[0] < 0.6 * off[1]


@pytest.mark.parametrize("ahead", [1, 2])
def test_a_moment_that_is_a_key_is_that_key(unmending: Upsampler, ahead: int) -> None:
    root, rotations = answer(unmending, given(8, ahead, share=0.0))
    assert np.abs(root - CLIP.root_positions[120]).max() < 1e-5
    assert rot.angle(rotations[0], CLIP.rotations[120]).max() < 2e-3  # float32 near identity: 1e-6 in the cosine


@pytest.mark.parametrize("ahead", [0, 1, 2])
def test_bones_keep_their_lengths(stirred: Upsampler, ahead: int) -> None:
    joints = positions(answer(stirred, given(8, ahead)))[0]
    assert np.abs(np.linalg.norm(joints[1:] - joints[list(HUMANOID.parents[1:])], axis=-1) - LENGTHS).max() < 1e-6


def test_what_is_not_valid_does_not_matter(stirred: Upsampler) -> None:
    valid = EVERYTHING.copy()
    valid[112, 8:12] = valid[120, 3] = valid[104, 0] = False
    shown = given(8, 2, valid=valid)
    expected = answer(stirred, shown)
    bad = np.repeat(shown.valid < 0.5, 6, axis=-1)
    shown.keys[..., 3:][bad] = np.nan
    shown.keys[..., :3][shown.valid[..., 0] < 0.5] = np.inf
    for one, other in zip(answer(stirred, shown), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_joint_that_is_no_number_is_not_valid(stirred: Upsampler) -> None:
    shown = given(8, 2)
    shown.keys[0, 9, 3 + 6 * 5] = np.nan
    valid = EVERYTHING.copy()
    valid[112, 5] = False
    np.testing.assert_array_equal(answer(stirred, shown)[1], answer(stirred, given(8, 2, valid=valid))[1])


@pytest.mark.parametrize("kept", [[], [10], [9, 10], [11], [4], list(range(11)), list(range(13))])
def test_however_little_is_there_a_pose_comes(stirred: Upsampler, kept: list[int]) -> None:
    shown = given(8, 2)
    shown.valid[:, [slot for slot in range(13) if slot not in kept]] = 0.0
    root, rotations = answer(stirred, shown)
    assert np.isfinite(root).all()
    assert np.isfinite(rotations).all()
    np.testing.assert_allclose(np.linalg.norm(rotations, axis=-1), 1.0, atol=1e-9)


def test_one_key_is_held(untrained: Upsampler) -> None:
    shown = given(8, 0, share=0.9)
    shown.valid[:, :10] = 0.0
    assert np.abs(answer(untrained, shown)[0] - CLIP.root_positions[120]).max() < 1e-5


def test_without_looking_ahead_nothing_later_is_seen(stirred: Upsampler) -> None:
    shown = given(8, 0)
    expected = answer(stirred, shown)
    shown.keys[:, 11:] += 1.0
    for one, other in zip(answer(stirred, shown), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_moments_asked_together_are_answered_as_alone(stirred: Upsampler) -> None:
    keys = np.arange(0, len(CLIP), 8)
    times = np.array([97, 99.5, 107, 105, 113, 96.5]) / 120  # some of them between the same keys
    near = 1e-5 if stirred.experts is not None else 1e-3  # a transformer's moments attend to each other
    for ahead in (0, 1, 2):
        roots = [
            answer(stirred, shown_at(keys, some, key_window.between(TIMES[keys], some, ahead)))[0]
            for some in (times, *times[:, None])
        ]
        np.testing.assert_allclose(roots[0], np.concatenate(roots[1:]), atol=near)


def shown_at(keys: np.ndarray, queries: np.ndarray, places: key_window.Places) -> key_window.Shown:
    pose = CLIP.root_positions[keys], CLIP.rotations[keys]
    return key_window.shown(places, TIMES[keys], *pose, EVERYTHING[keys], queries)


def test_moments_after_the_same_key_share_a_row() -> None:
    keys = np.arange(0, len(CLIP), 8)
    queries = np.array([97, 99.5, 103, 105, 113]) / 120
    shown = shown_at(keys, queries, key_window.between(TIMES[keys], queries))
    assert shown.query.shape == (3, 3)
    np.testing.assert_allclose(shown.told(shown.query[..., None])[:, 0], queries % (8 / 120), atol=1e-6)


@pytest.mark.parametrize("ahead", [1, 2])
def test_keys_may_come_at_any_times(untrained: Upsampler, ahead: int) -> None:
    keys = np.array([92, 101, 109, 114, 121, 131, 138])
    query = np.array([126 / 120])
    places = key_window.between(TIMES[keys], query, ahead)
    shown = key_window.shown(
        places, TIMES[keys], CLIP.root_positions[keys], CLIP.rotations[keys], EVERYTHING[keys], query
    )
    assert np.linalg.norm(positions(answer(untrained, shown)) - truth(126), axis=-1).max() < 2e-3


def test_the_spline_is_exact_on_parabolas() -> None:
    times = torch.tensor([[-0.5, -0.3, -0.22, -0.1, 0.0, 0.13, 0.2]])
    padded = torch.cat([times[:, :1].expand(1, 6), times], dim=1)
    present = (torch.arange(13) >= 6).float()[None]
    bent = (3.0 * padded**2 - padded)[..., None, None].expand(1, 13, 2, 3)
    query = torch.tensor([[0.02, 0.06, 0.11]])
    made = upsampler_keys.base(Keys(bent, padded, present, 11), query)[0, :, 0, 0]
    torch.testing.assert_close(made, (3.0 * query**2 - query)[0], atol=2e-3, rtol=0.0)  # four Jacobi steps


def test_gaps_are_bridged_in_time() -> None:
    times = torch.tensor([[0.0, 0.1, 0.3, 0.4]])
    values = torch.tensor([0.0, 9.0, 3.0, 4.0])[None, :, None, None]
    valid = torch.tensor([1.0, 0.0, 1.0, 0.0])[None, :, None]
    made = upsampler_keys.filled(values, times, valid)[0, :, 0, 0]
    torch.testing.assert_close(made, torch.tensor([0.0, 1.0, 3.0, 3.0]))


def identity(count: int) -> torch.Tensor:
    return torch.tensor([1.0, 0, 0, 0, 1, 0]).expand(count, 7, 22, 6)


def test_corruption_has_no_mean_and_keeps_bones() -> None:
    torch.manual_seed(3)
    still = torch.from_numpy(HUMANOID.rest_positions).float().expand(4000, 7, 22, 3)
    times = torch.arange(7.0).expand(4000, 7) / 8
    keys, valid = corrupt(still, identity(4000), times, torch.ones(4000, 7, 22), torch.ones(4000))
    hands = keys[:, :, HUMANOID.index("LeftHand")] - still[0, 0, HUMANOID.index("LeftHand")]
    across = hands[..., 1:]  # along the arm a bone does not give
    assert float(across.std()) > 0.3 * NOISE
    assert across.mean(dim=(0, 1)).abs().max() < 0.02 * NOISE
    bones = (keys[:, :, 1:] - keys[:, :, list(HUMANOID.parents[1:])]).norm(dim=-1)
    torch.testing.assert_close(bones, torch.from_numpy(LENGTHS).float().expand_as(bones), atol=1e-4, rtol=0.0)
    unseen = {HUMANOID.index(bone) for bone, end in LIMBS if end}
    assert {int(joint) for joint in (valid < 0.5).nonzero()[:, 2].unique()} == unseen


def test_rows_that_are_not_chosen_stay_as_they_are() -> None:
    keys = torch.randn(8, 7, 22, 3)
    some = (torch.arange(8) == 3).float()
    made, valid = corrupt(keys, identity(8), torch.arange(7.0).expand(8, 7), torch.ones(8, 7, 22), some)
    assert torch.equal(made[some < 0.5], keys[some < 0.5])
    assert bool((valid[some < 0.5] == 1.0).all())


@pytest.mark.parametrize(
    "given", [{"past": 5}, {"ahead": 3}, {"shares": (1.0, 1.0)}, {"shares": (-1.0, 1.0, 1.0, 1.0)}]
)
def test_a_config_that_cannot_be_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(given))):
        Config(**given)


def test_dense_keys_are_asked_for_a_forecast(untrained: Upsampler) -> None:
    frames = slice(0, 121)
    places = key_window.forecast(TIMES[frames])
    shown = key_window.shown(
        places, TIMES[frames], CLIP.root_positions[frames], CLIP.rotations[frames], EVERYTHING[frames], TIMES[[124]]
    )
    keys = torch.from_numpy(shown.keys[..., :3])[:, :, None]
    present = upsampler_keys.present(torch.from_numpy(shown.valid), 11)
    assert bool(Keys(keys, torch.from_numpy(shown.times), present, 11).dense.all())
    assert np.linalg.norm(positions(answer(untrained, shown)) - truth(124), axis=-1).max() < 0.02
