"""The comparison of processor and card."""

import pytest

from benchmarks import gpu
from server import onnx_cuda
from server.onnx_model import OnnxModel


@pytest.mark.skipif(not onnx_cuda.missing(), reason="there is a card")
def test_without_a_card_it_says_so_and_that_is_no_fault(capsys):
    assert gpu.main([]) == 0
    assert capsys.readouterr().out == f"no GPU here: {onnx_cuda.missing()}\n"


@pytest.mark.parametrize("name", ["salsa_duet", "pose_drmm", "upsampler_2d"])
def test_both_are_asked_the_same(name):
    path = gpu.SHIPPED / f"{name}.onnx"
    figures = gpu.compare(OnnxModel(path, batch=2), OnnxModel(path, batch=2))
    assert figures["difference"] == 0.0
    assert figures["cpu_ms"] > 0.0
    assert figures["card_ms"] > 0.0
    assert figures["graph"] is False
