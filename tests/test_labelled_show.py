"""A labelled partner in a show: its dial by number and by name, over whatever door, and no jump on the way."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from exporters import inspect
from motion import rotations as rot
from motion.clip import Clip
from motion.load import load_humanoid
from server import preset as presets
from server.app import Show
from server.cues import changes
from server.pipeline import Pipeline
from server.protocols.frames import PoseFrame
from server.receivers.bvh_player import BvhPlayer
from server.show import build_pipeline
from server.stages.partner import Partner
from server.stages.walk import Walk

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


def frames(clip: Clip) -> list[PoseFrame]:
    return list(BvhPlayer(clip, clip.fps, loop=False).frames())


@pytest.fixture(scope="module")
def clip() -> Clip:
    """Four seconds of the demo dancer."""
    return load_humanoid(PRESETS / "clips/demo_dancer.bvh").clip[600:840]


def dials(show: Pipeline, clip: Clip, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Where the partner's dial stands at every frame."""
    heard: list[float] = []
    walk = Partner.walk

    def noted(stage: Partner, frame: PoseFrame, dt: float, params: Any) -> Walk[PoseFrame]:
        heard.append(params["label/time"])
        return walk(stage, frame, dt, params)

    monkeypatch.setattr(Partner, "walk", noted)
    for frame in frames(clip):
        assert len(list(show.step("dancer1", frame))) == 2
        list(show.readings())
    return heard


@pytest.mark.parametrize(("follow", "way"), [("alone", 0.0), ("mirror", -1.0), ("oppose", 1.0)])
def test_the_shipped_partner_goes_by_what_the_shipped_meter_reads(
    follow: str, way: float, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    still = replace(clip, rotations=np.repeat(clip.rotations[:1], len(clip), axis=0))
    still.rotations[:, 5] = rot.from_euler("ZXY", np.linspace(0.0, 0.2, len(clip))[:, None] * [0.0, 0.0, 1.0])
    heard = dials(pipeline({"params": {"label/time": 0.5, "follow/time": follow}}), still, monkeypatch)
    assert np.sign(round(heard[-1] - 0.5, 2)) == way  # somebody who hardly moves is low
    assert np.abs(np.diff(heard)).max() < 0.05


def test_readings_do_not_depend_on_when_they_are_looked_at(clip: Clip) -> None:
    """The same frames and seed, the same readings and poses, bit for bit."""
    told = []
    for _ in range(2):
        show = pipeline({"params": {"follow/time": "mirror"}})
        told.append([])
        for frame in frames(clip):
            told[-1] += [pose.rotations.tobytes() for pose in show.step("dancer1", frame)]
            told[-1] += [str(reading) for reading in show.readings()]
    assert told[0] == told[1]


def test_the_dancers_meters_are_taken_over_with_the_dancers(clip: Clip) -> None:
    old, new = pipeline(), pipeline({"params": {"follow/time": "mirror"}})
    for frame in frames(clip)[:120]:
        list(old.step("dancer1", frame))
        list(old.readings())
    new.take_over(old, 0.0)
    assert new.dancers["dancer1"].reading is not None
    assert new.meters["dancer1"] is old.meters["dancer1"]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            {"outputs": [{"send": "effort", "actor": "dancer2"}]},
            "outputs.0.actor: 'dancer2' is not one of dancer1, par",
        ),
        (
            {"outputs": [{"send": "effort", "port": 9002}], "control": {"port": 9002}},
            "outputs.0.port: 127.0.0.1:9002 is",
        ),
        (
            {"dancers": {"dancer1": {"receive": "vmc", "effort": "models/effort_meter.onnx", "stages": []}}},
            "dancers.dancer1.effort: needs the standard body: put `retarget` among the stages",
        ),
        (
            {"dancers": {"dancer1": {"receive": "vmc", "effort": "models/effort.onnx"}}},
            f"dancers.dancer1.effort: no file {PRESETS / 'models/effort.onnx'}; there: effort_meter.onnx, ",
        ),
    ],
)
def test_a_fault_of_a_meter_is_named_by_key(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(presets.PresetError) as refused:
        parsed(**changes)
    assert refused.value.faults[0].startswith(f"{EFFORT}: {fault}")


def test_effort_that_nobody_measures_is_not_sent() -> None:
    data = yaml.safe_load((PRESETS / "demo.yaml").read_text()) | {"stage_page": "off", "outputs": [{"send": "effort"}]}
    with pytest.raises(
        presets.PresetError, match=r"outputs\.0: nobody's effort is read; give a dancer or a partner a met"
    ):
        presets.parse(data, EFFORT)


def test_a_model_that_is_no_meter_is_refused_by_key() -> None:
    with pytest.raises(presets.PresetError, match=r"partners\.partner1\.effort: .*is a 'duet' model; an effort meter"):
        pipeline({"effort": "models/labelled_partner.onnx"})


def test_who_has_no_meter_cannot_be_followed() -> None:
    dancer = {"receive": "bvh", "file": "clips/demo_dancer.bvh"}
    with pytest.raises(
        presets.PresetError, match=r"params\.follow/time: .* has no such param; .*dancers\.dancer1\.effort"
    ):
        pipeline({"params": {"follow/time": "mirror"}}, dancers={"dancer1": dancer}, cues=[])


def test_what_a_meter_reads_is_in_the_stats_and_answers_whoever_asks(clip: Clip) -> None:
    running = Show(parsed(), EFFORT)
    try:
        assert running.steering is not None
        desk, said = running.steering.desk, []
        with pytest.raises(ValueError, match="nothing has been read yet"):
            desk.ask("/effort/dancer1/time", (), print, print)
        assert running.report.figures()["dancers"]["dancer1"]["effort"] == {}
        for frame in frames(clip):
            running.tick.arrive("dancer1", frame)
        read = running.report.figures()["dancers"]["dancer1"]["effort"]["time"]
        desk.ask("/effort/dancer1/time", (), lambda *answer: said.append(answer), print)
        assert said == [pytest.approx(tuple(read.values()), abs=1e-4)]
        with pytest.raises(ValueError, match="there are: /effort/dancer1/time, /effort/partner1/time"):
            desk.ask("/effort/dancer2/time", (), print, print)
        nodes = {node.address: node for node in desk.nodes()}
        assert (nodes["/effort/partner1/time"].type, nodes["/effort/partner1/time"].writable) == ("fff", False)
        (dial,) = [param for param in running.report.figures()["params"] if param["name"] == "partner1/label/time"]
        assert dial["names"] == ["low", "medium", "high"]
    finally:
        running.close()


def test_the_shipped_meter_is_the_shipped_partners_own_classifier() -> None:
    partner, meter = (
        inspect.read_manifest(PRESETS / f"models/{name}.onnx") for name in ("labelled_partner", "effort_meter")
    )
    assert meter.made_from["checkpoint_sha256"] == partner.made_from["checkpoint_sha256"]
    assert meter.made_from["takes"] == partner.made_from["takes"]
    assert meter.made_from["contains_recordings"] is False
    dials = {param.name: param.names for param in partner.params if param.names}
    assert {port.name: port.layout for port in meter.outputs} == dials
    assert (PRESETS / "models/effort_meter.onnx").stat().st_size < 1e6
