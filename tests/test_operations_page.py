"""docs/operations.md, the unit file and docs/performance.md say what the code says."""

import configparser
import re
import shlex
import shutil
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
import yaml

import run_server
from server import logs, onnx_cuda, onnx_file, recorder
from server import preset as presets
from server.app import Show
from server.onnx_model import OnnxModel
from test_metrics_page import samples, show  # noqa: F401  # a fixture

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
PERFORMANCE = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
UNIT = ROOT / "docs/pas-de-deux.service"


@pytest.fixture
def service() -> configparser.SectionProxy:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's names have capitals
    unit.read_string(UNIT.read_text(encoding="utf-8").replace("\\\n", ""))
    return unit["Service"]


def test_every_metric_is_on_the_page_with_its_labels(show: Show) -> None:  # noqa: F811
    """Those that nothing has happened to yet have no sample: their names stand in the text all the same."""
    text = show.metrics()[1].decode()
    said = dict(re.findall(r"^\| `(pas_de_deux_\w+)` \| ([\w, ]*) ?\|", PAGE, re.MULTILINE))
    there = set(re.findall(r"^# TYPE (pas_de_deux_\w+)", text, re.MULTILINE))
    assert set(said) == there
    for name, labels in samples(text):
        if name in said:
            assert {label for label, _ in labels} <= set(re.findall(r"\w+", said[name]))


def test_the_units_command_is_one_that_the_server_takes(service: configparser.SectionProxy) -> None:
    program, *arguments = shlex.split(service["ExecStart"])
    assert Path(program).name == "pas-de-deux"
    options = run_server._parser().parse_args(arguments)
    assert options.log_file == Path("/var/log/pas-de-deux/show.log")
    assert options.crash_reports == Path("/var/lib/pas-de-deux/crashes")


def test_a_refused_show_is_not_begun_again(service: configparser.SectionProxy, tmp_path: Path) -> None:
    (tmp_path / "show.yaml").write_text("format: 1\n")
    assert run_server.main([str(tmp_path / "show.yaml")]) == int(service["RestartPreventExitStatus"])


def test_systemd_has_nothing_against_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    program = tmp_path / "pas-de-deux"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / "pas-de-deux.service"
    unit.write_text(UNIT.read_text(encoding="utf-8").replace("/opt/pas-de-deux/.venv/bin/pas-de-deux", str(program)))
    said = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (0, "")


def test_sizes_on_the_page_are_the_codes() -> None:
    assert f"A log of {logs.LARGEST // 1_000_000} MB is put aside" in PAGE
    assert logs.OLD_FILES == 5
    assert "five of them are kept" in PAGE
    assert f"at most {recorder.MOST_KEPT:,} packets and turns" in PAGE


def test_the_example_of_devices_is_a_preset(tmp_path: Path) -> None:
    example = re.search(r"```yaml\n(.*?)```", PERFORMANCE, re.DOTALL)
    assert example is not None
    data = yaml.safe_load(example[1].replace("models/", f"{ROOT}/presets/models/"))
    data |= {"format": 1, "seed": 1, "clock": {"fps": 120}, "outputs": [], "control": "off", "stage_page": "off"}
    data["dancers"]["dancer1"]["port"] = 0
    path = tmp_path / "show.yaml"
    path.write_text(yaml.safe_dump(data))
    with closing(Show(presets.load(path), path)) as opened:
        assert opened.tick.pipeline.partners["partner1"].device in ("cpu", "cuda")


def test_the_models_that_are_named_are_those_that_are_recorded() -> None:
    named = PERFORMANCE.split("one for each batch size and\nturn: ")[1].split(".")[0]
    recorded = {
        path.stem
        for path in (ROOT / "presets/models").glob("*.onnx")
        if onnx_cuda.may_record(onnx_file.check(path), [port.shape for port in OnnxModel(path).manifest.inputs])
    }
    assert set(re.findall(r"`(\w+)`", named)) == recorded
