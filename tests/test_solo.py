"""The solo dancer, small and untrained, on motion made up here: its geometry, its coefficients, its chance."""

import pytest
import torch

from motion.skeleton import HUMANOID
from training.models import solo
from training.models.solo import FRAME, POSE, Config, Solo

SMALL = Config(width=64, blocks=1, known=24, body=24, coefficients=48, sampling_steps=4, candidates=3)


def made_up_windows(count: int) -> dict[str, torch.Tensor]:
    """People who sway and wander: smooth, every joint moving, each window its own way."""
    chance = torch.Generator().manual_seed(0)
    time = torch.arange(SMALL.history + SMALL.future)[None, :, None] / SMALL.fps
    phase, pace = (torch.rand(count, 1, FRAME, generator=chance) * 6.0 for _ in range(2))
    frames = 0.1 * torch.sin(phase + pace * time)
    frames[..., 1] += HUMANOID.hip_height
    frames[..., 3:POSE] += torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]).repeat(len(HUMANOID))
    frames[..., POSE:] = (frames[..., POSE:] > 0).float()
    return {"frames": frames, "role": (torch.arange(count) % 2).float()}


@pytest.fixture(scope="module")
def dancer() -> Solo:
    torch.manual_seed(0)
    model = Solo(SMALL)
    model.begin(made_up_windows(400))
    return model


def test_canonical_frames_start_over_the_origin_and_face_forwards():
    seen = solo.canonical(made_up_windows(5)["frames"], SMALL.history - 1)
    anchor = seen[:, SMALL.history - 1]
    torch.testing.assert_close(anchor[:, [0, 2]], torch.zeros(5, 2))
    torch.testing.assert_close(anchor[:, 5], torch.zeros(5), atol=1e-6, rtol=0.0)  # the hips' left axis has no z


def test_turning_and_moving_a_person_changes_nothing_that_the_dancer_sees():
    frames = made_up_windows(5)["frames"]
    anchor = torch.zeros(FRAME)
    anchor[:9] = torch.tensor([1.0, 0.0, -2.0, 0.6, 0.0, -0.8, 0.0, 1.0, 0.0])
    moved = solo._place(frames, anchor)
    torch.testing.assert_close(solo.canonical(moved, 0), solo.canonical(frames, 0), atol=1e-5, rtol=0.0)


def test_coefficients_say_where_the_joints_are(dancer):
    future = solo.canonical(made_up_windows(50)["frames"], SMALL.history - 1)[:, SMALL.history - SMALL.seam :]
    back = dancer.decode(dancer.encode(future))
    assert (solo.positions(back) - solo.positions(future)).norm(dim=-1).mean() < 0.05  # 48 of 3,000 numbers


def test_training_lowers_the_loss():
    torch.manual_seed(0)
    model = Solo(SMALL)
    model.begin(made_up_windows(400))
    batch = model.examples(made_up_windows(400))
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    losses = []
    for _ in range(30):
        total, parts = model.loss(batch)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        losses.append(float(total.detach()))
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
    assert set(parts) == {"coefficients", "positions", "velocities", "feet"}


def test_a_seed_gives_one_dance_and_another_seed_another(dancer):
    first, again, other = (dancer.generate(seed, 3.0) for seed in (1, 1, 2))
    assert first.shape == (90, FRAME)
    assert torch.isfinite(first).all()
    torch.testing.assert_close(first, again, rtol=0.0, atol=0.0)
    assert (first - other).abs().max() > 0.01


def test_a_future_leaves_from_where_the_history_is(dancer):
    history = solo.canonical(made_up_windows(1)["frames"][:, : SMALL.history], SMALL.history - 1)
    future = dancer.futures(history, 4, 1.0, torch.Generator().manual_seed(0))
    step = (solo.positions(future[:, 0]) - solo.positions(history[:, -1])).norm(dim=-1)
    assert step.max() < 0.07  # metres in a frame: these people move by up to 0.067 (measured 0.022)
