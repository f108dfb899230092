"""Commands in README, docs/ and clients/ do what they say: they are run in a copy of the checkout, with short takes and
free ports, or a test is named that runs them. What is in the tables is in tests/docs_commands.py."""

import ast
import contextlib
import importlib
import itertools
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tomllib
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml

from benchmarks.live import free_ports
from docs_commands import RULES, ByTest, Elsewhere, Run, Unit, rule, units
from labelled_models import fitted
from training import checkpoint, train

ROOT = Path(__file__).resolve().parents[1]
UNITS = units()
RUN = [unit for unit in UNITS if any(isinstance(RULES.get(rule(command) or ""), Run) for command in unit.commands)]
NAMED = sorted({command for unit in UNITS for command in unit.commands})
SHORT, LONG = 2, 6  # seconds of a take to be danced, and of one to train on
TINY = {"window": 16, "hop": 4, "latent": 4, "size": 16, "dense": [32]}
SMALL = {  # what a kind is trained with, in place of what stands in its configuration
    "duet_match": {"training": {"epochs": 1, "learned_steps": 2}},
    "duet_window": {"model": TINY, "training": {"epochs": 1, "stride": 8}},
    "deepfake": {"model": TINY, "training": {"epochs": 1, "stride": 8}},
}


@pytest.mark.parametrize("command", NAMED)
def test_every_command_has_a_rule(command: str) -> None:
    assert rule(command), "put it into RULES of tests/docs_commands.py: run, tested by ..., or elsewhere because ..."


def test_every_rule_has_a_command() -> None:
    used = {rule(command) for command in NAMED}
    assert [pattern for pattern in RULES if pattern not in used] == []


@pytest.mark.parametrize("test", sorted({t for how in RULES.values() if isinstance(how, ByTest) for t in how.tests}))
def test_every_test_that_is_named_is_there(test: str) -> None:
    file, _, name = test.partition("::")
    tree = ast.parse((ROOT / "tests" / f"{file}.py").read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("command", [c for c in NAMED if isinstance(RULES.get(rule(c) or ""), ByTest)])
def test_what_is_tested_elsewhere_has_the_options_that_are_written(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = re.search(
        r"(?:python|torchrun .*?) -m ([\w.]+)(?: (duet|drmm|upsampler|identity_action|labelled)\b)?", command
    )
    if found is None:
        return
    module, subject = found.groups()
    kinds = [subject] if subject and module != "training.train" else []
    monkeypatch.setattr(sys, "argv", [module, *kinds, "--help"])
    with pytest.raises(SystemExit):
        importlib.import_module(module).main()
    known = capsys.readouterr().out
    after = command[found.end() :]
    assert [option for option in re.findall(r"(?<![\w-])--[\w-]+", after) if option not in known] == []


@pytest.mark.parametrize("command", [c for c in NAMED if "training.train " in c and "KIND" not in c])
def test_every_training_that_is_written_has_its_configuration(command: str) -> None:
    words = shlex.split(command.partition("training.train ")[2])
    options = train.parser().parse_args(words)
    assert train.read_config(options.kind, ROOT / options.config)


def test_every_extra_that_is_written_is_there() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    named = {extra for command in NAMED for extra in re.findall(r"pip install .*\[(\w+)\]", command)}
    assert len(named) >= 5
    assert named <= extras.keys()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """presets/ with free ports, short clips and small trainings; takes by the names that the pages give them."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "presets", folder / "presets", ignore=shutil.ignore_patterns("*.json", "*.bvh"))
    for path in (folder / "presets").glob("*.yaml"):
        path.write_text(yaml.safe_dump(_with_free_ports(yaml.safe_load(path.read_text(encoding="utf-8")))))
    for path in (folder / "presets/training").glob("*.yaml"):
        kind = next((kind for kind in SMALL if kind in path.name), None)
        if kind is not None:
            told = yaml.safe_load(path.read_text(encoding="utf-8"))
            path.write_text(yaml.safe_dump(told | {key: told.get(key, {}) | more for key, more in SMALL[kind].items()}))
    demo = yaml.safe_load((folder / "presets/demo.yaml").read_text())
    sends = {"send": "touchdesigner", "actor": "partner1", "port": demo["outputs"][0]["port"]}
    (folder / "presets/yours.yaml").write_text(yaml.safe_dump(demo | {"outputs": [sends]}))
    (folder / "RECORDINGS").mkdir()
    for (subject, name), place in itertools.product({"60": "dancer", "61": "partner"}.items(), range(1, 4)):
        _cut(f"demo_{name}.bvh", folder / f"RECORDINGS/{subject}_{place:02d}.bvh", LONG, place * LONG)
    for name in ("TAKE.bvh", "take.bvh", "presets/clips/demo_dancer.bvh"):
        _cut("demo_dancer.bvh", folder / name, SHORT)
    (folder / "runs/mine").mkdir(parents=True)
    torch.save(checkpoint.describe("labelled", fitted(latent=120)), folder / "runs/mine/last.ckpt")
    return folder


def _cut(clip: str, out: Path, seconds: int, start: int = 0) -> None:
    """A part of a shipped clip."""
    lines = (ROOT / "presets/clips" / clip).read_text(encoding="utf-8").splitlines(keepends=True)
    rows = lines.index("MOTION\n") + 3
    rate = round(1.0 / float(lines[rows - 1].split()[-1]))
    frames = lines[rows + start * rate : rows + (start + seconds) * rate]
    out.write_text("".join([*lines[: rows - 2], f"Frames: {len(frames)}\n", lines[rows - 1], *frames]))


def _with_free_ports(preset: dict) -> dict:
    """The same show beside any others on this machine: nobody hears its datagrams, nobody has its ports."""
    for output, nobody in zip(preset["outputs"], free_ports(len(preset["outputs"])), strict=True):
        if output["send"] == "zmq":
            output["bind"] = "tcp://127.0.0.1:*"
        else:
            output["port"] = nobody
    for dancer in preset["dancers"].values():
        if dancer["receive"] != "bvh":
            dancer["port"] = 0
    return preset | {"control": {"port": 0}, "stage_page": "off"}


@pytest.mark.parametrize(
    "unit",
    [
        pytest.param(u, marks=pytest.mark.slow)
        if any(getattr(RULES[rule(c)], "slow", False) for c in u.commands)
        else u
        for u in RUN
    ],
    ids=lambda unit: unit.commands[0],
)
def test_it_runs(unit: Unit, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for entry in checkout.iterdir():
        shutil.copytree(entry, tmp_path / entry.name, copy_function=os.link) if entry.is_dir() else shutil.copy(
            entry, tmp_path
        )
    monkeypatch.chdir(tmp_path)
    for command in unit.commands:
        how = RULES[rule(command)]
        if isinstance(how, Run):
            for old, new in how.so:
                command = command.replace(old, new)
            _execute(f"{command} {how.more}", monkeypatch)


def _execute(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line of a shell whose Python programs run here, by their own main()."""
    for part in command.split(" && "):
        words = shlex.split(part)
        if words[0] != "python":
            subprocess.run(words, check=True)
            continue
        module, *arguments = words[2:] if words[1] == "-m" else [words[1].removesuffix(".py"), *words[2:]]
        with _heard(arguments, module == "benchmarks.suit"), warnings.catch_warnings():
            monkeypatch.setattr(sys, "argv", [module, *arguments])
            try:
                code = importlib.import_module(module).main()
            except SystemExit as ended:
                code = ended.code
        assert not code, part


@contextlib.contextmanager
def _heard(arguments: list[str], suit: bool) -> Iterator[None]:
    """Whoever plays a suit plays it to us, and is heard."""
    if not suit:
        yield
        return
    with socket.socket(type=socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        arguments[arguments.index("--to") + 1] = f"127.0.0.1:{listener.getsockname()[1]}"
        yield
        listener.setblocking(False)
        assert listener.recv(65536)


def test_what_does_not_run_here_says_why() -> None:
    assert all(len(how.why) > 20 for how in RULES.values() if isinstance(how, Elsewhere))
