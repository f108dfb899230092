"""Partners of one model have one run of it: the same poses as one after the other, and one who fails fails alone."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import yaml

from motion.load import load_humanoid
from server import preset as presets
from server.clock import FakeClock
from server.onnx_model import OnnxModel
from server.params import Changes, ControlChange
from server.pipeline import Pipeline
from server.protocols.frames import PoseFrame
from server.receivers.bvh_player import BvhPlayer
from server.show import build_pipeline
from server.stages.partner import Partner
from server.stages.walk import at_once, together
from server.tick import Tick

PRESETS = Path(__file__).resolve().parents[1] / "presets"
FPS = 60.0


@pytest.fixture(scope="module")
def frames() -> list[PoseFrame]:
    return list(islice(BvhPlayer(load_humanoid(PRESETS / "clips/demo_dancer.bvh").clip, FPS).frames(), 400))


def show(*models: str) -> Pipeline:
    """A dancer for each model, and their partner."""
    data = yaml.safe_load((PRESETS / "live_vmc.yaml").read_text())
    names = [(f"dancer{n}", f"partner{n}", model) for n, model in enumerate(models, 1)]
    data["dancers"] = {dancer: {"receive": "vmc", "port": 0} for dancer, _, _ in names}
    data["partners"] = {
        partner: {"dancer": dancer, "model": f"models/{model}.onnx"} for dancer, partner, model in names
    }
    data["clock"], data["outputs"], data["stage_page"] = {"fps": FPS}, [], "off"
    path = PRESETS / "several.yaml"
    return build_pipeline(presets.parse(data, path), path, 1)


def arrivals(pipeline: Pipeline, frames: list[PoseFrame], number: int) -> list[tuple[str, PoseFrame]]:
    """Everybody at another place of the recording, dancing."""
    return [(name, frames[number + 37 * place]) for place, name in enumerate(pipeline.dancers)]


@pytest.mark.parametrize("model", ["salsa_match", "salsa_duet", "labelled_partner", "salsa_deepfake", "manner"])
def test_several_dance_together_as_one_after_the_other(model: str, frames: list[PoseFrame]) -> None:
    one, other = show(model, model, "salsa_duet"), show(model, model, "salsa_duet")
    for number in range(60):
        given = arrivals(one, frames, number)
        apart = [pose for dancer, frame in given for pose in one.step(dancer, frame)]
        beside = list(other.step_together(given))
        assert [pose.actor for pose in beside] == [pose.actor for pose in apart]
        for a, b in zip(apart, beside, strict=True):
            np.testing.assert_allclose(a.root_position, b.root_position, atol=1e-5)
            np.testing.assert_allclose(a.rotations, b.rotations, atol=1e-5)
    assert one.faults == other.faults == 0


def test_models_of_one_file_have_one_run(frames: list[PoseFrame], monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = show("salsa_duet", "salsa_duet", "salsa_duet", "labelled_partner")
    sizes: list[int] = []

    def counted(models: list[OnnxModel]) -> list[dict[str, np.ndarray]]:
        sizes.append(len(models))
        return step_together(models)

    from server.stages import walk

    step_together = walk.step_together
    monkeypatch.setattr(walk, "step_together", counted)
    list(pipeline.step_together(arrivals(pipeline, frames, 0)))
    assert sorted(sizes) == [1, 3]


def test_a_run_that_raises_is_a_fault_of_each_and_nobody_else_s(
    frames: list[PoseFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = show("salsa_duet", "salsa_duet", "labelled_partner")
    list(pipeline.step_together(arrivals(pipeline, frames, 0)))
    broken = next(iter(pipeline.partners.values())).ladder
    assert broken is not None
    monkeypatch.setattr("server.stages.walk.step_together", _raises_for_two)
    poses = list(pipeline.step_together(arrivals(pipeline, frames, 1)))
    assert [pose.actor for pose in poses if pose.actor.startswith("partner")] == ["partner1", "partner2", "partner3"]
    assert [line.faults for line in pipeline.partners.values()] == [1, 1, 0]


def _raises_for_two(models: list[OnnxModel]) -> list[dict[str, np.ndarray]]:
    if len(models) == 2:
        raise ArithmeticError("no way")
    return [model.step() for model in models]


def test_a_beat_dances_all_at_once_and_a_show_that_takes_over_is_faded_in(frames: list[PoseFrame]) -> None:
    clock, old, new = FakeClock(), show("salsa_duet", "salsa_duet"), show("labelled_partner", "labelled_partner")
    tick = Tick(old, [], [], Changes(), clock, FPS, follow=False)
    for number in range(30):
        clock.sleep_until(number / FPS)
        for dancer, frame in arrivals(old, frames, number):
            tick.timelines[dancer].put(frame)
        tick.beat(clock.now(), number / FPS)
        if number == 10:
            new.take_over(old, 0.2)
            tick.pipeline = new
    assert not new.crossing
    assert set(tick.way_out.latest) == {"dancer1", "dancer2", "partner1", "partner2"}
    assert new.apply(ControlChange("show/freeze", 1.0))
    assert [pose.actor for pose in new.step_together(arrivals(new, frames, 31))] == [
        "partner1",
        "dancer1",
        "partner2",
        "dancer2",
    ]


def test_a_walk_is_a_step(frames: list[PoseFrame]) -> None:
    stages = [Partner(OnnxModel(PRESETS / "models/salsa_duet.onnx"), seed) for seed in (1, 1, 1)]
    knobs = {param.name: param.default for param in stages[0].params}
    for frame in frames[:5]:
        first = stages[0].step(frame, 1 / FPS, knobs)
        again = at_once(stages[1].walk(frame, 1 / FPS, knobs))
        (alone,) = together([stages[2].walk(frame, 1 / FPS, knobs)])
        np.testing.assert_array_equal(first.rotations, again.rotations)
        np.testing.assert_array_equal(first.rotations, alone.rotations)
