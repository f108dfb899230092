"""A preset is values and nothing else: nothing in it runs, and it is never more than it may be."""

import os
from pathlib import Path

import pytest
import yaml

from server import preset as presets
from server.preset import PresetError
from server.preset_yaml import LARGEST_FILE, read

DEMO = Path(__file__).resolve().parents[1] / "presets/demo.yaml"


def refusal(tmp_path: Path, text: str) -> str:
    file = tmp_path / "show.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(PresetError) as error:
        presets.load(file)
    assert str(error.value).startswith(f"{file}: ")
    return str(error.value)


@pytest.mark.parametrize(
    "value",
    [
        '!!python/object/apply:os.mkdir ["MADE"]',
        '!!python/object/new:os.mkdir ["MADE"]',
        "!!python/name:os.mkdir",
        "!!python/module:os",
        '!!python/tuple ["MADE"]',
        '!anything {a: "MADE"}',
    ],
)
def test_a_preset_runs_nothing(tmp_path: Path, value: str) -> None:
    made = tmp_path / "made"
    said = refusal(tmp_path, f"format: 1\nseed: {value.replace('MADE', str(made))}\n")
    assert "not YAML: could not determine a constructor for the tag" in said
    assert not made.exists()


def bomb(lists: int) -> str:
    """Ten aliases of ten aliases of ... ten numbers."""
    rows = ["a0: &a0 [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, lists)]
    return "\n".join(rows)


@pytest.mark.parametrize(
    "text",
    [
        bomb(5),
        bomb(40),
        "\n".join(["a0: &a0 {x0: 1}", *(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}], x{n}: 1}}" for n in range(1, 60))]),
        "\n".join(f"k{n}: 1" for n in range(10_001)),
    ],
    ids=["a little", "more than there are atoms", "merged keys", "plainly"],
)
def test_a_preset_of_too_many_values_is_refused_before_they_are_made(tmp_path: Path, text: str) -> None:
    assert "at most 20,000 values, with those that its aliases repeat" in refusal(tmp_path, text)


@pytest.mark.parametrize("text", ["a: &a [*a]", "[" * 5000, "a: &a {b: *a}"])
def test_a_preset_without_an_end_is_refused(tmp_path: Path, text: str) -> None:
    assert "not YAML: too deep, or a value that contains itself" in refusal(tmp_path, text)


def test_a_large_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    assert f"a preset has at most {LARGEST_FILE} bytes" in refusal(tmp_path, "#" * (LARGEST_FILE + 1))


@pytest.mark.parametrize("text", ["format: 2026-13-45", f"format: {'9' * 5000}", "format: \u0000", "? [a]\n: 1"])
def test_values_that_are_none_are_refused_in_words(tmp_path: Path, text: str) -> None:
    assert refusal(tmp_path, text)


def test_aliases_may_be_used(tmp_path: Path) -> None:
    (tmp_path / "show.yaml").write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\nc: *a\n")
    assert read(tmp_path / "show.yaml") == {"a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 2}, "c": {"x": 1, "y": 2}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """presets/ with a show whose files are its own, and a file beside the folder."""
    shows = tmp_path / "presets"
    shows.mkdir()
    (tmp_path / "secret.bvh").write_text("no take")
    (shows / "take.bvh").write_text("no take")
    data = yaml.safe_load(DEMO.read_text()) | {
        "dancers": {"dancer1": {"receive": "bvh", "file": "take.bvh"}},
        "partners": {"partner1": {"dancer": "dancer1", "model": str(DEMO.parent / "models/salsa_match.onnx")}},
        "outputs": [{"send": "bvh", "actor": "partner1", "file": "takes/partner1.bvh"}],
        "stage_page": "off",
    }
    (shows / "show.yaml").write_text(yaml.safe_dump(data))
    return shows


def changed(folder: Path, old: str, new: str) -> Path:
    show = folder / "show.yaml"
    text = show.read_text()
    assert old in text
    show.write_text(text.replace(old, new))
    return show


@pytest.mark.parametrize("path", ["../secret.bvh", "takes/../../secret.bvh", "link.bvh", "linked/secret.bvh"])
def test_a_path_stays_in_the_presets_folder(folder: Path, path: str) -> None:
    (folder / "takes").mkdir()
    if "link" in path:
        if os.name != "posix":
            pytest.skip("links need rights that nobody has here")
        (folder / "link.bvh").symlink_to("../secret.bvh")
        (folder / "linked").symlink_to("..")
    said = (
        rf"dancers\.dancer1\.file: .* leads out of the preset's folder, to {folder.parent}/secret\.bvh; write the whole"
    )
    with pytest.raises(PresetError, match=said):
        presets.load(changed(folder, "take.bvh", path))


def test_nothing_is_written_outside_the_presets_folder(folder: Path) -> None:
    with pytest.raises(PresetError, match=r"outputs\.0\.file: \.\./partner1\.bvh leads out of the preset's folder"):
        presets.load(changed(folder, "takes/partner1.bvh", "../partner1.bvh"))


def test_a_path_may_lead_anywhere_when_it_is_written_whole(folder: Path) -> None:
    show = presets.load(changed(folder, "take.bvh", str(folder.parent / "secret.bvh")))
    assert show.dancers["dancer1"].file == folder.parent / "secret.bvh"


def test_a_path_may_turn_round_in_the_presets_folder(folder: Path) -> None:
    (folder / "takes").mkdir()
    assert presets.load(changed(folder, "take.bvh", "takes/../take.bvh")).dancers["dancer1"].file.is_file()
