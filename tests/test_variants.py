"""Who dances a partner, told while the show goes on: other models by name, a second partner to compare with."""

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from motion.bvh_write import write_bvh
from motion.load import load_humanoid
from server import preset as presets
from server import variants
from server.app import Show
from server.params import ControlChange
from server.recording import Recording
from server.turn import Turn

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / "presets/models"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A small show on free ports, with a model's copy beside the partner's and one of another kind."""
    write_bvh(tmp_path / "take.bvh", load_humanoid(ROOT / "presets/clips/demo_dancer.bvh").clip[:200])
    (tmp_path / "models").mkdir()
    for name, model in (("one", "salsa_duet"), ("two", "salsa_duet"), ("meter", "effort_meter")):
        (tmp_path / f"models/{name}.onnx").write_bytes((MODELS / f"{model}.onnx").read_bytes())
    partner = {"dancer": "dancer1", "model": "models/one.onnx", "params": {"variety": 0.5}}
    data = {"format": 1, "dancers": {"dancer1": {"receive": "bvh", "file": "take.bvh"}}}
    data |= {"partners": {"partner1": partner}, "outputs": [], "control": {"port": 0}, "stage_page": "off"}
    (tmp_path / "show.yaml").write_text(yaml.safe_dump(data))
    return tmp_path / "show.yaml"


def test_models_of_other_kinds_are_not_offered(path: Path) -> None:
    assert variants.models_in(path.parent / "models") == ["one", "two"]


def test_the_shipped_partners_are_offered() -> None:
    there = variants.models_in(MODELS)
    assert {"salsa_duet", "salsa_match", "labelled_partner"} <= set(there)
    assert not {"effort_meter", "upsampler", "pose_drmm"} & set(there)


def test_a_partner_with_another_model_has_none_of_the_first_ones_params(path: Path) -> None:
    preset = variants.load(path.with_name("show+partner1=two.yaml"))
    assert preset.partners["partner1"].model.stem == "two"
    assert preset.partners["partner1"].params == {}
    assert variants.load(path.with_name("show+partner1=one.yaml")) == presets.load(path)


def test_a_second_partner_has_the_same_dancer(path: Path) -> None:
    preset = variants.load(path.with_name("show+partner1_b=two.yaml"))
    assert [(name, each.dancer, each.model.stem) for name, each in preset.partners.items()] == [
        ("partner1", "dancer1", "one"),
        ("partner1_b", "dancer1", "two"),
    ]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("show+partner1=meter", "no model 'meter' beside one.onnx; there are: one, two"),
        ("show+somebody=two", "no partner 'somebody'; there are: partner1"),
    ],
)
def test_a_variant_that_cannot_be_is_refused_with_the_choices(path: Path, name: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        variants.load(path.parent / f"{name}.yaml")


def until(happened: Callable[[], object]) -> None:
    end = time.monotonic() + 20.0
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


def test_a_model_takes_over_live_beside_another_and_does_so_again_in_a_replay(path: Path) -> None:
    folder = path.parent / "tapes"
    with closing(Show(presets.load(path), path, record=folder)) as show:
        show.start()
        assert show.steering is not None
        run = show.steering.desk.commands["show/model"].run
        until(lambda: show.tick.stats.counts["ticks"] >= 5)
        assert run(("partner1_b", "two", 0.0)) == "show+partner1_b=two takes over, in 0 s"
        until(lambda: set(show.tick.pipeline.partners) == {"partner1", "partner1_b"})
        assert show.report.figures()["models"] == {"partner1": ["one", "two"], "partner1_b": ["one", "two"]}
        with pytest.raises(ValueError, match="no model 'three'"):
            run(("partner1", "three"))
        with pytest.raises(ValueError, match="no preset 'show"):
            run(("partner1", "../models/two"))
        with pytest.raises(ValueError, match="takes a partner and a model"):
            run(())
        run(("partner1", "two", 0.0))
        until(lambda: show.tick.pipeline.partners["partner1"].model == "two")
        run(("partner1_b", "nobody", 0.0))
        until(lambda: set(show.tick.pipeline.partners) == {"partner1"})
        danced = show.tick.stats.counts["ticks"]
        until(lambda: show.tick.stats.counts["ticks"] >= danced + 5)
    recording = Recording(folder)
    changes = [change for turn in recording if isinstance(turn, Turn) for change in turn.changes]
    names = ("show+partner1_b=two", "show+partner1_b=two+partner1=two", "show+partner1=two")
    assert changes == [ControlChange("show/preset", name, 0.0) for name in names]
    with closing(Show(presets.load(path), path, replay=recording, speed=0.0)) as show:
        assert show.tapes.differences() == []
        show.start()
        assert show._stopping.wait(20.0)
        assert show.tapes.replay is not None
        assert show.tapes.replay.counts["different"] == 0, show.tapes.replay.summary()
        assert show.tapes.replay.counts["same"] > 20
