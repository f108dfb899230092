"""docs/security.md: every test that it names is there, every size is the one in the code, every example is a preset."""

import importlib
import re
from pathlib import Path

import pytest
import yaml

from server import preset as presets

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/security.md").read_text(encoding="utf-8")


def rows(title: str) -> list[list[str]]:
    """The cells of a chapter's table, without its head."""
    table = re.findall(r"^\|(.*)\|$", PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0], re.MULTILINE)
    return [[cell.strip() for cell in row.split("|")] for row in table[2:]]


@pytest.mark.parametrize("row", rows("Threats"), ids=lambda row: row[0])
def test_every_threat_has_something_against_it_and_a_test_that_is_there(row: list[str]) -> None:
    threat, answer, tests = row
    assert threat
    assert answer
    named = re.findall(r"`(\w+\.py)::(\w+)`", tests)
    assert re.sub(r"`\w+\.py::\w+`(, )?", "", tests) == ""
    assert named
    for file, test in named:
        assert re.search(rf"^def {test}\(", (ROOT / "tests" / file).read_text(encoding="utf-8"), re.MULTILINE), test


@pytest.mark.parametrize("row", rows("Sizes"), ids=lambda row: row[0])
def test_every_size_is_the_one_in_the_code(row: list[str]) -> None:
    module, name = re.fullmatch(r"`([\w.]+)\.(\w+)`", row[2]).groups()
    assert getattr(importlib.import_module(module), name) == int(row[1].replace(",", ""))


def test_the_example_is_a_preset() -> None:
    example = yaml.safe_load(re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[1])
    demo = ROOT / "presets/demo.yaml"
    assert presets.parse(yaml.safe_load(demo.read_text()) | example, demo).stage_page.behind_proxy
