"""The player of duet_match: causal, repeatable, lively, with whole bones and no pops, at any rate."""

import numpy as np
import pytest
import torch

from made_up_takes import made_up_pair
from motion.skeleton import HUMANOID
from training import kinematics
from training.match import features, quaternions
from training.match.fit import fit
from training.match.folded import Folded
from training.match.player import Player
from training.models.duet_match import Config, DuetMatch, Training

CONFIG = Config(centres=60, intention_centres=50, placement_dims=(12, 8), intention_dims=(12,), networks=1, axes=24)


@pytest.fixture(scope="module")
def model() -> DuetMatch:
    return fit(DuetMatch(CONFIG, HUMANOID), [made_up_pair()], True, True, seed=0, epochs=2)


@pytest.fixture(scope="module")
def given() -> torch.Tensor:
    return torch.tensor(made_up_pair().lead.given, dtype=torch.float32).flatten(1)


@torch.no_grad()
def _dance(model: DuetMatch, dancer: torch.Tensor, seed: int = 0, fps: float = 120.0, **knobs: float) -> list:
    """Partners (T, 3 + 6 J) and the states of every step."""
    player = Player(model).eval()
    inputs, states = player.ports()
    random = torch.Generator().manual_seed(seed)
    state = [torch.zeros(1, *shape) for shape in states.values()]
    knob = [torch.full((1, 1), knobs.get(name, default)) for name, default in (("variety", 1.0), ("distance", 0.0))]
    partners, kept = [], []
    for frame in dancer:
        noise = torch.randn(1, *inputs["noise"], generator=random)
        time, lead = torch.full((1, 1), 1 / fps), torch.full((1, 1), knobs.get("lead", 0.0))
        partner, *state = player(frame[None], time, noise, *knob, lead, *state)
        partners.append(partner[0])
        kept.append(dict(zip(states, state, strict=True)))
    return [torch.stack(partners), kept]


def _joints(partners: torch.Tensor) -> torch.Tensor:
    matrices = kinematics.matrices_from_6d(partners[:, 3:].unflatten(-1, (-1, 6)))
    offsets = torch.tensor(HUMANOID.offsets, dtype=torch.float32)
    return kinematics.global_positions(HUMANOID.parents, offsets, partners[:, :3], matrices)


def test_the_partner_knows_no_future(model: DuetMatch, given: torch.Tensor) -> None:
    changed = given[:160].clone()
    changed[120:] += 0.3
    plain, other = _dance(model, given[:160])[0], _dance(model, changed)[0]
    assert torch.equal(plain[:120], other[:120])
    assert not torch.equal(plain[120:], other[120:])


def test_the_same_noise_gives_the_same_dance_bit_for_bit(model: DuetMatch, given: torch.Tensor) -> None:
    assert torch.equal(_dance(model, given[:120], 3)[0], _dance(model, given[:120], 3)[0])


def test_other_noise_gives_another_dance(model: DuetMatch, given: torch.Tensor) -> None:
    one, other = (_joints(_dance(model, given, seed, variety=2.0)[0]) for seed in (1, 2))
    assert (one - other).norm(dim=-1).mean() > 0.05


def test_bones_keep_their_lengths_and_rotations_are_rotations(model: DuetMatch, given: torch.Tensor) -> None:
    rotations = _dance(model, given[:200])[0][:, 3:].view(-1, len(HUMANOID), 2, 3)
    gram = rotations @ rotations.transpose(-1, -2)
    torch.testing.assert_close(gram, torch.eye(2).expand_as(gram), atol=2e-4, rtol=0)  # float32, a dozen products


def test_jumps_do_not_pop(model: DuetMatch, given: torch.Tensor) -> None:
    partners, kept = _dance(model, given)
    rows = torch.stack([state["state_clip"][0, 0] for state in kept])
    jumps = ((rows[1:] - rows[:-1]).abs() > 3).nonzero()[:, 0] + 1
    step = (_joints(partners)[1:] - _joints(partners)[:-1]).norm(dim=-1).amax(dim=-1)
    assert len(jumps[jumps > 15]) > 0
    assert step[15:].max() < 0.1  # metres in 1/120 s; a cut between clips moves hands by several times as much


def test_any_rate_gives_much_the_same_path(model: DuetMatch, given: torch.Tensor) -> None:
    fast = _dance(model, given, variety=0.0)[0][:, :3]
    slow = _dance(model, given[::4], fps=30.0, variety=0.0)[0][:, :3]
    assert (fast[::4][: len(slow)] - slow).norm(dim=-1).mean() < 0.2


def test_distance_and_lead_are_heard(model: DuetMatch, given: torch.Tensor) -> None:
    plain, far = (_dance(model, given, variety=0.0, distance=metres)[0] for metres in (0.0, 1.0))
    hips = given[:, [0, 2]]
    apart = [(partners[200:, [0, 2]] - hips[200:]).norm(dim=-1).mean() for partners in (plain, far)]
    assert apart[1] > apart[0] + 0.4
    assert not torch.equal(plain, _dance(model, given, variety=0.0, lead=0.3)[0])


def test_the_folded_regressors_are_the_fitted_ones(model: DuetMatch, given: torch.Tensor) -> None:
    seen = features.context(features.past_of(given[::4].view(-1, len(HUMANOID), 3)))
    place, want, context = Folded(model)(seen)
    standardised = model.standardise(seen)
    torch.testing.assert_close(place, model.place(standardised), atol=1e-4, rtol=0)
    trajectory, before, leader = (torch.randn(len(seen), size) for size in (8, 78, len(features.SPEED_LAGS)))
    asked, speed = Folded(model).query(trajectory, before, want, context, leader)
    wants = model.wants(standardised)
    speeds = wants.view(len(seen), -1, 45)[..., 44] / 0.6
    raw = torch.cat([trajectory, before, wants, context, leader, 1.5 * speeds], dim=1)
    torch.testing.assert_close(asked, (raw * model.scale - model.mean) @ model.turn, atol=1e-3, rtol=0)
    torch.testing.assert_close(speed, speeds[:, :1], atol=1e-4, rtol=0)
    torch.testing.assert_close(context, model.placers[0].project(standardised), atol=1e-4, rtol=0)


def test_takes_too_short_to_play_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"too short to be played from.*made up"):
        fit(DuetMatch(CONFIG, HUMANOID), [made_up_pair(seconds=1.0)], True, True, seed=0)


def test_quaternions_agree_with_the_numbers_room() -> None:
    from motion import rotations as rot

    random = np.random.default_rng(0)
    a, b = (rot.normalize(random.normal(size=(5, 7, 4))) for _ in range(2))
    ta, tb = torch.tensor(a).float(), torch.tensor(b).float()
    np.testing.assert_allclose(quaternions.multiply(ta, tb), rot.multiply(a, b), atol=1e-6)
    np.testing.assert_allclose(quaternions.matrices(ta, 7), rot.to_matrix(a), atol=1e-6)
    turned = quaternions.exp(quaternions.log(ta))
    np.testing.assert_allclose((turned * ta).sum(-1).abs(), 1.0, atol=1e-5)


@pytest.mark.parametrize("wrong", [{"centres": 0}, {"learned_code": -3}, {"learned_places": 0}, {"learned_width": 1}])
def test_sizes_that_cannot_be_are_named(wrong: dict[str, int]) -> None:
    (name, value), *_ = wrong.items()
    with pytest.raises(ValueError, match=rf"{name}.*{value}"):
        Config(**wrong)
    with pytest.raises(ValueError, match="epochs: 0, learned_steps: -5"):
        Training(epochs=0, learned_steps=-5)
