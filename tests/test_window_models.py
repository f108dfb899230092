"""The windowed models: the KL cycle, losses that know what a rotation is, windows that stay in their take, and both
graphs do what the networks say.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import models as benchmark
from exporters import inspect, onnx
from exporters.graphs import graph_of
from exporters.graphs.duet_window import APART
from motion import features, kinematics
from motion import rotations as rot
from motion.clip import Clip
from motion.skeleton import HUMANOID
from training import dataset
from training.models import MODELS, carriage, deepfake, describe, duet_window, principal, window_losses, window_vae
from training.sequences import Sequences

SMALL = {"window": 8, "hop": 2, "fps": 30.0, "latent": 4, "layers": 1, "size": 8, "dense": (8,)}
CRITICS = {"principal": True, "critic_loss": 0.3, "style_loss": 0.5, "latent_cycle_loss": 1.0}


def _clip(frames: int, shift: float = 0.0, turn: float = 0.0) -> Clip:
    """A body that walks an arc and swings its limbs."""
    now = np.arange(frames) / 30.0
    root = np.stack([np.sin(now) + shift, np.full_like(now, 0.88), np.cos(0.5 * now)], axis=-1)
    rotations = rot.from_euler("ZXY", 0.4 * np.sin(3.0 * now[:, None, None] + np.arange(66).reshape(22, 3)))
    rotations[:, 0] = rot.yaw(0.8 * now + turn)
    return Clip(HUMANOID, 30.0, root, rotations)


def _pair(frames: int = 40) -> dataset.Pair:
    clips = _clip(frames), _clip(frames, 1.0, np.pi)
    tracks = []
    for clip in clips:
        given = kinematics.global_positions(HUMANOID, clip.root_positions, clip.rotations).astype(np.float32)
        tracks.append(dataset.Track("made up", "", given, clip.root_positions, clip.rotations))
    return dataset.Pair("made up", 30.0, *tracks)


def _batch(**options: bool) -> dict[str, torch.Tensor]:
    windows = Sequences([_pair()], HUMANOID, 8, 3, **options)
    return windows.gather(torch.arange(len(windows)))


@pytest.fixture(params=["duet_window", "deepfake", "deepfake with critics"])
def model(request: pytest.FixtureRequest) -> torch.nn.Module:
    torch.manual_seed(0)
    kind = MODELS[request.param.split()[0]]
    options = SMALL | (CRITICS if "critics" in request.param else {})
    made = kind.build(kind.config(**options), HUMANOID).eval()
    if "critics" in request.param:
        made.fit_statistics(_batch())
    return made


def _kind(model: torch.nn.Module) -> str:
    return "deepfake" if isinstance(model, deepfake.Deepfake) else "duet_window"


def _inputs(model: torch.nn.Module, **knobs: float) -> dict[str, torch.Tensor]:
    """What a graph is given for the first window of a clip; knobs stand at their defaults, the noise is zero."""
    label = graph_of(_kind(model), model).label("x")
    clip = _clip(8)
    dancer = features.encode(("root_position", "rotations_6d"), HUMANOID, clip.root_positions, clip.rotations)
    values = {port.name: torch.zeros(1, *map(int, port.shape[1:])) for port in label.inputs}
    values |= {param.name: torch.full((1, param.size), param.default) for param in label.params}
    values |= {name: torch.full_like(values[name], value) for name, value in knobs.items()}
    return values | {"dancer": torch.from_numpy(dancer)[None]}


def _step(model: torch.nn.Module, **knobs: float) -> torch.Tensor:
    with torch.no_grad():
        return graph_of(_kind(model), model)(*_inputs(model, **knobs).values())[0]


# ---- the cycle of the KL weight


@pytest.mark.parametrize(
    ("epoch", "weight"),
    [(0, 0.0), (19, 0.0), (20, 0.0), (50, 0.05), (80, 0.1), (99, 0.1), (100, 0.0), (150, 0.05), (599, 0.1)],
)
def test_the_kl_weight_is_the_researchs(epoch: int, weight: float) -> None:
    assert window_vae.kl_weight(window_vae.Config(), epoch) == pytest.approx(weight)


def test_a_cycle_that_is_all_flat_steps_from_low_to_high() -> None:
    config = window_vae.Config(kl_cycle=10, kl_low_epochs=4, kl_high_epochs=6)
    assert [window_vae.kl_weight(config, epoch) for epoch in (3, 4, 9, 10)] == [0.0, 0.1, 0.1, 0.0]


def test_a_new_epoch_sets_the_weight(model: torch.nn.Module) -> None:
    model.start_epoch(90)
    assert model.kl_weight == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"hop": 33}, "hop of 1..32"),
        ({"hop": 0}, "hop of 1..32"),
        ({"readout": "last"}, "attention, mean"),
        ({"kl_cycle": 30}, "do not fit"),
        ({"dense": ()}, "above 0"),
        ({"carriage": 0.0}, "carriage"),
    ],
)
def test_values_that_cannot_be_are_refused(wrong: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        window_vae.Config(**wrong)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"cycle_share": 0.0}, "cycle_share"),
        ({"critic_loss": -0.1}, "critic_loss must be at least 0"),
        ({"critic_epochs": 0}, "critic_epochs"),
        ({"cycle_loss": 0.0, "latent_cycle_loss": 1.0}, "cycle_loss must be above 0"),
        ({"style_loss": 0.1}, "principal: true"),
    ],
)
def test_losses_that_cannot_be_are_refused(wrong: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        deepfake.Config(**wrong)


# ---- losses


def test_a_rotation_and_its_negative_are_one() -> None:
    a, b = (torch.nn.functional.normalize(torch.randn(50, 4), dim=-1) for _ in range(2))
    torch.testing.assert_close(window_losses.half_angle(-a, b), window_losses.half_angle(a, b))
    assert window_losses.half_angle(a, -a).max() < 1e-3  # the square root of 1e-12, which keeps gradients finite
    expected = rot.angle(a.numpy(), b.numpy()) / 2
    np.testing.assert_allclose(window_losses.half_angle(a, b).numpy(), expected, atol=1e-4)


def test_the_truth_costs_nothing_however_long_its_quaternions_are() -> None:
    loss = window_losses.PoseLoss(window_vae.Config(), HUMANOID)
    truth, _ = window_vae.view(_batch(), "partner", window_vae.Config(**SMALL))
    _, parts = loss((-3.0 * truth[0], truth[1]), truth)
    assert max(float(parts[name]) for name in ("position", "rotation", "sway")) < 2e-3  # cm and radians, float32
    assert float(parts["norm"]) == pytest.approx(4.0, rel=1e-4)  # (3 - 1)²


def test_positions_are_those_of_forward_kinematics_in_centimetres() -> None:
    loss = window_losses.PoseLoss(window_vae.Config(), HUMANOID)
    (a, sway), (b, _) = (window_vae.view(_batch(), who, window_vae.Config(**SMALL))[0] for who in ("dancer", "partner"))
    points = [kinematics.global_positions(HUMANOID, np.zeros((*q.shape[:2], 3)), q.numpy()) for q in (a, b)]
    _, parts = loss((a, sway), (b.flip(1), sway))
    assert float(parts["position"]) == pytest.approx(
        100 * np.linalg.norm(points[0] - points[1][:, ::-1], axis=-1).mean(), 1e-4
    )


def test_joints_that_weigh_nothing_do_not_count() -> None:
    loss = window_losses.PoseLoss(window_vae.Config(joint_weights={"*": 0.0, "Head": 1.0}), HUMANOID)
    q, sway = window_vae.view(_batch(), "dancer", window_vae.Config(**SMALL))[0]
    other = q.clone()
    other[:, :, HUMANOID.index("LeftFoot")] = torch.tensor([1.0, 0.0, 0.0, 0.0])
    assert float(loss((other, sway), (q, sway))[1]["rotation"]) < 1e-5  # 1e-6 a joint: the loss's own floor


def test_a_loss_has_gradients_for_every_weight(model: torch.nn.Module) -> None:
    model.train()
    model.start_epoch(90)
    total, parts = model.loss(_batch())
    total.backward()
    idle = [
        name for name, w in model.named_parameters() if not (torch.isfinite(w.grad).all() and w.grad.abs().sum() > 0)
    ]
    assert not idle
    others = {"cycle", "latent_cycle", "critic", "style", "placement", "facing"}
    assert set(parts) - others == {"norm", "position", "rotation", "sway", "kl"}


def test_a_batch_costs_what_its_halves_cost(model: torch.nn.Module) -> None:
    batch = {name: values[:8] for name, values in _batch(mirror=True).items()}
    found = []
    for parts in ([slice(0, 8)], [slice(0, 4), slice(4, 8)]):  # in one process, in two
        model.zero_grad()
        losses = [model.loss({name: values[part] for name, values in batch.items()})[0] for part in parts]
        torch.stack(losses).mean().backward()
        found.append([w.grad.clone() for w in model.parameters() if w.grad is not None])
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-4)  # float32, sums in another order


def test_the_divergence_of_the_prior_is_zero() -> None:
    assert float(window_losses.divergence(torch.zeros(3, 4), torch.ones(3, 4))) == 0.0


def test_a_critic_learns_to_tell_and_its_latents_not_to_be_told() -> None:
    torch.manual_seed(0)
    critic = deepfake.Critic(4)
    one, two = (torch.randn(64, 4) + shift for shift in (0.5, -0.5))
    given = [values.clone().requires_grad_() for values in (one, two)]
    before = critic(*given, weight=0.5)
    before.backward()
    with torch.no_grad():
        for weight in critic.parameters():
            weight -= 0.1 * weight.grad
        assert critic(one, two, weight=0.5) < before
        for weight in critic.parameters():
            weight += 0.1 * weight.grad
        moved = [values - 10.0 * values.grad for values in given]
        assert critic(*moved, weight=0.5) > before


def test_what_deceives_a_critic_weighs_what_it_is_told_to() -> None:
    torch.manual_seed(0)
    critic = deepfake.Critic(4)
    gradients = []
    for weight in (0.0, 0.25, 1.0):
        latent = torch.ones(3, 4, requires_grad=True)
        critic(latent, torch.zeros(3, 4), weight).backward()
        gradients.append(latent.grad)
    assert gradients[0].abs().max() == 0.0
    torch.testing.assert_close(4.0 * gradients[1], gradients[2])


def test_a_critic_who_cannot_tell_says_half() -> None:
    same = torch.randn(8, 4)
    critic = deepfake.Critic(4)
    for weight in critic.layers[-1].parameters():
        torch.nn.init.zeros_(weight)
    assert critic(same, same, 1.0).item() == pytest.approx(np.log(2.0))


def test_critics_are_heard_more_and_more() -> None:
    model = deepfake.Deepfake(deepfake.Config(**SMALL, critic_epochs=4), HUMANOID)
    weights = []
    for epoch in range(6):
        model.start_epoch(epoch)
        weights.append(model.critic_weight)
    assert weights == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


# ---- principal components


def test_windows_are_their_principal_components() -> None:
    torch.manual_seed(0)
    windows = torch.randn(40, 6) @ torch.randn(6, 8 * 5) + 3.0  # of six dimensions
    parts = principal.Principal(8, 5, 6)
    parts.fit(windows.view(40, 8, 5))
    read = parts.read(windows.view(40, 8, 5))
    torch.testing.assert_close(parts.write(read).flatten(1), windows, atol=1e-3, rtol=0)  # float32, numbers up to 10
    torch.testing.assert_close(read.square().mean(0).sqrt(), torch.full((6,), principal.SPREAD), atol=1e-4, rtol=0)


def test_components_that_windows_have_not_are_silent() -> None:
    windows = torch.randn(40, 2) @ torch.randn(2, 8 * 5)
    parts = principal.Principal(8, 5, 6)
    parts.fit(windows.view(40, 8, 5))
    assert parts.read(100.0 * windows.view(40, 8, 5))[:, 2:].abs().max() == 0.0
    torch.testing.assert_close(parts.write(torch.ones(1, 6)), parts.write(torch.tensor([[1.0, 1, 0, 0, 0, 0]])))


def test_before_the_lstms_have_learned_a_window_is_what_its_components_say() -> None:
    torch.manual_seed(0)
    config = deepfake.Config(**SMALL | {"latent": 24}, principal=True)
    model = deepfake.Deepfake(config, HUMANOID).eval()
    batch = _batch()
    model.fit_statistics(batch)
    plain = deepfake.Deepfake(deepfake.Config(**SMALL | {"latent": 24}), HUMANOID).eval()
    with torch.no_grad():
        assert model.loss(batch)[1]["position"] < 0.5 * plain.loss(batch)[1]["position"]


# ---- networks


def test_lstms_begin_with_memories_up_to_a_window_long() -> None:
    torch.manual_seed(0)
    config = window_vae.Config(window=64)
    forget = window_vae.Decoder(config, 22).recurrent.bias_ih_l0[config.size : 2 * config.size]
    frames = 1.0 / (1.0 - torch.sigmoid(forget))  # until a memory is gone, with no input
    assert 2.0 <= frames.min() < 5.0
    assert 55.0 < frames.max() <= 64.0


def test_what_the_encoder_sees_is_in_standard_units_once_it_has_trained() -> None:
    torch.manual_seed(0)
    standard = window_vae.Standard(2)
    values = torch.randn(16, 30, 2) * torch.tensor([0.1, 20.0]) + 3.0
    for _ in range(100):
        trained = standard(values)
    torch.testing.assert_close(standard.eval()(values), trained, atol=1e-6, rtol=0)
    torch.testing.assert_close(trained.flatten(0, 1).mean(0), torch.zeros(2), atol=0.01, rtol=0)
    torch.testing.assert_close(trained.flatten(0, 1).std(0), torch.ones(2), atol=0.01, rtol=0)


# ---- windows


def test_predicting_further_than_windows_are_late_is_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.\.32"):
        duet_window.Config(ahead=33)


def test_what_the_networks_see_does_not_depend_on_place_and_heading() -> None:
    batch, turn = _batch(), rot.yaw(2.5)
    moved = dict(batch)
    for who in ("dancer", "partner"):
        moved[f"{who}_root"] = torch.tensor(rot.rotate(turn, batch[f"{who}_root"]) + np.array([3.0, 0.0, -2.0])).float()
        q = batch[f"{who}_rotations"].clone()
        q[:, :, 0] = torch.tensor(rot.multiply(turn, q[:, :, 0])).float()
        moved[f"{who}_rotations"] = q
    config = window_vae.Config(**SMALL)
    paths = []
    for given in (batch, moved):
        (pose, sway), path = window_vae.view(given, "dancer", config)
        seen, way = window_vae.view(given, "partner", config)
        paths.append((pose, sway, path.from_middle(), *seen, duet_window.relative(way, path)))
    for here, there in zip(*paths, strict=True):
        torch.testing.assert_close(there, here, atol=1e-5, rtol=0)  # float32; metres, quaternions, headings


def test_a_body_seen_from_its_carriage_can_be_put_back_on_stage() -> None:
    batch = _batch()
    turns, root = window_vae.matrices(batch["dancer_rotations"]), batch["dancer_root"]
    path = carriage.carried(root, turns[:, :, 0, :, 0], 1.0)
    made, again = carriage.on_stage(*carriage.within(root, turns, path), path)
    torch.testing.assert_close(made, root, atol=1e-5, rtol=0)  # float32
    torch.testing.assert_close(again, turns, atol=1e-5, rtol=0)


def test_a_straight_walk_and_an_even_spin_are_not_smoothed_away() -> None:
    now = torch.arange(64.0)
    root = torch.stack([0.02 * now, torch.full_like(now, 0.9), 1.0 - 0.01 * now], dim=-1)[None]
    yaw = 3.0 + 0.2 * now  # two turns in a second at 50 fps
    left = torch.stack([yaw.cos(), torch.zeros_like(now), -yaw.sin()], dim=-1)[None]
    path = carriage.carried(root, left, 8.0)
    torch.testing.assert_close(path.place, root[..., 0::2], atol=1e-5, rtol=0)  # float32
    torch.testing.assert_close(path.left, left[..., 0::2], atol=1e-4, rtol=0)


def test_where_the_partner_goes_is_learned_without_looking_ahead() -> None:
    model = duet_window.DuetWindow(duet_window.Config(**SMALL), HUMANOID).eval()
    batch = _batch()
    (pose, sway), path = window_vae.view(batch, "dancer", model.config)
    later = pose.clone()
    later[:, 5:] = pose[:, :1]
    with torch.no_grad():
        one, two = (model.placement((q, sway), path) for q in (pose, later))
    torch.testing.assert_close(two[:, :5], one[:, :5], atol=1e-6, rtol=0)
    assert (two[:, 5:] - one[:, 5:]).abs().max() > 1e-4


def test_signs_do_not_jump_within_a_window() -> None:
    q = torch.nn.functional.normalize(torch.randn(2, 1, 3, 4) + 0.05 * torch.randn(2, 30, 3, 4), dim=-1)
    flipped = q * torch.where(torch.rand(2, 30, 3, 1) < 0.5, -1.0, 1.0)
    one = window_vae.one_sign(flipped)
    assert ((one[:, 1:] * one[:, :-1]).sum(-1) > 0).all()
    assert (one[:, 0, :, 3] >= 0).all()
    torch.testing.assert_close(one, window_vae.one_sign(q))


def test_quaternions_and_matrices_are_motions() -> None:
    q = rot.normalize(np.random.default_rng(0).normal(size=(200, 4)))
    expected = rot.to_matrix(q)
    matrices = window_vae.matrices(torch.from_numpy(q))
    np.testing.assert_allclose(matrices, expected, atol=1e-12)
    assert rot.angle(window_vae.quaternions(matrices).numpy(), q).max() < 1e-7


# ---- the graphs


def test_the_graph_says_what_the_network_says_in_the_world() -> None:
    torch.manual_seed(0)
    model = duet_window.DuetWindow(duet_window.Config(**SMALL), HUMANOID).eval()
    batch = Sequences([_pair()], HUMANOID, 8, 3).gather(torch.tensor([0]))
    with torch.no_grad():
        seen, path = window_vae.view(batch, "dancer", model.config)
        q, sway = deepfake.unit(model.decoder(model.encoder(seen, path)[0]))
        way = model.placed(seen, path, torch.zeros(1, 1))
    partner = _step(model, variety=0.0)[0].numpy()
    root, rotations = features.decode(("root_position", "rotations_6d"), 22, partner)
    assert rot.angle(rotations[:, 1:], q[0, :, 1:].numpy()).max() < 1e-3  # the other joints are local
    expected, _ = carriage.on_stage(window_vae.matrices(q), sway, way)
    np.testing.assert_allclose(root, expected[0].numpy(), atol=1e-5)


def test_turning_and_moving_the_dancer_turns_and_moves_the_partner(model: torch.nn.Module) -> None:
    step, given = graph_of(_kind(model), model), _inputs(model, distance=0.0)
    turn, shift = rot.yaw(1.1), np.array([3.0, 0.0, -2.0])
    root, q = features.decode(("root_position", "rotations_6d"), 22, given["dancer"].numpy())
    q[..., 0, :] = rot.multiply(turn, q[..., 0, :])
    moved = features.encode(("root_position", "rotations_6d"), HUMANOID, rot.rotate(turn, root) + shift, q)
    with torch.no_grad():
        here, there = step(*given.values())[0], step(*(given | {"dancer": torch.from_numpy(moved)}).values())[0]
    np.testing.assert_allclose(there[0, :, :3], rot.rotate(turn, here[0, :, :3].numpy()) + shift, atol=1e-4)  # float32


def test_distance_is_metres() -> None:
    model = duet_window.DuetWindow(duet_window.Config(**SMALL), HUMANOID).eval()
    seen, path = window_vae.view(_batch(), "dancer", model.config)
    with torch.no_grad():
        away = model.placement(seen, path)[..., :2]
        near, far = (model.placed(seen, path, torch.full((len(away), 1), metres)) for metres in (0.0, 0.5))
    smooth = carriage.smoothing(8, 1.0)
    further = (path.turns[:, :, 0::2, 0::2] @ (0.5 * away / away.norm(dim=-1, keepdim=True))[..., None])[..., 0]
    torch.testing.assert_close(far.place - near.place, smooth @ further, atol=1e-5, rtol=0)  # float32
    torch.testing.assert_close(far.left, near.left, atol=0, rtol=0)


@pytest.mark.parametrize(
    ("share", "windows"),
    [(1.0, 12), (0.8, 12), (0.7, 6), (0.5, 6), (0.4, 4), (1 / 3, 4), (0.3, 4), (0.25, 3), (1 / 12, 1)],
)
def test_the_windows_that_go_to_the_other_dancer_are_the_nearest_share(share: float, windows: int) -> None:
    assert len(range(12)[deepfake._cycled(12, deepfake.Config(cycle_share=share))]) == windows


@pytest.mark.parametrize(("mix", "decoder"), [(0.0, "decoder1"), (1.0, "decoder2")])
def test_the_ends_of_the_mix_are_the_two_decoders(mix: float, decoder: str) -> None:
    torch.manual_seed(0)
    model = deepfake.Deepfake(deepfake.Config(**SMALL), HUMANOID).eval()
    batch = Sequences([_pair()], HUMANOID, 8, 3).gather(torch.tensor([0]))
    with torch.no_grad():
        seen = window_vae.view(batch, "dancer", model.config)
        q, _ = deepfake.unit(getattr(model, decoder)(model.encoder(*seen)[0]))
    _, rotations = features.decode(("root_position", "rotations_6d"), 22, _step(model, mix=mix)[0].numpy())
    assert rot.angle(rotations[:, 1:], q[0, :, 1:].numpy()).max() < 1e-3


def test_the_mix_goes_continuously_from_one_dancer_to_the_other() -> None:
    model = deepfake.Deepfake(deepfake.Config(**SMALL), HUMANOID).eval()
    made = torch.cat([_step(model, mix=float(mix)) for mix in np.linspace(0.0, 1.0, 21)])
    assert made.diff(dim=0).abs().amax() < 0.5 * (made[-1] - made[0]).abs().amax()
    assert (made[10] - made[0]).abs().max() > 1e-3 < (made[10] - made[20]).abs().max()


def test_who_dances_the_same_stands_apart_on_stage() -> None:
    model = deepfake.Deepfake(deepfake.Config(**SMALL), HUMANOID).eval()
    away = _step(model) - _step(model, distance=0.0)
    torch.testing.assert_close(away[..., :3], torch.tensor([APART, 0.0, 0.0]).expand(1, 8, 3), atol=1e-5, rtol=0)
    assert away[..., 3:].abs().max() == 0.0


def test_the_latent_can_be_moved_and_replaced(model: torch.nn.Module) -> None:
    step, given = graph_of(_kind(model), model), _inputs(model)
    with torch.no_grad():
        plain, latent = step(*given.values())
        same = step(*(given | {"latent_mix": torch.ones(1, 4), "latent_other": latent}).values())[0]
        moved = step(*(given | {"latent_offset": torch.full((1, 4), 0.5)}).values())[0]
        mean = step(*(given | {"latent_mix": torch.ones(1, 4), "latent_offset": -latent}).values())[0]
        drawn = step(*(given | {"noise": torch.ones(1, 4)}).values())[0]
        still = step(*(given | {"noise": torch.ones(1, 4), "variety": torch.zeros(1, 1)}).values())[0]
    torch.testing.assert_close(same, plain, atol=1e-5, rtol=0)
    torch.testing.assert_close(still, plain, atol=0, rtol=0)
    assert min(float((other - plain).abs().max()) for other in (moved, mean, drawn)) > 1e-3


def test_a_windowed_model_is_exported_with_an_honest_label(model: torch.nn.Module, tmp_path: Path) -> None:
    torch.save({**describe(_kind(model), model), "about": {}}, tmp_path / "last.ckpt")
    path = onnx.export(tmp_path / "last.ckpt", tmp_path / "mine.onnx")  # refuses to write above 1e-4
    label = inspect.read_manifest(path)
    assert (label.kind, label.window, label.hop, label.fps_in, label.fps_out, label.latency_frames) == (
        ("duet", 8, 2, 30.0, 30.0, 4)
    )
    sizes = {param.name: param.size for param in label.params}
    assert sizes["latent_offset"] == sizes["latent_mix"] == 4
    steps = onnx.example_steps(label, 3, seed=1, batch=3)
    assert 0.0 <= benchmark.parity(path, label, None) <= 1e-4  # it still does its example
    together = onnx.run_onnx(path.read_bytes(), steps)[-1]["partner"]
    alone = onnx.run_onnx(path.read_bytes(), [{n: v[1:2] for n, v in step.items()} for step in steps])[-1]["partner"]
    assert together.shape == (3, 8, 135)
    np.testing.assert_allclose(alone[0], together[1], atol=2e-5)  # sums in another order
