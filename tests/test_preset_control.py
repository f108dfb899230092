"""A preset's `control` and `cues`: what they mean, and what is refused by key."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from server import preset as presets
from server.cues import changes as changes_of
from server.params import ControlChange
from server.preset_control import Control, Cue

DEMO = Path(__file__).resolve().parents[1] / "presets/demo.yaml"


def parse(**changes: Any) -> presets.Preset:
    return presets.parse(yaml.safe_load(DEMO.read_text()) | changes, DEMO)


@pytest.mark.parametrize(
    ("control", "query_port", "announced"),
    [
        (Control(), 9002, False),
        (Control(port=7000), 7000, False),
        (Control(port=0), 0, False),
        (Control(oscquery=8000), 8000, False),
        (Control(oscquery="off"), None, False),  # type: ignore[arg-type]
        (Control(host="0.0.0.0"), 9002, True),
        (Control(host="192.168.1.5", discovery=False), 9002, False),
        (Control(host="localhost"), 9002, False),
        (Control(discovery=True), 9002, True),
    ],
)
def test_oscquery_has_the_ports_number_and_only_what_others_reach_is_announced(
    control: Control, query_port: int | None, announced: bool
) -> None:
    assert (control.query_port, control.announced) == (query_port, announced)


def test_yaml_reads_off_as_false() -> None:
    assert parse(control=yaml.safe_load("{oscquery: off}")).control == Control(oscquery="off")  # type: ignore[arg-type]


def test_cues_are_a_list_of_steps() -> None:
    cues = parse(cues=[{"name": "wait", "still": True}, {"params": {"*/latent_mix": [1, 0]}, "seconds": 2}]).cues
    assert cues == (Cue(name="wait", still=True), Cue(params={"*/latent_mix": (1.0, 0.0)}, seconds=2.0))


@pytest.mark.parametrize(("seconds", "taken"), [({}, 1.5), ({"seconds": 0}, 0.0), ({"seconds": 4}, 4.0)])
def test_a_partner_comes_to_rest_in_as_many_seconds_as_a_cue_says(seconds: dict[str, float], taken: float) -> None:
    (change,) = changes_of(Cue(still=True, **seconds))  # type: ignore[arg-type]
    assert change == ControlChange("*/stillness", 1.0, taken)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"control": {"oscquery": 70000}}, "control.oscquery: 70000: must be a port, 1 to 65535, 0 for any"),
        ({"control": {"oscquery": True}}, "control.oscquery: True: must be a port"),
        ({"control": {"reply_port": 0}}, "control.reply_port: 0: must be a port to send to"),
        ({"control": {"discover": True}}, "control.discover: unknown key; 'discover' is not one of host, port"),
        ({"cues": [{}]}, "cues.0: {}: does nothing; give it params, sample, freeze, still, reset or preset"),
        ({"cues": [{"preset": "a", "still": True}]}, "cues.0: {'preset': 'a', 'still': True}: switches the preset and"),
        ({"cues": [{"name": "go", "still": True}]}, "cues.0.name: 'go': is an address of its own (/cue/go)"),
        ({"cues": [{"name": "4", "still": True}]}, "cues.0.name: '4': string should match pattern"),
        ({"cues": [{"name": "a", "still": True}] * 2}, "cues.1.name: 'a' is the name of cues.0 already"),
        ({"cues": [{"still": True}], "control": "off"}, "cues: nobody can give them while control is off"),
        (
            {"partners": {"cue": {"dancer": "dancer1", "model": "models/salsa_match.onnx"}}, "outputs": []}
            | {"stage_page": "off"},
            "partners.cue: /cue/... is an address of the show's own",
        ),
        ({"cues": [{"still": True, "seconds": -1}]}, "cues.0.seconds: -1: input should be greater than"),
        ({"cues": [{"preset": "act2", "seconds": 100}]}, "cues.0.seconds: 100: a cross-fade to another preset"),
        ({"cues": [{"params": {"p/x": ["much"]}}]}, "cues.0.params.p/x: ['much']: must be a number"),
    ],
)
def test_a_fault_is_named_by_key_and_value(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(presets.PresetError) as refused:
        parse(**changes)
    assert refused.value.faults[0].startswith(f"{DEMO}: {fault}")
