"""A labelled partner in a show: its dial by number and by name, over whatever door, and no jump on the way."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from server import preset as presets
from server.app import Show
from server.cues import changes
from server.pipeline import Pipeline
from server.show import build_pipeline

PRESETS = Path(__file__).resolve().parents[1] / "presets"
EFFORT = PRESETS / "effort.yaml"


def parsed(partner: dict[str, Any] | None = None, **more: Any) -> presets.Preset:
    """effort.yaml with some keys changed, on free ports and without its page."""
    data = yaml.safe_load(EFFORT.read_text()) | {"control": {"port": 0}, "stage_page": "off", "outputs": []} | more
    data["partners"]["partner1"] |= partner or {}
    return presets.parse(data, EFFORT)


def pipeline(partner: dict[str, Any] | None = None, **more: Any) -> Pipeline:
    return build_pipeline(parsed(partner, **more), EFFORT)


def test_a_preset_may_say_a_label_by_its_name() -> None:
    assert pipeline({"params": {"label/time": "high"}}).params.target("partner1/label/time") == 1.0
    assert pipeline({"params": {"label/time": "0.25"}}).params.target("partner1/label/time") == 0.25


@pytest.mark.parametrize(
    ("partner", "fault"),
    [
        ({"params": {"label/time": "hihg"}}, "params.label/time: 'hihg' is none of low, medium, high"),
        (
            {"params": {"variety": "high"}},
            "params.variety: takes a number, not 'high'",
        ),
        (
            {"params": {"label/tyme": "high"}},
            "params.label/tyme: model labelled_partner.onnx has no such param; it has",
        ),
        ({"half_life": {"label/tyme": 1.0}}, "half_life.label/tyme: model labelled_partner.onnx has no such param"),
    ],
)
def test_what_is_no_label_is_refused_before_the_show(partner: dict[str, Any], fault: str) -> None:
    with pytest.raises(presets.PresetError) as refused:
        pipeline(partner)
    assert len(refused.value.faults) == 1
    assert f"effort.yaml: partners.partner1.{fault}" in refused.value.faults[0]


def test_a_labels_way_takes_as_long_as_the_preset_says() -> None:
    show = pipeline({"params": {"label/time": "low"}, "half_life": {"label/time": 0.5}})
    show.params.set("partner1/label/time", "high")
    show.params.advance(0.5, "partner1")
    assert show.params.values["partner1/label/time"] == pytest.approx(0.5)
    show.params.set("partner1/label/time", "low", seconds=2.0)  # a fade takes its own time
    show.params.advance(1.0, "partner1")
    assert show.params.values["partner1/label/time"] == pytest.approx(0.25)


def test_a_cue_says_a_label_by_its_name() -> None:
    show = parsed(cues=[{"params": {"*/label/time": "low"}, "seconds": 2}])
    dancing = build_pipeline(show, EFFORT)
    for change in changes(show.cues[0]):
        assert dancing.apply(change)
    assert dancing.params.target("partner1/label/time") == 0.0


def test_a_cue_with_a_label_that_is_none_is_refused_before_the_show() -> None:
    with pytest.raises(presets.PresetError, match=r"cues\.0\.params\.partner1/label/time: 'lo' is none of low, medium"):
        Show(parsed(cues=[{"params": {"partner1/label/time": "lo"}}]), EFFORT)
