"""The duet model: heading does not matter, the step needs no fixed rate and sees no future."""

import numpy as np
import pytest
import torch

from exporters.graphs.duet import LEAD, LIVELY, DuetStep
from made_up_takes import made_up_clip, made_up_pair
from motion import kinematics
from motion import rotations as rot
from motion.clip import Clip
from motion.skeleton import HUMANOID
from training.kinematics import matrices_from_6d
from training.models import duet
from training.windows import Windows

CONFIG = duet.Config(placement_width=32, pose_width=32, code=8, latent=4)


def _windows() -> Windows:
    return Windows([made_up_pair()], CONFIG.lags, CONFIG.horizons, stride=2, swap_roles=True)


@pytest.fixture
def model() -> duet.Duet:
    torch.manual_seed(0)
    model = duet.Duet(CONFIG, HUMANOID)
    model.fit_statistics(_windows().sample(200, seed=0))
    return model.eval()


_KNOBS = {"variety": 1.0, "distance": 0.0, "lead": 0.0}


def _walk(step: DuetStep, clip: Clip, noise_seed: int | None = None, **knobs: float) -> torch.Tensor:
    """Every output (frames, D) of a dancer's clip, the partner first and the states behind."""
    positions = kinematics.global_positions(HUMANOID, clip.root_positions, clip.rotations)
    dancer = torch.tensor(positions, dtype=torch.float32).flatten(1)
    random = torch.Generator().manual_seed(noise_seed or 0)
    state = [torch.zeros(1, *shape) for shape in step.ports()[1].values()]
    settings = [torch.full((1, 1), knobs.get(name, usual)) for name, usual in _KNOBS.items()]
    outputs = []
    for frame in dancer:
        noise = torch.randn(1, step.latent, generator=random) * (noise_seed is not None)
        partner, *state = step(frame[None], torch.full((1, 1), 1 / clip.fps), noise, *settings, *state)
        outputs.append(torch.cat([partner[0], *(values.flatten() for values in state)]))
    return torch.stack(outputs)


def test_features_do_not_depend_on_place_and_heading(model: duet.Duet) -> None:
    dancer = _windows().sample(5, 1)["dancer"]
    turn = torch.tensor(rot.to_matrix(rot.yaw(1.1)), dtype=torch.float32)
    moved = dancer @ turn.T + torch.tensor([3.0, 0.0, -2.0])
    torch.testing.assert_close(model.features(moved), model.features(dancer), atol=1e-5, rtol=0)  # float32, metres


def test_targets_put_back_on_stage_are_the_partner(model: duet.Duet) -> None:
    batch = _windows().sample(4, 2)
    placement, poses = model.targets(batch)
    matrices = matrices_from_6d(poses[..., 1:].unflatten(-1, (-1, 6)))
    joints = model.on_stage(model.positions(poses[..., :1], matrices), placement)
    origin, turn = model.frame(batch["dancer"][:, 0])
    world = joints @ turn.transpose(1, 2)[:, None] + origin[:, None, None]
    q = rot.from_6d(batch["partner_rotations"].numpy())
    expected = kinematics.global_positions(HUMANOID, batch["partner_root"].numpy(), q)
    np.testing.assert_allclose(world.numpy(), expected, atol=1e-5)  # float32


@pytest.mark.parametrize("lead", [0.0, 0.05])
def test_the_first_step_says_what_the_networks_say(model: duet.Duet, lead: float) -> None:
    batch = _windows().gather(torch.tensor([0]))  # a take's start: its past is its first frame, as the step assumes
    seen = model.standardise(model.features(batch["dancer"]))
    codes = model.codes(seen, torch.zeros(1, 4), torch.zeros(1, 1))
    ahead = (LEAD + lead) / CONFIG.horizons[1]
    height, _ = model.decode(LIVELY * (codes[:, 0] * (1 - ahead) + codes[:, 1] * ahead))
    partner = _walk(DuetStep(model), made_up_clip(1 / 120, 120), lead=lead)[0]
    torch.testing.assert_close(partner[1:2], height[0], atol=1e-5, rtol=0)


def test_the_step_remembers_what_training_looks_up(model: duet.Duet) -> None:
    """Fed at 30 fps every lag falls on a sample, so a step's features are the training window's, to rounding."""
    clip = made_up_clip(2, 30)
    step = DuetStep(model)
    state = _walk(step, clip[:-1])[-1]
    history = state[135 + 35 + 4 + 2 :][: 32 * 18].view(32, 6, 3)
    given = torch.tensor(kinematics.global_positions(HUMANOID, clip.root_positions, clip.rotations)).float()
    torch.testing.assert_close(history[4], model.marks(given[-6]), atol=1e-6, rtol=0)


def test_nothing_after_a_frame_changes_what_came_before(model: duet.Duet) -> None:
    clip = made_up_clip(2, 60)
    changed = Clip(HUMANOID, 60, clip.root_positions.copy(), clip.rotations.copy())
    changed.root_positions[70:] += 0.5
    a, b = (_walk(DuetStep(model), each, noise_seed=1) for each in (clip, changed))
    assert torch.equal(a[:70], b[:70])
    assert not torch.equal(a[70], b[70])


@pytest.mark.parametrize("fps", [24, 50, 60, 90, 120, 240])
def test_the_rate_hardly_matters(model: duet.Duet, fps: int) -> None:
    at_30, other = _walk(DuetStep(model), made_up_clip(3, 30)), _walk(DuetStep(model), made_up_clip(3, fps))
    now = [t for t in range(90) if (t * fps) % 30 == 0]
    difference = at_30[now, :135] - other[[t * fps // 30 for t in now], :135]
    assert difference.abs().mean() < 0.01  # metres and matrix entries; measured up to 0.006 with an untrained model


def test_rubbish_in_the_first_moment_is_forgotten(model: duet.Duet) -> None:
    clip = made_up_clip(2, 120)
    rubbish = Clip(HUMANOID, 120, clip.root_positions.copy(), clip.rotations.copy())
    rubbish.root_positions[:10] += 3.0
    a, b = (_walk(DuetStep(model), each)[:, :135] for each in (clip, rubbish))
    assert not torch.equal(a[:10], b[:10])
    assert torch.equal(a[12:], b[12:])


def test_a_dancer_who_jumps_across_the_stage_is_followed_at_a_run(model: duet.Duet) -> None:
    clip = made_up_clip(2, 60)
    clip.root_positions[60:] += 5.0
    partner = _walk(DuetStep(model), clip)[10:, [0, 2]]
    assert partner.diff(dim=0).norm(dim=-1).max() * 60 <= 2.8 + 1e-3  # m/s; float32 metres


def test_pushes_do_not_show(model: duet.Duet) -> None:
    partner = _walk(DuetStep(model), made_up_clip(3, 120))[30:, :3]
    acceleration = partner.diff(n=2, dim=0).norm(dim=-1)
    push = torch.arange(len(acceleration)) % 4
    shares = torch.stack([acceleration[push == phase].mean() for phase in range(4)])
    assert shares.max() < 3.5 * shares.min()  # measured 2.6 with an untrained model


def test_distance_moves_the_partner_away_by_metres(model: duet.Duet) -> None:
    pose = made_up_clip(1, 30)[:1]
    clip = Clip(HUMANOID, 30, pose.root_positions.repeat(30, 0), pose.rotations.repeat(30, 0))  # who stands
    near, far = (_walk(DuetStep(model), clip, distance=metres)[:, [0, 2]] for metres in (0.5, 1.0))
    dancer = torch.tensor(clip.root_positions[:, [0, 2]]).float()
    gained = (far - dancer).norm(dim=-1) - (near - dancer).norm(dim=-1)
    torch.testing.assert_close(gained[-10:], torch.full((10,), 0.5), atol=1e-4, rtol=0)


def test_rotations_that_come_out_are_rotations(model: duet.Duet) -> None:
    sixd = _walk(DuetStep(model), made_up_clip(1, 30), noise_seed=3)[:, 3:135].reshape(-1, 2, 3)
    torch.testing.assert_close(sixd @ sixd.transpose(1, 2), torch.eye(2).expand(len(sixd), 2, 2), atol=1e-5, rtol=0)


def test_zero_noise_is_the_mean_partner_and_seeds_differ(model: duet.Duet) -> None:
    step, clip = DuetStep(model), made_up_clip(1, 60)
    mean, one, two = (_walk(step, clip, noise_seed=seed)[:, :135] for seed in (None, 1, 2))
    assert torch.equal(mean, _walk(step, clip)[:, :135])
    assert (one - two).abs().max() > 1e-3
    assert torch.equal(one[:, [0, 2]], two[:, [0, 2]])  # the placement is not a matter of taste


@pytest.mark.parametrize("dt", [0.0, -1.0, 30.0])
def test_a_broken_clock_gives_finite_poses(model: duet.Duet, dt: float) -> None:
    step = DuetStep(model)
    state = [torch.zeros(1, *shape) for shape in step.ports()[1].values()]
    knob = torch.zeros(1, 1)
    for _ in range(4):
        partner, *state = step(torch.zeros(1, 66), torch.full((1, 1), dt), torch.zeros(1, 4), knob, knob, knob, *state)
    assert all(torch.isfinite(values).all() for values in (partner, *state))
