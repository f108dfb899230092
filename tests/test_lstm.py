"""The faster LSTM is nn.LSTM: the same numbers to bfloat16's precision, the same gradients, the same weights."""

import pytest
import torch
from torch import Tensor, nn

from training.lstm import LSTM, set_precision


def _both(inputs: int, ways: bool, layers: int) -> tuple[nn.LSTM, LSTM]:
    torch.manual_seed(0)
    plain = nn.LSTM(inputs, 24, layers, batch_first=True, bidirectional=ways)
    fast = LSTM(inputs, 24, layers, batch_first=True, bidirectional=ways)
    fast.load_state_dict(plain.state_dict())
    set_precision(fast, "bfloat16")
    return plain, fast


def _run(network: nn.LSTM, values: Tensor, constant: bool) -> list[Tensor]:
    """What comes out, and all gradients of a made-up loss."""
    values = values.clone().requires_grad_()
    made, _ = network(values.expand(-1, 12, -1) if constant else values)
    (made * torch.linspace(-1, 1, made.numel()).view_as(made)).sum().backward()
    return [made.detach(), values.grad, *(weights.grad for weights in network.parameters())]


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("ways", [False, True])
def test_outputs_and_gradients_are_those_of_the_plain_layer(ways: bool, layers: int, constant: bool) -> None:
    plain, fast = _both(10, ways, layers)
    values = torch.randn(6, 1 if constant else 12, 10)
    for expected, made in zip(_run(plain, values, constant), _run(fast, values, constant), strict=True):
        assert made.dtype == torch.float32
        assert (made - expected).norm() < 0.02 * expected.norm()  # bfloat16 has 8 bits; measured up to 0.008


def test_it_is_the_plain_layer_outside_training() -> None:
    plain, fast = _both(10, ways=True, layers=2)
    values = torch.randn(3, 12, 10)
    assert torch.equal(fast.eval()(values)[0], plain.eval()(values)[0])
    set_precision(fast.train(), "float32")
    assert torch.equal(fast(values)[0], plain.train()(values)[0])
