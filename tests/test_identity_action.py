"""identity_action: what it is made of, what its stages teach, and what it can be asked for."""

import math

import pytest
import torch
from torch import Tensor

from identity_models import IDENTITIES, batch, moves, small_model
from motion.skeleton import HUMANOID
from training.models import identity_pose as pose
from training.models.identity_action import PARTS, IdentityAction
from training.models.identity_action_config import FRAMES, SEQUENCES, Config
from training.models.identity_action_parts import Anneal, Blended, divergence, spread


def _numbers(model: torch.nn.Module, part: str) -> Tensor:
    return torch.cat([each.detach().flatten() for each in model.get_submodule(part).parameters()])


@pytest.mark.parametrize(("progress", "number"), [(0.0, 1.0), (0.25, math.sqrt(10.0)), (0.5, 10.0), (0.9, 10.0)])
def test_an_anneal_rises_by_ratios_and_stays(progress: float, number: float) -> None:
    assert Anneal(1.0, 10.0, fraction=0.5).at(progress) == pytest.approx(number)


def test_an_anneal_passes_through_its_middle() -> None:
    released = Anneal(30.0, 1.0, middle=0.2, middle_at=0.4)
    assert [released.at(progress) for progress in (0.0, 0.4, 1.0)] == pytest.approx([30.0, 0.2, 1.0])


def test_an_anneal_from_zero_rises_evenly() -> None:
    assert Anneal(0.0, 2.0).at(0.5) == pytest.approx(1.0)


def test_a_blend_of_one_expert_is_a_linear_layer_with_its_weights() -> None:
    layer, x = Blended(3, 4, 5), torch.randn(2, 7, 4)
    torch.nn.init.normal_(layer.weights)
    s = torch.tensor([[0.0, 1.0, 0.0]]).expand(2, 3)
    plain = x @ (layer.weight + layer.weights[1]).T + layer.bias + layer.biases[1]
    torch.testing.assert_close(layer(x, s), plain)


def test_every_sequence_has_a_blend_of_its_own() -> None:
    layer, x, s = Blended(3, 4, 5), torch.randn(2, 7, 4), torch.rand(2, 3)
    torch.testing.assert_close(layer(x, s)[1:], layer(x[1:], s[1:]))


def test_the_divergence_is_that_of_torch() -> None:
    mu, sd, other_mu, other_sd = torch.rand(4, 3, 5) + 0.1
    normal = torch.distributions.Normal
    wanted = torch.distributions.kl_divergence(normal(mu, sd), normal(other_mu, other_sd)).sum(dim=1)
    torch.testing.assert_close(divergence(mu, sd, other_mu, other_sd), wanted)


@pytest.mark.parametrize("stage", [FRAMES, SEQUENCES])
def test_a_stage_teaches_its_own_parts_and_leaves_the_other_s_alone(stage: int) -> None:
    model = small_model(stage).train()
    before = {part: _numbers(model, part) for parts in PARTS.values() for part in parts if part != "tempo"}
    optimizer = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad], 1e-2)
    for _ in range(2):  # the prior's gate lets nothing of the first step through to some layers
        model.loss(batch())[0].backward()
        optimizer.step()
    moved = {part for part, numbers in before.items() if not torch.equal(numbers, _numbers(model, part))}
    assert moved == {*PARTS[stage], "usual"} - {"tempo"}  # usual notes what the others say; tempo is a statistic


@pytest.mark.parametrize("stage", [FRAMES, SEQUENCES])
def test_training_makes_the_loss_smaller(stage: int) -> None:
    torch.manual_seed(1)
    model = small_model(stage, recognised_loss=(0.0, 0.0)).train()
    optimizer = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad], 1e-2)
    losses = []
    for _ in range(40):
        total, _ = model.loss(batch())
        losses.append(total.item())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    assert losses[-1] < 0.95 * losses[0]  # the frozen decoder of stage 2 is untrained


def test_extreme_frames_make_no_number_that_is_none() -> None:
    for stage in (FRAMES, SEQUENCES):
        given = batch()
        total, _ = small_model(stage).train().loss({**given, "x": 1e4 * given["x"], "pair": -1e4 * given["pair"]})
        total.backward()
        assert bool(torch.isfinite(total))


def test_bones_of_what_is_made_have_their_lengths() -> None:
    model = small_model()
    made = pose.positions(model.sample(3, 12, torch.Generator().manual_seed(0)))
    bones = made[..., 1:, :] - made[..., list(HUMANOID.parents[1:]), :]
    lengths = torch.tensor(HUMANOID.offsets[1:], dtype=torch.float32).norm(dim=-1)
    torch.testing.assert_close(bones.norm(dim=-1), lengths.expand(3, 12, -1), atol=1e-5, rtol=0)


def test_who_it_is_does_not_depend_on_the_order_of_frames() -> None:
    model, x = small_model(), moves(4)
    read = model.frames.encode(x)
    order = torch.randperm(x.shape[1])
    torch.testing.assert_close(model.identity(read)[0], model.identity(read[:, order])[0])


def test_a_higher_temperature_makes_the_mixture_sharper() -> None:
    blurred, sharp = (small_model(temperature=Anneal(1.0, end)) for end in (1.0, 10.0))
    u = torch.tensor([[0.3, 0.0, -0.1]])
    assert sharp.mixture(u).max() > blurred.mixture(u).max() > 1 / 3
    torch.testing.assert_close(sharp.mixture(u).sum(), torch.ones(()))


def test_a_swap_with_oneself_is_a_reconstruction() -> None:
    model, x = small_model(), moves(2)
    torch.testing.assert_close(model.swap(x, x), model.reconstruct(x))


def test_a_swap_may_be_of_sequences_of_different_lengths() -> None:
    model = small_model()
    assert model.swap(moves(2), moves(2, 40)).shape == moves(2).shape


def test_whoever_is_asked_for_is_a_mixture_of_whom_is_known() -> None:
    model = small_model()
    ada, bob = model.asked(torch.eye(len(IDENTITIES)))
    torch.testing.assert_close(model.asked(torch.tensor([[1.4, 0.6]]))[0], 0.7 * ada + 0.3 * bob, atol=1e-5, rtol=0)
    torch.testing.assert_close(model.asked(torch.zeros(1, 2))[0], 0.5 * (ada + bob))


def test_what_d_forgets_no_linear_classifier_can_tell_and_the_rest_stays() -> None:
    model, who = small_model(dynamics=4), torch.arange(60) % 2
    e = torch.randn(60, 16, 6) + who[:, None, None] * torch.randn(6)
    before = model.dynamics(e)[0]
    model.dynamics.forget(e, who)
    d = model.dynamics(e)[0]
    torch.testing.assert_close(d[who == 0].mean(0), d[who == 1].mean(0), atol=1e-5, rtol=0)
    assert torch.linalg.matrix_rank(d - before, tol=1e-4) == 1
    model.dynamics.forget(e, who)
    torch.testing.assert_close(model.dynamics(e)[0], d)


@pytest.mark.parametrize("length", [1, 2, 5, 50])
def test_what_goes_on_is_as_long_as_it_is_asked_to_be(length: int) -> None:
    model, x = small_model(), moves(2)
    assert model.generate(x, length).shape == (2, length, pose.WIDTH)
    assert model.sample(2, length, torch.Generator().manual_seed(0)).shape == (2, length, pose.WIDTH)


def test_what_goes_on_begins_as_it_was_read() -> None:
    model, x = small_model(), moves(2)
    s, e = model.read(x)
    torch.testing.assert_close(model.generate(x, 8)[:, :2], model.danced(e, s)[:, :2])


def test_samples_repeat_with_their_generator() -> None:
    model = small_model()
    one, same, other = (model.sample(2, 9, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_dynamics_that_are_not_moved_need_no_chance() -> None:
    model, x = small_model(), moves(2)
    one, other = (model.vary(x, 0.0, torch.Generator().manual_seed(seed)) for seed in (0, 1))
    assert torch.equal(one, other)
    assert not torch.equal(one, model.vary(x, 1.0, torch.Generator().manual_seed(0)))


def test_a_posterior_step_is_the_posterior_of_a_sequence() -> None:
    model, x = small_model(), moves(3)
    e = model.read(x)[1]
    d = model.dynamics(e)[0]
    h, c = (state.transpose(0, 1).flatten(1) for state in model.posterior.states(d))
    z, walked = model.posterior.first.expand(3, -1), []
    for frame in e.unbind(1):
        (z, _), h, c = model.posterior.step(frame, d, z, h, c)
        walked.append(z)
    torch.testing.assert_close(torch.stack(walked, 1), model.followed(e, d), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"experts": 1, "identities": ("a", "b")}, "2 identities need as many experts, not 1"),
        ({"latent": 0}, "latent must be 1 or more, not 0"),
        ({"window": 24, "rollout": 24}, "a window of 24 frames has no room for a rollout of 24"),
        ({"identity_spread": 0.0}, "identity_spread must be above 0"),
        ({"followed": 1.5}, "followed must be from 0 to 1, not 1.5"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(wrong: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Config(**wrong)


def _older(model: IdentityAction) -> dict[str, Tensor]:
    """Weights from before there was a tempo, or d forgot anything."""
    return {
        name: weight.clone()
        for name, weight in model.state_dict().items()
        if not name.startswith("tempo.") and name not in ("dynamics.centre", "dynamics.kept")
    }


def test_older_weights_have_no_tempo_and_forget_nothing() -> None:
    model = small_model()
    weights, x = _older(model), moves(2)
    model.tempo.who.fill_(1.0)
    model.dynamics.forget(torch.randn(20, 16, 6), torch.arange(20) % 2)
    model.load_state_dict(weights)
    d = model.dynamics(model.read(x)[1])[0]
    torch.testing.assert_close(d, small_model().codes(x)[1])
    assert model.tempo.known(*torch.tensor([[0], [1], [0]])) == 1.0


def test_a_posterior_of_older_weights_says_what_it_said() -> None:
    """Its layer said the mean; what was followed was not added."""
    model = small_model()
    weights = _older(model)
    model.load_state_dict(weights)
    e, d, z = torch.randn(2, 6), torch.randn(2, 4), torch.randn(2, 6)
    h, c = (state.transpose(0, 1).flatten(1) for state in model.posterior.states(d))
    (mu, sd), h, _ = model.posterior.step(e, d, z, h, c)
    heard = torch.cat([h.chunk(2, dim=1)[1], d, e, torch.ones(2, 1)], dim=1)
    said = heard @ weights["posterior.now.weight"].T + weights["posterior.now.bias"]
    torch.testing.assert_close(mu, said[:, :6] + 0.5 * torch.tanh(model.posterior.before(z)))
    torch.testing.assert_close(sd, spread(said[:, 6:]))


def test_weights_of_today_are_taken_as_they_are() -> None:
    model, weights = small_model(), small_model().state_dict()
    model.load_state_dict(weights)
    assert all(torch.equal(weight, weights[name]) for name, weight in model.state_dict().items())


def test_weights_that_lack_anything_else_are_refused_by_name() -> None:
    model = small_model()
    weights = {name: weight for name, weight in _older(model).items() if not name.startswith("prior.on")}
    with pytest.raises(ValueError, match=r"they lack prior\.on\.weight, prior\.on\.bias$"):
        model.load_state_dict(weights)
