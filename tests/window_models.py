"""Small ONNX models of windows for tests: real graphs with a real manifest, made without training."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto, helper

from motion.manifest import METADATA_KEY, Manifest, Param, Port
from motion.skeleton import HUMANOID

WIDTH = 3 + 6 * len(HUMANOID)
LAYOUT = ("root_position", "rotations_6d")
WINDOW, HOP, LATENCY, FPS = 16, 4, 10, 50.0


def window_model(
    path: Path, graph: str = "echo", window: int = WINDOW, hop: int = HOP, latency: int = LATENCY, ahead: int = 0
) -> Path:
    """Writes a model whose partner is the dancer ("echo"), or the dancer and what `graph` adds to every number:

    "noise": a number drawn for each window; "shift": its own param; "latent": the mean of a param of size 3;
    "broken": NaN once the param is above 1.
    """
    params: list[Param] = []
    noise = [Port("noise", "noise", ("batch", 1, 1))] if graph == "noise" else []
    if graph in ("shift", "broken"):
        params = [Param("shift", 0.0, -1.0, 2.0, half_life=0.0)]
    elif graph == "latent":
        params = [Param("latent_offset", 0.0, -1.0, 1.0, half_life=0.0, size=3)]
    ports = [Port("dancer", "motion", ("batch", window, WIDTH), LAYOUT), *noise]
    ports += [Port(param.name, "condition", ("batch", param.size)) for param in params]
    partner = Port("partner", "motion", ("batch", window, WIDTH), LAYOUT)
    label = Manifest(
        f"{graph} of windows", "duet", HUMANOID, tuple(ports), (partner,), tuple(params),
        fps_in=FPS, fps_out=FPS, window=window, hop=hop, latency_frames=latency, ahead_frames=ahead,
    )  # fmt: skip
    tensor = helper.make_tensor_value_info
    model = helper.make_model(
        helper.make_graph(
            _NODES[graph],
            graph,
            [tensor(port.name, TensorProto.FLOAT, list(port.shape)) for port in ports],
            [tensor("partner", TensorProto.FLOAT, list(partner.shape))],
            [
                helper.make_tensor("axis", TensorProto.INT64, [1], [2]),
                helper.make_tensor("one", TensorProto.FLOAT, [], [1.0]),
            ],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.checker.check_model(model)
    helper.set_model_props(model, {METADATA_KEY: label.to_json()})
    onnx.save(model, path)
    return path


_NODES = {
    "echo": [helper.make_node("Identity", ["dancer"], ["partner"])],
    "noise": [helper.make_node("Add", ["dancer", "noise"], ["partner"])],
    "shift": [
        helper.make_node("Unsqueeze", ["shift", "axis"], ["column"]),  # (batch, 1, 1)
        helper.make_node("Add", ["dancer", "column"], ["partner"]),
    ],
    "latent": [
        helper.make_node("ReduceMean", ["latent_offset"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Unsqueeze", ["mean", "axis"], ["column"]),
        helper.make_node("Add", ["dancer", "column"], ["partner"]),
    ],
    "broken": [
        helper.make_node("Unsqueeze", ["shift", "axis"], ["column"]),
        helper.make_node("Sub", ["one", "column"], ["left"]),
        helper.make_node("Sqrt", ["left"], ["root"]),
        helper.make_node("Mul", ["dancer", "root"], ["partner"]),
    ],
}
