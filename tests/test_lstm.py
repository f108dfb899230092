"""The faster LSTM is nn.LSTM: the same numbers to bfloat16's precision, the same gradients, the same weights."""

import shutil
from collections.abc import Iterator
from pathlib import Path

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
    _compiler()
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
        assert loop.isnan().any()
        assert not loop.isnan().all()
        assert torch.equal(compiled.isnan(), loop.isnan())


@pytest.fixture
def anew() -> Iterator[None]:
    """The steps are compiled again, in the test and after it."""
    lstm_steps._made.cache_clear()
    yield
    lstm_steps._made.cache_clear()


def _compiler() -> str:
    if not (found := next(filter(shutil.which, lstm_steps.COMPILERS), "")) or not torch.cpu._is_avx512_bf16_supported():
        pytest.skip("no C compiler here, or no bfloat16 in the CPU")
    return found


@pytest.mark.usefixtures("anew")
@pytest.mark.parametrize("compiler", ["", "no-such-compiler", "false", 'gcc "x'])
def test_without_a_working_compiler_it_is_the_loop(compiler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lstm_steps, "COMPILERS", ())
    monkeypatch.setenv("CC", compiler)
    assert lstm_steps.compiled() is None
    assert "by torch, slower" in lstm_steps.sentence()
    if torch.cpu._is_avx512_bf16_supported():
        assert (compiler or "no C compiler") in lstm_steps.sentence()


@pytest.mark.usefixtures("anew")
def test_a_wrong_compiler_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _compiler()
    monkeypatch.setenv("CC", "no-such-compiler")
    assert lstm_steps.compiled() is not None
    assert lstm_steps.sentence().startswith(f"LSTM steps compiled by {found}; no-such-compiler: ")


@pytest.mark.usefixtures("anew")
def test_a_library_of_something_else_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "compiler"
    script.write_text(f'#!/bin/sh\nfor made; do :; done\nexec {_compiler()} -shared -x c /dev/null -o "$made"\n')
    script.chmod(0o755)
    monkeypatch.setattr(lstm_steps, "COMPILERS", ())
    monkeypatch.setenv("CC", str(script))
    assert lstm_steps.compiled() is None
    assert "forward" in lstm_steps.sentence()


@pytest.mark.usefixtures("anew")
def test_without_a_temporary_folder_it_is_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _compiler()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    assert lstm_steps.compiled() is None
    assert "No such file" in lstm_steps.sentence()


@pytest.mark.usefixtures("anew")
def test_what_the_compiler_says_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = _compiler()
    (tmp_path / "wrong.c").write_text("int forward(void) { return missing; }\n#error the last line\n")
    monkeypatch.setattr(lstm_steps, "_SOURCE", tmp_path / "wrong.c")
    monkeypatch.setattr(lstm_steps, "COMPILERS", (found,))
    monkeypatch.delenv("CC", raising=False)
    assert lstm_steps.compiled() is None
    assert lstm_steps.sentence().count("\n") == 0
    assert len(lstm_steps.sentence()) > len(f"LSTM steps by torch, slower: {found}: ")


@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_numbers_of_another_precision_are_refused(wrong: int) -> None:
    values = [torch.zeros(1, 1, 1, 64).bfloat16(), torch.zeros(1, 64), torch.zeros(1, 64, 16).bfloat16()]
    values[wrong] = values[wrong].double()
    with pytest.raises(TypeError, match="float64"):
        lstm_steps.forward(*values, 1)


def test_it_is_the_plain_layer_outside_training() -> None:
    plain, fast = _both(10, ways=True, layers=2)
    values = torch.randn(3, 12, 10)
    assert torch.equal(fast.eval()(values)[0], plain.eval()(values)[0])
    set_precision(fast.train(), "float32")
    assert torch.equal(fast(values)[0], plain.train()(values)[0])
