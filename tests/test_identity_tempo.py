"""Tempo as part of who it is: how it is learned, and how a recording is gone through faster."""

import math

import pytest
import torch

from identity_models import moves, small_model
from training.models import identity_pose as pose
from training.models.identity_action_tempo import MOST, Tempo, at_rate, tempo


def _swinging(period: float, count: int = 81, ahead: float = 1.2) -> torch.Tensor:
    """Moves (1, count, WIDTH) of somebody who swings everything, once in `period` frames, and walks ahead."""
    still = moves(1)[0, :1].repeat(count, 1)
    swing = 0.4 * torch.sin(2.0 * math.pi * torch.arange(count) / period)
    still[:, 12 : -pose.CARRIAGE : 6] += swing[:, None]
    still[:, -pose.CARRIAGE + 1 :] = torch.tensor([0.0, ahead, 0.1])
    return still[None]


def _largest_step(x: torch.Tensor) -> float:
    return float(pose.positions(x).diff(dim=1).norm(dim=-1).max())


def test_at_its_own_rate_a_recording_is_what_it_was() -> None:
    x = moves(3)
    torch.testing.assert_close(at_rate(x, torch.ones(3)), x)


@pytest.mark.parametrize("rate", [0.5, 0.8])
def test_more_slowly_it_is_the_first_part_of_it(rate: float) -> None:
    x = _swinging(40.0)
    made = at_rate(x, torch.tensor([rate]))
    whole = torch.tensor([frame for frame in range(81) if frame * rate == int(frame * rate)])
    torch.testing.assert_close(made[0, whole, :-3], x[0, (whole * rate).long(), :-3])
    torch.testing.assert_close(made[..., -3:], x[..., -3:] * rate)


def test_faster_it_leaves_frames_out_and_the_body_gets_as_much_faster() -> None:
    x = _swinging(40.0)
    made = at_rate(x, torch.tensor([2.0]))
    torch.testing.assert_close(made[0, :41, :-3], x[0, ::2, :-3])
    torch.testing.assert_close(made[0, :41, -3:], 2.0 * x[0, ::2, -3:])


@pytest.mark.parametrize("rate", [1.3, MOST])
def test_whoever_comes_to_the_end_of_a_walk_goes_on_walking(rate: float) -> None:
    x = _swinging(20.0)
    made = at_rate(x, torch.tensor([rate]))
    assert _largest_step(made) < 1.15 * rate * _largest_step(x)
    assert (made[..., -2] > 0.0).all()  # and ahead
    late = made[0, 50:, 12]
    assert late.max() - late.min() > 0.7 * (x[0, :, 12].max() - x[0, :, 12].min())


def test_an_arm_that_has_risen_is_lowered_again() -> None:
    x = _swinging(320.0)  # a quarter of a period
    made = at_rate(x, torch.tensor([2.0]))
    torch.testing.assert_close(made[0, 40:, 12], made[0, :41, 12].flip(0), atol=1e-4, rtol=0.0)
    assert (made[0, 41:, -2] < 0.0).all()  # the way back is gone backwards


def test_sequences_have_tempi_of_their_own() -> None:
    both = torch.cat([_swinging(20.0), _swinging(40.0)])
    rate = torch.tensor([1.7, 0.6])
    alone = [at_rate(each[None], own[None]) for each, own in zip(both, rate, strict=True)]
    torch.testing.assert_close(at_rate(both, rate), torch.cat(alone))


def test_tempo_is_that_of_an_identity_as_much_as_actions_vary() -> None:
    """Actions: of one everybody has a tempo of their own, the other is done alike by all."""
    periods = {(0, 0): 40.0, (1, 0): 20.0, (2, 0): 10.0, (0, 1): 16.0, (1, 1): 16.0, (2, 1): 16.0}
    x = torch.cat([_swinging(period) for period in periods.values()]).repeat(10, 1, 1)
    who, what = torch.tensor(list(periods)).repeat(10, 1).unbind(1)
    made = Tempo(3, 2)
    made.fit(x, who, what)
    rate = made.known(torch.tensor([0, 2, 0, 0]), torch.tensor([2, 1, 2, 2]), torch.tensor([0, 0, 1, -1]))
    half = [math.sqrt(4.0), math.sqrt(0.5)]
    torch.testing.assert_close(rate, torch.tensor([*half, 1.0, 1.0]), atol=0.15, rtol=0.0)


def test_what_nobody_has_labelled_teaches_no_tempo() -> None:
    x = torch.cat([_swinging(40.0), _swinging(20.0), _swinging(5.0)]).repeat(10, 1, 1)
    own, others = Tempo(2, 1), Tempo(2, 1)
    who, what = torch.tensor([0, 1, 1]).repeat(10), torch.tensor([0, 0, -1]).repeat(10)
    own.fit(x, who, what)
    others.fit(x[what == 0], who[what == 0], what[what == 0])
    torch.testing.assert_close(own.who, others.who)


def test_a_swap_is_as_quick_as_whoever_is_shown() -> None:
    model, x = small_model(), moves(2)
    quick = small_model()
    quick.tempo.who.copy_(torch.tensor([-1.0, 1.0]))
    quick.load_state_dict({**model.state_dict(), "tempo.who": quick.tempo.who})
    (own, e), asked = model.read(x), model.read(x.flip(0))[0]
    d = model.dynamics(e)[0]
    shares = [s @ model.owners.T for s in (own, asked)]
    rate = quick.tempo(*shares, model.action(d).softmax(dim=1))
    assert (rate - 1.0).abs().max() > 1e-3
    read = model.now_of(model.frames.encode(at_rate(x, rate)), own)[0]
    torch.testing.assert_close(quick.swap(x, x.flip(0)), model.danced(model.followed(read, d), asked))
    torch.testing.assert_close(quick.swap(x, x.flip(0), True), model.swap(x, x.flip(0), True))
    torch.testing.assert_close(quick.reconstruct(x), model.reconstruct(x))


def test_where_nothing_tells_what_is_done_a_swap_keeps_its_tempo() -> None:
    """With no `action_loss`, nothing has taught the layer that says what is done."""
    model, x = small_model(action_loss=0.0), moves(2)
    plain = model.swap(x, x.flip(0))
    model.tempo.who.copy_(torch.tensor([-1.0, 1.0]))
    torch.testing.assert_close(model.swap(x, x.flip(0)), plain)


def test_tempo_is_half_of_the_logarithm_of_speed() -> None:
    slow, quick = (tempo(_swinging(period)) for period in (40.0, 20.0))
    torch.testing.assert_close(quick - slow, torch.tensor([0.5 * math.log(2.0)]), atol=0.02, rtol=0.0)
