"""benchmarks.training compares two ways to train one thing: the same windows, the same loss, the same gradients."""

import argparse

import pytest
import torch

from benchmarks import training as benchmark
from motion.skeleton import HUMANOID
from training import kinematics
from training.lstm import set_precision
from training.sequences import Sequences

WINDOW, BATCH = 64, 3
Side = tuple[torch.Tensor, dict[str, torch.Tensor], torch.Tensor]


def _step(batch: dict[str, torch.Tensor], precision: str) -> Side:
    """Total, parts and all gradients of one training step, the noise the same every time."""
    network = benchmark.model().train()
    set_precision(network, precision)
    torch.manual_seed(1)
    total, parts = network.loss(batch)
    total.backward()
    return total.detach(), parts, torch.cat([weights.grad.flatten() for weights in network.parameters()])


@pytest.fixture(scope="module")
def batches() -> list[dict[str, torch.Tensor]]:
    """The same windows as views gathered and as rows of the copies."""
    pair = benchmark.made_up_pair(0.05)
    rows = torch.tensor([0, 40, 17])
    copies = {name: windows[rows] for name, windows in benchmark.every_window(pair, WINDOW).items()}
    return [Sequences([pair], HUMANOID, WINDOW).gather(rows), copies]


def test_the_sides_see_the_same_windows(batches: list[dict[str, torch.Tensor]]) -> None:
    torch.testing.assert_close(*batches, atol=0, rtol=0)


@pytest.mark.parametrize(("precision", "close"), [("float32", 1e-5), ("bfloat16", 0.01)])  # measured 6e-8, 0.002
def test_the_sides_have_the_same_loss_and_gradients(
    batches: list[dict[str, torch.Tensor]], precision: str, close: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    total, parts, gradient = _step(batches[0], precision)
    monkeypatch.setattr(kinematics, "joint_positions", benchmark.joint_by_joint)
    expected_total, expected_parts, expected = _step(batches[1], "float32")
    torch.testing.assert_close(total, expected_total, atol=0, rtol=close)
    torch.testing.assert_close(parts, expected_parts, atol=1e-6, rtol=close)
    assert (gradient - expected).norm() < close * expected.norm()


@pytest.mark.parametrize("side", sorted(benchmark.SIDES))
def test_a_side_runs(side: str) -> None:
    options = argparse.Namespace(minutes=0.05, batches=1, lstm_precision="auto")
    figures = benchmark.SIDES[side](options)
    assert figures["windows_per_s"] > 0
    assert figures["peak_mb"] > 0
