"""Releases: requirements.lock has every package that is asked for, and what .ci/audit says of them is true."""

import json
import re
import tomllib
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
ASKED = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]


@pytest.mark.parametrize("wish", ASKED)
def test_every_package_is_locked_by_version_and_hash(wish: str) -> None:
    wanted = Requirement(wish)
    name = re.escape(canonicalize_name(wanted.name))
    locked = re.findall(rf"^{name}==(\S+).*\\\n((?:    --hash=sha256:[0-9a-f]{{64}}(?: \\)?\n)+)", LOCK, re.MULTILINE)
    assert locked, f"{wanted.name} is not in requirements.lock: run .ci/lock"
    for version, _ in locked:
        assert version in wanted.specifier, f"{wanted.name} {version} is locked, {wanted.specifier} asked for: .ci/lock"


def test_nothing_is_locked_without_a_hash_or_to_a_place() -> None:
    packages = re.findall(r"^[a-z0-9].*$", LOCK, re.MULTILINE)
    assert len(packages) > 20
    assert all(re.fullmatch(r"[a-z0-9-]+==[^\s;]+( ; .*)? \\", package) for package in packages)
    assert "://" not in LOCK
    assert "--index" not in LOCK


@pytest.fixture(scope="module")
def audit() -> Any:
    loader = SourceFileLoader("audit", str(ROOT / ".ci/audit"))
    module = module_from_spec(spec_from_loader("audit", loader))  # type: ignore[arg-type]
    loader.exec_module(module)
    return module


def report(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


SAFE = {"name": "numpy", "version": "2.0", "vulns": []}
UNKNOWN = {"name": "bvhio", "skip_reason": "not found"}
HOLED = {"name": "lz4", "version": "4.0", "vulns": [{"id": "CVE-1", "fix_versions": ["4.1"], "aliases": []}]}


@pytest.mark.parametrize("said", ["", "no JSON", "[]", "{}", report(), report(UNKNOWN, UNKNOWN)])
def test_nobody_asked_is_no_answer(audit: Any, said: str) -> None:
    """pip-audit itself ends with 0 and "No known vulnerabilities" when its service knew none of the packages."""
    lines, code, answered = audit.verdict(said)
    assert (len(lines), code, answered) == (1, 0, False)
    assert "nothing was audited" in lines[0]


def test_what_is_known_is_told_and_fails(audit: Any) -> None:
    said = "audit: 2 packages asked about, 1 known vulnerabilities; not known there: bvhio"
    assert audit.verdict(report(SAFE, HOLED, UNKNOWN)) == (["lz4 4.0: CVE-1, fixed in 4.1", said], 1, True)
    assert audit.verdict(report(SAFE)) == (["audit: 1 packages asked about, 0 known vulnerabilities"], 0, True)
