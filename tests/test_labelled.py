"""The labelled partner's losses against brute force and torch.distributions, its poses against motion's, its model."""

import itertools

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, Normal, kl_divergence

from labelled_models import fitted, small_batch, small_model
from made_up_takes import made_up_clip
from motion import kinematics
from motion import rotations as rot
from motion.skeleton import HUMANOID
from training.labels import NONE
from training.models import labelled_losses as losses
from training.models import labelled_pose as pose
from training.models.labelled import SCALES
from training.models.labelled_basis import Basis
from training.models.labelled_networks import EXACT, easing

# ---- closed forms


def test_divergence_is_that_of_torch_distributions() -> None:
    mu, logvar = torch.randn(50, 7), torch.randn(50, 7)
    expected = kl_divergence(Normal(mu, (0.5 * logvar).exp()), Normal(0.0, 1.0)).sum(dim=1)
    torch.testing.assert_close(losses.divergence(mu, logvar), expected)


def test_free_bits_are_a_floor_of_every_number() -> None:
    assert losses.divergence(torch.zeros(1, 7), torch.zeros(1, 7), free=0.02).item() == pytest.approx(0.14)
    mu = torch.tensor([[0.0, 3.0]])
    assert losses.divergence(mu, torch.zeros(1, 2), free=0.5).item() == pytest.approx(0.5 + 4.5)


def test_combinations_are_all_there_are() -> None:
    assert losses.combinations((2, 3)).tolist() == [list(each) for each in itertools.product(range(2), range(3))]
    assert losses.combinations(()).shape == (1, 0)


def _brute(each: torch.Tensor, labels: torch.Tensor, log_q: list[torch.Tensor], window: int) -> float:
    """M2 of one window, a label at a time: the expectation of L under q, and minus q's entropy, of what is unknown."""
    total = 0.0
    for choice, (space, time) in enumerate(itertools.product(range(2), range(3))):
        weight = 1.0
        for column, label in enumerate((space, time)):
            known = int(labels[window, column])
            weight *= float(log_q[column][window, label].exp()) if known == NONE else float(known == label)
        total += weight * float(each[window, choice])
    for column in range(2):
        if int(labels[window, column]) == NONE:
            total -= float(Categorical(logits=log_q[column][window]).entropy())
    return total


def test_m2_by_enumeration_is_brute_force() -> None:
    labels = torch.tensor([[NONE, NONE], [1, NONE], [NONE, 2], [0, 1]]).repeat(5, 1)
    log_q = [torch.randn(20, size).log_softmax(dim=1) for size in (2, 3)]
    each = 100.0 * torch.randn(20, 6)
    share = losses.shares(labels, log_q, losses.combinations((2, 3)))
    made = losses.marginal(each, share, labels, log_q)
    expected = torch.tensor([_brute(each, labels, log_q, window) for window in range(20)])
    torch.testing.assert_close(made, expected, rtol=1e-4, atol=1e-3)


def test_a_labelled_window_costs_its_own_label_alone() -> None:
    labels, log_q = torch.tensor([[1, 2]]), [torch.randn(1, size).log_softmax(dim=1) for size in (2, 3)]
    each = torch.randn(1, 6)
    share = losses.shares(labels, log_q, losses.combinations((2, 3)))
    assert losses.marginal(each, share, labels, log_q).item() == pytest.approx(each[0, 5].item())


def test_only_what_is_labelled_is_classified() -> None:
    log_q = [torch.randn(6, 3).log_softmax(dim=1)]
    labels = torch.tensor([[0], [NONE], [2], [NONE], [1], [1]])
    known = labels[:, 0] != NONE
    expected = torch.nn.functional.nll_loss(log_q[0][known], labels[known, 0])
    made = losses.classification(labels, log_q, [torch.ones(3)])
    torch.testing.assert_close(made, expected)
    assert losses.classification(labels[1:2], [log_q[0][1:2]], [torch.ones(3)]).item() == 0.0


def test_what_moves_as_recorded_is_not_unlike_it() -> None:
    torch.manual_seed(0)
    mean, spread = torch.randn(2, 5), torch.rand(2, 5) + 0.5
    labels = torch.arange(4000) % 2
    made = mean[labels] + spread[labels] * torch.randn(4000, 5)
    assert losses.unlike(made, labels, mean, spread).item() < 0.01  # two thousand of each
    assert losses.unlike(made, 1 - labels, mean, spread).item() > 0.5


# ---- moves


def test_moves_lead_back_to_the_poses_they_came_from() -> None:
    clip = made_up_clip(2.0, 30.0)
    moves = pose.moves(clip.root_positions, clip.rotations, 30.0)[None]
    root, sixd = pose.global_pose(moves, 30.0)
    made = rot.from_6d(sixd[0].numpy().astype(np.float64))
    expected = clip.rotations.copy()
    turn = np.arctan2(*(rot.rotate(clip.rotations[0, 0], np.array([1.0, 0.0, 0.0]))[[2, 0]] * [-1.0, 1.0]))
    back = rot.yaw(-turn)
    expected[:, 0] = rot.multiply(back, clip.rotations[:, 0])
    assert rot.angle(made, expected).max() < 1e-3  # float32
    place = rot.rotate(back, clip.root_positions - clip.root_positions[0] * [1.0, 0.0, 1.0])
    np.testing.assert_allclose(root[0].numpy(), place, atol=1e-4)


def test_joints_on_stage_are_those_of_forward_kinematics() -> None:
    clip = made_up_clip(2.0, 30.0)
    moves = pose.moves(clip.root_positions, clip.rotations, 30.0)[None]
    made = pose.on_stage(moves, pose.positions(moves), 30.0)[0].numpy()
    expected = kinematics.global_positions(HUMANOID, clip.root_positions, clip.rotations)
    apart = [np.linalg.norm(each[:, :, None] - each[:, None], axis=-1) for each in (made, expected)]
    np.testing.assert_allclose(*apart, atol=1e-4)
    steps = [np.linalg.norm(np.diff(each, axis=0), axis=-1) for each in (made, expected)]
    np.testing.assert_allclose(*steps, atol=1e-4)


def test_what_stands_is_as_high_as_a_move_says_and_goes_as_fast() -> None:
    torch.manual_seed(0)
    moves = small_batch(small_model(), 3)["moves"].repeat(20, 1, 1)
    moves[..., : -pose.CARRIAGE] += 0.3 * torch.randn_like(moves[..., : -pose.CARRIAGE])  # bodies of any shape
    moves[..., -pose.CARRIAGE] = torch.empty(moves.shape[:-1]).uniform_(0.01, 0.5).log()
    seen = pose.positions(moves)
    feet = seen[:, :, pose.FEET]
    stands = pose.standing(feet[..., 1])
    torch.testing.assert_close((stands * feet[..., 1]).sum(-1), moves[..., -pose.CARRIAGE].exp())
    moves[..., 1 - pose.CARRIAGE : -1] = 0.0  # nothing slides, so hips go as feet let them
    steps = pose.on_stage(moves, seen, 30.0)[:, :, pose.FEET].diff(dim=1)
    dragged = (stands[:, 1:, :, None] * steps)[..., 0::2].sum(2)
    torch.testing.assert_close(dragged, torch.zeros_like(dragged), atol=1e-5, rtol=0.0)


def test_hips_are_carried_as_positions_and_path_say() -> None:
    moves = small_batch(small_model(), 3)["moves"]
    seen = pose.positions(moves)
    place, yaw = pose.path(moves, seen, 30.0)
    heights, led = pose.carried(moves[:, 4], moves[:, 5], 30.0)
    torch.testing.assert_close(heights, seen[:, 4:6, 0, 1], atol=1e-5, rtol=0.0)
    torch.testing.assert_close(pose.turned(led, yaw[:, 4:5]), place[:, 5] - place[:, 4], atol=1e-5, rtol=0.0)


def test_a_mirrored_movement_is_the_mirror_image() -> None:
    clip = made_up_clip(1.0, 30.0)
    moves = pose.moves(clip.root_positions, clip.rotations, 30.0)[None]
    plain, other = (pose.on_stage(each, pose.positions(each), 30.0) for each in (moves, pose.mirrored(moves)))
    left, right = HUMANOID.index("LeftHand"), HUMANOID.index("RightHand")
    mirror = torch.tensor([-1.0, 1.0, 1.0])
    torch.testing.assert_close(other[:, :, left], plain[:, :, right] * mirror, atol=1e-4, rtol=0.0)
    torch.testing.assert_close(other[:, :, 0], plain[:, :, 0] * mirror, atol=1e-4, rtol=0.0)


# ---- the model


def test_windows_are_decoded_step_by_step_as_they_are_at_once() -> None:
    model = fitted()
    for part in (model.decoder.out.weight, model.decoder.usual):
        torch.nn.init.normal_(part, std=0.1)
    y = model.onehot(torch.tensor([[0, 2], [1, 1], [1, 0]]))
    at_once = step_by_step = torch.zeros(3, model.decoder.size)
    on = torch.zeros(3, model.decoder.on_size)
    for z in torch.randn(3, 3, 24):  # three windows, each going on where the last one ended
        whole, at_once = model.decoder(z, y, at_once)
        steps = []
        for number in range(16):
            moved, on, step_by_step = model.decoder.step(z, y, torch.full((3, 1), float(number)), on, step_by_step)
            steps.append(moved)
        torch.testing.assert_close(torch.stack(steps, dim=1), whole, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(step_by_step, at_once, atol=1e-4, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("latent", [24, 300])
@pytest.mark.parametrize("share", [1.0, EXACT])
def test_a_window_goes_on_where_another_ended_and_as_fast(latent: int, share: float) -> None:
    """Exactly, or with what is left of a miss."""
    model = fitted(latent=latent)
    torch.nn.init.normal_(model.decoder.out.weight, std=0.5)  # a network that adds a lot, everywhere
    torch.nn.init.normal_(model.decoder.out.bias)
    y = model.onehot(torch.tensor([[0, 2], [1, 1], [1, 0]]))
    one, state = model.decoder(torch.randn(3, latent), y, torch.zeros(3, model.decoder.size))
    foreseen = one[:, -1:] + (one[:, -1:] - one[:, -2:-1]) * torch.tensor([1.0, 2.0])[:, None]
    z, begun = torch.randn(3, latent), []
    for eased in (share, 0.0):
        model.decoder.eased.copy_(eased * easing(16))
        begun.append(model.decoder(z, y, state)[0][:, :2])
    expected = torch.lerp(begun[1], foreseen, share)
    torch.testing.assert_close(begun[0][:, 0], expected[:, 0], atol=1e-3, rtol=1e-2)
    torch.testing.assert_close(begun[0][:, 1], expected[:, 1], atol=1e-2, rtol=0.0)  # a miss has begun to die out


@torch.no_grad()
def test_what_the_network_adds_does_not_come_back_with_every_window() -> None:
    model = fitted()
    torch.nn.init.normal_(model.decoder.out.weight, std=0.5)
    torch.nn.init.normal_(model.decoder.out.bias)
    nothing, y = torch.zeros(400, model.decoder.size), model.onehot(torch.tensor([[0, 2]])).expand(400, -1)

    def added() -> torch.Tensor:
        z = torch.randn(400, 24)
        return model.decoder(z, y, nothing)[0] - model.decoder.basis.write(model.decoder.numbers(z, y))

    before = added()
    model.train()
    for _ in range(500):
        added()
    model.eval()
    after = added()
    assert after.mean(dim=0).square().mean() < 0.02 * before.mean(dim=0).square().mean()
    assert after.std(dim=0).square().mean() > 0.9 * before.std(dim=0).square().mean()  # what differs by z stays


def test_labels_shift_only_what_is_still() -> None:
    decoder = fitted().decoder
    torch.nn.init.ones_(decoder.shift)
    shift = decoder.style(torch.ones(1, 5)).shift
    moved = decoder.basis.write(shift) - decoder.basis.write(torch.zeros_like(shift))
    assert moved.abs().max() > 0.1
    assert moved.diff(dim=1).abs().max() < 1e-5


def test_lifted_toes_slide_no_less() -> None:
    batch = small_batch(small_model(), 6)
    plain = pose.qualities(batch["moves"], pose.on_stage(batch["moves"], batch["positions"], 30.0), 30.0)
    batch["moves"][..., -pose.CARRIAGE] += 1.0  # e times as high
    seen = pose.positions(batch["moves"])
    lifted = pose.qualities(batch["moves"], pose.on_stage(batch["moves"], seen, 30.0), 30.0)
    slide, middle, most = (pose.FEET_FROM + number for number in (2, 3, 4))
    torch.testing.assert_close(lifted[:, slide], plain[:, slide], atol=1e-3, rtol=1e-3)
    assert (lifted[:, [middle, most]] > plain[:, [middle, most]] + 0.1).all()


def test_what_is_evenly_accelerated_is_not_uneven() -> None:
    random = torch.Generator().manual_seed(0)
    even = torch.randn(2000, 20, 3, 3, generator=random)
    jolt = even.clone()
    jolt[:, 10, 0] *= 4.0  # of one joint, always at one time
    assert losses.uneven(even).item() < 0.002
    assert losses.uneven(jolt).item() > 0.05


def test_numbers_of_a_basis_write_what_they_read() -> None:
    model = fitted()
    numbers = torch.randn(5, 24)
    basis = model.decoder.basis
    torch.testing.assert_close(basis.read(basis.write(numbers)), numbers, atol=1e-4, rtol=1e-4)


def test_what_is_drawn_hangs_together_as_what_was_read() -> None:
    """And so ends of windows are no livelier than their middle; cosines drawn each by itself would be."""
    time, count = torch.arange(40.0), 4096
    tempo, phase = 0.15 + 0.3 * torch.rand(count, 1, pose.WIDTH), 6.3 * torch.rand(count, 1, pose.WIDTH)
    x = (tempo * time[:, None] + phase).sin()
    basis = Basis(40, 400)
    basis.fit(x)
    z = torch.randn(count, 400)
    alone, together = (basis.write(each).diff(n=2, dim=1).square().mean(dim=(0, 2)) for each in (z, z @ basis.mix))
    read = basis.read(x)
    ends = [torch.cat([each[:3], each[-3:]]).mean() / each.mean() for each in (alone, together)]
    assert ends[1] < ends[0] - 0.15
    drawn = ((z @ basis.mix).T @ (z @ basis.mix) / count).flatten()
    seen = (read.T @ read / count).flatten()
    assert torch.corrcoef(torch.stack([drawn, seen]))[0, 1] > 0.95
    torch.testing.assert_close(basis.mix @ basis.unmix, torch.eye(400), atol=1e-4, rtol=0.0)


def test_an_encoder_begins_as_the_inverse_of_its_decoder() -> None:
    model = fitted()
    x = model.decoder.basis.write(torch.randn(6, 24))
    labels = torch.tensor([[0, 2], [1, 1], [1, 0]]).repeat(2, 1)
    mu, _ = model.encode(x, labels)
    torch.testing.assert_close(model.generate(mu, labels)[0], model.decoder.clear(x), atol=1e-4, rtol=1e-4)


def test_a_joint_does_not_spin_where_its_rotation_is_told_unclearly() -> None:
    decoder = fitted().decoder
    usual = decoder.basis.mean.expand(3, -1).clone()
    torch.testing.assert_close(decoder.clear(usual), usual, atol=1e-2, rtol=1e-2)
    unclear = usual.clone()
    columns = unclear[:, : -pose.CARRIAGE].view(3, pose.JOINTS, 2, 3)
    across = torch.linalg.cross(columns[:, :, 0], columns[:, :, 1], dim=-1)
    columns[:, :, 1] = columns[:, :, 0] + torch.tensor([-0.02, 0.0, 0.02])[:, None, None] * across  # through the line

    def spun(moves: torch.Tensor) -> torch.Tensor:
        return pose.positions(moves).diff(dim=0).norm(dim=-1).amax()

    assert spun(decoder.clear(unclear)) < 0.3 * spun(unclear)


@pytest.mark.parametrize("labelled", [0.0, 0.5, 1.0])
def test_any_share_of_labels_trains(labelled: float) -> None:
    model = small_model()
    labels = torch.stack([torch.randint(size, (12, 2)) for _, size in (("space", 2), ("time", 3))], dim=2)
    batch = small_batch(model, 12, torch.where(torch.rand(12, 2, 1) < labelled, labels, NONE))
    model.fit_statistics(batch)
    total, parts = model.loss(batch)
    total.backward()
    assert bool(torch.isfinite(total))
    assert all(bool(torch.isfinite(each.grad).all()) for each in model.parameters() if each.grad is not None)
    assert (float(parts["classification"].detach()) > 0.0) == (labelled > 0.0)


def test_without_labels_it_is_a_plain_autoencoder() -> None:
    model = small_model(label_sets=(), scale_factor=2.0, free_bits=0.0)
    batch = small_batch(model, 8)
    model.fit_statistics(batch)
    total, parts = model.loss(batch)
    assert "quality" not in parts
    assert total.item() == pytest.approx((parts["error"] + model.beta * parts["divergence"]).item(), rel=1e-5)


def test_learned_scales_end_where_they_pay_most() -> None:
    model = small_model(scale="learned")
    batch = small_batch(model, 4)
    x, seen = batch["moves"][:, :16], batch["positions"][:, :16]
    made = x + 0.3 * torch.randn_like(x)
    optimizer = torch.optim.LBFGS([model.scales], max_iter=60)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        error = model._error(made, x, seen)[0].sum()
        error.backward()
        return error

    optimizer.step(closure)
    off = (made - x)[..., : -pose.CARRIAGE]
    place = list(SCALES).index("rotations")
    found = SCALES["rotations"] * model.scales[place].exp().item()
    assert found == pytest.approx(off.square().mean().sqrt().item(), rel=1e-2)  # sigma of the likeliest Gaussian


def test_the_divergence_comes_to_count_little_by_little() -> None:
    model = small_model(warm_up=0.5, beta=2.0)
    seen = []
    for batch in range(8):
        model.start_batch((batch + 1) / 8)
        seen.append(model.beta)
    assert seen == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0, 2.0, 2.0, 2.0])
