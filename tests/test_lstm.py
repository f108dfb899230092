"""The faster LSTM is nn.LSTM: the same numbers to bfloat16's precision, the same gradients, the same weights."""

import shutil

import pytest
import torch
from torch import Tensor, nn

from training import lstm_steps
from training.lstm import LSTM, set_precision


def _both(inputs: int, ways: bool, layers: int, size: int = 32) -> tuple[nn.LSTM, LSTM]:
    torch.manual_seed(0)
    plain = nn.LSTM(inputs, size, layers, batch_first=True, bidirectional=ways)
    fast = LSTM(inputs, size, layers, batch_first=True, bidirectional=ways)
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
@pytest.mark.parametrize("size", [24, 32])  # the compiled steps take multiples of 16
def test_outputs_and_gradients_are_those_of_the_plain_layer(size: int, ways: bool, layers: int, constant: bool) -> None:
    plain, fast = _both(10, ways, layers, size)
    values = torch.randn(21, 1 if constant else 12, 10)
    for expected, made in zip(_run(plain, values, constant), _run(fast, values, constant), strict=True):
        assert made.dtype == torch.float32
        assert (made - expected).norm() < 0.02 * expected.norm()  # bfloat16 has 8 bits; measured up to 0.012


Steps = list[Tensor]


def _in_both_ways(ways: int, monkeypatch: pytest.MonkeyPatch, broken: bool = False) -> tuple[Steps, Steps]:
    """Gates, cells, states and slopes of the compiled steps and of the loop. broken: one number given is NaN."""
    if not any(map(shutil.which, lstm_steps.COMPILERS)) or not torch.cpu._is_avx512_bf16_supported():
        pytest.skip("no C compiler here, or no bfloat16 in the CPU")
    assert lstm_steps.compiled() is not None
    torch.manual_seed(1)
    given, weights = torch.randn(9, 18, ways, 128).bfloat16(), torch.randn(ways, 128, 32).mul(0.2).bfloat16()
    bias, arriving = torch.randn(ways, 128), torch.randn(9, 18, ways, 32).bfloat16()
    if broken:
        given[4, 3, :, 7] = torch.nan
    results = []
    for _ in range(2):
        saved = lstm_steps.forward(given, bias, weights, 9)
        results.append([*saved, lstm_steps.backward(arriving, weights, saved)])
        monkeypatch.setattr(lstm_steps, "compiled", lambda: None)
    return results[0], results[1]


@pytest.mark.parametrize("ways", [1, 2])
def test_compiled_steps_are_those_of_the_loop(ways: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for compiled, loop in zip(*_in_both_ways(ways, monkeypatch), strict=True):
        assert (compiled.float() - loop.float()).norm() < 0.01 * loop.float().norm()  # what bfloat16 rounds: 0.004


@pytest.mark.parametrize("ways", [1, 2])
def test_what_is_no_number_stays_none(ways: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for compiled, loop in zip(*_in_both_ways(ways, monkeypatch, broken=True), strict=True):
        assert loop.isnan().any() and not loop.isnan().all()
        assert torch.equal(compiled.isnan(), loop.isnan())


@pytest.mark.parametrize("compiler", ["no-such-compiler", "false"])
def test_without_a_working_compiler_there_are_no_compiled_steps(compiler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", compiler)
    assert lstm_steps.compiled.__wrapped__() is None


def test_it_is_the_plain_layer_outside_training() -> None:
    plain, fast = _both(10, ways=True, layers=2)
    values = torch.randn(3, 12, 10)
    assert torch.equal(fast.eval()(values)[0], plain.eval()(values)[0])
    set_precision(fast.train(), "float32")
    assert torch.equal(fast(values)[0], plain.train()(values)[0])
