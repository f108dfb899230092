"""A show that dances is told to go over to one that cannot: it is refused in words, and the dance goes on."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml

from server import preset as presets
from server.app import Show
from server.desk import SWITCH
from server.dry_run import dry_run
from server.errands import Command
from server.show import build_pipeline
from server.stages.worker import idle

PRESETS = Path(__file__).resolve().parents[1] / "presets"
DUET = PRESETS / "models/salsa_duet.onnx"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a show under a name, some keys changed; a string in their place is the file as it is."""

    def write(name: str, changes: str | dict[str, Any] = "", model: Path = DUET) -> Path:
        path = tmp_path / f"{name}.yaml"
        data = yaml.safe_load((PRESETS / "demo.yaml").read_text()) | {
            "dancers": {"dancer1": {"receive": "bvh", "file": str(PRESETS / "clips/demo_dancer.bvh")}},
            "partners": {"partner1": {"dancer": "dancer1", "model": str(model)}},
            "outputs": [{"send": "zmq", "bind": "tcp://127.0.0.1:*"}],
            "control": {"port": 0},
            "stage_page": "off",
        }
        text = changes if isinstance(changes, str) and changes else yaml.safe_dump(data | dict(changes or {}))
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def show(write: Callable[..., Path]) -> Iterator[Show]:
    path = write("act1")
    with closing(Show(presets.load(path), path)) as show:
        show.start()
        assert show.tick.first_pose.wait(timeout=30.0)
        yield show


def says_no_number(path: Path) -> Path:
    """The same model, whose pose is multiplied by what is no number."""
    model = onnx.load(DUET)
    graph = model.graph
    port = graph.output[0].name
    for node in graph.node:
        node.output[:] = ["as it was" if name == port else name for name in node.output]
        node.input[:] = ["as it was" if name == port else name for name in node.input]
    graph.initializer.append(onnx.numpy_helper.from_array(np.array(np.nan, np.float32), "no number"))
    graph.node.append(onnx.helper.make_node("Mul", ["as it was", "no number"], [port]))
    onnx.save(model, path)
    return path


def test_a_preset_that_is_broken_is_refused_and_the_show_dances_on(
    show: Show, write: Callable[..., Path], tmp_path: Path
) -> None:
    assert show.steering is not None
    switch = show.steering.desk.commands[SWITCH]
    assert isinstance(switch, Command)
    cut_off = tmp_path / "cut_off.onnx"
    cut_off.write_bytes(DUET.read_bytes()[:1000])
    before = show.tick.pipeline
    for changes, model, why in [
        ("partners: {partner1: [", DUET, "act2.yaml"),
        ({"partner": {}}, DUET, "act2.yaml: partner: "),
        ({}, tmp_path / "none.onnx", "act2.yaml: partners.partner1.model: "),
        ({}, cut_off, "is not a model that onnxruntime can run"),
        ({}, says_no_number(tmp_path / "nan.onnx"), "act2 does not dance (partner1: "),
    ]:
        write("act2", changes, model)
        with pytest.raises(ValueError, match=r"act2|onnx") as refused:
            switch.run(("act2",))
        assert why in str(refused.value)
    ticks = show.tick.stats.counts["ticks"]
    while show.tick.stats.counts["ticks"] < ticks + 10:
        assert show.tick.wait_for_rest(1.0) is None
    assert show.tick.pipeline is before
    assert show.tick.stats.counts["switches"] == show.tick.stats.counts["tick_faults"] == before.faults == 0


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_show_would_be_taken(path: Path) -> None:
    preset = presets.load(path)
    assert dry_run(build_pipeline(preset, path, 1, idle), preset.clock.fps, 0.1).faults == ()
