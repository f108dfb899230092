"""What a show prints: colours only on terminals that want them, one line in place, nothing a console cannot show."""

import io
import sys
from pathlib import Path
from typing import Any

import pytest

import run_server
from motion import shipped
from server import terminal
from server.terminal import StatusPrinter

FIGURES: dict[str, Any] = {
    "page_fault": "",
    "discovery_fault": "",
    "dancers": {"dancer1": {"state": "live"}},
    "fps_in": {"dancer1": 120.0},
    "fps_out": 120.0,
    "partners": {"partner1": {"state": "dancing", "counts": {}, "latency_ms": 0, "ahead_ms": 0}},
    "late": 2,
    "dropped": 0,
    "recording": {"fault": "", "folder": "", "counts": {}},
    "replay": None,
    "latency_p50_ms": 0.8,
    "latency_p99_ms": 1.3,
}
LINE = "dancer1 live 120 fps | partner1 dancing | late 2 dropped 0 | out 120 | 0.8/1.3 ms"


class Screen(io.StringIO):
    """A terminal: what is written may be read back."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "colours"),
    [
        (Screen(), {}, True),
        (Screen(), {"NO_COLOR": ""}, True),  # as no-color.org says: only when it is not empty
        (Screen(), {"NO_COLOR": "1"}, False),
        (Screen(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="asks a real console there")
def test_colours_are_for_terminals_that_want_them(
    stream: io.StringIO, environment: dict[str, str], colours: bool
) -> None:
    assert terminal.colourful(stream, environment) is colours


def printed(monkeypatch: pytest.MonkeyPatch, columns: int, *lines: dict[str, Any], **how: bool) -> str:
    monkeypatch.setenv("COLUMNS", str(columns))
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    printer = StatusPrinter(**how)
    for figures in lines:
        printer(figures)
        printer(figures)
    printer.close()
    return screen.getvalue()


def test_the_status_line_is_rewritten_without_escape_sequences(monkeypatch: pytest.MonkeyPatch) -> None:
    shorter = FIGURES | {"late": 0, "partners": {}}
    said = printed(monkeypatch, 100, FIGURES, shorter, as_json=False, in_place=True)
    first, second = said.split("\r")[1:]
    assert first == LINE
    assert second.rstrip("\n") == "dancer1 live 120 fps |  | late 0 dropped 0 | out 120 | 0.8/1.3 ms".ljust(len(LINE))
    assert second.endswith("\n")  # the prompt begins on a line of its own


def test_colours_mark_states_and_losses_only(monkeypatch: pytest.MonkeyPatch) -> None:
    said = printed(monkeypatch, 100, FIGURES, as_json=False, in_place=True, colours=True)
    for painted in ("\x1b[32mlive\x1b[0m", "\x1b[32mdancing\x1b[0m", "\x1b[33mlate 2\x1b[0m"):
        assert painted in said
    assert said.count("\x1b[0m") == 3


def test_a_narrow_terminal_keeps_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    said = printed(monkeypatch, 70, FIGURES, as_json=False, in_place=True)
    line = said.strip("\r\n")
    assert line.endswith(" ... | late 2 dropped 0 | out 120 | 0.8/1.3 ms")
    assert len(line) == 69


def test_a_fault_clears_the_line_and_is_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = printed(monkeypatch, 100, FIGURES, FIGURES | {"page_fault": "no page"}, as_json=False, in_place=True)
    assert said.split("\r")[2].strip() == ""
    assert capsys.readouterr().err == "no page\n"


@pytest.mark.parametrize("encoding", ["cp437", "cp1252", "ascii"])
def test_a_console_of_any_age_gets_a_line(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    console = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", console)
    terminal.prepare()
    print("Pas de Deux · größer ≥ 日本")
    console.flush()
    assert console.buffer.getvalue().startswith(b"Pas de Deux ")  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["demo", "demo.yaml", "presets/demo.yaml"])
def test_a_shipped_show_goes_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert shipped.find(name) == shipped.FOLDER / "demo.yaml"
    assert shipped.find("duet", "training") == shipped.FOLDER / "training/duet.yaml"


def test_a_file_here_goes_before_a_shipped_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("demo.yaml").touch()
    assert shipped.find("demo.yaml") == Path("demo.yaml")


def test_a_show_that_nobody_knows_is_refused_with_the_choices(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        run_server.main(["dmeo"])
    assert refused.value.code == 2
    assert "'dmeo' is neither a file nor a shipped show; shows: deepfake, demo, " in capsys.readouterr().err
