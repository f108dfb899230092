from pathlib import Path

import pytest
import yaml

from server import preset
from server.preset import PresetError

DEMO = Path(__file__).resolve().parents[1] / "presets/demo.yaml"


def faults(changes: dict[str, object]) -> str:
    """What the demo preset says after some changes: {"dancers.dancer1.receive": value}; None deletes a key."""
    data = yaml.safe_load(DEMO.read_text())
    for key, value in changes.items():
        *parents, last = key.split(".")
        section = data
        for name in parents:
            section = section[int(name)] if isinstance(section, list) else section[name]
        if value is None:
            del section[last]
        else:
            section[int(last) if isinstance(section, list) else last] = value
    with pytest.raises(PresetError) as error:
        preset.parse(data, DEMO)
    return str(error.value)


@pytest.mark.parametrize("path", sorted(DEMO.parent.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_preset_is_valid(path: Path) -> None:
    assert preset.load(path).partners


def test_paths_start_at_the_presets_own_folder() -> None:
    assert preset.load(DEMO).partners["partner1"].model == DEMO.parent / "models/salsa_match.onnx"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stag": 1}, "stag: unknown key; 'stag' is not one of format, clock"),
        (
            {"dancers.dancer1.receive": "vcm"},
            "dancers.dancer1.receive: 'vcm' is not one of bvh, zmq, vmc, ai_",
        ),
        ({"dancers.dancer1.fil": "x"}, "dancers.dancer1.fil: unknown key"),
        ({"dancers.dancer1": {"receive": "vmc", "port": "x"}}, "dancers.dancer1.port: 'x'"),
        ({"dancers.dancer1": {"receive": "vmc", "port": 70000}}, "dancers.dancer1.port: 70000"),
        ({"partners.partner1.dancer": "dancer2"}, "'dancer2' is not one of dancer1 (did you mean 'dancer1'?)"),
        ({"partners.partner1.model": "models/x.onnx"}, "salsa_duet.onnx, salsa_match.onnx"),
        ({"partners.partner1.safety": {"max_sped": 1}}, "did you mean 'max_speed'?"),
        ({"outputs.0.actor": "partner2"}, "outputs.0.actor: 'partner2' is not one of dancer1, partner1"),
        ({"outputs.0.bundel": True}, "outputs.0.bundel: unknown key"),
        ({"clock.follow": "dance"}, "clock.follow: 'dance' is not one of dancer"),
        ({"clock.fps": -1}, "clock.fps: -1"),
        ({"partners": None}, "partners: is missing"),
        ({"format": 2}, "format: '2' is not one of 1"),
        ({"dancers.dancer1": {"receive": "vmc", "port": 9002}}, "127.0.0.1:9002 is taken by dancers.dancer1"),
        ({"outputs.1.port": 39539}, "outputs.1.port: 127.0.0.1:39539 has outputs.0 already; give each actor a port"),
        ({"outputs.0.port": 9002}, "outputs.0.port: 127.0.0.1:9002 is where control listens"),
        ({"outputs.0.port": 0}, "outputs.0.port: 0: must be a port to send to, 1 to 65535"),
        ({"outputs.3.bind": "banana"}, "outputs.3.bind: 'banana': must be an endpoint: tcp://HOST:PORT"),
        ({"outputs.3.bind": "tcp://127.0.0.1:99999"}, "outputs.3.bind: 'tcp://127.0.0.1:99999': must be"),
        ({"dancers.dancer1": {"receive": "zmq", "connect": "here:1"}}, "dancers.dancer1.connect: 'here:1': must be"),
        ({"dancers.dancer1": {"receive": "vmc", "allow": "1.2.3.4"}}, "allow: '1.2.3.4': must be a list; write [1.2."),
        (
            {"dancers.dancer1": {"receive": "vmc", "allow": ["suit"]}},
            "dancers.dancer1.allow: ['suit']: 'suit' must be an address or a network, such as 192.168.1.0/24",
        ),
        ({"dancers.dancer1.scale": -1}, "dancers.dancer1.scale: -1: must be metres per unit of the file"),
        ({"dancers.dancer1.scale": 0}, "dancers.dancer1.scale: 0: must be metres per unit of the file"),
        ({"dancers.dancer1.scale": "big"}, "dancers.dancer1.scale: 'big': must be metres per unit of the file"),
        ({"control": {"host": "", "port": 9002}}, "control.host: '': must be a host or an address"),
        ({"stage_page": {"host": "a..b", "port": 8080}}, "stage_page.host: 'a..b': must be a host or an address"),
        ({"stage_page": {"port": 99999}}, "stage_page.port: 99999: must be a port"),
    ],
)
def test_a_fault_names_file_key_value_and_choices(changes: dict[str, object], message: str) -> None:
    said = faults(changes)
    assert message in said
    assert all(line.startswith(f"{DEMO}: ") for line in said.splitlines())


def test_a_key_that_stands_twice_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "show.yaml").write_text("format: 1\nseed: 1\nseed: 2\n")
    with pytest.raises(PresetError, match=r"show\.yaml: not YAML: the key 'seed' stands twice .*line 3"):
        preset.load(tmp_path / "show.yaml")


def test_every_fault_is_reported_at_once() -> None:
    said = faults({"stag": 1, "dancers.dancer1.fil": "x", "partners.partner1.model": "models/x.onnx"})
    assert len(said.splitlines()) == 3


def test_a_scale_may_be_auto_or_a_number_however_yaml_reads_it() -> None:
    data = yaml.safe_load(DEMO.read_text())
    for text, scale in (("auto", "auto"), ("0.01", 0.01), ("1e-2", 0.01)):
        data["dancers"]["dancer1"]["scale"] = yaml.safe_load(text)
        assert preset.parse(data, DEMO).dancers["dancer1"].scale == scale


def test_off_turns_the_page_and_the_remote_control_off() -> None:
    data = yaml.safe_load(DEMO.read_text()) | yaml.safe_load("{control: off, stage_page: off}")
    show = preset.parse(data, DEMO)
    assert show.control is None
    assert show.stage_page is None


def test_a_missing_preset_names_the_ones_there() -> None:
    with pytest.raises(PresetError, match=r"live_vmc\.yaml"):
        preset.load(DEMO.parent / "dmo.yaml")


@pytest.mark.parametrize(("there", "told"), [("mine.yaml", "mine.yaml"), (".hidden.yaml", "deepfake, demo, ")])
def test_where_there_is_no_preset_the_shipped_ones_are_named(tmp_path: Path, there: str, told: str) -> None:
    (tmp_path / there).touch()
    with pytest.raises(PresetError, match=rf"presets there: .*{told}") as refused:
        preset.load(tmp_path / "nowhere.yaml")
    assert "hidden" not in str(refused.value)


def test_yaml_that_cannot_be_read_says_where(tmp_path: Path) -> None:
    path = tmp_path / "show.yaml"
    path.write_text("format: 1\ndancers: {dancer1: [}\n")
    with pytest.raises(PresetError, match=r"show\.yaml: not YAML: .*line 2"):
        preset.load(path)
