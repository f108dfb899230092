"""The log file: what it says, in both forms, that it turns over, and that a full disk silences it alone."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from server import logs

NOTHING: dict[str, Any] = {
    "page_fault": "",
    "discovery_fault": "",
    "output_fault": "",
    "preset": "demo",
    "cue": "",
    "recording": {"fault": "", "folder": None, "counts": {}},
    "replay": None,
    "fps_in": {"dancer1": 120.0},
    "fps_out": 120.0,
    "late": 0,
    "dropped": 0,
    "latency_p50_ms": 0.5,
    "latency_p99_ms": 1.5,
    "dancers": {"dancer1": {"state": "live", "fault": ""}},
    "partners": {
        "partner1": {
            "state": "dancing",
            "fault": "",
            "ladder": {"rung": "full", "why": ""},
            "counts": {},
            "latency_ms": 0,
            "ahead_ms": 0,
        }
    },
}


def with_ladder(rung: str, why: str) -> dict[str, Any]:
    partner = NOTHING["partners"]["partner1"] | {"ladder": {"rung": rung, "why": why}}
    return NOTHING | {"partners": {"partner1": partner}}


def test_what_changes_is_written_once_and_the_status_line_every_ten_seconds(tmp_path: Path) -> None:
    file = tmp_path / "show.log"
    with logs.logging_to(file) as diary:
        for number in range(60):
            diary(with_ladder("follow", "late") if number >= 30 else NOTHING)
    said = [line.split(" ", 2)[2] for line in file.read_text().splitlines()]
    assert said.count("INFO partner1 ladder: follow, late") == 1
    assert said.count("INFO dancer1: live") == 1
    assert sum("dancer1 live 120 fps | partner1 dancing" in line for line in said) == 2


def test_a_fault_is_a_warning_and_its_end_is_told(tmp_path: Path) -> None:
    file = tmp_path / "show.log"
    with logs.logging_to(file) as diary:
        diary(NOTHING | {"output_fault": "vmc: no route"})
        diary(NOTHING)
    said = file.read_text()
    assert "WARNING output_fault: vmc: no route" in said
    assert "WARNING output_fault: none any more" in said


def test_as_json_every_line_is_an_object(tmp_path: Path) -> None:
    file = tmp_path / "show.log"
    with logs.logging_to(file, "json") as diary:
        logging.getLogger("server.onnx_model").warning("device %s", "auto")
        diary(NOTHING)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert lines[0]["message"] == "device auto"
    assert lines[0]["level"] == "WARNING"
    assert lines[-1] == NOTHING


def test_messages_go_to_stderr_too_and_the_diary_does_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with logs.logging_to(tmp_path / "show.log") as diary:
        logging.getLogger("server.crash").warning("it broke")
        diary(NOTHING)
    assert capsys.readouterr().err == "it broke\n"


def test_without_a_file_there_is_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with logs.logging_to(None) as diary:
        logging.getLogger("server.onnx_model").info("measured")
        diary(NOTHING)
    assert capsys.readouterr().err == "measured\n"


def test_a_log_turns_over_and_so_many_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "LARGEST", 2000)
    monkeypatch.setattr(logs, "OLD_FILES", 2)
    with logs.logging_to(tmp_path / "show.log", "json") as diary:
        for _ in range(200):
            diary(NOTHING)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["show.log", "show.log.1", "show.log.2"]
    assert all(path.stat().st_size <= 2000 for path in tmp_path.iterdir())


def test_a_disk_that_is_full_silences_the_log_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no device here is always full")
    with logs.logging_to(full) as diary:
        logging.getLogger("server.crash").warning("it broke")
        diary(NOTHING)
    assert capsys.readouterr().err == "it broke\n"


def test_a_log_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(
            OSError, match=r"cannot write the log .*/none/show.log: No such file .*; name a file in a folder"
        ),
        logs.logging_to(tmp_path / "none/show.log"),
    ):
        pass


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    def handlers() -> list[logging.Handler]:
        return [*logging.getLogger("server").handlers, *logging.getLogger("show").handlers]

    before = handlers()
    with logs.logging_to(tmp_path / "show.log"):
        assert handlers() != before
    assert handlers() == before
