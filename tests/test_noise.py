"""Chance belongs to a sample: not to its place in a batch, nor to the process that holds it."""

import pytest
import torch
from torch import Tensor, nn

from training import noise

NUMBERS = torch.tensor([5, 17, 3, 99, 4, 1000])


def _draws(numbers: Tensor, *key: int) -> list[Tensor]:
    """Every kind of draw a model makes, with the batch as first axis."""
    size, dropout = len(numbers), nn.Dropout(0.4)
    with noise.keyed(numbers, *key):
        like = torch.ones(size, 3)
        return [
            torch.randn(size, 5),
            torch.rand((size, 2, 2)),
            torch.randn_like(like),
            torch.rand_like(like),
            torch.randint(7, (size, 1)),
            torch.randint(2, 5, (size,)),
            dropout(like),
            torch.randn(size * 4, 3).view(size, 12),
        ]


def test_a_sample_has_its_noise_in_whatever_batch_it_comes() -> None:
    whole = _draws(NUMBERS, 1, 2)
    parts = [_draws(NUMBERS[rows], 1, 2) for rows in (torch.tensor([4, 0]), torch.tensor([1, 2, 3, 5]))]
    for together, first, second in zip(whole, *parts, strict=True):
        assert torch.equal(together[[4, 0]], first)
        assert torch.equal(together[[1, 2, 3, 5]], second)


def test_another_step_another_seed_and_another_draw_differ() -> None:
    with noise.keyed(NUMBERS, 1, 2):
        first, second = torch.randn(6, 5), torch.randn(6, 5)
    assert not torch.equal(first, second)
    assert not torch.equal(first, _draws(NUMBERS, 1, 3)[0])
    assert not torch.equal(first, _draws(NUMBERS, 2, 2)[0])


def test_what_is_common_to_the_batch_is_common_to_all_processes() -> None:
    drawn = []
    for numbers in (NUMBERS[:2], NUMBERS[2:]):
        with noise.keyed(numbers, 8):
            drawn.append((torch.randint(1000, ()), torch.randn(3)))
    assert torch.equal(drawn[0][0], drawn[1][0])
    assert torch.equal(drawn[0][1], drawn[1][1])


def test_numbers_are_uniform_and_normal_and_know_nothing_of_each_other() -> None:
    keys = noise.keys(torch.arange(2000), 3)
    flat, bell = noise.uniform(keys, (50,)), noise.normal(keys, (51,))
    assert abs(float(flat.mean()) - 0.5) < 0.005  # 1e5 numbers: a standard error of 0.001
    assert abs(float(flat.var()) - 1 / 12) < 0.002
    assert abs(float(bell.mean())) < 0.02
    assert abs(float(bell.std()) - 1.0) < 0.01
    assert abs(float((bell.abs() < 1).float().mean()) - 0.6827) < 0.01
    off_diagonal = torch.corrcoef(bell.T) - torch.eye(51)
    assert off_diagonal.abs().max() < 0.12  # 2000 rows: a standard error of 0.022
    assert torch.corrcoef(bell[:40]).fill_diagonal_(0).abs().max() < 0.7  # 51 columns: a standard error of 0.14


def test_dropout_keeps_the_share_and_the_mean() -> None:
    with noise.keyed(torch.arange(1000), 1):
        kept = nn.functional.dropout(torch.ones(1000, 100), 0.3)
    assert abs(float((kept == 0).float().mean()) - 0.3) < 0.01
    assert abs(float(kept.mean()) - 1.0) < 0.02
    with noise.keyed(NUMBERS, 1):
        assert torch.equal(nn.Dropout(0.3).eval()(torch.ones(6, 4)), torch.ones(6, 4))


def test_chance_that_cannot_be_keyed_is_refused() -> None:
    lstm = nn.LSTM(3, 4, 2, dropout=0.1)
    with noise.keyed(NUMBERS, 1):
        with pytest.raises(NotImplementedError, match="normal_ draws chance"):
            torch.empty(6, 2).normal_()
        with pytest.raises(NotImplementedError, match="lstm"):
            lstm(torch.zeros(2, 6, 3))
        lstm.eval()(torch.zeros(2, 6, 3))


def test_an_explicit_generator_is_left_alone() -> None:
    expected = torch.randn(6, generator=torch.Generator().manual_seed(4))
    with noise.keyed(NUMBERS, 1):
        assert torch.equal(torch.randn(6, generator=torch.Generator().manual_seed(4)), expected)
